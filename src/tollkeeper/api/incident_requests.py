"""What may be sent about incidents and the on-call plan."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

Text = Annotated[str, Meta(min_length=1, max_length=2_000)]
Reason = Annotated[str, Meta(min_length=1, max_length=490)]
Moment = Annotated[str, Meta(min_length=10, max_length=40)]


class OpenIncident(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What goes wrong, in a sentence; `about`: a provider or `service`, empty for neither."""

    title: Text
    about: Annotated[str, Meta(max_length=100)] = ""


class Acknowledge(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A word about who works on it, if you like."""

    note: Annotated[str, Meta(max_length=2_000)] = ""


class Because(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Why; it stays in the timeline."""

    reason: Reason


class Note(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A line for the timeline; `corrects`: the number of the entry that it sets right."""

    text: Text
    corrects: Annotated[int, Meta(ge=1)] | None = None


class Grade(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The severity, and why; the service leaves it alone from then on."""

    severity: Literal["sev1", "sev2", "sev3", "sev4"]
    reason: Reason


class CastRole(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A role and who has it."""

    role: Literal["commander", "communication", "operations", "scribe"]
    person: Annotated[str, Meta(min_length=1, max_length=120)]


class MergeInto(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The incident in which this one goes on, and why."""

    into: Annotated[str, Meta(min_length=1, max_length=60)]
    reason: Reason


class SplitOff(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the part that becomes an incident of its own is about."""

    title: Text


class TakeCover(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Who takes the pages of a schedule from when to when (RFC 3339)."""

    schedule: Annotated[str, Meta(min_length=1, max_length=60)]
    person: Annotated[str, Meta(min_length=1, max_length=60)]
    since: Moment
    until: Moment
    reason: Annotated[str, Meta(max_length=490)] = ""
