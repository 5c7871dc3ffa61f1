"""The provider desk over HTTP, mail and the command line: a real service, mail server and page."""

import hashlib
import io
import re
import zipfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.doors.stage import VAULT_KEY, Stage, stage
from tests.doors.test_incidents import PLAN, free_port
from tests.flows.test_incidents import alert_event
from tests.flows.test_providers import SAID

from tollkeeper.cli.main import MISUSE, main
from tollkeeper.flows.incidents import planning
from tollkeeper.flows.providers import cards
from tollkeeper.incidents.paging import Attachment, Message
from tollkeeper.incidents.plan import Receiver
from tollkeeper.notify.mail import mail_of
from tollkeeper.providers.notice import LONGEST_LINE
from tollkeeper.proving.inbox import Inbox, serve

CARDS = """
[providers.stripe]
title = "Stripe <b>"
account_ids = ["acct_1ABCDEFGH"]
[[providers.stripe.contacts]]
name = "support"
role = "technical support"
level = "L1"
verified = "{today}"
[[providers.stripe.contacts.channels]]
kind = "mail"
url = "smtp://127.0.0.1:{mail}"
to = "support@provider.invalid"
[[providers.stripe.contacts]]
name = "manager"
role = "account manager"
level = "L2"
verified = "{today}"
[[providers.stripe.contacts.channels]]
kind = "slack"
url = "http://127.0.0.1:{chat}/provider"
[[providers.stripe.contacts]]
name = "boss"
role = "director"
level = "L3"
verified = "{today}"
[[providers.stripe.contacts.channels]]
kind = "phone"
says = "the number in the contract"
"""
TODAY = datetime.now(UTC).strftime("%Y-%m-%d")  # noqa: TID251 - the age of a card is by the real day


class Post(Inbox):
    """An inbox that keeps whole mails."""

    def __init__(self) -> None:
        super().__init__()
        self.mails: list[EmailMessage] = []

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802
        mail = message_from_bytes(envelope.original_content, _class=EmailMessage, policy=default)
        self.mails.append(mail)
        return await super().handle_DATA(server, session, envelope)


@asynccontextmanager
async def desk(folder: Path) -> AsyncIterator[tuple[Stage, Post]]:
    ports = {"mail": free_port(), "chat": free_port()}
    post = Post()
    mail, chat = await serve(post, ports["mail"], ports["chat"])
    try:
        async with stage(folder) as it:
            runtime = it.service.runtime
            plan = planning.read_plan(PLAN.format(**ports).encode())
            await planning.apply(runtime, plan, actor="test")
            book = cards.read_book(CARDS.format(today=TODAY, **ports).encode())
            await cards.apply(runtime, book, actor="test")
            yield it, post
    finally:
        mail.server.close()
        await chat.cleanup()


async def drafted(it: Stage) -> Any:
    """A verdict on the provider, and the notice that it makes."""
    await it.pay(customer="cus-private-9")
    runtime = it.service.runtime
    await runtime.store.save_alert(*alert_event(runtime, **SAID))
    found = await it.until("/v1/notices", lambda body: body["data"], role="platform")
    return found["data"][0]


async def sent(it: Stage, post: Post) -> tuple[Any, str, EmailMessage]:
    """A notice that was approved and delivered: itself, the path of its page, the mail."""
    path = f"/v1/notices/{(await drafted(it))['id']}"
    assert (await it.post(f"{path}/approve", role="platform")).status == 200
    notice = await it.until(path, lambda body: body["sent"], role="platform")
    mail = next(one for one in post.mails if one["To"] == "support@provider.invalid")
    body = mail.get_body(preferencelist=("plain",))
    assert body is not None
    link = re.search(r"(/desk/\w+)", body.get_content())
    assert link is not None
    return notice, link[1], mail


async def form(it: Stage, page: str, **fields: str) -> Any:
    return await it.send("POST", page, role=None, data=fields)


