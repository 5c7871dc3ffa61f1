"""Notices: what is reported to a provider, its states, and what may be done with it.

Law: a notice leaves only when its pack holds nothing that may not leave, and when a person or the
agreement has approved it. It is changed only upon its revision before.
"""

from collections.abc import Mapping
from typing import Final, Literal

import msgspec
from msgspec.structs import replace

from tollkeeper.kernel.errors import Conflict
from tollkeeper.providers.card import Priority, Rung

type NoticeStatus = Literal[
    "drafted", "refused", "approved", "sent", "acknowledged", "resolved", "withdrawn"
]
type Act = Literal["approve", "deliver", "acknowledge", "ask", "answer", "resolve", "withdraw"]

STATES: Final[Mapping[NoticeStatus, str]] = {
    "drafted": "it lies ready and waits for a person's approval",
    "refused": "its pack holds what may not leave, so it cannot be approved",
    "approved": "it is on its way to the provider's contact",
    "sent": "a channel of the provider's contact took it",
    "acknowledged": "the provider has seen it",
    "resolved": "the provider says that it is over",
    "withdrawn": "it is not needed any more",
}
"""Every state and what it means."""

MOVES: Final[Mapping[tuple[NoticeStatus, Act], NoticeStatus]] = {
    ("drafted", "approve"): "approved",
    ("approved", "deliver"): "sent",
    ("sent", "acknowledge"): "acknowledged",
    ("acknowledged", "acknowledge"): "acknowledged",
    ("sent", "ask"): "acknowledged",
    ("acknowledged", "ask"): "acknowledged",
    ("sent", "answer"): "acknowledged",
    ("acknowledged", "answer"): "acknowledged",
    ("sent", "resolve"): "resolved",
    ("acknowledged", "resolve"): "resolved",
    ("drafted", "withdraw"): "withdrawn",
    ("refused", "withdraw"): "withdrawn",
    ("approved", "withdraw"): "withdrawn",
    ("sent", "withdraw"): "withdrawn",
    ("acknowledged", "withdraw"): "withdrawn",
}
"""Every move between states; what is not here is refused."""

REPLIES: Final[Mapping[Act, str]] = {
    "acknowledge": "acknowledges the notice",
    "ask": "asks",
    "answer": "answers",
    "resolve": "says that it is resolved",
}
"""What a provider may do, in words."""

LINK_DAYS: Final = 14
LINK_MS: Final = LINK_DAYS * 86_400_000
LONGEST_LINE: Final = 1_900
MOST_LINES: Final = 100
"""Lines of one conversation; after that people talk by other means."""


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """What was said on the notice's page. `ours`: by us, to the provider."""

    at_ms: int
    act: Act
    text: str
    ours: bool = False


class Notice(msgspec.Struct, frozen=True, kw_only=True):
    """One notice. `about` is what it was drafted for, so that a changed verdict drafts it again.
    `leaks`: where its pack holds what may not leave. `tried`: channels of this rung that were
    used. `due_ms`: when it is looked at next: at once on its way, later when the provider is late.
    `late`: what it was late with."""

    id: str
    incident: str
    provider: str
    title: str
    about: str
    status: NoticeStatus
    priority: Priority
    created_ms: int
    verdict_ms: int
    ready_ms: int
    subject: str
    text: str
    revision: int = 1
    level: Rung = "L1"
    pack_sha256: str = ""
    pack_bytes: int = 0
    leaks: tuple[str, ...] = ()
    tried: tuple[str, ...] = ()
    approved_by: str = ""
    approved_ms: int | None = None
    sent_ms: int | None = None
    expires_ms: int = 0
    due_ms: int | None = None
    late: tuple[str, ...] = ()
    acknowledged_ms: int | None = None
    answered_ms: int | None = None
    resolved_ms: int | None = None
    lines: tuple[Line, ...] = ()
    drill: bool = False

    @property
    def is_open(self) -> bool:
        """Whether the provider may still answer it, or a person may still send it."""
        return self.status not in {"resolved", "withdrawn"}

    @property
    def is_draft(self) -> bool:
        """Whether it has not been approved."""
        return self.status in {"drafted", "refused"}

    @property
    def waits_for_approval(self) -> bool:
        """Whether a person may approve it."""
        return self.status == "drafted"

    @property
    def is_on_its_way(self) -> bool:
        """Whether it is approved and no channel took it so far."""
        return self.status == "approved"

    @property
    def is_with_provider(self) -> bool:
        """Whether it was delivered, so that its link works."""
        return self.status in {"sent", "acknowledged", "resolved"}

    @property
    def waits_for_provider(self) -> bool:
        """Whether the provider has something to do."""
        return self.status in {"sent", "acknowledged"}

    def answers_in_ms(self) -> dict[str, int]:
        """How long the provider took, from the delivery on."""
        sent = self.sent_ms
        found = {
            "acknowledged": self.acknowledged_ms,
            "answered": self.answered_ms,
            "resolved": self.resolved_ms,
        }
        return {name: at - sent for name, at in found.items() if at is not None and sent}


def moved(notice: Notice, act: Act, now_ms: int) -> Notice:
    """The notice after an act, upon its next revision; raises `Conflict` where it may not be."""
    status = MOVES.get((notice.status, act))
    if status is None:
        raise Conflict(f"notice {notice.id} is {notice.status}: {STATES[notice.status]}")
    after = replace(notice, status=status, revision=notice.revision + 1)
    if act in REPLIES and after.acknowledged_ms is None:
        after = replace(after, acknowledged_ms=now_ms)
    if act in {"ask", "answer", "resolve"} and after.answered_ms is None:
        after = replace(after, answered_ms=now_ms)
    if act == "resolve":
        after = replace(after, resolved_ms=now_ms)
    return after if after.waits_for_provider else replace(after, due_ms=None)


def approved(notice: Notice, by: str, now_ms: int) -> Notice:
    """The notice as a person, or the agreement, approved it. Its link begins to run."""
    after = moved(notice, "approve", now_ms)
    return replace(
        after, approved_by=by, approved_ms=now_ms, expires_ms=now_ms + LINK_MS, due_ms=now_ms
    )


def said(notice: Notice, act: Act, text: str, now_ms: int) -> Notice:
    """The notice after the provider said something on its page, or by mail."""
    if len(notice.lines) >= MOST_LINES:
        raise Conflict("this conversation has become too long for its page")
    line = Line(at_ms=now_ms, act=act, text=text[:LONGEST_LINE])
    return replace(moved(notice, act, now_ms), lines=(*notice.lines, line))
