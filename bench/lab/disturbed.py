"""Streams of payments as batches of counts, with a disturbance that starts at a known second.

Everything is drawn by seed. A world has providers, versions, hosts, accounts and banks, its own
noise, short blips, innocent changes near the onset, and values that are unknown in some worlds.
What the attributor gets is what the product's collector would write; the truth stays here.
"""

import math
import zlib
from collections.abc import Callable
from typing import Any, Final, NamedTuple

import numpy as np

from tollkeeper.signals.counts import (
    Change,
)

type Rows = dict[str, Any]
type Strike = Callable[["World", Rows, Any], None]

OPERATIONS: Final = ("authorize", "capture", "refund", "lookup", "webhook")
AUTHORIZE, CAPTURE, REFUND, LOOKUP, WEBHOOK = range(5)
OK, DECLINED, FAILED = 0, 1, 2
RESULTS: Final = ("ok", "declined", "failed")
STAGES: Final = (
    "", "build", "admit", "dns", "connect", "tls", "send", "wait", "read", "persist", "webhook",
)  # fmt: skip
WORDS: Final = (
    "", "build_error", "overload", "dns_timeout", "dns_error", "connection_timeout",
    "connection_refused", "connection_terminated", "tls_certificate_error",
    "http_response_timeout", "http_response_incomplete", "status", "decode", "contract",
    "mismatch", "rate_limit", "http_401", "http_403", "resource_missing", "parameter_missing",
    "parameter_invalid", "db_unavailable", "db_timeout", "no_space", "bad_signature",
    "contradicted", "insufficient_funds", "do_not_honor", "try_again_later", "incorrect_details",
    "incorrect_security_code", "declined", "authentication_required", "limit_exceeded",
    "authentication_failed", "too_many_files", "in_use", "http_407",
)  # fmt: skip
STAGE: Final = {name: place for place, name in enumerate(STAGES)}
WORD: Final = {name: place for place, name in enumerate(WORDS)}
POINTERS: Final = ("", "/status", "/id", "/latest_charge", "/amount", "/created", "/error/code")
ISSUERS, ACCOUNTS, BRANDS, COUNTRIES, CURRENCIES = 12, 3, 4, 3, 3
LASTS_S: Final = {0.5: 600, 2.0: 240, 20.0: 120}
"""Seconds that a disturbance lasts, by payments a second (ATTRIBUTION.md)."""

WINDOW_S: Final = 300
FLOATS: Final = frozenset({"ts", "te", "connect", "tls", "wait"})
FIELDS: Final = (
    "ts", "te", "connect", "tls", "wait", "op", "prov", "ver", "host", "acct", "cur", "ctry",
    "brand", "iss", "cust", "small", "crowd", "repeat", "result", "stage", "word", "status", "pid",
    "ptr", "settings",
)  # fmt: skip


class Truth(NamedTuple):
    """What is so, and the attributor must find out."""

    domain: str
    slice: dict[str, str]
    pointer: str = ""