async def test_a_notice_lies_ready_leaves_with_approval_and_is_answered_on_its_page(
    tmp_path: Path,
) -> None:
    async with desk(tmp_path) as (it, post):
        notice, page, mail = await sent(it, post)
        assert notice["ready_seconds"] <= 60
        (attached,) = mail.iter_attachments()
        pack = attached.get_content()
        assert hashlib.sha256(pack).hexdigest() == notice["pack_sha256"]
        assert "evidence.html" in zipfile.ZipFile(io.BytesIO(pack)).namelist()
        read = await it.get(f"/v1/notices/{notice['id']}/pack", role="platform")
        assert (read.raw, read.headers["content-type"]) == (pack, "application/zip")
        shown = await it.get(page, role=None)
        assert shown.status == 200
        policy = shown.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert shown.headers["referrer-policy"] == "no-referrer"
        assert b"<script" not in shown.raw
        assert b"Stripe &lt;b&gt;" in shown.raw
        for act, text in (
            ("acknowledge", ""), ("ask", "Which <i>accounts</i>?"), ("answer", "We look."),
            ("resolve", "Rolled back."),
        ):  # fmt: skip
            answer = await form(it, page, act=act, text=text)
            assert (answer.status, answer.headers["location"]) == (303, page)
        shown = await it.get(page, role=None)
        assert b"Which &lt;i&gt;accounts&lt;/i&gt;?" in shown.raw
        assert b"<form" not in shown.raw  # it is over
        after = (await it.get(f"/v1/notices/{notice['id']}", role="platform")).body
        assert after["status"] == "resolved"
        assert set(after["took_seconds"]) == {"acknowledged", "answered", "resolved"}
        path = f"/v1/incidents/{notice['incident']}"
        timeline = (await it.get(path, role="platform")).body["timeline"]
        texts = [one["text"] for one in timeline if one["kind"] == "provider"]
        assert "Stripe <b> answers: We look." in texts
        assert len(texts) == 4


async def test_a_link_reads_its_notice_and_nothing_else(tmp_path: Path) -> None:
    async with desk(tmp_path) as (it, post):
        notice, page, _ = await sent(it, post)
        token = page.removeprefix("/desk/")
        missing = await it.get("/desk/x", role=None)
        assert missing.status == 404
        for wrong in (token[:-1], token + "a", token[:-1] + "0", token.upper(), "0" * len(token)):
            got = await it.get(f"/desk/{wrong}", role=None)
            assert (got.status, got.raw) == (404, missing.raw), wrong
            assert (await form(it, f"/desk/{wrong}", act="acknowledge")).raw == missing.raw
        bearer = {"Authorization": f"Bearer {token}"}
        for path in ("/v1/notices", f"/v1/notices/{notice['id']}", "/v1/providers", "/v1/payments"):
            assert (await it.send("GET", path, role=None, headers=bearer)).status == 401
        shown = (await it.get(page, role=None)).raw.decode()
        for private in ("private-9", "it fails", "support@", "first engineer", "127.0.0.1"):
            assert private not in shown
        reason = {"reason": "our own fault"}
        path = f"/v1/notices/{notice['id']}/withdraw"
        assert (await it.post(path, reason, role="platform")).status == 200
        assert (await it.get(page, role=None)).raw == missing.raw


async def test_the_form_says_what_is_wrong_and_keeps_the_words(tmp_path: Path) -> None:
    async with desk(tmp_path) as (it, post):
        _, page, _ = await sent(it, post)
        for fields, said in (
            ({"act": "answer", "text": ""}, "write a few words"),
            ({"act": "nonsense"}, "choose what to do"),
            ({}, "choose what to do"),
            ({"act": "answer", "text": "4242 4242 4242 4242 <x>"}, "card number"),
            ({"act": "answer", "text": "x" * (LONGEST_LINE + 1)}, "at most"),
        ):
            answer = await form(it, page, **fields)
            assert (answer.status, said in answer.raw.decode()) == (422, True), fields
            assert b"<x>" not in answer.raw
        as_json = await it.send("POST", page, role=None, json={"act": "acknowledge"})
        assert as_json.status == 415


async def test_who_opens_links_too_often_is_slowed_down(tmp_path: Path) -> None:
    async with desk(tmp_path) as (it, _):
        statuses = [(await it.get("/desk/x", role=None)).status for _ in range(40)]
        assert statuses[:30] == [404] * 30
        assert statuses[-1] == 429
        assert (await it.get("/v1/notices", role="platform")).status == 200


