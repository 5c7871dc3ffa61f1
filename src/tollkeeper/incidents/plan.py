"""The on-call plan: people, receivers, schedules and escalation policies, as an operator writes it.

Law: a plan is checked as a whole before it is kept. No policy may end in one mailbox or one person.
"""

from collections.abc import Collection, Iterator
from typing import Final, Literal

import msgspec

from tollkeeper.incidents.incident import SEVERITIES, Severity
from tollkeeper.incidents.schedule import Schedule, members_of, schedule_faults
from tollkeeper.incidents.severity import TABLE, SeverityRow
from tollkeeper.kernel.errors import Fault

type ReceiverKind = Literal["mail", "slack", "pagerduty", "alertmanager", "webhook", "apprise"]

RECEIVERS: Final[dict[ReceiverKind, str]] = {
    "mail": "one mail to `to`, sent through `url` (`smtp://` or `smtps://`)",
    "slack": "a message to a Slack incoming webhook, `url`",
    "pagerduty": "an event of PagerDuty's Events API v2 with routing key `key`; `url` is its host",
    "alertmanager": "an alert of Alertmanager's API v2 at `url`",
    "webhook": "a POST of JSON to `url`",
    "apprise": "a message to any service that Apprise knows, by its address `url`",
}
"""Every kind of receiver, and what is sent."""

LONGEST_NAME: Final = 60
LEAST_WAIT_S: Final = 1.0
SHORTEST_KEY: Final = 20
MOST: Final = 200
"""People, receivers, schedules or policies of one plan."""

PROVIDER_TARGET: Final = "provider"
"""A level's target that asks the provider desk for a notice to the incident's provider."""


