"""The watch: a new text is kept, checked for every installed version, and told."""

import asyncio
import zlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tollkeeper.app import Service, handlers, read_settings, upgrade_database
from tollkeeper.contracts.deriving import usage_of
from tollkeeper.flows.contracts.watch import look
from tollkeeper.flows.ports import Endpoint, Job
from tollkeeper.flows.runtime import Runtime
from tollkeeper.integrations.catalogue import INSTALLED
from tollkeeper.kernel.errors import Misconfigured

OLD = "stripe@2022-08-01"
NEWER = {"stripe@2022-11-15", "stripe@2026-03-25.dahlia"}


def _nested(paths: list[str]) -> dict[str, Any]:
    """A schema that has just these paths; amounts are numbers, the rest is text."""
    members: dict[str, Any] = {}
    for path in paths:
        name, _, rest = path.partition(".")
        members.setdefault(name, []).append(rest)
    properties: dict[str, Any] = {}
    for name, rests in members.items():
        inner = _nested([r for r in rests if r]) if any(rests) else _leaf(name)
        is_list = name.endswith("[]")
        properties[name.removesuffix("[]")] = (
            {"type": "array", "items": inner} if is_list else inner
        )
    return {"type": "object", "properties": properties}


def _leaf(name: str) -> dict[str, Any]:
    if name.startswith("amount"):
        return {"type": "integer"}
    return {"type": "boolean" if name in {"has_more", "captured", "disputed"} else "string"}


def description(*names: str) -> dict[str, Any]:
    """A description of all that the named versions use."""
    paths: dict[str, Any] = {}
    usages = [usage_of(INSTALLED[name]) for name in names]
    for operation in usages[0].operations:
        read = [p for u in usages for p in u.operations[operation].read]
        errors = [p for u in usages for p in u.operations[operation].errors]
        method, _, path = operation.partition(" ")
        made: dict[str, Any] = {"responses": {}}
        for status, fields in (("200", read), ("400", errors)):
            content = {"application/json": {"schema": _nested(list(dict.fromkeys(fields)))}}
            made["responses"][status] = {"content": content}
        sent = [p for u in usages for p in u.operations[operation].send]
        made["parameters"] = [
            {"in": "query", "name": name, "schema": {}}
            for name in sorted({p[6:].partition(".")[0] for p in sent if p.startswith("query:")})
        ]
        body: dict[str, Any] = {"application/x-www-form-urlencoded": {"schema": {}}}
        made["requestBody"] = {"content": body}
        paths.setdefault(path.replace("{}", "{id}"), {})[method.lower()] = made
    return {"openapi": "3.0.0", "info": {"title": "t", "version": "1"}, "paths": paths}


@asynccontextmanager
async def watching(folder: Path, source: str, **more: str) -> AsyncIterator[Runtime]:
    config = folder / "tollkeeper.toml"
    extra = "".join(f'{name} = "{value}"\n' for name, value in more.items())
    config.write_text(
        f'database = "{folder / "watch.sqlite3"}"\n'
        'vault_key = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="\n'
        f'[providers.stripe]\ndescription = "{source}"\n{extra}'
    )
    settings = read_settings(config, {})
    upgrade_database(settings)
    async with Service(settings, work=False) as service:
        yield service.runtime


async def test_an_update_that_breaks_one_version_is_told_by_an_event_and_kept(
    tmp_path: Path,
) -> None:
    file = tmp_path / "stripe.json"
    both, without = description(OLD, *NEWER), description(*NEWER)
    file.write_bytes(msgspec.json.encode(both))
    async with watching(tmp_path, str(file)) as runtime:
        endpoint = Endpoint(
            id="we_1", account="default", url="https://a.example/", secrets=("s",), enabled=True,
            created_ms=0,
        )  # fmt: skip
        await runtime.store.save_endpoint(endpoint)
        first = await look(runtime, "stripe")
        assert first.news
        assert all(first.compatible.values()), first
        file.write_bytes(msgspec.json.encode(without))
        second = await look(runtime, "stripe")
        assert second.compatible == {OLD: False} | dict.fromkeys(NEWER, True)
        (event,) = await runtime.store.list_events("default", "evt_~", 10)
        assert event.type == "contract.broken"
        told = msgspec.json.decode(event.data)
        assert told["broken"] == [OLD]
        told_of = {f["before"] for f in told["verdicts"][OLD]["findings"]}
        assert "charges" in told_of
        texts = await runtime.store.list_descriptions("stripe", 10)
        assert [zlib.decompress(t.text) for t in texts] == [
            msgspec.json.encode(without), msgspec.json.encode(both),
        ]  # fmt: skip
        assert (await runtime.store.holdings()).pending_deliveries == {f"{event.id}|we_1"}


