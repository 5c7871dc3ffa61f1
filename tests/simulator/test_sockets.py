"""On a real socket: a drop is silence, a reset is a reset, a cut body is cut."""

import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.simulator.programs import Program, program
from tests.simulator.stage import KEY

BODY = (
    b"amount=1000&currency=eur&confirm=true&payment_method=pm_card_visa&payment_method_types[]=card"
)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Program]:
    with program(tmp_path_factory.mktemp("simulator")) as found:
        yield found


@pytest.fixture
def provider(running: Program) -> Program:
    running.control("DELETE", "faults")
    return running


def _head(
    path: str = "/v1/payment_intents", method: str = "POST", length: int = len(BODY)
) -> bytes:
    return (
        f"{method} {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {KEY}\r\n"
        f"content-type: application/x-www-form-urlencoded\r\ncontent-length: {length}\r\n\r\n"
    ).encode()


def _connect(provider: Program) -> socket.socket:
    return socket.create_connection(("127.0.0.1", provider.port), timeout=5)


def _read_reply(connection: socket.socket) -> tuple[bytes, bytes]:
    """The head and the body as far as the content-length or the end of the stream."""
    data = b""
    while b"\r\n\r\n" not in data:
        data += _some(connection)
    head, _, body = data.partition(b"\r\n\r\n")
    length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
    while len(body) < length:
        more = connection.recv(65536)
        if not more:
            break
        body += more
    return head, body


def _some(connection: socket.socket) -> bytes:
    data = connection.recv(65536)
    assert data, "the connection was closed"
    return data


def _charges(provider: Program) -> int:
    return len(provider.ledger()["charges"])


def test_a_connection_is_kept_and_pipelined_requests_are_answered_in_order(
    provider: Program,
) -> None:
    with _connect(provider) as connection:
        for _ in range(2):
            connection.sendall(_head() + BODY)
            head, body = _read_reply(connection)
            assert head.startswith(b"HTTP/1.1 200 OK")
            assert b'"status":"succeeded"' in body
        connection.sendall(_head("/v1/account", "GET", 0) + _head("/v1/nothing", "GET", 0))
        data = b""
        while data.count(b"HTTP/1.1") < 2:
            data += _some(connection)
        assert data.index(b"200 OK") < data.index(b"404 Not Found")


def test_a_body_may_come_in_chunks_and_slowly(provider: Program) -> None:
    with _connect(provider) as connection:
        head = _head().replace(b"content-length: %d" % len(BODY), b"transfer-encoding: chunked")
        connection.sendall(head)
        for start in range(0, len(BODY), 40):
            piece = BODY[start : start + 40]
            connection.sendall(b"%x\r\n%s\r\n" % (len(piece), piece))
            time.sleep(0.01)
        connection.sendall(b"0\r\n\r\n")
        assert _read_reply(connection)[0].startswith(b"HTTP/1.1 200 OK")


def test_a_client_that_expects_100_is_told_to_continue(provider: Program) -> None:
    with _connect(provider) as connection:
        connection.sendall(_head().replace(b"\r\n\r\n", b"\r\nexpect: 100-continue\r\n\r\n"))
        assert connection.recv(100).startswith(b"HTTP/1.1 100 Continue")
        connection.sendall(BODY)
        assert _read_reply(connection)[0].startswith(b"HTTP/1.1 200 OK")


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_drop_is_silence_on_an_open_connection(provider: Program, when: str) -> None:
    provider.control("POST", "faults", {"effect": "drop", "when": when})
    before = _charges(provider)
    with _connect(provider) as connection:
        connection.settimeout(0.3)
        connection.sendall(_head() + BODY)
        with pytest.raises(TimeoutError):
            connection.recv(1)
    assert _charges(provider) - before == (when == "after")


def test_a_drop_ends_when_its_rule_says(provider: Program) -> None:
    rule = {"effect": "drop", "when": "before", "seconds": 0.3, "operation": "account.*"}
    provider.control("POST", "faults", rule)
    with _connect(provider) as connection:
        connection.sendall(_head("/v1/account", "GET", 0))
        began = time.monotonic()
        with pytest.raises(ConnectionResetError):
            connection.recv(1)
        assert time.monotonic() - began > 0.2
    with _connect(provider) as connection:
        connection.sendall(_head("/v1/balance", "GET", 0))
        head, _ = _read_reply(connection)
        assert b"\r\ndate: " in head


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_reset_is_a_tcp_reset(provider: Program, when: str) -> None:
    provider.control("POST", "faults", {"effect": "reset", "when": when})
    before = _charges(provider)
    with _connect(provider) as connection:
        connection.sendall(_head() + BODY)
        with pytest.raises(ConnectionResetError):
            connection.recv(1)
    assert _charges(provider) - before == (when == "after")


