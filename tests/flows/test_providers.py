"""The provider desk in flows: drafted with the verdict, sent with approval, followed up."""

import io
import re
import zipfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace
from tests.altering import alter
from tests.flows.stage import MIDDLE, Stage
from tests.flows.test_incidents import (
    PLAN,
    DyingStore,
    LeverNotify,
    _carrier,
    _run,
    alert_event,
    on_call,
)

from tollkeeper.flows.incidents import commands as incidents
from tollkeeper.flows.incidents import planning
from tollkeeper.flows.providers import cards, commands
from tollkeeper.incidents.incident import Entry
from tollkeeper.incidents.paging import Message
from tollkeeper.incidents.plan import EscalationPolicy, Level
from tollkeeper.kernel.clock import rfc3339
from tollkeeper.kernel.errors import Conflict, Invalid, NotFound
from tollkeeper.payments.change import OutEvent
from tollkeeper.providers.card import Agreement, Book, Card, Channel, Contact
from tollkeeper.providers.notice import Notice

ACTOR = "cli:one"
CARD_NUMBER = "4242424242424242"


def contact(name: str, level: Any, *urls: str) -> Contact:
    channels = tuple(Channel(kind="webhook", url=f"https://{url}.invalid/x") for url in urls)
    return Contact(name=name, role=name, level=level, channels=channels, verified="2023-11-01")


CARD = Card(
    title="Stripe",
    account_ids=("acct_1ABCDEFGH",),
    contacts=(
        contact("support", "L1", "first", "second"),
        contact("escalation", "L2", "third"),
        contact("manager", "L3", "fourth"),
    ),
)
BOOK = Book(providers={"stripe": CARD})
SAID: dict[str, Any] = {
    "domain": "provider_changed",
    "pointer": "/status",
    "verdict": {"provider": "stripe", "integration": MIDDLE, "operation": "authorize",
                "evidence_for": [{"name": "x", "says": "9 of 35 replies depart.", "weight": 2}]},
}  # fmt: skip


@asynccontextmanager
async def desk(folder: Path, book: Book = BOOK) -> AsyncIterator[tuple[Stage, LeverNotify]]:
    async with on_call(folder) as (s, notify):
        await cards.apply(s.runtime, book, actor="test")
        yield s, notify


def renamed(reply: Any) -> Any:
    return replace(reply, body=reply.body.replace(b'"status":', b'"state":'))


async def trouble(s: Stage, **said: Any) -> Notice:
    """A provider whose replies changed, and the notice that the verdict makes."""
    await s.create(customer="cus-private-77")
    s.wire.pull("POST /v1/payment_intents", renamed, renamed)
    await s.create(customer="cus-private-78", description="for Ada Lovelace")
    since = rfc3339(s.store.now_ms() - 1000)
    verdict = SAID["verdict"] | {"since": since}
    await s.store.save_alert(*alert_event(s.runtime, **(SAID | {"verdict": verdict} | said)))
    await s.work(1)
    (notice,) = await commands.page(s.store, "", 10)
    return notice


def notices(notify: LeverNotify) -> list[Message]:
    return [m[0] for m in notify.got.values() if m[0].kind == "notice"]


async def lines(s: Stage, notice: Notice) -> list[Entry]:
    found = await incidents.timeline(s.store, notice.incident)
    return [one for one in found if one.kind in {"notice", "provider"}]


async def approve(s: Stage, notice: Notice) -> Notice:
    await commands.approve(s.runtime, notice.id, actor=ACTOR)
    await s.work(1)
    return await commands.one(s.store, notice.id)