async def test_the_same_text_is_no_news(tmp_path: Path) -> None:
    file = tmp_path / "stripe.json"
    file.write_bytes(msgspec.json.encode(description(OLD, *NEWER)))
    async with watching(tmp_path, str(file)) as runtime:
        assert (await look(runtime, "stripe")).news
        again = await look(runtime, "stripe")
        assert not again.news
        assert not again.error
        assert len(await runtime.store.list_descriptions("stripe", 10)) == 1


@pytest.mark.parametrize("text", [b"", b"{", b'{"a": 1}', b"\xff\x00"])
async def test_a_text_that_is_no_description_is_a_verdict_and_no_crash(
    tmp_path: Path, text: bytes
) -> None:
    file = tmp_path / "stripe.json"
    file.write_bytes(text)
    async with watching(tmp_path, str(file)) as runtime:
        found = await look(runtime, "stripe")
        assert found.compatible == {"": False}
        file.write_bytes(msgspec.json.encode(description(OLD, *NEWER)))
        assert all((await look(runtime, "stripe")).compatible.values())


async def test_a_source_that_cannot_be_read_is_said_and_changes_nothing(tmp_path: Path) -> None:
    async with watching(tmp_path, str(tmp_path / "none.json")) as runtime:
        found = await look(runtime, "stripe")
        assert "No such file" in found.error
        assert await runtime.store.list_descriptions("stripe", 10) == []
        with pytest.raises(Misconfigured):
            await look(runtime, "adyen")


async def test_announcements_are_kept_beside_the_text(tmp_path: Path) -> None:
    file, notes = tmp_path / "stripe.json", tmp_path / "soon.md"
    file.write_bytes(msgspec.json.encode(description(OLD, *NEWER)))
    notes.write_text("charges will go")
    async with watching(tmp_path, str(file), announcements=str(notes)) as runtime:
        await look(runtime, "stripe")
        (seen,) = await runtime.store.list_descriptions("stripe", 1)
        assert seen.notes is not None
        assert zlib.decompress(seen.notes) == b"charges will go"


async def test_a_url_is_asked_with_its_tag_and_a_304_is_no_news(tmp_path: Path) -> None:
    text = msgspec.json.encode(description(OLD, *NEWER))
    heard: list[bytes] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        heard.append(head)
        if b'if-none-match: "v1"' in head.lower():
            writer.write(b"HTTP/1.1 304 Not Modified\r\nConnection: close\r\n\r\n")
        else:
            length = str(len(text)).encode()
            writer.write(
                b'HTTP/1.1 200 OK\r\nETag: "v1"\r\nContent-Length: ' + length + b"\r\n"
                b"Connection: close\r\n\r\n" + text
            )
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server, watching(tmp_path, f"http://127.0.0.1:{port}/spec.json") as runtime:
        assert (await look(runtime, "stripe")).news
        assert not (await look(runtime, "stripe")).news
    assert len(heard) == 2


async def test_the_durable_job_puts_itself_off_until_the_next_look(tmp_path: Path) -> None:
    file = tmp_path / "stripe.json"
    file.write_bytes(msgspec.json.encode(description(OLD, *NEWER)))
    async with watching(tmp_path, str(file)) as runtime:
        now_ms = runtime.store.now_ms()
        await runtime.store.enqueue_job("watch", "stripe", now_ms)
        (job,) = await runtime.store.claim_jobs(now_ms, 30_000, 1)
        assert isinstance(job, Job)
        await handlers(runtime)["watch"](job)
        count, due_ms = (await runtime.store.count_jobs())["watch"]
        assert count == 1
        assert due_ms >= now_ms + 3_600_000