def test_a_truncated_body_ends_before_its_length(provider: Program) -> None:
    provider.control("POST", "faults", {"effect": "truncate", "at": 25})
    with _connect(provider) as connection:
        connection.sendall(_head() + BODY)
        head, body = _read_reply(connection)
        assert len(body) == 25
        assert b"content-length: 25\r\n" not in head + b"\r\n"


def test_a_slow_body_comes_after_its_head(provider: Program) -> None:
    provider.control("POST", "faults", {"effect": "slow_body", "seconds": 0.3})
    with _connect(provider) as connection:
        connection.sendall(_head() + BODY)
        first = connection.recv(65536)
        started = time.monotonic()
        assert first.endswith(b"\r\n\r\n")
        assert connection.recv(65536).startswith(b"{")
        assert time.monotonic() - started > 0.2


def test_a_client_that_hangs_up_has_paid_all_the_same(provider: Program) -> None:
    provider.control("POST", "faults", {"effect": "delay", "when": "before", "seconds": 0.3})
    before = _charges(provider)
    with _connect(provider) as connection:
        connection.sendall(_head() + BODY)
        time.sleep(0.1)
    assert _charges(provider) == before
    deadline = time.monotonic() + 5
    while _charges(provider) == before and time.monotonic() < deadline:
        time.sleep(0.02)
    assert _charges(provider) == before + 1


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"\x16\x03\x01\x02\x00\x01\x00 not http\r\n\r\n", b"400"),
        (b"GET / HTTP/1.1\r\nno colon\r\n\r\n", b"400"),
        (_head(length=2_000_000) + b"x" * 1_100_000, b"413"),
    ],
)
def test_what_is_no_request_is_refused(provider: Program, sent: bytes, status: bytes) -> None:
    with _connect(provider) as connection:
        connection.sendall(sent)
        assert connection.recv(100).startswith(b"HTTP/1.1 " + status)


def _run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tollkeeper.simulator", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)


def test_the_command_line_adds_lists_and_clears_faults(provider: Program) -> None:
    at = ["--url", provider.url]
    added = _run("fault", "add", "error", *at, "--when", "before", "--status", "503", "--count=1")
    assert added.returncode == 0, added.stderr
    assert provider.control("GET", "faults")[0]["status"] == 503
    assert '"effect": "error"' in _run("fault", "list", *at).stdout
    assert _run("fault", "remove", "nothing", *at).returncode == 1
    assert _run("fault", "clear", *at).returncode == 0
    assert provider.control("GET", "faults") == []
    assert '"charges"' in _run("ledger", *at).stdout


def test_the_command_line_takes_the_headers_of_a_refusal_as_json(provider: Program) -> None:
    headers = '{"Retry-After": "5"}'
    added = _run("fault", "add", "refuse", "--url", provider.url, "--headers", headers)
    assert added.returncode == 0
    [rule] = provider.control("GET", "faults")
    assert rule["headers"] == {"Retry-After": "5"}
    assert _run("fault", "add", "refuse", "--url", provider.url, "--headers", "x").returncode == 2


def test_the_command_line_tells_misuse_from_no_answer(provider: Program) -> None:
    assert _run("fault", "add", "explode", "--url", provider.url).returncode == 1
    assert _run("fault", "add", "drop", "--url", provider.url, "--count", "x").returncode == 2
    assert _run("fault", "list", "--url", "http://127.0.0.1:9").returncode == 1
    assert _run("nonsense").returncode == 2
    assert "examples:" in _run("--help").stdout


def test_it_stops_when_told_and_keeps_its_ledger(tmp_path: Path) -> None:
    keys = ("--key", "sk_test_a", "--key", "sk_test_b")
    with program(tmp_path, *keys) as provider, _connect(provider) as connection:
        connection.sendall(_head().replace(KEY.encode(), b"sk_test_b") + BODY)
        assert _read_reply(connection)[0].startswith(b"HTTP/1.1 200 OK")
    [charge] = provider.written()
    assert (charge.account, charge.status) == ("acct_2", "captured")
