"""Messages to people over real sockets: what each kind of receiver gets, what answers mean."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from aiohttp import web
from aiosmtpd.controller import UnthreadedController
from msgspec.structs import replace

from tollkeeper.incidents.inputs import event_of
from tollkeeper.incidents.paging import Answer, Message
from tollkeeper.incidents.plan import Receiver
from tollkeeper.notify.mail import mail_of
from tollkeeper.notify.sending import Sender
from tollkeeper.wire.provider import HttpWire

PAGE = Message(
    id="ntf_1", kind="page", subject="[SEV1] <Stripe> & more", text="line one\nline two",
    thread="inc_1", urgency="sev1", at_ms=1_795_000_000_000,
    facts={"incident": "inc_1", "about": "stripe", "status": "triggered"},
)  # fmt: skip
OVER = replace(PAGE, id="ntf_2", kind="over", facts=PAGE.facts | {"status": "resolved"})
TAKEN = replace(PAGE, id="ntf_3", kind="over", facts=PAGE.facts | {"status": "acknowledged"})


@dataclass
class Office:
    """A server that keeps what it gets, and answers with `status`."""

    status: int = 202
    port: int = 0
    got: list[tuple[str, dict[str, str], Any]] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def take(self, request: web.Request) -> web.Response:
        body = json.loads(await request.read())
        self.got.append((request.path, dict(request.headers), body))
        return web.Response(status=self.status, text="said by the office")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@asynccontextmanager
async def office(status: int = 202) -> AsyncIterator[Office]:
    it = Office(status, free_port())
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", it.take)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", it.port).start()
    try:
        yield it
    finally:
        await runner.cleanup()


async def sent(receiver: Receiver, *messages: Message) -> list[Answer]:
    async with HttpWire() as wire:
        sender = Sender(wire)
        return [await sender.send(receiver, message) for message in messages]


async def test_pagerduty_gets_one_dedup_key_and_the_right_actions() -> None:
    async with office() as it:
        receiver = Receiver(kind="pagerduty", url=it.url, key="a-routing-key")
        answers = await sent(receiver, PAGE, PAGE, TAKEN, OVER)
    assert [answer.said for answer in answers] == ["202 accepted"] * 4
    assert {path for path, *_ in it.got} == {"/v2/enqueue"}
    events = [event_of(json.dumps(body).encode()) for *_, body in it.got]
    assert [event.event_action for event in events] == [
        "trigger", "trigger", "acknowledge", "resolve",
    ]  # fmt: skip
    assert {event.dedup_key for event in events} == {"inc_1"}
    assert events[0].payload is not None
    assert (events[0].payload.severity, events[0].payload.source) == ("critical", "stripe")


async def test_slack_gets_text_that_cannot_be_taken_for_markup() -> None:
    async with office(200) as it:
        (answer,) = await sent(Receiver(kind="slack", url=f"{it.url}/services/x"), PAGE)
    ((path, headers, body),) = it.got
    assert (answer.ok, path) == (True, "/services/x")
    assert body["text"].startswith("*[SEV1] &lt;Stripe&gt; &amp; more*")
    assert headers["idempotency-key"] == "ntf_1"


async def test_a_webhook_gets_the_message_with_its_identity() -> None:
    async with office(204) as it:
        first, second = await sent(Receiver(kind="webhook", url=f"{it.url}/in?a=1"), PAGE, PAGE)
    assert (first.ok, second.ok) == (True, True)
    assert [body["id"] for *_, body in it.got] == ["ntf_1", "ntf_1"]
    assert it.got[0][2]["facts"]["incident"] == "inc_1"


@pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")  # the library's
async def test_apprise_brings_a_message_to_a_service_that_it_knows() -> None:
    async with office(200) as it:
        receiver = Receiver(kind="apprise", url=f"json://127.0.0.1:{it.port}/x")
        (answer,) = await sent(receiver, PAGE)
        (unknown,) = await sent(Receiver(kind="apprise", url="nothing://x"), PAGE)
    assert answer.ok
    ((_, _, body),) = it.got
    assert (body["title"], body["type"]) == (PAGE.subject, "failure")
    assert "line two" in body["message"]
    assert "ntf_1" in body["message"]
    assert (unknown.ok, unknown.again) == (False, False)


@pytest.mark.parametrize(
    ("status", "again"), [(400, False), (404, False), (429, True), (500, True), (503, True)]
)
async def test_what_a_refusal_means(status: int, again: bool) -> None:
    async with office(status) as it:
        (answer,) = await sent(Receiver(kind="webhook", url=f"{it.url}/secret-path"), PAGE)
    assert (answer.ok, answer.again) == (False, again)
    assert answer.said == f"{status} said by the office"


@pytest.mark.parametrize("kind", ["slack", "pagerduty", "alertmanager", "webhook"])
async def test_where_no_one_listens_it_is_said_without_the_address(kind: Any) -> None:
    url = f"http://127.0.0.1:{free_port()}/secret-path"
    (answer,) = await sent(Receiver(kind=kind, url=url, key="secret-key"), PAGE)
    assert (answer.ok, answer.again, answer.said) == (False, True, "connection refused")


class Server:
    """A mail server that answers `said`."""

    def __init__(self, said: str) -> None:
        self.said = said
        self.got: list[bytes] = []

    async def handle_DATA(self, _: Any, __: Any, envelope: Any) -> str:  # noqa: N802 - aiosmtpd's
        self.got.append(envelope.original_content)
        return self.said


@asynccontextmanager
async def mail_server(said: str) -> AsyncIterator[tuple[Server, Receiver]]:
    handler, port = Server(said), free_port()
    loop = asyncio.get_running_loop()
    controller = UnthreadedController(handler, "127.0.0.1", port, loop=loop)
    controller.server = await controller._create_server()
    try:
        yield handler, Receiver(kind="mail", url=f"smtp://127.0.0.1:{port}", to="a@demo.invalid")
    finally:
        controller.server.close()


@pytest.mark.parametrize(
    ("said", "ok", "again"),
    [("250 fine", True, True), ("451 later", False, True), ("550 no such box", False, False)],
)
async def test_what_a_mail_server_s_answer_means(said: str, ok: bool, again: bool) -> None:
    async with mail_server(said) as (server, receiver):
        (answer,) = await sent(receiver, PAGE)
    assert answer.ok is ok
    assert ok or answer.again is again
    assert ok or answer.said == said
    assert len(server.got) == 1


def test_a_mail_is_the_same_in_every_try_and_hangs_in_its_thread() -> None:
    receiver = Receiver(kind="mail", url="smtp://x", to="a@demo.invalid")
    first, second = mail_of(receiver, PAGE), mail_of(receiver, PAGE)
    assert bytes(first) == bytes(second)
    assert first["Message-ID"] == "<ntf_1@tollkeeper.invalid>"
    assert first["References"] == mail_of(receiver, OVER)["References"]
    injected = replace(PAGE, subject="x\r\nBcc: b@demo.invalid")
    assert mail_of(receiver, injected)["Bcc"] is None


async def test_a_mail_server_that_is_gone_is_said_without_its_password() -> None:
    url = f"smtp://user:secret-word@127.0.0.1:{free_port()}"
    (answer,) = await sent(Receiver(kind="mail", url=url, to="a@demo.invalid"), PAGE)
    assert (answer.ok, answer.again) == (False, True)
    assert "secret-word" not in answer.said
