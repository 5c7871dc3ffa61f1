"""The public faults of the list (F01 to F41), two at once (C1, C4) and what must not page (N1 to
N10), as strikes on a world. The truth is what the list says."""

from collections.abc import Callable
from typing import Any, Final

import numpy as np

from lab.disturbed import (
    AUTHORIZE,
    CAPTURE,
    DECLINED,
    LOOKUP,
    OK,
    REFUND,
    WEBHOOK,
    WORD,
    Rows,
    World,
    hit,
)

type Fault = Callable[[World], None]

MONEY: Final = (AUTHORIZE, CAPTURE, REFUND, LOOKUP)


def part(world: World, rows: Rows, live: Any, ops: tuple[int, ...] = MONEY, **where: int) -> Any:
    """Rows of a slice, as many as the severity says."""
    mask = live & np.isin(rows["op"], ops)
    for field, value in where.items():
        mask = mask & (rows[field] == value)
    return mask & (world.rng.random(len(mask)) < world.severity)


def plain(  # noqa: PLR0913 - the ways in which an attempt can end are many
    domain: str, stage: str, words: str, status: int = 0, *, pid: bool = False,
    took: float | None = None, ops: tuple[int, ...] = MONEY, golden: str = "both",
    egress: bool = False, pointers: tuple[int, ...] = (0,), where: str = "",
) -> Fault:  # fmt: skip
    """A fault that ends attempts of one slice in one way. `where` names fields of rows: `prov` is
    the provider that is hit, `ver` its newest version."""

    def strike(world: World) -> None:
        rng, severity, noise = world.rng, world.severity, world.noise
        values = {"prov": world.at_provider, "ver": world.newest}
        slice_ = {field: values[field] for field in where.split()}
        pointer, word = int(rng.choice(pointers)), str(rng.choice(words.split()))
        named = dict(slice_) | ({"op": ops[0]} if len(ops) == 1 and ops[0] != WEBHOOK else {})
        from_pointer = ("", "/status", "/id", "/latest_charge", "/amount", "/created",
                        "/error/code")[pointer]  # fmt: skip
        world.truth(domain, from_pointer, **named)
        if egress:
            world.anchor[:], world.second = severity, severity
        world.golden = {
            "both": (severity, severity), "new": (severity, noise), "none": (noise, noise),
        }[golden]  # fmt: skip
        if domain == "provider_changed" and not world.sandbox_alike:
            world.golden = None

        def ends(world: World, rows: Rows, live: Any) -> None:
            mask = part(world, rows, live, ops, **slice_)
            hit(rows, mask, stage, word, status, pid=pid, took=took, pointer=pointer)

        world.strikes.append(ends)

    return strike


def with_deploy(fault: Fault) -> Fault:
    """The fault of a version that was deployed shortly before."""

    def strike(world: World) -> None:
        fault(world)
        deployed(world, world.start - float(world.rng.uniform(1, 45)))

    return strike


def deployed(world: World, at: float, recorded: float = 0.9) -> None:
    provider = f"p{world.at_provider}"
    integration = f"{provider}@{world.newest}"
    world.changed("rollout", at, recorded, provider=provider, integration=integration)


def with_settings(fault: Fault) -> Fault:
    """The fault of settings that changed at the onset: recorded or not, their fingerprint did."""

    def strike(world: World) -> None:
        fault(world)
        at = world.start - float(world.rng.uniform(0, 20))
        world.changed("settings", at, provider=f"p{world.at_provider}")
        world.settings_changed(world.start)

    return strike


# our infrastructure


def one_host(world: World) -> None:
    world.hosts = max(world.hosts, 2)
    host = int(world.rng.integers(0, world.hosts))
    world.truth("our_infrastructure", host=host)
    world.anchor[host] = world.severity
    world.golden = (world.severity / world.hosts,) * 2
    world.strikes.append(
        lambda world, rows, live: hit(
            rows, part(world, rows, live, host=host), "connect", "connection_timeout", took=3.0
        )
    )