class World:
    """One installation and what happens to it."""

    def __init__(
        self, name: str, rate: float, severity: float, seed: int, lasts: float | None = None,
        warm: float | None = None,
    ) -> None:  # fmt: skip
        self.name, self.rate, self.severity = name, rate, severity
        self.rng = rng = np.random.default_rng(
            zlib.crc32(f"{name} {rate} {severity} {seed}".encode())
        )
        self.providers, self.hosts = int(rng.integers(1, 3)), int(rng.integers(1, 4))
        self.versions = [int(rng.integers(1, 4)) for _ in range(2)]
        self.noise = float(np.exp(rng.uniform(math.log(0.001), math.log(0.02))))
        self.declines = float(rng.uniform(0.05, 0.15))
        self.bank_declines = self.declines * rng.uniform(0.5, 1.7, ISSUERS)
        self.median_s = rng.uniform(0.2, 0.6, 2)
        self.timeout_s = float(rng.choice([8.0, 10.0, 15.0]))
        self.warm = float(rng.uniform(60, 600)) if warm is None else warm
        self.lasts = float(LASTS_S.get(rate, 240)) if lasts is None else lasts
        self.start = math.floor(self.warm) + float(rng.uniform(0, 1))
        self.end = self.start + self.lasts
        self.at_provider = int(rng.integers(0, self.providers))
        self.truths: list[Truth] = []
        self.strikes: list[Strike] = []
        self.extra: list[tuple[float, Callable[[Rows], None]]] = []
        self.changes: list[Change] = []
        self.new_settings: list[float] = []
        self.anchor = np.zeros(3)
        self.store = self.second = self.lag_ms = self.wait_ms = 0.0
        self.disk, self.descriptors, self.clock_ms = 0.5, 0.2, 0.0
        self.lag_host: int | None = None
        self.golden: tuple[float, float] | None = None
        self._unknown()

    def _unknown(self) -> None:
        rng = self.rng
        self.sandbox_alike = bool(rng.random() < 0.8)
        self.knows_ids, self.knows_phases = rng.random() < 0.9, rng.random() < 0.95
        self.knows_issuer, self.knows_country = rng.random() < 0.9, rng.random() < 0.9
        self.knows_settings = rng.random() < 0.95
        self.blips = [
            (t, float(rng.uniform(0.5, 3)), float(rng.uniform(0.1, 0.5)),
             int(rng.integers(-1, self.providers)))
            for t in np.sort(rng.uniform(0, self.end, rng.poisson(self.end / 900)))
        ]  # fmt: skip

    @property
    def newest(self) -> int:
        """The newest version of the provider that is hit."""
        return self.versions[self.at_provider] - 1

    def truth(self, domain: str, pointer: str = "", **slice_: int) -> None:
        """Notes the truth, without dimensions that have one value here."""
        counts = {
            "prov": self.providers, "ver": self.versions[self.at_provider], "host": self.hosts,
        }  # fmt: skip
        known = {"iss": self.knows_issuer, "ctry": self.knows_country}
        kept = {
            NAMES[name]: self.named(name, value, slice_.get("prov", self.at_provider))
            for name, value in slice_.items()
            if counts.get(name, 9) > 1 and known.get(name, True)
        }
        self.truths.append(Truth(domain, kept, pointer))

    def named(self, field: str, value: int, provider: int = 0) -> str:
        """A value of a field as cells show it."""
        if field == "ver":
            return f"p{provider}@{value}"
        return OPERATIONS[value] if field == "op" else f"{LETTERS[field]}{value}"

    def changed(self, kind: Any, at: float, recorded: float = 0.9, **radius: Any) -> None:
        """A change of ours, which is recorded with this chance."""
        if self.rng.random() < recorded:
            self.changes.append(Change(at_ms=int(at * 1000), kind=kind, text="", **radius))

    def settings_changed(self, at: float) -> None:
        """The fingerprint of the settings in force is another one from this second on."""
        self.new_settings.append(at)

    def innocent(self) -> None:
        """Our own innocent changes close to the onset, in 40 % of worlds."""
        rng = self.rng
        for _ in range(int(rng.choice([0, 0, 0, 1, 2]))):
            kind = str(rng.choice(["deploy", "deploy", "settings", "migration", "infrastructure"]))
            at = self.start - float(rng.uniform(-5, 420))
            provider = int(rng.integers(0, self.providers))
            version = int(rng.integers(0, self.versions[provider]))
            radius: dict[str, dict[str, str]] = {
                "deploy": {"provider": f"p{provider}", "integration": f"p{provider}@{version}"},
                "settings": {"provider": f"p{provider}"},
                "infrastructure": {"host": f"h{rng.integers(0, self.hosts)}"},
            }
            self.changed(kind, at, 1.0, **radius.get(kind, {}))
            if kind == "settings":
                self.settings_changed(at)
        if rng.random() < 0.05:
            self.changed("status_feed", self.start - float(rng.uniform(0, 600)), 1.0, provider="p0")


NAMES: Final = {
    "prov": "provider", "ver": "integration", "op": "operation", "host": "host", "acct": "account",
    "cur": "currency", "ctry": "country", "brand": "method", "iss": "issuer",
}  # fmt: skip
LETTERS: Final = {
    "prov": "p", "host": "h", "acct": "a", "cur": "c", "ctry": "l", "brand": "b", "iss": "i",
}  # fmt: skip


# rows