async def test_a_notice_with_its_pack_lies_ready_with_the_verdict_and_waits(tmp_path: Path) -> None:
    async with desk(tmp_path) as (s, notify):
        notice = await trouble(s)
        assert (notice.status, notice.leaks) == ("drafted", ())
        assert notice.ready_ms - notice.verdict_ms <= 60_000
        assert "/status" in notice.subject
        assert "POST /v1/payment_intents" in notice.text
        pack = await s.store.load_pack(notice.id)
        assert pack is not None
        with zipfile.ZipFile(io.BytesIO(pack)) as zipped:
            files = {name: zipped.read(name).decode() for name in zipped.namelist()}
        assert set(files) == {
            "MANIFEST.sha256", "evidence.html", "evidence.json", "notice.txt", "reproduce.sh",
        }  # fmt: skip
        assert '"request_id": "req_' in files["evidence.json"]
        assert "<h3>before</h3>" in files["evidence.html"]
        assert "state" in files["evidence.html"]
        assert "$KEY" in files["reproduce.sh"]
        assert "9 of 35 replies depart." in files["evidence.html"]
        for changed in ("/status is gone", "/state is new"):
            assert f"<li>{changed}</li>" in files["evidence.html"]
        whole = pack.decode("latin-1")
        for private in ("cus-private", "Lovelace", "sk_test", "whsec"):
            assert private not in whole
        await s.work(600)
        assert notices(notify) == []  # no person approved it


async def test_what_may_not_leave_is_refused_with_its_place(tmp_path: Path) -> None:
    book = Book(providers={"stripe": replace(CARD, title="cus-private-78")})
    async with desk(tmp_path, book) as (s, _):
        notice = await trouble(s)
        assert notice.status == "refused"
        assert any("notice.txt: personal data in line 1" in leak for leak in notice.leaks)
        assert "cus-private-78" not in "".join(notice.leaks)
        with pytest.raises(Conflict, match="may not leave"):
            await commands.approve(s.runtime, notice.id, actor=ACTOR)
        with pytest.raises(NotFound):
            await commands.pack_of(s.store, notice.id)


async def test_an_approved_notice_goes_out_once_with_link_and_pack(tmp_path: Path) -> None:
    async with desk(tmp_path) as (s, notify):
        notice = await approve(s, await trouble(s))
        assert (notice.status, notice.approved_by) == ("sent", ACTOR)
        (message,) = notices(notify)
        assert message.attachment is not None
        assert message.attachment.body == await s.store.load_pack(notice.id)
        token = re.search(r"/desk/(\w+)", message.text)
        assert token is not None
        stored = await s.store.list_notifications(notice.incident)
        assert all(token[1] not in one.text for one in stored)
        found = await commands.by_token(s.runtime, token[1])
        assert found.id == notice.id
        with pytest.raises(Conflict):
            await commands.approve(s.runtime, notice.id, actor=ACTOR)


async def test_a_channel_that_fails_is_followed_by_the_next_and_then_by_the_next_rung(
    tmp_path: Path,
) -> None:
    async with desk(tmp_path) as (s, notify):
        notify.down = {"https://first.invalid/x", "https://second.invalid/x"}
        notice = await trouble(s)
        await commands.approve(s.runtime, notice.id, actor=ACTOR)
        await s.work(600)
        notice = await commands.one(s.store, notice.id)
        assert notice.level == "L2"
        assert [name.partition("/")[2] for name in notice.tried] == [
            "support/0", "support/1", "escalation/0",
        ]  # fmt: skip
        assert len(notices(notify)) == 1


async def test_who_is_late_is_written_down_and_the_next_rung_is_asked(tmp_path: Path) -> None:
    async with desk(tmp_path) as (s, notify):
        notice = await approve(s, await trouble(s))
        times = Agreement().within(notice.priority)
        await s.work(times.acknowledge_minutes * 60 + 5)
        notice = await commands.one(s.store, notice.id)
        assert (notice.level, notice.late) == ("L2", ("L1:acknowledgement",))
        assert len(notices(notify)) == 2
        await commands.reply(s.runtime, notice.id, "acknowledge", "", by="link")
        await s.work(times.answer_minutes * 60 + 5)
        notice = await commands.one(s.store, notice.id)
        assert notice.late == ("L1:acknowledgement", "L2:answer")
        assert notice.level == "L3"
        await commands.reply(s.runtime, notice.id, "answer", "we roll it back", by="link")
        await s.work(86_400)
        notice = await commands.one(s.store, notice.id)
        assert len(notice.late) == 2
        assert {"acknowledged", "answered"} == set(notice.answers_in_ms())
        texts = [one.text for one in await lines(s, notice)]
        assert sum("is late" in text for text in texts) == 2
        assert "Stripe answers: we roll it back" in texts


