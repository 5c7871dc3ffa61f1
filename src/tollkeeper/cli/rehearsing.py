"""`tollkeeper contracts rehearse` and `replay`: a version against what is alive or was stored."""

from typing import Annotated, Final
from urllib.parse import urlsplit

import cyclopts
import msgspec

from tollkeeper import app as root
from tollkeeper.cli.opening import AsJson, Config, console, print_json, with_runtime
from tollkeeper.contracts.reports.plain import MARKS
from tollkeeper.flows.contracts.rehearse import Replay, ask_for_skews, replay_since
from tollkeeper.flows.contracts.watch import Watched, look
from tollkeeper.flows.runtime import Runtime
from tollkeeper.integrations.catalogue import find
from tollkeeper.kernel.errors import Invalid, Misconfigured

NOT_SENT: Final = "failed not_sent"
"""How a play tells that its request never left."""

MAX_DAYS: Final = 36_500


def rehearse(
    integration: str,
    /,
    *,
    endpoint: Annotated[str, cyclopts.Parameter(help="The address of a sandbox or simulator.")],
    baseline: Annotated[
        str | None,
        cyclopts.Parameter(help="A version to run beside it, to find whose fault it is."),
    ] = None,
    key: Annotated[
        str, cyclopts.Parameter(help="The sandbox's secret key; never a live one.")
    ] = "sk_test_tollkeeper",
    json: AsJson = False,
) -> int:
    """Run the playbooks against a live endpoint; exit 1 if one fails.

    Example: `tollkeeper contracts rehearse stripe@2022-11-15 --endpoint http://127.0.0.1:12111`
    """
    if not key.startswith("sk_test_") and "_test_" not in key:
        raise Invalid("the key is not a test key, and a rehearsal charges cards")
    if not _is_address(endpoint):
        raise Invalid(f"{endpoint!r} is not the address of an endpoint; http://127.0.0.1:12111 is")
    found = root.rehearse(
        endpoint, key, find(integration), find(baseline) if baseline is not None else None
    )
    if json:
        print_json({"passed": found.passed, **msgspec.structs.asdict(found)})
        return 0 if found.passed else 1
    for difference in found.differences:
        console.print(f"✗ {difference.play} ({difference.operation}): {difference.seen}")
    for difference in found.shared:
        console.print(f"! {difference.play}: wrong for {found.baseline} as well: {difference.seen}")
    if found.differences and all(NOT_SENT in difference.seen for difference in found.differences):
        console.print(f"nothing could be sent: is {endpoint} reachable?")
    good = found.plays - len(found.differences) - len(found.shared)
    console.print(f"{found.version}: {good} of {found.plays} plays went as they must")
    return 0 if found.passed else 1


def _is_address(text: str) -> bool:
    try:
        address = urlsplit(text)
    except ValueError:
        return False
    return address.scheme in {"http", "https"} and bool(address.hostname)


def replay(
    integration: str,
    /,
    *,
    days: Annotated[float, cyclopts.Parameter(help="How many days back to read.")] = 7.0,
    json: AsJson = False,
    config: Config = None,
) -> int:
    """Let a version reread what others received; nothing is sent. Exit 1 if readings differ or if
    nothing could be compared.

    Example: `tollkeeper contracts replay stripe@2026-03-25.dahlia --days 30`
    """
    if not 0 < days <= MAX_DAYS:
        raise Invalid(f"{days:g} days cannot be read; 0 to {MAX_DAYS} can")
    candidate = find(integration)

    async def read_again(runtime: Runtime) -> Replay:
        return await replay_since(runtime, candidate, days)

    found = with_runtime(config, read_again)
    if json:
        print_json({"verdict": found.verdict, **msgspec.structs.asdict(found)})
    else:
        for item in found.disagreements:
            console.print(
                f"✗ {item.attempt_id} {item.operation} {item.field}: "
                f"{item.baseline} was read, {item.candidate} would be"
            )
        console.print(
            f"{found.version}: {found.verdict}; {found.agreed} of {found.compared} replies agree, "
            f"{found.not_independent} were its own, {found.unreadable} cannot be read"
        )
    return 0 if found.verdict == "agrees" else 1


def skew(integration: str, /, *, json: AsJson = False, config: Config = None) -> int:
    """Ask the provider whether webhook endpoints and the account's default use the version that
    we read; exit 1 if one does not.

    Example: `tollkeeper contracts skew stripe@2022-11-15`
    """
    version = find(integration)
    found = with_runtime(config, lambda runtime: ask_for_skews(runtime, version))
    if json:
        print_json(found)
    for item in () if json else found:
        console.print(f"{MARKS[item.severity]} {item.where}: {item.detail}")
        console.print(f"    {item.advice}")
    breaking = [item for item in found if item.severity == "breaking"]
    if not json:
        console.print(f"{version.name}: {len(breaking)} pairings do not fit")
    return 1 if breaking else 0


def watch(*, json: AsJson = False, config: Config = None) -> int:
    """Check the watched descriptions now, as the service does every `watch_seconds`; exit 1 if a
    text breaks an installed version or cannot be read.

    Example: `tollkeeper contracts watch`
    """

    async def look_at_all(runtime: Runtime) -> list[Watched]:
        names = [
            n for n, mine in runtime.settings.providers.items() if mine.description is not None
        ]
        if not names:
            raise Misconfigured("no provider has a `description` to watch in the settings")
        return [await look(runtime, name) for name in names]

    found = with_runtime(config, look_at_all)
    if json:
        print_json(found)
    for item in () if json else found:
        state = item.error or ("a new text" if item.news else "the text that is known")
        console.print(f"{item.provider}: {state} {item.digest[:12]}")
        for name, fits in item.compatible.items():
            console.print(f"    {name or 'the text'}: {'fits' if fits else 'breaks'}")
    good = all(not item.error and all(item.compatible.values()) for item in found)
    return 0 if good else 1