def packet_loss(world: World) -> None:
    world.truth("our_infrastructure")
    share = 0.25 * world.severity
    world.anchor[:], world.second, world.golden = share, share, (share, share)

    def strike(world: World, rows: Rows, live: Any) -> None:
        rng, n = world.rng, len(live)
        mask = live & (rows["op"] != WEBHOOK) & (rng.random(n) < 0.3 + 0.6 * world.severity)
        more = rng.exponential(0.6, n)
        rows["connect"][mask] += more[mask]
        rows["tls"][mask] += more[mask]
        rows["te"][mask] += 1.5 * more[mask]
        lost = mask & (rng.random(n) < 0.3 * world.severity)
        hit(rows, lost, "connect", "connection_timeout", took=3.0)
        reset = mask & (rng.random(n) < 0.1 * world.severity)
        hit(rows, reset, "send", "connection_terminated")

    world.strikes.append(strike)


def trust_store(world: World) -> None:
    """Our trust store or our clock: every certificate is refused, the anchors' as well."""
    plain("our_infrastructure", "tls", "tls_certificate_error", took=0.1, egress=True)(world)
    if world.rng.random() < 0.5:
        world.clock_ms = 3_600_000.0 * 24 * 400
    else:
        world.settings_changed(world.start)


def stall(world: World, *, surge: bool) -> None:
    world.truth("our_infrastructure")
    world.lag_ms = 200 + 900 * world.severity
    world.golden = (0.4 * world.severity,) * 2
    world.anchor[:] = 0.15 * world.severity

    def strike(world: World, rows: Rows, live: Any) -> None:
        rng, n = world.rng, len(live)
        mask = live & (rng.random(n) < world.severity)
        more = rng.uniform(0.8, 5, n)
        rows["te"][mask] += more[mask]
        rows["wait"][mask] += more[mask]
        rows["connect"][mask] += 0.3 * more[mask]
        away = mask & (rows["op"] != WEBHOOK) & (rng.random(n) < 0.25)
        hit(rows, away, "admit", "overload", 503)
        lost = mask & (rows["op"] != WEBHOOK) & (rng.random(n) < 0.2)
        hit(rows, lost, "wait", "http_response_timeout", took=world.timeout_s)

    world.strikes.append(strike)
    if surge:
        world.extra.append((4 * world.rate, lambda rows: None))


def store(domain: str, word: str, probe: float, wait_ms: float, took: float = 2.0) -> Fault:
    def strike(world: World) -> None:
        world.truth(domain)
        world.store, world.wait_ms = probe * world.severity, wait_ms * world.severity
        world.golden = (world.noise, world.noise)
        if word == "no_space":
            world.disk = 0.99

        def ends(world: World, rows: Rows, live: Any) -> None:
            mask = live & (world.rng.random(len(live)) < world.severity)
            rows["te"][mask & (rows["result"] == OK)] += 0.5
            failed = mask & (world.rng.random(len(mask)) < 0.85)
            hit(rows, failed, "persist", word, 200, pid=True, took=took)

        world.strikes.append(ends)

    return strike


def locked(world: World) -> None:
    store("our_database", "db_timeout", 0.6, 2_500, 5.0)(world)
    world.changed("migration", world.start - float(world.rng.uniform(1, 60)))


# our code and configuration