async def test_the_agreement_may_let_a_notice_leave_by_itself(tmp_path: Path) -> None:
    every = Agreement(automatic=("P1", "P2", "P3", "P4"))
    async with desk(tmp_path, Book(providers={"stripe": replace(CARD, agreement=every)})) as (
        s, notify,
    ):  # fmt: skip
        notice = await trouble(s)
        await s.work(1)
        assert len(notices(notify)) == 1
        assert (await commands.one(s.store, notice.id)).approved_by == "agreement"


async def test_a_link_opens_its_notice_alone_and_only_in_its_time(tmp_path: Path) -> None:
    async with desk(tmp_path) as (s, notify):
        await approve(s, await trouble(s))
        token = re.search(r"/desk/(\w+)", notices(notify)[0].text)
        assert token is not None
        for wrong in (token[1][:-1] + "0", token[1][1:], "", "x" * len(token[1]), token[1] + "a"):
            with pytest.raises(NotFound):
                await commands.by_token(s.runtime, wrong)
        other = s.replica("other")
        alter(other, settings=replace_settings(s, vault_key="another"))
        with pytest.raises(NotFound):
            await commands.by_token(other, token[1])
        await s.clock.advance(14 * 86_400 + 1)
        with pytest.raises(NotFound):
            await commands.by_token(s.runtime, token[1])


def replace_settings(s: Stage, **fields: Any) -> Any:
    return replace(s.settings, **fields)


async def test_a_withdrawn_notice_opens_nothing_and_is_sent_no_more(tmp_path: Path) -> None:
    async with desk(tmp_path) as (s, notify):
        notice = await approve(s, await trouble(s))
        token = re.search(r"/desk/(\w+)", notices(notify)[0].text)
        assert token is not None
        await commands.withdraw(s.runtime, notice.id, reason="our own fault", actor=ACTOR)
        with pytest.raises(NotFound):
            await commands.by_token(s.runtime, token[1])
        await s.work(86_400)
        assert len(notices(notify)) == 1


async def test_a_draft_follows_the_verdict_and_ends_with_the_incident(tmp_path: Path) -> None:
    async with desk(tmp_path) as (s, _):
        first = await trouble(s)
        verdict = SAID["verdict"]
        alert, events = alert_event(
            s.runtime, "verdict", domain="provider_down", pointer="", verdict=verdict
        )
        await s.store.save_alert(replace(alert, fingerprint="stripe/2"), events)
        await s.work(1)
        (second,) = await commands.page(s.store, "", 10)
        assert (second.id, second.status) == (first.id, "drafted")
        assert "does not answer" in second.subject
        await incidents.resolve(s.runtime, second.incident, reason="over", actor=ACTOR)
        await s.work(1)
        assert (await commands.one(s.store, first.id)).status == "withdrawn"


async def test_a_draft_is_drawn_again_with_what_the_service_did_and_no_second_line(
    tmp_path: Path,
) -> None:
    async with desk(tmp_path) as (s, _):
        first = await trouble(s)
        before = await lines(s, first)
        await s.clock.advance(5)
        told = {"provider": "stripe", "carrying": MIDDLE, "reason": "better by proof"}
        event = OutEvent(
            id=s.runtime.new_id("evt"), account="default", payment_id="", type="failover.moved",
            created_ms=s.store.now_ms(), data=msgspec.json.encode(told),
        )  # fmt: skip
        await s.store.save_description(*_carrier(s, (event,)))
        await s.work(1)
        second = await commands.one(s.store, first.id)
        assert second.revision == first.revision + 1
        assert second.ready_ms == first.ready_ms
        pack = await s.store.load_pack(first.id)
        assert pack is not None
        assert f"failover moved of {MIDDLE}".encode() in pack
        assert b"better by proof" not in pack  # a reason may be a person's
        assert await lines(s, first) == before


async def test_an_answer_with_a_card_number_is_not_taken(tmp_path: Path) -> None:
    async with desk(tmp_path) as (s, _):
        notice = await approve(s, await trouble(s))
        for act, text in (("answer", CARD_NUMBER), ("answer", ""), ("answer", "a\0"), ("x", "y")):
            with pytest.raises(Invalid):
                await commands.reply(s.runtime, notice.id, act, text, by="link")
        assert (await commands.one(s.store, notice.id)).lines == ()


