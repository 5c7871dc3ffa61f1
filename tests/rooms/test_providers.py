"""The provider desk's rooms: nothing private leaves, no link can be forged, cards are checked."""

import hashlib
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from tollkeeper.flows.providers.cards import read_book
from tollkeeper.incidents.desk import jobs_of
from tollkeeper.incidents.escalation import Call
from tollkeeper.incidents.incident import Finding, Incident, Writing
from tollkeeper.kernel.errors import Conflict, Invalid
from tollkeeper.providers.announcement import CALLS_FOR, Announcement, announcement_faults
from tollkeeper.providers.calls import plain_path
from tollkeeper.providers.card import (
    Book,
    Card,
    Channel,
    Contact,
    Hours,
    answers_at,
    book_faults,
    channel_of,
    findings,
    next_level,
    receiver_names,
    shown,
)
from tollkeeper.providers.link import link_key, opened, token_of
from tollkeeper.providers.mail import read_mail
from tollkeeper.providers.notice import MOVES, STATES, Notice, approved, moved
from tollkeeper.providers.pack import differences, files_of, known_words, manifest_of
from tollkeeper.providers.page import desk_page
from tollkeeper.providers.searching import Private, leaks_in
from tollkeeper.providers.vocabulary import plain_pointer, plain_sentence
from tollkeeper.testing.canaries import KEPT, NOW_MS, Planter

KEY = link_key("a vault key")
ID = "ntc_01m8ctb03exmdgp7bst7mnw76e"
CARD_NUMBER = "4242424242424242"
MONDAY_10_UTC = 1_795_428_000_000 - 1_795_428_000_000 % 86_400_000 + 10 * 3_600_000


def notice(**fields: Any) -> Notice:
    made = Notice(
        id=ID, incident="inc_1", provider="stripe", title="Stripe", about="x", status="drafted",
        priority="P1", created_ms=1, verdict_ms=1, ready_ms=1, subject="it fails", text="it fails",
    )  # fmt: skip
    return replace(made, **fields)


def mail_channel() -> Channel:
    return Channel(kind="mail", url="smtp://user:word@mail.invalid", to="x@y.invalid")


def contact(**fields: Any) -> Contact:
    made = Contact(
        name="support", role="support", level="L1", channels=(mail_channel(),),
        verified="2026-11-01",
    )  # fmt: skip
    return replace(made, **fields)


# what leaves


@pytest.mark.parametrize("seed", range(4))
def test_no_planted_value_leaves_however_few_or_many_there_are(seed: int) -> None:
    planter = Planter(seed, share=0)
    refused = 0
    for number in range(9):
        planter.share = (0.02, 0.05, 1.0)[number % 3]
        drawn = planter.drawn()
        held = drawn.leaks()
        refused += bool(held)
        assert held or drawn.outside() == []
        assert not any(value in leak for leak in held for value in drawn.planted)
    assert refused >= 3  # the second gate has something to do


def test_clean_packs_leave() -> None:
    planter = Planter(1, share=0)
    assert [drawn.leaks() for _ in range(30) if (drawn := planter.drawn()).leaks()] == []


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        (f"number {CARD_NUMBER}", "card number"),
        ("number 4242 4242 4242 4242", "card number"),
        ("number 4242&#32;4242&#32;4242&#32;4242", "card number"),
        ("sk_live_abcd1234", "secret"),
        ("whsec_abcd1234", "secret"),
        ("Authorization: Bearer abcdefghijkl0123", "secret"),
        ("https://user:password@host/", "secret"),
        ("-----BEGIN PRIVATE KEY-----", "secret"),
        ("our-own-secret", "a secret of the settings"),
        ("b3VyLW93bi1zZWNyZXQ=", "a secret of the settings"),
        ("our%2Down%2dsecret", "a secret of the settings"),
        ("jane@example.com", "mail address"),
        ("jane\\u0040example.com", "mail address"),
        ("DE89 3704 0044 0532 0130 00", "bank account"),
        ("for ADA lovelace.", "personal data"),
        ("for O&#x27;Brien-Smith.", "personal data"),
        ("cust-000123", "personal data"),
    ],
)
def test_the_gate_finds_each_kind_in_any_spelling(text: str, kind: str) -> None:
    private = Private(
        secrets=frozenset({"our-own-secret"}),
        persons=frozenset({"Ada Lovelace", "O'Brien-Smith", "cust-000123", "ab"}),
    )
    (leak, *_) = leaks_in({"file": f"first\n{text}\n".encode()}, private)
    assert leak.startswith("file: ")
    assert kind in leak
    assert "in line 2" in leak


