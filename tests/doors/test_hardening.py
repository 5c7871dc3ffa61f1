"""Small openings stay shut: wrong keys, other spellings of a path, addresses in the clear, files
that others may read, and starts that fail without a word."""

import asyncio
import stat
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from tests.doors.stage import VAULT_KEY, Stage, stage

from tollkeeper.api.admission import MAX_KEYS, WRONG_KEYS_AT_ONCE, admission_of
from tollkeeper.app import read_settings
from tollkeeper.cli.main import main
from tollkeeper.kernel.errors import Misconfigured
from tollkeeper.store import migrate

WRONG = {"Authorization": "Bearer tk_00000000000000000000000000000000"}


async def test_many_wrong_keys_are_slowed_down_and_a_right_one_is_not(tmp_path: Path) -> None:
    async with stage(tmp_path) as it:
        count = int(WRONG_KEYS_AT_ONCE) + 40
        replies = [await it.get("/v1/payments", role=None, headers=WRONG) for _ in range(count)]
        assert replies[0].status == 401
        slowed = [reply for reply in replies if reply.status == 429]
        assert len(slowed) >= 10
        told = slowed[0]
        assert (told.body["code"], told.headers["retry-after"]) == ("rate_limited", "1")
        assert (await it.get("/v1/payments")).status == 200


async def test_what_is_remembered_of_wrong_keys_is_bounded(tmp_path: Path) -> None:
    async with stage(tmp_path) as it:
        desk = admission_of(it.app.state)
        for number in range(MAX_KEYS * 2):
            desk._take(desk._wrong, f"peer {number}", 1.0, 5.0)
        assert len(desk._wrong) <= MAX_KEYS


async def _status(it: Stage, path: str) -> int:
    """Of a path as it is written: a client library would tidy it up."""
    reader, writer = await asyncio.open_connection("127.0.0.1", urlsplit(it.url).port)
    writer.write(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
    answer = await reader.read()
    writer.close()
    return int(answer.split(b" ")[1])


async def test_a_path_has_one_spelling(tmp_path: Path) -> None:
    async with stage(tmp_path) as it:
        for name in ("metrics", "health", "ready", "openapi.json"):
            assert await _status(it, f"/{name}") == 200
            first = f"%{ord(name[0]):02x}{name[1:]}"
            for other in (
                f"//{name}",
                f"/{name}/",
                f"///{name}",
                f"/{name}//",
                f"/{first}",
                f"/{first.upper()}",
                f"/./{name}",
                f"/v1/../{name}",
                f"/{name}%2f",
            ):
                assert await _status(it, other) == 404, other
        assert await _status(it, "/metrics?x=1") == 200
        for path in (
            "/v1/payments/",
            "//v1/payments",
            "/v1//payments",
            "/v1/return/pay_1/",
            "/v1/%70ayments",
            "/v1/return//pay_1",
        ):
            assert await _status(it, path) == 404, path


CONFIG = 'database = "{database}"\nvault_key = "{key}"\n[providers.stripe]\nsecret_key = "k"\n'


@pytest.mark.parametrize(
    ("address", "fine"),
    [
        ("https://api.example.com", True), ("http://127.0.0.1:12111", True),
        ("http://127.9.9.9", True), ("http://localhost:1", True), ("http://[::1]:2", True),
        ("http://api.example.com", False), ("http://10.0.0.1", False),
        ("http://localhost.example.com", False), ("http://127.0.0.1.example.com", False),
        ("ftp://127.0.0.1", False), ("api.example.com", False), ("https://", False), ("", False),
        ("http://0.0.0.0", False),
    ],
)  # fmt: skip
def test_a_secret_key_leaves_the_machine_encrypted_alone(
    tmp_path: Path, address: str, fine: bool
) -> None:
    config = tmp_path / "shop.toml"
    config.write_text(f'[providers.stripe]\nbase_url = "{address}"\n')
    if fine:
        assert read_settings(config, {}).providers["stripe"].base_url == address
        return
    with pytest.raises(Misconfigured, match=r"base_url in \[providers.stripe\]"):
        read_settings(config, {})


def test_a_new_database_is_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "new.sqlite3"
    migrate.upgrade(str(path))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize(
    ("database", "word"),
    [
        ("{folder}", "cannot be"), ("{folder}/junk", "not a database"),
        ("{folder}/new", "db migrate"), ("{folder}/junk/x", "junk/x"),
        ("postgresql://u@127.0.0.1:9/x", "cannot be reached"), ("mysql://x", "postgresql://"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("command", [("serve",), ("db", "migrate")], ids=" ".join)
def test_a_start_that_fails_says_why_in_a_line(
    tmp_path: Path, command: tuple[str, ...], database: str, word: str,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    (tmp_path / "junk").write_text("this is no database, whatever its name says" * 20)
    if command != ("serve",) and database.endswith("/new"):
        return
    config = tmp_path / "shop.toml"
    config.write_text(CONFIG.format(database=database.format(folder=tmp_path), key=VAULT_KEY))
    assert main([*command, "--config", str(config)]) in {1, 2}
    told = capsys.readouterr().err
    assert word in told
    assert "Traceback" not in told
    assert told.count("\n") <= 3


@pytest.mark.parametrize("kind", ["folder", "absent"])
def test_settings_that_cannot_be_read_are_named(
    tmp_path: Path, kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "settings"
    if kind == "folder":
        path.mkdir()
    assert main(["serve", "--config", str(path)]) == 2
    assert str(path) in capsys.readouterr().err