async def test_a_mail_that_refers_to_our_message_is_an_answer(tmp_path: Path) -> None:
    async with desk(tmp_path) as (s, notify):
        notice = await approve(s, await trouble(s))
        ours = notices(notify)[0].id
        mail = (
            f"From: a@b.invalid\r\nSubject: Re: x\r\nReferences: <z@y> <{ours}@t.invalid>\r\n"
            "\r\nWe look at it.\r\n\r\nOn Monday we wrote:\r\n> secret quote\r\n"
        )
        await commands.take_mail(s.runtime, mail.encode())
        after = await commands.one(s.store, notice.id)
        assert [line.text for line in after.lines] == ["We look at it."]
        with pytest.raises(Invalid, match="no message of ours"):
            await commands.take_mail(s.runtime, b"Subject: x\r\n\r\nhello")
        machine = f"Auto-Submitted: auto-replied\r\n{mail}"
        with pytest.raises(Invalid, match="machine"):
            await commands.take_mail(s.runtime, machine.encode())


async def test_a_level_that_calls_the_provider_says_what_waits(tmp_path: Path) -> None:
    async with desk(tmp_path) as (s, _):
        level = PLAN.policies["all"].levels[1]
        policy = EscalationPolicy(
            levels=(Level(targets=("provider",), wait_seconds=60), level), rounds=1
        )
        await planning.apply(s.runtime, replace(PLAN, policies={"all": policy}), actor="test")
        notice = await trouble(s)
        texts = [one.text for one in await lines(s, notice)]
        assert any("the escalation calls Stripe" in text for text in texts), texts


async def test_without_a_card_the_timeline_says_so_once(tmp_path: Path) -> None:
    async with desk(tmp_path, Book()) as (s, _):
        await s.store.save_alert(*alert_event(s.runtime, **SAID))
        await s.work(5)
        assert await commands.page(s.store, "", 10) == []
        (it,) = await incidents.page(s.store, "", 10)
        found = await incidents.timeline(s.store, it.id)
        assert sum("no contact card for stripe" in one.text for one in found) == 1


async def test_no_crash_at_any_point_loses_a_notice_or_sends_it_twice(tmp_path: Path) -> None:
    for when in ("before", "after"):
        for call in range(1, 200, 4):
            folder = tmp_path / f"{when}{call}"
            folder.mkdir()
            every = Agreement(automatic=("P1", "P2", "P3", "P4"))
            book = Book(providers={"stripe": replace(CARD, agreement=every)})
            async with desk(folder, book) as (s, notify):
                store = DyingStore(s.store, call, when)
                mortal = s.replica("mortal", store=store)
                alter(mortal, notify=notify)
                await s.store.save_alert(*alert_event(s.runtime, **SAID))
                await _run(s, mortal, store, 60)
                await s.work(120)
                (notice,) = await commands.page(s.store, "", 10)
                assert notice.status == "sent", (when, call)
                sent = notices(notify)
                assert len(sent) == 1, (when, call)
                texts = [one.text for one in await lines(s, notice)]
                assert len(texts) == len(set(texts)), (when, call, texts)
            if not store.is_dead:
                assert call > 20
                break


async def test_an_exercise_checks_the_card_and_wakes_no_person(tmp_path: Path) -> None:
    async with desk(tmp_path) as (s, notify):
        checks, ids = await cards.exercise(s.runtime, "stripe")
        assert all(one.ok for one in checks), checks
        await s.work(2)
        assert {one.sent_ms is not None for one in await cards.tested(s.store, ids)} == {True}
        assert {m[0].kind for m in notify.got.values()} == {"test"}
        assert await commands.page(s.store, "", 10) == []
        assert await incidents.page(s.store, "", 10) == []
        await s.clock.advance(100 * 86_400)
        checks, _ = await cards.exercise(s.runtime, "stripe")
        assert any("verified 1" in one.says and not one.ok for one in checks)
        assert any("days ago" in one for one in (await s.examined()).warnings)
