"""Faults that are on no list, written before anything was tuned and looked at only in the end.

The same author wrote them, the evidence and the table: they say less than an outsider's would.
"""

from typing import Any, Final

import numpy as np

from lab.disturbed import AUTHORIZE, CAPTURE, DECLINED, OK, WORD, Rows, World, hit
from lab.domains import MONEY, Fault, part


def descriptors(world: World) -> None:
    """One host of ours has no descriptor left; its anchors cannot be opened either."""
    world.hosts = max(world.hosts, 2)
    host = int(world.rng.integers(0, world.hosts))
    world.truth("our_infrastructure", host=host)
    world.lag_host, world.descriptors = host, 1.0
    world.anchor[host] = world.severity
    world.golden = (world.severity / world.hosts,) * 2
    world.strikes.append(
        lambda world, rows, live: hit(
            rows, part(world, rows, live, host=host), "connect", "too_many_files", took=0.01
        )
    )


def wrong_amounts(world: World) -> None:
    """The provider answers amounts in another unit: well-formed, and not what we asked for."""
    provider = world.at_provider
    world.truth("provider_changed", prov=provider)
    world.golden = None
    world.strikes.append(
        lambda world, rows, live: hit(
            rows, part(world, rows, live, (AUTHORIZE, CAPTURE), prov=provider), "", "mismatch",
            200, pid=True,
        )
    )  # fmt: skip


def keys_in_use(world: World) -> None:
    """The provider's store of idempotency keys hangs: 409 for keys that were never used."""
    provider = world.at_provider
    world.truth("provider_down", prov=provider)
    world.golden = (world.noise, world.noise)
    ops = (AUTHORIZE, CAPTURE)
    world.strikes.append(
        lambda world, rows, live: hit(
            rows, part(world, rows, live, ops, prov=provider), "", "in_use", 409, pid=True
        )
    )


def one_account_s_key(world: World) -> None:
    """We rotated the key of one account and stored the old one."""
    account, provider = int(world.rng.integers(0, 3)), world.at_provider
    world.truth("our_configuration", prov=provider, acct=account)
    world.golden = (world.noise, world.noise)
    world.changed("settings", world.start - float(world.rng.uniform(0, 20)), account=f"a{account}")
    world.strikes.append(
        lambda world, rows, live: hit(
            rows, part(world, rows, live, prov=provider, acct=account), "", "http_401", 401,
            pid=True,
        )
    )  # fmt: skip


def own_proxy(world: World) -> None:
    """Our way out is a proxy that answers 502 for everyone, anchors included."""
    world.truth("our_infrastructure")
    world.anchor[:], world.second = world.severity, world.severity
    world.golden = (world.severity, world.severity)
    world.strikes.append(
        lambda world, rows, live: hit(rows, part(world, rows, live), "", "status", 502)
    )


def captures_deadlock(world: World) -> None:
    """Our store deadlocks on captures alone."""
    world.truth("our_database", op=CAPTURE)
    world.wait_ms = 300 * world.severity
    world.golden = (world.noise, world.noise)
    world.strikes.append(
        lambda world, rows, live: hit(
            rows, part(world, rows, live, (CAPTURE,)), "persist", "db_timeout", 200, pid=True,
            took=5.0,
        )
    )  # fmt: skip


def authentication_down(world: World) -> None:
    """The authentication of one country's banks is down: their cards are declined."""
    country = int(world.rng.integers(0, 3))
    world.truth("issuer", ctry=country)
    world.golden = (world.noise, world.noise)

    def strike(world: World, rows: Rows, live: Any) -> None:
        mask = part(world, rows, live & (rows["result"] == OK), (AUTHORIZE,), ctry=country)
        hit(rows, mask, "", "authentication_failed", 402, pid=True, result=DECLINED)

    world.strikes.append(strike)


def too_much_money(world: World) -> None:
    """A new version of ours asks for a hundred times the amount: banks decline."""
    provider, version = world.at_provider, world.newest
    world.truth("our_code", prov=provider, ver=version)
    world.golden = (world.noise, world.noise)
    name = f"p{provider}"
    world.changed(
        "rollout", world.start - float(world.rng.uniform(1, 45)), provider=name,
        integration=f"{name}@{version}",
    )  # fmt: skip
    places = [WORD["limit_exceeded"], WORD["insufficient_funds"]]

    def strike(world: World, rows: Rows, live: Any) -> None:
        approved = live & (rows["result"] == OK)
        mask = part(world, rows, approved, (AUTHORIZE,), prov=provider, ver=version)
        drawn = world.rng.choice(places, len(mask))
        hit(rows, mask, "", drawn, 402, pid=True, result=DECLINED)

    world.strikes.append(strike)


def one_currency(world: World) -> None:
    """A deploy of the service formats one currency wrongly, whatever the version."""
    currency = int(world.rng.integers(0, 3))
    world.truth("our_code", cur=currency)
    world.golden = (world.noise, world.noise)
    world.changed("deploy", world.start - float(world.rng.uniform(1, 30)))
    world.strikes.append(
        lambda world, rows, live: hit(
            rows, part(world, rows, live, (AUTHORIZE, CAPTURE), cur=currency), "",
            "parameter_invalid", 400, pid=True,
        )
    )  # fmt: skip


def slow_reads(world: World) -> None:
    """A missing index at the provider: only questions are slow, and many get no reply."""
    provider = world.at_provider
    world.truth("provider_slow", prov=provider)
    world.golden = (0.6 * world.severity,) * 2

    def strike(world: World, rows: Rows, live: Any) -> None:
        mask = part(world, rows, live, (MONEY[3], AUTHORIZE), prov=provider)
        mask = mask & ~np.isnan(rows["wait"])
        more = world.rng.uniform(2, 20, len(mask))
        rows["wait"][mask] += more[mask]
        rows["te"][mask] += more[mask]
        lost = mask & (rows["wait"] > world.timeout_s)
        hit(rows, lost, "wait", "http_response_timeout", took=world.timeout_s)

    world.strikes.append(strike)


UNFAMILIAR: Final[dict[str, Fault]] = {
    "U1 descriptors": descriptors, "U2 wrong amounts": wrong_amounts,
    "U3 keys in use": keys_in_use, "U4 one account's key": one_account_s_key,
    "U5 own proxy": own_proxy, "U6 captures deadlock": captures_deadlock,
    "U7 authentication down": authentication_down, "U8 too much money": too_much_money,
    "U9 one currency": one_currency, "U10 slow reads": slow_reads,
}  # fmt: skip