def retry_storm(world: World) -> None:
    provider, version = world.at_provider, world.newest
    world.truth("our_code", prov=provider)
    deployed(world, world.start - float(world.rng.uniform(1, 45)))
    world.golden = (0.8 * world.severity, 0.5 * world.severity)
    share = ([1.0], [0.85, 0.15], [0.6, 0.3, 0.1])[world.versions[provider] - 1][version]
    share *= 1.0 if world.providers == 1 else (0.65, 0.35)[provider]

    def repeats(rows: Rows) -> None:
        n = len(rows["ts"])
        rows["prov"][:], rows["ver"][:] = provider, version
        rows["repeat"][:] = world.rng.integers(1, 10, n)
        rows["cust"] = world.rng.integers(100, 100 + max(2, n // 8), n)

    world.extra.append((8 * world.rate * share, repeats))
    world.strikes.append(
        lambda world, rows, live: hit(
            rows, part(world, rows, live, prov=provider), "", "rate_limit", 429, pid=True
        )
    )


def wrong_address(world: World) -> None:
    stage, word, status = (
        ("dns", "dns_error", 0), ("connect", "connection_refused", 0),
        ("", "resource_missing", 404), ("tls", "tls_certificate_error", 0),
    )[int(world.rng.integers(0, 4))]  # fmt: skip
    plain("our_configuration", stage, word, status, took=0.1, where="prov")(world)


def short_timeout(world: World) -> None:
    provider = world.at_provider
    world.truth("our_configuration", prov=provider)
    world.golden = (0.6 * world.severity,) * 2
    limit = float(world.median_s[provider] * world.rng.uniform(0.7, 0.95))

    def strike(world: World, rows: Rows, live: Any) -> None:
        mask = part(world, rows, live & (rows["wait"] > limit), prov=provider)
        hit(rows, mask, "wait", "http_response_timeout", took=limit)

    world.strikes.append(strike)


# the provider


def field_removed(world: World) -> None:
    ops = (AUTHORIZE, CAPTURE, LOOKUP)
    count = world.versions[world.at_provider]
    if count > 1 and world.rng.random() < 0.3:  # only one installed version reads the lost field
        version = int(world.rng.integers(0, count))
        pointer = int(world.rng.choice([2, 3, 4]))
        name = ("", "/status", "/id", "/latest_charge", "/amount")[pointer]
        provider = world.at_provider
        world.truth("provider_changed", name, prov=provider, ver=version)
        world.golden = (world.severity, world.noise)
        world.strikes.append(
            lambda world, rows, live: hit(
                rows, part(world, rows, live, ops, prov=provider, ver=version), "", "decode", 200,
                pid=True, pointer=pointer,
            )
        )  # fmt: skip
    else:
        plain(
            "provider_changed", "", "decode", 200, pid=True, ops=ops, pointers=(1, 2, 3, 4),
            where="prov",
        )(world)  # fmt: skip


def other_meaning(world: World) -> None:
    """Declines come as 200 with an error inside, or approvals as a decline of no known reason."""
    provider = world.at_provider
    inside = world.rng.random() < 0.5
    world.truth("provider_changed", "/error/code" if inside else "", prov=provider)
    world.golden = (world.severity, world.severity) if world.sandbox_alike else None

    def strike(world: World, rows: Rows, live: Any) -> None:
        mask = part(world, rows, live, (AUTHORIZE,), prov=provider)
        if inside:
            some = (rows["result"] == DECLINED) | (world.rng.random(len(mask)) < 0.15)
            hit(rows, mask & some, "", "contract", 200, pid=True, pointer=6)
        else:
            approved = mask & (rows["result"] == OK)
            hit(rows, approved, "", "declined", 200, pid=True, result=DECLINED)
        hooks = live & (rows["op"] == WEBHOOK) & (rows["prov"] == provider)
        some = hooks & (world.rng.random(len(mask)) < 0.3 * world.severity)
        hit(rows, some, "webhook", "contradicted", 200)

    world.strikes.append(strike)


def sunset(world: World) -> None:
    provider = world.at_provider
    world.truth("provider_changed", prov=provider, ver=0)
    several = world.versions[provider] > 1
    world.golden = (world.severity, world.noise if several else world.severity)
    word = str(world.rng.choice(["resource_missing", "status"]))
    world.strikes.append(
        lambda world, rows, live: hit(
            rows, part(world, rows, live, prov=provider, ver=0), "", word, 410, pid=True
        )
    )


def one_operation(world: World) -> None:
    op = int(world.rng.choice([CAPTURE, CAPTURE, REFUND, AUTHORIZE]))
    plain("provider_down", "", "status", 500, pid=True, ops=(op,), where="prov")(world)


def slower(draw: Callable[[World, int], Any]) -> Fault:
    def fault(world: World) -> None:
        provider = world.at_provider
        world.truth("provider_slow", prov=provider)
        world.golden = (0.5 * world.severity,) * 2

        def strike(world: World, rows: Rows, live: Any) -> None:
            more = draw(world, len(live))
            mask = live & (rows["op"] != WEBHOOK) & (rows["prov"] == provider) & (more > 0)
            mask = mask & ~np.isnan(rows["wait"])
            rows["wait"][mask] += more[mask]
            rows["te"][mask] += more[mask]
            lost = mask & (rows["wait"] > world.timeout_s)
            hit(rows, lost, "wait", "http_response_timeout", took=world.timeout_s)

        world.strikes.append(strike)

    return fault


def _all_slow(world: World, n: int) -> Any:
    return (world.rng.random(n) < world.severity) * world.rng.uniform(3, 9, n)


def _tail_slow(world: World, n: int) -> Any:
    some = world.rng.random(n) < 0.05 + 0.3 * world.severity
    return some * np.exp(world.rng.normal(0.6, 0.7, n))


# banks and callers


def declining(field: str, words: str, most: int) -> Fault:
    def fault(world: World) -> None:
        value = int(world.rng.integers(0, most))
        world.truth("issuer", "", **{field: value})
        world.golden = (world.noise, world.noise)
        places = [WORD[word] for word in words.split()]

        def strike(world: World, rows: Rows, live: Any) -> None:
            approved = live & (rows["result"] == OK)
            mask = part(world, rows, approved, (AUTHORIZE,), **{field: value})
            drawn = world.rng.choice(places, len(mask))
            hit(rows, mask, "", drawn, 402, pid=True, result=DECLINED)

        world.strikes.append(strike)

    return fault


def card_testing(world: World) -> None:
    account, one = int(world.rng.integers(0, 3)), world.rng.random() < 0.5
    world.truth("bad_traffic", "", **({"acct": account} if one else {}))
    world.golden = (world.noise, world.noise)

    def typed(rows: Rows) -> None:
        n = len(rows["ts"])
        rows["small"][:], rows["crowd"][:], rows["cur"][:] = 1, 1, 0
        rows["cust"] = 5_000_000 + world.rng.integers(0, 6, n)
        if one:
            rows["acct"][:] = account

    rate = max(1.0, 20 * world.severity) if world.rate >= 2 else 4 * world.severity + 0.5
    world.extra.append((rate, typed))
    places = [WORD[w] for w in ("incorrect_details", "incorrect_security_code", "do_not_honor")]

    def strike(world: World, rows: Rows, live: Any) -> None:
        mask = live & (rows["op"] == AUTHORIZE) & (rows["cust"] >= 5_000_000)
        mask = mask & (world.rng.random(len(mask)) < 0.85)
        drawn = world.rng.choice(places, len(mask), p=[0.6, 0.25, 0.15])
        hit(rows, mask, "", drawn, 402, pid=True, result=DECLINED)

    world.strikes.append(strike)


def garbage(world: World) -> None:
    account = int(world.rng.integers(0, 3))
    world.truth("bad_traffic", acct=account)
    world.golden = (world.noise, world.noise)
    word = str(world.rng.choice(["parameter_invalid", "parameter_missing"]))
    world.strikes.append(
        lambda world, rows, live: hit(
            rows, part(world, rows, live, (AUTHORIZE, CAPTURE), acct=account), "", word, 400,
            pid=True,
        )
    )  # fmt: skip
    world.extra.append((0.5 * world.rate, lambda rows: rows["acct"].fill(account)))


# two at once, and none


def innocent_canary(world: World) -> None:
    if world.versions[world.at_provider] == 1:
        world.versions[world.at_provider] = 2
    plain(
        "provider_changed", "", "decode", 200, pid=True, ops=(AUTHORIZE, CAPTURE, LOOKUP),
        pointers=(1, 2, 3, 4), where="prov",
    )(world)  # fmt: skip
    deployed(world, world.start - 20, 1.0)


def lock_and_slow(world: World) -> None:
    locked(world)
    slower(_all_slow)(world)


def nothing(world: World) -> None:
    pass


def flash_sale(world: World) -> None:
    world.extra.append((3 * world.rate, lambda rows: None))


def innocent_deploy(world: World) -> None:
    deployed(world, world.start, 1.0)


def maintenance(world: World) -> None:
    world.changed("announced", world.start - 60, 1.0, provider=f"p{world.at_provider}")

    def strike(world: World, rows: Rows, live: Any) -> None:
        rows["wait"][live] *= 1.1

    world.strikes.append(strike)


def mistyping(world: World) -> None:
    def strike(world: World, rows: Rows, live: Any) -> None:
        mask = live & (rows["op"] == AUTHORIZE) & (rows["result"] == OK)
        some = mask & (world.rng.random(len(mask)) < 0.03)
        hit(rows, some, "", "incorrect_details", 402, pid=True, result=DECLINED)

    world.strikes.append(strike)


FAULTS: Final[dict[str, Fault]] = {
    "F01": plain("our_infrastructure", "dns", "dns_timeout", took=5.0, egress=True),
    "F03": one_host,
    "F04": packet_loss,
    "F05": trust_store,
    "F06": plain("provider_down", "tls", "tls_certificate_error", took=0.1, where="prov"),
    "F07": lambda world: stall(world, surge=False),
    "F09": with_deploy(
        plain("our_code", "build", "build_error", took=0.01, golden="new", where="prov ver")
    ),
    "F10": with_deploy(
        plain(
            "our_code", "", "parameter_invalid parameter_missing", 400, pid=True,
            ops=(AUTHORIZE, CAPTURE), golden="new", where="prov ver",
        )
    ),
    "F11": retry_storm,
    "F13": with_settings(wrong_address),
    "F14": with_settings(plain("our_configuration", "", "http_401", 401, pid=True, where="prov")),
    "F15": with_settings(short_timeout),
    "F16": store("our_database", "db_unavailable", 1, 3_000),
    "F17": locked,
    "F19": store("our_infrastructure", "no_space", 1, 60, 0.1),
    "F20": field_removed,
    "F21": plain(
        "provider_changed", "", "parameter_missing", 400, pid=True, ops=(AUTHORIZE, CAPTURE),
        where="prov",
    ),
    "F22": plain(
        "provider_changed", "", "decode", 200, pid=True, ops=(AUTHORIZE, CAPTURE, LOOKUP),
        pointers=(2, 4, 5), where="prov",
    ),
    "F23": plain(
        "provider_changed", "", "contract", 200, pid=True, ops=(AUTHORIZE, LOOKUP), pointers=(1,),
        where="prov",
    ),
    "F24": other_meaning,
    "F25": sunset,
    "F26": plain(
        "provider_changed", "webhook", "bad_signature", 0, ops=(WEBHOOK,), golden="none",
        where="prov",
    ),
    "F28": plain("provider_down", "", "status", 503, pid=True, where="prov"),
    "F29": one_operation,
    "F31": slower(_all_slow),
    "F32": slower(_tail_slow),
    "F33": plain("provider_down", "read", "http_response_incomplete", 200, where="prov"),
    "F34": plain("provider_limited", "", "rate_limit", 429, pid=True, where="prov"),
    "F36": declining("iss", "try_again_later try_again_later do_not_honor", 6),
    "F37": declining("brand", "try_again_later do_not_honor", 3),
    "F39": card_testing,
    "F40": garbage,
    "F41": lambda world: stall(world, surge=True),
}  # fmt: skip
TOGETHER: Final[dict[str, Fault]] = {"C1": innocent_canary, "C4": lock_and_slow}
QUIET: Final[dict[str, Fault]] = {
    "N1 nothing": nothing, "N2 quiet night": nothing, "N3 new optional field": nothing,
    "N4 reordered fields": nothing, "N5 longer ids": nothing, "N6 new webhook": nothing,
    "N7 flash sale": flash_sale, "N8 innocent deploy": innocent_deploy,
    "N9 maintenance": maintenance, "N10 mistyping": mistyping,
}  # fmt: skip
"""N3 to N6 leave counts as they are: what changed is not read."""