async def test_a_mail_answers_and_other_keys_reach_nothing(tmp_path: Path) -> None:
    async with desk(tmp_path) as (it, post):
        notice, _, mail = await sent(it, post)
        raw = f"In-Reply-To: {mail['Message-ID']}\r\nSubject: Re\r\n\r\nIt is mended.\r\n"
        taken = await it.post("/v1/inbound_mail", {"mail": raw}, role="platform")
        assert (taken.status, taken.body["notice"]) == (200, notice["id"])
        path = f"/v1/notices/{notice['id']}"
        said = (await it.get(path, role="platform")).body["said"]
        assert [one["text"] for one in said] == ["It is mended."]
        other = await it.post("/v1/inbound_mail", {"mail": "Subject: x\r\n\r\ny"}, role="platform")
        assert other.status == 422
        listed = (await it.get("/v1/providers", role="platform")).raw
        assert b"support@provider" not in listed
        assert b"technical support" in listed
        for role in ("admin", "operator", "service", "viewer"):
            for place in ("/v1/notices", path, f"{path}/pack", "/v1/providers"):
                assert (await it.get(place, role=role)).status == 403
            assert (await it.post(f"{path}/approve", role=role)).status == 403


def test_a_mail_with_a_pack_is_the_same_in_every_try() -> None:
    receiver = Receiver(kind="mail", url="smtp://x", to="a@b.invalid")
    pack = Attachment(name="n.zip", media_type="application/zip", body=b"PK" * 50)
    message = Message(
        id="ntf_1", kind="notice", subject="s", text="t", thread="ntc_1", urgency="sev1", at_ms=1,
        attachment=pack,
    )  # fmt: skip
    assert mail_of(receiver, message).as_bytes() == mail_of(receiver, message).as_bytes()
    (attached,) = mail_of(receiver, message).iter_attachments()
    assert (attached.get_filename(), attached.get_content()) == ("n.zip", pack.body)


# the command line


def test_cards_and_announcements_on_the_command_line(tmp_path: Path, capsys: Any) -> None:
    path = tmp_path / "tollkeeper.toml"
    path.write_text(f'database = "{tmp_path / "cli.sqlite3"}"\nvault_key = "{VAULT_KEY}"\n')
    at = ["--config", str(path)]
    file = tmp_path / "cards.toml"
    file.write_text(CARDS.format(today="2020-01-01", mail=1, chat=2))
    assert main(["db", "migrate", *at]) == 0
    assert main(["providers", "list", *at]) == 0
    assert main(["providers", "check", str(file)]) == 0
    assert main(["providers", "apply", str(file), *at]) == 0
    capsys.readouterr()
    assert main(["providers", "list", *at]) == 1  # it is stale
    assert "over 90" in capsys.readouterr().out
    assert main(["doctor", *at]) == 0
    assert "was verified" in capsys.readouterr().out
    said = ["providers", "announce", "stripe", "maintenance", "[/x] upgrade"]
    assert main([*said, "--since", "2026-12-01T02:00:00Z", *at]) == 0
    assert "failover policy stripe ask" in capsys.readouterr().out
    assert main([*said, "--since", "soon", *at]) == MISUSE
    assert main(["providers", "announce", "none", "news", "x", *at]) == MISUSE
    capsys.readouterr()
    assert main(["providers", "show", "stripe", *at]) == 0
    shown = capsys.readouterr().out
    assert "[/x] upgrade" in shown
    assert "smtp://" not in shown
    assert main(["providers", "show", "--json", "stripe", *at]) == 0
    assert len(msgspec.json.decode(capsys.readouterr().out)["announcements"]) == 1
    assert main(["providers", "show", "none", *at]) == MISUSE
    assert main(["providers", "notices", "list", *at]) == 0
    assert main(["providers", "notices", "show", *at]) == 1
    assert main(["providers", "notices", "approve", "ntc_1", *at]) == MISUSE


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"\xff", "UTF-8"),
        (b"[[", "TOML"),
        (b"unknown = 1", "unknown"),
        (b"[providers.x]\ntitle = 'x'\ncontacts = []", "contacts"),
    ],
)
def test_a_bad_file_of_cards_is_refused_with_where(
    tmp_path: Path, capsys: Any, text: bytes, said: str
) -> None:
    file = tmp_path / "cards.toml"
    file.write_bytes(text)
    assert main(["providers", "check", str(file)]) == MISUSE
    assert said in capsys.readouterr().err
