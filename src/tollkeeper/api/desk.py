"""The provider desk over HTTP: a page without an account for providers, and notices for operators.

Law: what is wrong with a link is never said: a forged, a changed, an expired and a withdrawn one
show the same page. A link reads its one notice, and nothing else.
"""

from typing import Annotated, Final
from urllib.parse import parse_qsl

import msgspec
from msgspec import Meta

from tollkeeper.api.answers import Answer, Header, json_answer
from tollkeeper.api.calls import Call, bad_parameter
from tollkeeper.flows.providers import commands
from tollkeeper.flows.providers.commands import Answered
from tollkeeper.flows.providers.views import CardView, NoticeView, card_list, notice_view
from tollkeeper.kernel.errors import Conflict, Invalid, NotFound
from tollkeeper.kernel.ids import is_id
from tollkeeper.providers.notice import Notice
from tollkeeper.providers.page import POLICY, desk_page, missing_page

HTML: Final = b"text/html; charset=utf-8"
ZIP: Final = b"application/zip"
HEADERS: Final[tuple[Header, ...]] = (
    (b"content-security-policy", POLICY.encode()),
    (b"referrer-policy", b"no-referrer"),
    (b"x-frame-options", b"DENY"),
    (b"x-robots-tag", b"noindex"),
)
MOST_FIELDS: Final = 8

Reason = Annotated[str, Meta(min_length=1, max_length=490)]


class NoticeList(msgspec.Struct, frozen=True, kw_only=True):
    """Notices, newest first; `has_more`: ask again with the last one's id as `cursor`."""

    data: list[NoticeView]
    has_more: bool


class CardList(msgspec.Struct, frozen=True, kw_only=True):
    """The contact cards, without addresses and keys."""

    data: list[CardView]


class Withdraw(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Why the notice is not needed; it stays in the timeline."""

    reason: Reason


class InboundMail(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A mail as it arrived (RFC 5322), which answers a notice."""

    mail: Annotated[str, Meta(min_length=1, max_length=200_000)]


async def shown(call: Call) -> Answer:
    """The page of a notice."""
    try:
        notice = await commands.by_token(call.runtime, call.path["token"])
    except NotFound:
        return _page(missing_page(), 404)
    return _page(desk_page(notice))


async def answered(call: Call) -> Answer:
    """What the page's form sends; 303 back to the page, so that a reload sends nothing again."""
    token = call.path["token"]
    try:
        notice = await commands.by_token(call.runtime, token)
    except NotFound:
        return _page(missing_page(), 404)
    fields = _fields(call.body)
    act, text = fields.get("act", ""), fields.get("text", "")
    try:
        await commands.reply(call.runtime, notice.id, act, text, by="link")
    except (Invalid, Conflict) as error:
        again = await commands.by_token(call.runtime, token)
        return _page(desk_page(again, error.detail, text), 422)
    return Answer(303, headers=[*HEADERS, (b"location", f"/desk/{token}".encode())])


def _fields(body: bytes) -> dict[str, str]:
    try:
        pairs = parse_qsl(body.decode("utf-8"), keep_blank_values=True, max_num_fields=MOST_FIELDS)
    except ValueError:
        return {}
    return dict(pairs)


def _page(html: str, status: int = 200) -> Answer:
    return Answer(status, html.encode(), media_type=HTML, headers=[*HEADERS])


async def listed(call: Call) -> Answer:
    call.only(("cursor", "limit"))
    limit, cursor = call.limit(), call.query.get("cursor", "")
    if cursor and not is_id(cursor, "ntc"):
        raise bad_parameter("cursor", "the id of the last notice seen")
    found = await commands.page(call.runtime.store, cursor, limit + 1)
    data = [notice_view(one) for one in found[:limit]]
    return json_answer(NoticeList(data=data, has_more=len(found) > limit))


async def read(call: Call) -> Answer:
    return _told(await commands.one(call.runtime.store, call.id("notice_id", "ntc")))


async def pack(call: Call) -> Answer:
    """The evidence pack as a file."""
    notice_id = call.id("notice_id", "ntc")
    body = await commands.pack_of(call.runtime.store, notice_id)
    named = f'attachment; filename="{notice_id}.zip"'.encode()
    return Answer(200, body, media_type=ZIP, headers=[(b"content-disposition", named)])


async def approve(call: Call) -> Answer:
    notice_id = call.id("notice_id", "ntc")
    return _told(await commands.approve(call.runtime, notice_id, actor=_actor(call)))


async def withdraw(call: Call) -> Answer:
    asked, _ = call.asked(Withdraw)
    notice_id = call.id("notice_id", "ntc")
    return _told(
        await commands.withdraw(call.runtime, notice_id, reason=asked.reason, actor=_actor(call))
    )


async def mail(call: Call) -> Answer:
    asked, _ = call.asked(InboundMail)
    notice = await commands.take_mail(call.runtime, asked.mail.encode())
    return json_answer(Answered(notice=notice.id))


async def contacts(call: Call) -> Answer:
    return json_answer(CardList(data=await card_list(call.runtime.store)))


def _told(notice: Notice) -> Answer:
    return json_answer(notice_view(notice))


def _actor(call: Call) -> str:
    assert call.key is not None, "notices ask for a key"
    return call.key.id