@pytest.mark.parametrize(
    "text",
    [
        "stripe@2026-03-25.dahlia and stripe@2022-11-15",
        hashlib.sha256(b"x").hexdigest(),
        "cust-0001234 and lovelaces",
        '-H "Authorization: Bearer $KEY"',
        "the payment of a customer",
    ],
)
def test_the_gate_lets_through_what_is_none(text: str) -> None:
    private = Private(persons=frozenset({"Ada Lovelace", "cust-000123", "payment", "customer"}))
    assert leaks_in({"file": text.encode()}, private, known_words()) == ()


def test_a_sentence_leaves_only_where_each_word_is_one_of_our_detectors() -> None:
    said = "8 of 8 additional failures departed at /status, which stripe@2022-08-01 reads."
    assert plain_sentence(said, KEPT) == said
    for other in (
        "account acme: 3 of 4 bad.",
        "8 of 8 at /metadata.",
        "Ada failed.",
        "web-1 is off",
    ):
        assert plain_sentence(other, KEPT) == ""
    assert plain_pointer("/status", KEPT) == "/status"
    assert plain_pointer("/jane/0", KEPT) == ""


def test_a_path_keeps_the_words_of_the_api_alone() -> None:
    assert (
        plain_path("/v1/payment_intents/pi_3ab/capture?x=1") == "/v1/payment_intents/{id}/capture"
    )


def test_the_manifest_has_the_digest_of_each_file_and_the_page_no_script() -> None:
    files = files_of(Planter(3, share=0).drawn().evidence)
    lines = manifest_of(files).decode().splitlines()
    assert {line.partition("  ")[2] for line in lines} == set(files)
    assert hashlib.sha256(files["evidence.json"]).hexdigest() in "\n".join(lines)
    assert b"<script" not in files["evidence.html"]
    told = msgspec.json.decode(files["evidence.json"])
    assert told["failing"][0]["request_id"].startswith("req_")
    assert "at_ms" not in told["failing"][0]


def test_what_changed_is_said_name_by_name() -> None:
    old = '{"status":"succeeded","n":"(number)","a":{"b":"(text)"},"w":"one"}'
    new = '{"state":"(text)","n":"(text)","a":"object","w":"two"}'
    assert differences(old, new) == [
        "/n: was (number), is (text)", "/state is new", "/status is gone",
    ]  # fmt: skip


def test_shapes_are_compared_within_one_version_and_operation() -> None:
    evidence = Planter(5, share=0).drawn().evidence
    (bad, *_), (good, *_) = evidence.failing, evidence.succeeding
    bad = replace(bad, version="stripe@2022-08-01", shape='{"a":"(text)"}')
    other = replace(good, version="stripe@2022-11-15", shape='{"b":"(text)"}')
    same = replace(good, version="stripe@2022-08-01", shape='{"c":"(text)"}')
    both = replace(evidence, failing=(bad,), succeeding=(other, same))
    assert both.shapes == (same.shape, bad.shape)
    assert replace(both, succeeding=(other,)).shapes == ("", bad.shape)


# links


