"""Skew: each description is right and the pairing is wrong. Do all parts speak the same version?

The request pins a version; webhooks come at the endpoint's version, or at the account's default
where the endpoint names none. An event rendered at one version and read by another is how payments
stay pending though they are paid.
"""

from collections.abc import Collection, Iterator

import msgspec

from tollkeeper.contracts.finding import Severity
from tollkeeper.integrations.version import HookAddress, Integration, ProviderAccount

INBOUND = "/v1/inbound/"


class Skew(msgspec.Struct, frozen=True, kw_only=True):
    """Two parts that do not speak the same version. `where`: the endpoint's URL, or the account."""

    severity: Severity
    where: str
    detail: str
    advice: str


def skews(
    integration: Integration, surroundings: ProviderAccount, installed: Collection[str]
) -> list[Skew]:
    """What does not fit with `integration`; an empty list where all parts agree."""
    return [
        *_hooks(integration, surroundings, installed),
        *_default(integration, surroundings),
    ]


def _hooks(
    integration: Integration, surroundings: ProviderAccount, installed: Collection[str]
) -> Iterator[Skew]:
    ours = [hook for hook in surroundings.hooks if INBOUND in hook.url]
    mine = [hook for hook in ours if read_by(hook) == integration.name]
    if not mine:
        yield Skew(
            severity="risky",
            where="webhook endpoints",
            detail=f"none leads to {INBOUND}{integration.provider}/{integration.version}",
            advice="without webhooks, changes made at the provider are seen late or never",
        )
    for hook in ours:
        reader = read_by(hook)
        if reader not in installed:
            yield Skew(
                severity="breaking",
                where=hook.url,
                detail=f"its events would be read by {reader}, which is not installed",
                advice="point the endpoint at an installed version",
            )
            continue
        yield from _pairing(hook, reader, surroundings)


def _pairing(hook: HookAddress, reader: str, surroundings: ProviderAccount) -> Iterator[Skew]:
    wanted = reader.partition("@")[2]
    if hook.version is None:
        default = surroundings.default_version
        yield Skew(
            severity="risky" if default in {None, wanted} else "breaking",
            where=hook.url,
            detail=f"its events follow the account's default, {default or 'which is not known'}, "
            f"and are read as {wanted}",
            advice=f"create the endpoint anew with api_version {wanted}",
        )
    elif hook.version != wanted:
        yield Skew(
            severity="breaking",
            where=hook.url,
            detail=f"its events are rendered at {hook.version} and read as {wanted}",
            advice=f"create the endpoint anew with api_version {wanted}, or change its path",
        )


def _default(integration: Integration, surroundings: ProviderAccount) -> Iterator[Skew]:
    default = surroundings.default_version
    if default not in {None, integration.version}:
        yield Skew(
            severity="harmless",
            where="account",
            detail=f"its default version is {default}; our requests name {integration.version}",
            advice="what names no version, such as a script of the shop's page, speaks the default",
        )


def read_by(hook: HookAddress) -> str:
    """The version that our inbound path hands this endpoint's events to."""
    parts = hook.url.partition(INBOUND)[2].partition("?")[0].strip("/").split("/")
    return "@".join(parts[:2])
