"""What operators do with signals: read, look back, silence, judge, announce a change."""

from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec
from msgspec.structs import replace

from tollkeeper.failover.state import Watch
from tollkeeper.flows.ports import Store
from tollkeeper.flows.runtime import Runtime
from tollkeeper.flows.signals.windows import window_at
from tollkeeper.kernel.errors import Fault, Invalid, NotFound, Unavailable
from tollkeeper.payments.cards import check_reason, find_card_numbers
from tollkeeper.routing.routes import Routes
from tollkeeper.signals.alerts import Alert
from tollkeeper.signals.cases import FORMAT, Case
from tollkeeper.signals.changes import ANNOUNCED_BY_HAND, PREFIX, Told, change_of
from tollkeeper.signals.counts import Change, ChangeKind
from tollkeeper.signals.verdict import Look, attribute

NEWEST: Final = "~"
"""Above the id of every alert."""

TRIES: Final = 5
LONGEST_TEXT: Final = 300
LONGEST_SILENCE_S: Final = 86_400
MANY_CHANGES: Final = 1_000
JUDGMENTS: Final = ("right", "wrong")


class Announcement(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A change to announce. `kind` is deploy, settings, migration, infrastructure, status_feed or
    announced; `text` says what was changed; the others say where, all of them empty everywhere."""

    kind: str
    text: str
    provider: str = ""
    integration: str = ""
    host: str = ""
    account: str = ""


async def open_alerts(store: Store) -> list[Alert]:
    """Every alert that is open."""
    return await store.list_open_alerts()


async def watches(store: Store) -> list[Watch]:
    """What failover watches, for what is said of an alert."""
    return await store.list_watches()


async def page(store: Store, before: str, limit: int) -> list[Alert]:
    """At most `limit` alerts, the newest first; `before`: the id of the last one seen."""
    return await store.list_alerts(before or NEWEST, limit)


async def one(store: Store, alert_id: str) -> Alert:
    """One alert; raises `NotFound`."""
    found = await store.load_alert(alert_id)
    if found is None:
        raise NotFound("there is no such alert; `tollkeeper alerts list` lists them")
    return found


async def newest(store: Store, about: str = "") -> Alert | None:
    """The alert that is open, or else the newest; `about`: of this provider, or `service`."""
    found = [*await store.list_open_alerts(), *await store.list_alerts(NEWEST, 50)]
    return next((alert for alert in found if not about or alert.fingerprint == about), None)


async def look_at(store: Store, routes: Routes, at_ms: int) -> Look:
    """The look of a moment, computed again from what is stored."""
    return attribute(await window_at(store, routes, at_ms))


async def case_of(store: Store, routes: Routes, alert_id: str) -> Case:
    """What the last look at an alert read, as far as its counts are still kept."""
    alert = await one(store, alert_id)
    window = await window_at(store, routes, alert.seen_ms)
    if not window.batches:
        raise NotFound("the counts of this alert are gone: they are kept for 24 hours")
    said = alert.last.verdict.domain if alert.last is not None else ""
    return Case(format=FORMAT, alert=alert.id, said=said, judged=alert.judged, window=window)


async def silence(
    runtime: Runtime, alert_id: str, seconds: float, *, reason: str, actor: str
) -> Alert:
    """Sends no message about an alert for so many seconds; it goes on being watched."""
    check_reason(reason)
    if not 0 < seconds <= LONGEST_SILENCE_S:
        fault = Fault("/seconds", f"above 0, at most {LONGEST_SILENCE_S}")
        raise Invalid(f"seconds must be {fault.detail}", faults=(fault,))
    until_ms = runtime.store.now_ms() + int(seconds * 1000)
    said = f"{reason} ({actor})"

    def change(alert: Alert) -> Alert:
        return replace(alert, silenced_until_ms=until_ms, silence_reason=said)

    return await _changed(runtime, alert_id, change)


async def judge(
    runtime: Runtime, alert_id: str, judgment: str, *, reason: str, actor: str
) -> Alert:
    """Says that the verdict of an alert is right or wrong, and why. `case_of` makes a case of it,
    which has the judgment in it."""
    check_reason(reason)
    if judgment not in JUDGMENTS:
        fault = Fault("/judgment", f"one of {', '.join(JUDGMENTS)}")
        raise Invalid(f"the judgment is {fault.detail}", faults=(fault,))

    def change(alert: Alert) -> Alert:
        return replace(alert, judged=f"{judgment}: {reason}", judge=actor)

    return await _changed(runtime, alert_id, change)


async def _changed(runtime: Runtime, alert_id: str, change: Callable[[Alert], Alert]) -> Alert:
    for _ in range(TRIES):
        before = await one(runtime.store, alert_id)
        after = replace(change(before), revision=before.revision + 1)
        if await runtime.store.save_alert(after):
            return after
    raise Unavailable("the alert is being changed by too many at once")


def kind_of(text: str) -> ChangeKind | None:
    """The kind of change that can be announced under this name."""
    return next((kind for kind in ANNOUNCED_BY_HAND if kind == text), None)


async def changes(store: Store, hours: float) -> list[Change]:
    """The changes of the last so many hours, the newest first."""
    now_ms = store.now_ms()
    told = await store.list_changes(now_ms - int(hours * 3_600_000), now_ms, MANY_CHANGES)
    return [change for one in told if (change := change_of(one)) is not None]


async def announce(runtime: Runtime, given: Announcement, *, actor: str) -> Change:
    """Keeps a change that a person or a pipeline announces, so that verdicts weigh it."""
    change = _change_of(runtime, given)
    return await keep(runtime, change, actor=actor)


async def keep(
    runtime: Runtime, change: Change, *, actor: str, more: Mapping[str, Any] | None = None
) -> Change:
    """Keeps a change, as it is now; `more` is kept beside it."""
    change = replace(change, at_ms=runtime.store.now_ms())
    fields = msgspec.structs.asdict(change)
    data = {name: value for name, value in fields.items() if value}
    kept = {"object": "change", "actor": actor} | data | {"start": more or {}}
    told = Told(
        at_ms=runtime.store.now_ms(),
        type=PREFIX + change.kind,
        data=msgspec.Raw(msgspec.json.encode(kept)),
    )
    await runtime.store.save_change(runtime.new_id("chg"), told)
    runtime.tell("change_kept", kind=change.kind, text=change.text, actor=actor)
    return change


async def remember_start(runtime: Runtime, start: Mapping[str, Any]) -> None:
    """Keeps what the first start said of itself, for the next one; it is no change."""
    data = msgspec.Raw(msgspec.json.encode({"object": "start", "start": start}))
    told = Told(at_ms=runtime.store.now_ms(), type="start.first", data=data)
    await runtime.store.save_change(runtime.new_id("chg"), told)


async def last_start(store: Store) -> Mapping[str, Any] | None:
    """What the newest start said of itself; `None` where none is known."""
    for told in await store.list_changes(0, store.now_ms(), MANY_CHANGES):
        data = msgspec.json.decode(told.data)
        start = data.get("start") if isinstance(data, dict) else None
        if isinstance(start, dict) and "release" in start:
            return start
    return None


def _change_of(runtime: Runtime, given: Announcement) -> Change:
    faults = _faults_of(runtime, given)
    kind = kind_of(given.kind)
    if faults or kind is None:
        raise Invalid("this change cannot be announced", faults=tuple(faults))
    return Change(
        at_ms=runtime.store.now_ms(),
        kind=kind,
        text=given.text,
        provider=given.provider or given.integration.partition("@")[0],
        integration=given.integration,
        host=given.host,
        account=given.account,
    )


def _faults_of(runtime: Runtime, given: Announcement) -> list[Fault]:
    faults = []
    if kind_of(given.kind) is None:
        faults.append(Fault("/kind", f"one of {', '.join(ANNOUNCED_BY_HAND)}"))
    if not given.text.strip():
        faults.append(Fault("/text", f"1 to {LONGEST_TEXT} characters"))
    for name, value in msgspec.structs.asdict(given).items():
        if len(value) > LONGEST_TEXT or "\0" in value:
            faults.append(Fault(f"/{name}", f"at most {LONGEST_TEXT} characters, and no NUL"))
        elif find_card_numbers(value):
            faults.append(Fault(f"/{name}", "must not hold a card number"))
    if given.provider and given.provider not in runtime.settings.providers:
        known = ", ".join(sorted(runtime.settings.providers)) or "none"
        faults.append(Fault("/provider", f"a provider of the settings: {known}"))
    if given.integration and given.integration not in runtime.installed:
        known = ", ".join(sorted(runtime.installed))
        faults.append(Fault("/integration", f"an installed version: {known}"))
    return faults