def fresh(world: World, ts: Any, op: int) -> Rows:
    """Payments that start at these moments, spread over the world."""
    rng, n = world.rng, len(ts)
    rows: Rows = {f: np.zeros(n, float if f in FLOATS else np.int64) for f in FIELDS}
    rows["ts"], rows["op"][:] = np.asarray(ts, float), op
    shares = [1.0] if world.providers == 1 else [0.65, 0.35]
    rows["prov"] = rng.choice(world.providers, n, p=shares)
    for provider in range(world.providers):
        here = rows["prov"] == provider
        weights = ([1.0], [0.85, 0.15], [0.6, 0.3, 0.1])[world.versions[provider] - 1]
        rows["ver"][here] = rng.choice(len(weights), here.sum(), p=weights)
    banks = 1 / np.arange(1, ISSUERS + 1) ** 0.8
    for field, count, weights in (
        ("acct", ACCOUNTS, [0.5, 0.3, 0.2]), ("cur", CURRENCIES, [0.6, 0.3, 0.1]),
        ("ctry", COUNTRIES, [0.5, 0.3, 0.2]), ("brand", BRANDS, [0.5, 0.3, 0.1, 0.1]),
        ("iss", ISSUERS, list(banks / banks.sum())),
    ):  # fmt: skip
        rows[field] = rng.choice(count, n, p=weights)
    rows["host"] = rng.integers(0, world.hosts, n)
    busy = rng.random(n) < 0.03
    rows["cust"] = np.where(busy, rng.integers(0, 20, n), rng.integers(100, 2_000_000, n))
    rows["small"] = (rng.random(n) < 0.1).astype(np.int64)
    return rows


def hit(  # noqa: PLR0913 - the ways in which an attempt can end are many
    rows: Rows, mask: Any, stage: str = "", word: Any = "", status: int = 0, *, pid: bool = False,
    took: Any = None, result: int = FAILED, pointer: int = 0,
) -> None:  # fmt: skip
    """Ends the masked rows so. `word` is one, or places of `WORDS`; `took` in seconds."""
    rows["stage"][mask], rows["status"][mask] = STAGE[stage], status
    rows["word"][mask] = WORD[word] if isinstance(word, str) else word[mask]
    rows["pid"][mask], rows["result"][mask], rows["ptr"][mask] = int(pid), result, pointer
    if took is not None:
        rows["te"][mask] = rows["ts"][mask] + (took if np.isscalar(took) else took[mask])
    if stage not in {"", "read", "persist", "webhook"}:
        rows["wait"][mask] = np.nan


NOISE: Final = (
    (0.38, "wait", "http_response_timeout", 0, False, None),
    (0.25, "", "status", 500, True, -1.0),
    (0.12, "send", "connection_terminated", 0, False, 0.2),
    (0.08, "connect", "connection_timeout", 0, False, 3.0),
    (0.05, "persist", "db_timeout", 200, True, 1.0),
    (0.07, "", "parameter_invalid", 400, True, -1.0),
    (0.0496, "", "rate_limit", 429, True, -1.0),
    (0.0004, "", "decode", 200, True, -1.0),
)  # fmt: skip
"""What usual failures are (ATTRIBUTION.md's program): share, stage, word, status, whether the
provider answered, and how long it takes (none: until the timeout, -1: as long as a reply)."""

DECLINES: Final = (
    ("insufficient_funds", 0.42), ("do_not_honor", 0.30), ("try_again_later", 0.03),
    ("incorrect_details", 0.08), ("incorrect_security_code", 0.07),
    ("authentication_required", 0.10),
)  # fmt: skip