class Receiver(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where messages arrive. `url` and `key` are secrets: they are sealed in the store, and shown
    by nothing. `every_seconds`: at most one page in so many seconds but the first; what comes
    meanwhile is told in the next one."""

    kind: ReceiverKind
    url: str
    to: str = ""
    sender: str = "tollkeeper@localhost"
    key: str = ""
    every_seconds: float = 10.0


class Person(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Someone who can be on call. `receivers` are used from the first page on, `louder` ones from
    the second. `known_as`: the key ids and `cli:...` names by which the person acts."""

    title: str
    receivers: tuple[str, ...]
    louder: tuple[str, ...] = ()
    known_as: tuple[str, ...] = ()


class Level(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Who is paged together: `schedule:NAME`, `person:NAME`, `receiver:NAME`, or `provider`; and
    how long an answer is waited for before the next level is paged."""

    targets: tuple[str, ...]
    wait_seconds: float = 300.0


class EscalationPolicy(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Levels in order. After the last one all of them are paged again, `rounds` times in all; from
    then on the last level alone. `providers`: whose incidents it is for; empty for all."""

    levels: tuple[Level, ...]
    rounds: int = 3
    providers: tuple[str, ...] = ()


class QuietHours(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Incidents of these severities wait from `start` to `end` (`22:00`), in a time zone, before
    anyone is paged."""

    severities: tuple[Severity, ...] = ("sev4",)
    start: str
    end: str
    time_zone: str


class Input(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Another tool whose alerts open incidents: by PagerDuty's Events API v2 or Alertmanager's
    webhooks, with this secret `key`. `about`: the provider or `service` that all of them are about;
    empty: they are grouped by component or source."""

    key: str
    about: str = ""


class Plan(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything about who is told what, by name."""

    people: dict[str, Person] = {}
    receivers: dict[str, Receiver] = {}
    schedules: dict[str, Schedule] = {}
    policies: dict[str, EscalationPolicy] = {}
    inputs: dict[str, Input] = {}
    quiet_hours: QuietHours | None = None
    status_subscribers: tuple[str, ...] = ()
    severities: tuple[SeverityRow, ...] = TABLE


def policy_for(plan: Plan, provider: str) -> str:
    """The policy of a provider's incidents: the one that names it, else the first for all; empty
    where there is none."""
    named = [name for name, policy in plan.policies.items() if provider in policy.providers]
    whole = [name for name, policy in plan.policies.items() if not policy.providers]
    return next(iter([*named, *whole]), "")


def plan_faults(plan: Plan) -> list[Fault]:
    """Everything that is wrong with a plan; none where it may be kept."""
    return [
        *_size_faults(plan),
        *_people_faults(plan),
        *_receiver_faults(plan),
        *_input_faults(plan),
        *(
            fault
            for name, schedule in plan.schedules.items()
            for fault in schedule_faults(f"/schedules/{name}", schedule, plan.people)
        ),
        *_policy_faults(plan),
    ]


def _size_faults(plan: Plan) -> Iterator[Fault]:
    for field in ("people", "receivers", "schedules", "policies", "inputs"):
        names = getattr(plan, field)
        if len(names) > MOST:
            yield Fault(f"/{field}", f"at most {MOST}")
        for name in names:
            if not 0 < len(name) <= LONGEST_NAME or not name.isprintable() or ":" in name:
                shown = name[:LONGEST_NAME]
                yield Fault(f"/{field}/{shown}", "a name of 1 to 60 characters without a colon")
    known = {row.severity for row in plan.severities}
    if not known <= set(SEVERITIES):
        yield Fault("/severities", f"of {', '.join(SEVERITIES)}")


def _input_faults(plan: Plan) -> Iterator[Fault]:
    for name, given in plan.inputs.items():
        if not SHORTEST_KEY <= len(given.key) <= 200 or not given.key.isprintable():
            yield Fault(f"/inputs/{name}/key", f"a secret of {SHORTEST_KEY} to 200 characters")
    for receiver in plan.status_subscribers:
        if receiver not in plan.receivers:
            yield Fault("/status_subscribers", f"{receiver} is no receiver of this plan")
    keys = [given.key for given in plan.inputs.values()]
    if len(set(keys)) < len(keys):
        yield Fault("/inputs", "each key for one input only")


def _people_faults(plan: Plan) -> Iterator[Fault]:
    for name, person in plan.people.items():
        if not person.receivers:
            yield Fault(f"/people/{name}/receivers", "at least one receiver")
        for receiver in (*person.receivers, *person.louder):
            if receiver not in plan.receivers:
                detail = f"{receiver} is no receiver of this plan"
                yield Fault(f"/people/{name}/receivers", detail)


SCHEMES: Final[dict[ReceiverKind, tuple[str, ...]]] = {
    "mail": ("smtp://", "smtps://"),
    "slack": ("https://", "http://127.0.0.1", "http://localhost"),
    "pagerduty": ("https://", "http://127.0.0.1", "http://localhost"),
    "alertmanager": ("https://", "http://"),
    "webhook": ("https://", "http://127.0.0.1", "http://localhost"),
    "apprise": ("",),
}


def _receiver_faults(plan: Plan) -> Iterator[Fault]:
    for name, receiver in plan.receivers.items():
        place = f"/receivers/{name}"
        schemes = SCHEMES[receiver.kind]
        if not receiver.url.startswith(schemes) or "://" not in receiver.url:
            yield Fault(f"{place}/url", f"an address that begins with {' or '.join(schemes)}")
        if receiver.kind == "mail" and ("@" not in receiver.to or len(receiver.to.split()) != 1):
            yield Fault(f"{place}/to", "the mail address that gets the mail")
        if receiver.kind == "pagerduty" and not receiver.key:
            yield Fault(f"{place}/key", "the routing key of the service at PagerDuty")
        if not 0 <= receiver.every_seconds <= 86_400:
            yield Fault(f"{place}/every_seconds", "0 to 86400")


def _policy_faults(plan: Plan) -> Iterator[Fault]:
    for name, policy in plan.policies.items():
        place = f"/policies/{name}"
        if not policy.levels:
            yield Fault(f"{place}/levels", "at least one level")
            continue
        for number, level in enumerate(policy.levels):
            yield from _level_faults(plan, level, f"{place}/levels/{number}")
        reason = ends_alone(plan, policy)
        if reason:
            yield Fault(f"{place}/levels/{len(policy.levels) - 1}/targets", reason)
        if not 1 <= policy.rounds <= 100:
            yield Fault(f"{place}/rounds", "1 to 100")


def _level_faults(plan: Plan, level: Level, place: str) -> Iterator[Fault]:
    if not level.targets:
        yield Fault(f"{place}/targets", "at least one target")
    if not LEAST_WAIT_S <= level.wait_seconds <= 86_400:
        yield Fault(f"{place}/wait_seconds", "1 to 86400")
    known: dict[str, Collection[str]] = {
        "schedule": plan.schedules,
        "person": plan.people,
        "receiver": plan.receivers,
    }
    for target in level.targets:
        kind, _, name = target.partition(":")
        if target != PROVIDER_TARGET and name not in known.get(kind, {}):
            yield Fault(f"{place}/targets", f"{target} is no schedule, person or receiver here")


def ends_alone(plan: Plan, policy: EscalationPolicy) -> str:
    """Why a policy may not end as it does; empty where it may. Its last level must reach two people
    or more, by more than mail alone: one person sleeps, and one mailbox is read tomorrow."""
    people: set[str] = set()
    receivers: set[str] = set()
    for target in policy.levels[-1].targets:
        kind, _, name = target.partition(":")
        if kind == "person":
            people.add(name)
        elif kind == "schedule" and name in plan.schedules:
            people |= members_of(plan.schedules[name])
        elif kind == "receiver":
            receivers.add(name)
    for person in people & plan.people.keys():
        mine = plan.people[person]
        receivers |= {*mine.receivers, *mine.louder}
    kinds = {plan.receivers[name].kind for name in receivers & plan.receivers.keys()}
    if len(people) < 2 and len(receivers) < 2:
        return "the policy ends in one mailbox: its last level must reach two people or more"
    if len(people) == 1 and len(receivers - _receivers_of(plan, people)) == 0:
        return "the policy ends in one person: its last level must reach two people or more"
    if kinds == {"mail"}:
        return "the policy ends in mail alone: its last level must reach people by something else"
    return ""


def _receivers_of(plan: Plan, people: set[str]) -> set[str]:
    mine = [plan.people[name] for name in people if name in plan.people]
    return {receiver for person in mine for receiver in (*person.receivers, *person.louder)}


def owner_faults(before: Plan, after: Plan, actor: str) -> list[Fault]:
    """Schedules that an actor changes without being one of their owners. Anyone may cover."""
    faults = []
    for name, schedule in before.schedules.items():
        owners = schedule.owners
        if owners and actor not in owners and after.schedules.get(name) != schedule:
            detail = f"only its owners may change it: {', '.join(owners)}; anyone may cover a turn"
            faults.append(Fault(f"/schedules/{name}", detail))
    return faults