def test_a_token_opens_its_notice_until_it_expires() -> None:
    token = token_of(KEY, ID, NOW_MS + 5_000)
    assert opened(KEY, token, NOW_MS) == (ID, (NOW_MS + 5_000) // 1000)
    assert opened(KEY, token, NOW_MS + 5_000) is None
    assert opened(link_key("another"), token, NOW_MS) is None


@given(st.text(max_size=90), st.integers(0, 66), st.characters())
def test_no_other_text_is_a_token(text: str, place: int, letter: str) -> None:
    assert opened(KEY, text, 0) is None
    token = token_of(KEY, ID, NOW_MS)
    changed = token[:place] + letter + token[place + 1 :]
    assert changed == token or opened(KEY, changed, 0) is None


@pytest.mark.parametrize("value", ["<script>alert(1)</script>", '"><img src=x>', "a&b"])
def test_every_value_on_the_page_is_escaped(value: str) -> None:
    sent = replace(notice(title=value, subject=value, text=value, status="sent"), sent_ms=1)
    page = desk_page(sent, problem=value, text=value)
    assert value not in page
    assert "<script" not in page


# states


def test_what_is_not_in_the_table_is_refused() -> None:
    with pytest.raises(Conflict, match="may not leave"):
        approved(notice(status="refused"), "me", 1)
    for status in STATES:
        for act in {act for _, act in MOVES}:
            if (status, act) not in MOVES:
                with pytest.raises(Conflict):
                    moved(notice(status=status), act, 1)


def verdict(domain: str, provider: str = "stripe") -> Incident:
    return Incident(
        id="inc_1", fingerprint="stripe", status="triggered", severity="sev1", title="", policy="",
        opened_ms=1, began_ms=1, finding=Finding(domain=domain, provider=provider),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("domain", "provider", "asked"),
    [
        ("provider_changed", "stripe", True),
        ("provider_down", "stripe", True),
        ("provider_down", "", False),
        ("our_code", "stripe", False),
        ("undetermined", "stripe", False),
    ],
)
def test_a_verdict_on_a_provider_asks_the_desk(domain: str, provider: str, *, asked: bool) -> None:
    new = Writing(verdict(domain, provider), 7, is_new=True)
    assert jobs_of(new, None) == ({"draft_notice": 7} if asked else {})
    same = Writing(verdict(domain, provider), 7)
    assert jobs_of(same, None) == {}
    same.write("failover", "machine:x", "moved")
    assert bool(jobs_of(same, None)) is asked


def test_a_level_that_calls_the_provider_asks_the_desk() -> None:
    call = Call(level=1, round=1, targets=(), gaps=(), provider=True, next_ms=9)
    assert jobs_of(Writing(verdict("our_code"), 7), call) == {"call_provider": 7}


# cards


def test_a_contact_answers_by_its_own_hours_and_zone() -> None:
    duty = contact(
        hours=Hours(days=("mon",), start="09:00", end="17:00"), time_zone="Europe/Berlin"
    )
    day_ms = 86_400_000
    monday = next(
        MONDAY_10_UTC + n * day_ms for n in range(7) if answers_at(duty, MONDAY_10_UTC + n * day_ms)
    )
    assert not answers_at(duty, monday - 2 * 3_600_000 - 60_000)  # 08:59 there, in winter
    assert answers_at(duty, monday - 2 * 3_600_000)
    assert not answers_at(duty, monday + 6 * 3_600_000)
    assert not answers_at(duty, monday + day_ms)
    assert answers_at(contact(), monday + day_ms)


def test_a_card_that_no_person_verified_for_long_is_a_finding() -> None:
    rungs = tuple(
        contact(name=level, level=level, verified=verified)
        for level, verified in (("L1", "2026-11-01"), ("L2", ""), ("L3", "2026-01-01"))
    )
    book = Book(providers={"stripe": Card(title="Stripe", contacts=rungs)})
    found = findings(book, NOW_MS)
    assert len(found) == 2
    assert "L2 was never verified" in found[0]
    assert "days ago" in found[1]
    alone = Book(providers={"stripe": Card(title="Stripe", contacts=(contact(),))})
    assert findings(alone, NOW_MS) == ["stripe: no contact for L2 and L3"]


def test_contacts_who_answer_now_come_first_and_people_use_the_telephone() -> None:
    phone = Channel(kind="phone", says="the number in the contract")
    off = contact(name="off", hours=Hours(days=()), channels=(mail_channel(),))
    on = contact(name="on", channels=(phone, mail_channel()))
    card = Card(title="Stripe", contacts=(off, on))
    assert receiver_names("stripe", card, "L1", NOW_MS) == [
        "provider:stripe/on/1", "provider:stripe/off/0",
    ]  # fmt: skip
    assert next_level(card, "L1") is None
    book = Book(providers={"stripe": card})
    found = channel_of(book, "provider:stripe/on/1")
    assert found is not None
    for wrong in ("on", "provider:stripe/on/2", "provider:x/on/1", "provider:stripe/on/²", "a/b/0"):
        assert channel_of(book, wrong) is None
    assert "word" not in msgspec.json.encode(shown(book)).decode()


@pytest.mark.parametrize(
    ("changes", "pointer"),
    [
        ({"channels": (replace(mail_channel(), to="nobody"),)}, "/contacts/0/channels/0/to"),
        ({"channels": (Channel(kind="slack", url="ftp://x"),)}, "/contacts/0/channels/0/url"),
        ({"channels": (Channel(kind="phone"),)}, "/contacts/0/channels/0/says"),
        ({"channels": ()}, "/contacts/0/channels"),
        ({"time_zone": "Mars/Base"}, "/contacts/0/time_zone"),
        ({"verified": "yesterday"}, "/contacts/0/verified"),
        ({"hours": Hours(start="9 am")}, "/contacts/0/hours"),
        ({"name": "a/b"}, "/contacts/0/name"),
    ],
)
def test_what_is_wrong_with_a_card_is_said_with_its_place(
    changes: dict[str, Any], pointer: str
) -> None:
    card = Card(title="Stripe", contacts=(contact(**changes),))
    (fault,) = book_faults(Book(providers={"stripe": card}))
    assert fault.pointer == f"/providers/stripe{pointer}"


def test_cards_are_read_from_toml_and_a_wrong_field_is_named() -> None:
    text = """
[providers.stripe]
title = "Stripe"
[providers.stripe.agreement]
automatic = ["P1"]
[providers.stripe.agreement.times.P1]
acknowledge_minutes = 5
answer_minutes = 30
[[providers.stripe.contacts]]
name = "support"
role = "support"
level = "L1"
verified = "2026-11-01"
[[providers.stripe.contacts.channels]]
kind = "portal"
says = "the page for tickets"
"""
    card = read_book(text.encode()).providers["stripe"]
    assert card.agreement.within("P1").acknowledge_minutes == 5
    assert card.agreement.within("P2").acknowledge_minutes == 60
    with pytest.raises(Invalid) as wrong:
        read_book(text.replace('level = "L1"', 'level = "L9"').encode())
    assert "/contacts" in wrong.value.faults[0].pointer


# mail and announcements


@given(st.binary(max_size=400))
def test_no_mail_breaks_the_reader(raw: bytes) -> None:
    assert read_mail(raw) is None
    mail = b"References: <ntc_01m8ctb03exmdgp7bst7mnw76e@x>\r\n\r\n" + raw
    found = read_mail(mail)
    assert found is None or found.notices == (ID,)


@pytest.mark.parametrize("kind", CALLS_FOR)
def test_an_announcement_names_what_it_calls_for(kind: Any) -> None:
    one = Announcement(
        id="ann_1", provider="stripe", kind=kind, text="x", version="", link="", from_ms=5,
        until_ms=9, by="me", at_ms=1,
    )  # fmt: skip
    assert announcement_faults(one) == []
    assert len(one.calls_for()) == len(CALLS_FOR[kind])
    assert all("{" not in command for command in one.calls_for())
    wrong = replace(one, text="", link="ftp://x", until_ms=4)
    assert {fault.pointer for fault in announcement_faults(wrong)} == {"/text", "/link", "/until"}