def happen(world: World, rows: Rows, *, noise: float, declines: Any) -> None:
    """Lets rows take their usual course: durations, declines, noise and blips."""
    rng, n = world.rng, len(rows["ts"])
    pace = np.array([1, 0.8, 0.9, 0.5, 0.1])[rows["op"]]
    rows["wait"] = world.median_s[rows["prov"]] * pace * np.exp(rng.normal(0, 0.45, n))
    made = rng.random(n) < 0.3
    rows["connect"] = np.where(made, 0.015 * np.exp(rng.normal(0, 0.5, n)), np.nan)
    rows["tls"] = np.where(made, 0.03 * np.exp(rng.normal(0, 0.5, n)), np.nan)
    rows["status"][:], rows["pid"][:] = 200, 1
    rows["te"] = rows["ts"] + rows["wait"]
    declined = (rows["op"] == AUTHORIZE) & (rng.random(n) < declines[rows["iss"]])
    words = rng.choice([WORD[w] for w, _ in DECLINES], n, p=[p for _, p in DECLINES])
    hit(rows, declined, "", words, 402, pid=True, result=DECLINED)
    sent = rows["op"] != WEBHOOK
    chance = np.where(sent, noise, noise * 0.2)
    for at, lasts, share, provider in world.blips:
        inside = (rows["ts"] >= at) & (rows["ts"] < at + lasts)
        if provider >= 0:
            inside &= rows["prov"] == provider
        chance = np.where(inside, np.maximum(chance, share), chance)
    failed = rng.random(n) < chance
    kind = rng.choice(len(NOISE), n, p=[one[0] for one in NOISE])
    for place, (_, stage, word, status, pid, took) in enumerate(NOISE):
        lasts_s = world.timeout_s if took is None else None if took < 0 else took
        hit(rows, failed & sent & (kind == place), stage, word, status, pid=pid, took=lasts_s)
    hit(rows, failed & ~sent, "webhook", "bad_signature", 0)


def taken(rows: Rows, mask: Any) -> Rows:
    return {field: rows[field][mask] for field in FIELDS}


def joined(parts: list[Rows]) -> Rows:
    return {field: np.concatenate([part[field] for part in parts]) for field in FIELDS}


def again(rows: Rows, mask: Any) -> Rows:
    """A fresh start of masked rows."""
    made = taken(rows, mask)
    for field in ("stage", "word", "ptr", "result"):
        made[field][:] = 0
    return made


def stream(world: World) -> Rows:
    """All rows of a world, by the second in which they end."""
    rng = world.rng
    ticks = np.arange(int(world.end) + 31)
    sway = 1 + 0.15 * np.sin(ticks / 900 + rng.uniform(0, 6))
    minutes = np.repeat(np.exp(rng.normal(0, 0.1, len(ticks) // 60 + 1)), 60)[: len(ticks)]
    ts = np.repeat(ticks, rng.poisson(world.rate * sway * minutes)) + 0.0
    ts = ts + rng.random(len(ts))
    parts = [fresh(world, ts, AUTHORIZE)]
    for op, share in ((CAPTURE, 0.25), (REFUND, 0.04), (LOOKUP, 0.10)):
        some = rng.random(len(ts)) < share
        parts.append(fresh(world, ts[some] + rng.uniform(1, 6, some.sum()), op))
    for rate, change in world.extra:
        count = rng.poisson(rate * world.lasts)
        more = fresh(world, rng.uniform(world.start, world.end, count), AUTHORIZE)
        change(more)
        parts.append(more)
    rows = played(world, joined(parts))
    done = [rows]
    for chance, low, high in ((0.5, 0.5, 1.5), (0.25, 8, 40)):
        retried = (rows["result"] == FAILED) & (rng.random(len(rows["ts"])) < chance)
        more = again(rows, retried)
        more["ts"] = more["te"] + rng.uniform(low, high, len(more["te"]))
        more["repeat"] += high < 8
        done.append(played(world, more))
    rows = joined(done)
    paid = (rows["op"] == AUTHORIZE) & (rows["result"] == OK) & (rng.random(len(rows["ts"])) < 0.95)
    hooks = again(rows, paid)
    hooks["ts"] = hooks["te"] + rng.uniform(0.5, 4, len(hooks["te"]))
    hooks["op"][:], hooks["repeat"][:] = WEBHOOK, 0
    hooks = played(world, hooks)
    rows = joined([rows, taken(hooks, hooks["status"] >= 0)])  # -1 marks one that never came
    return taken(rows, (rows["ts"] >= 0) & (rows["te"] < world.end + 30))


def played(world: World, rows: Rows) -> Rows:
    """Rows after their usual course and what strikes them."""
    happen(world, rows, noise=world.noise, declines=world.bank_declines)
    for strike in world.strikes:
        strike(world, rows, (rows["ts"] >= world.start) & (rows["ts"] < world.end))
    rows["settings"] = sum(
        ((rows["ts"] >= at).astype(np.int64) for at in world.new_settings),
        np.zeros(len(rows["ts"]), np.int64),
    )
    if not world.knows_phases:
        rows["connect"][:], rows["tls"][:] = np.nan, np.nan
    if not world.knows_ids:
        rows["pid"][:] = 0
    return rows
