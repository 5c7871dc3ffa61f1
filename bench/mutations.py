"""The contract checker against planted changes: does it find every break, and nothing else?

`./dev bench mutations` plants breaking changes and neutral twins into real descriptions
(TOLLKEEPER_DATA, else ../shared/data beside the repository), at places that a usage names and at
places that it does not, and counts what the checker says. `--tools FOLDER` puts other tools,
installed there with npm, beside it. `--seed N` is a held-out run: it draws other texts, usages and
places than those that the checker was developed with.
"""

import json
import os
import random
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Annotated, Any

import cyclopts
import msgspec
from mutating import ids, neutral, reading, sending, tools, whole
from mutating.kinds import Kind
from mutating.places import (
    Site,
    Spot,
    body_of,
    find,
    members_below,
    operation_at,
    required_below,
)

from tollkeeper.contracts.description import Description
from tollkeeper.contracts.finding import ORDER, Finding
from tollkeeper.contracts.usage import OperationUsage, Usage, read_usage
from tollkeeper.contracts.verdict import check
from tollkeeper.kernel.errors import Invalid

ROOT = Path(__file__).parent.parent
HOME = Path(os.environ.get("TOLLKEEPER_DATA") or ROOT.parent / "shared" / "data")
HISTORY = HOME / "provider-history"
BASES = {
    "stripe": ("stripe-spec/2022-11-15@2023-08-11", "stripe.card-basic"),
    "adyen": ("adyen-checkout/v71", "adyen.card"),
    "adyen webhooks": ("adyen-webhooks/v1@2024-03-06", "adyen.webhooks"),
    "square": ("square/2024-12-18", "square.card"),
    "paypal": ("paypal-orders/v2@2023-12-07", "paypal.checkout"),
    "paddle": ("paddle/v1@2025-02-03", ""),
}
"""Each provider's text and the usage file that is asked; without one, a usage is drawn."""

LARGE = "stripe"
"""Its text takes Optic more than a minute."""

FAMILIES = {
    "stripe": ("stripe-spec", ("stripe.card-basic", "stripe.charges-reader",
                               "stripe.strict-enums", "stripe.card-basic-pre2022")),
    "adyen": ("adyen-checkout", ("adyen.card", "adyen.sessions", "")),
    "adyen webhooks": ("adyen-webhooks", ("adyen.webhooks", "")),
    "square": ("square", ("square.card", "")),
    "paypal": ("paypal-orders", ("paypal.checkout", "")),
    "paypal payments": ("paypal-payments", ("",)),
    "paddle": ("paddle", ("",)),
}  # fmt: skip
"""Where a held-out run draws each text and its usage from; an empty usage is drawn as well."""

BREAKING = reading.BREAKING | sending.BREAKING | whole.BREAKING | ids.BREAKING
NEUTRAL = neutral.NEUTRAL | ids.NEUTRAL


class Base(msgspec.Struct, frozen=True):
    """A real description, a usage that fits it, and the sites that mutations may touch."""

    name: str
    text: bytes
    usage: Usage
    sites: dict[str, list[Site]]


class Mutant(msgspec.Struct, frozen=True):
    """One planted change."""

    base: str
    kind: str
    site: Site
    least: str
    document: dict[str, Any]


def bases(seed: int) -> dict[str, tuple[str, str]]:
    """The texts and usages of a run: the usual ones, or those that a seed draws."""
    if not seed:
        return BASES
    chance = random.Random(seed)
    found = {}
    for name, (series, usages) in FAMILIES.items():
        texts = sorted((HISTORY / "descriptions" / series).glob("*.json"))
        texts = [t for t in texts if b'"openapi"' in t.read_bytes()]  # kinds are of OpenAPI 3
        chosen = f"{series}/{chance.choice(texts).name.removesuffix('.json')}"
        found[name] = (chosen, chance.choice(usages))
    return found


def read_base(name: str, path: str, usage_name: str, seed: int) -> Base:
    """The base with its usage made sharper: words, duties and failures from the text itself."""
    text = (HISTORY / "descriptions" / f"{path}.json").read_bytes()
    document = msgspec.json.decode(text)
    if usage_name:
        given = read_usage((HISTORY / "usage" / f"{usage_name}.json").read_bytes())
        present = {
            n: o for n, o in given.operations.items() if operation_at(document, n) is not None
        }
        usage = msgspec.structs.replace(given, operations=present)
    else:
        usage = Usage(name=name, operations=_drawn(document, seed), provider=name)
    sharper = {n: _sharper(document, n, o) for n, o in usage.operations.items()}
    usage = msgspec.structs.replace(usage, operations=sharper)
    return Base(name, text, usage, _sites(text, usage))


def _names(document: Any) -> list[str]:
    return Description(document).operations()


def _drawn(document: Any, seed: int) -> dict[str, OperationUsage]:
    """A usage of five operations (the first, or those that a seed draws): every third member is
    read, every fourth is sent."""
    found = {}
    names = [n for n in _names(document) if operation_at(document, n) is not None]
    if seed:
        random.Random(seed).shuffle(names)
    for name in names[:5]:
        operation = operation_at(document, name)
        if operation is None:
            continue
        paths: dict[str, tuple[str, ...]] = {"send": ()}
        body: Any = None
        # of a webhook, what it brings is read, and nothing is sent
        hook = "webhook:" in name
        for direction, step in (("hook", 3),) if hook else (("read", 3), ("send", 4)):
            body = body_of(document, operation, direction)
            below = members_below(document, body, first=direction == "send") if body else ()
            listed = list(dict.fromkeys(below))
            paths["read" if hook else direction] = tuple(listed[::step][:25])
        # A request that lacks what is required anywhere in it is not an ordinary one.
        required = [] if hook else list(required_below(document, body or {}, paths["send"]))
        found[name] = OperationUsage(
            read=paths["read"], send=tuple(dict.fromkeys((*paths["send"], *required)))
        )
    return found


def _sharper(document: Any, name: str, used: OperationUsage) -> OperationUsage:
    """The usage with the words that its text has, and failures where they are described."""
    direction = "hook" if "webhook:" in name else "read"
    known, nonnull, values = dict(used.exhaustive), list(used.nonnull), dict(used.values)
    for path in used.read:
        spot = find(document, Site(operation=name, direction=direction, path=path, used=True))
        if spot is None:
            continue
        if reading.words(spot) and path not in known:
            known[path] = tuple(dict.fromkeys(w for m in spot.members() for w in m["enum"]))
        if "." not in path and spot.name in spot.holders[0].get("required", []):
            nonnull.append(path)
    for path in used.send:
        spot = find(document, Site(operation=name, direction="send", path=path, used=True))
        if spot is not None and reading.words(spot) and path not in values:
            values[path] = tuple(spot.members()[0]["enum"][:2])
    operation = operation_at(document, name)
    body = body_of(document, operation, "error") if operation is not None else None
    listed = members_below(document, body) if body else []
    errors = used.errors or tuple(dict.fromkeys(listed))[:4]
    return msgspec.structs.replace(
        used, exhaustive=known, nonnull=tuple(dict.fromkeys(nonnull)), values=values,
        errors=errors,
    )  # fmt: skip


def _sites(text: bytes, usage: Usage) -> dict[str, list[Site]]:
    """Sites by `read`, `send` and `operation`, used and unused, each findable in the text."""
    sites: dict[str, list[Site]] = {"read": [], "send": [], "operation": []}
    document = msgspec.json.decode(text)
    for name, used in usage.operations.items():
        sends = any(":" not in p for p in used.send)
        sites["operation"].append(
            Site(operation=name, direction="send", path="", used=True, sends=sends)
        )
        reads = "hook" if "webhook:" in name else "read"
        for direction, paths in ((reads, used.read), ("error", used.errors), ("send", used.send)):
            at = "send" if direction == "send" else "read"
            sites[at] += _used(text, name, direction, paths, used)
            if direction == reads or (direction == "send" and "webhook:" not in name):
                sites[at] += _unused(
                    document, name, direction, (*paths, *used.nonnull, *used.exhaustive)
                )
    others = [n for n in _names(document) if n not in usage.operations]
    known = {operation_id(document, n) for n in usage.operations}
    sites["operation"] += [
        Site(operation=n, direction="send", path="", used=False, sends=True)
        for n in others
        if operation_at(document, n) is not None and operation_id(document, n) not in known
    ]
    return sites


def operation_id(document: Any, name: str) -> int:
    """Which operation of the text a name means: a path may have two names, with and without the
    server's prefix."""
    return id(operation_at(document, name) or object())


def _used(
    text: bytes, name: str, direction: str, paths: tuple[str, ...], used: OperationUsage
) -> list[Site]:
    found = [
        Site(
            operation=name,
            direction=direction,
            path=p,
            used=True,
            granted=p in used.nonnull,
            longest=used.lengths.get(p),
        )
        for p in paths
        if ":" not in p
    ]
    return [site for site in found if find(msgspec.json.decode(text), site) is not None]


def _unused(document: Any, name: str, direction: str, paths: tuple[str, ...]) -> list[Site]:
    operation = operation_at(document, name)
    body = body_of(document, operation, direction) if operation is not None else None
    below = dict.fromkeys(members_below(document, body)) if body else {}
    return [
        Site(operation=name, direction=direction, path=path, used=False)
        for path in below
        if not any(_related(path, used) for used in paths)
    ]


def _related(one: str, two: str) -> bool:
    """Whether a path is the other, or leads through it."""
    return any(a == b or b.startswith((f"{a}.", f"{a}[")) for a, b in ((one, two), (two, one)))


def mutants(base: Base, kind: Kind, count: int, seed: int, *, used: bool) -> list[Mutant]:
    """Up to `count` mutants of one kind, at sites drawn evenly by a seed of their own."""
    chance = random.Random(f"{base.name}/{kind.name}/{used}" + (f"/{seed}" if seed else ""))
    at = "operation" if kind.unused == "operation" and not used else kind.at
    sites = [s for s in base.sites[at] if s.used is used]
    chance.shuffle(sites)
    made: list[Mutant] = []
    for site in sites[: count * 8]:
        if len(made) == count:
            break
        document = msgspec.json.decode(base.text)
        spot = find(document, site)
        if spot is not None and _fits(spot) and kind.change(spot):
            least = kind.least if used or kind.least == "neutral" else "neutral"
            made.append(Mutant(base.name, kind.name, site, least, document))
    return made


def _fits(spot: Spot) -> bool:
    return spot.site.path == "" or bool(spot.holders)


def verdict(base: Base, mutant: Mutant) -> tuple[str, list[Finding]]:
    """`right`, `missed`, `too mild` or `false alarm`, and the findings that are not standing."""
    try:
        result = check(
            base.usage, Description(mutant.document), Description(msgspec.json.decode(base.text))
        )
    except Invalid:
        return "refused", []
    found = [f for f in result.findings if not f.standing]
    if mutant.least == "neutral":
        return ("false alarm" if [f for f in found if f.severity != "harmless"] else "right"), found
    about = [f for f in found if _concerns(f, mutant.site)]
    if not [f for f in about if f.severity != "harmless"]:
        return "missed", found
    enough = any(ORDER[f.severity] <= ORDER[mutant.least] for f in about)
    return ("right" if enough else "too mild"), found


def _concerns(finding: Finding, site: Site) -> bool:
    if finding.operations and site.operation not in finding.operations:
        return False
    return site.path == "" or finding.path == "" or _beside(finding.path, site.path)


def _beside(one: str, two: str) -> bool:
    """Related, or two members of one object (a new duty stands beside what is sent)."""
    return _related(one, two) or one.rpartition(".")[0] == two.rpartition(".")[0]


def measure(count: int, only: str, seed: int) -> dict[str, Any]:
    """Every kind at every base."""
    counts: Counter[str] = Counter()
    by_base: Counter[str] = Counter()
    kinds: dict[str, Counter[str]] = {}
    wrong: list[dict[str, Any]] = []
    sample: list[tuple[Base, Mutant]] = []
    began = time.perf_counter()
    for name, (path, usage_name) in bases(seed).items():
        base = read_base(name, path, usage_name, seed)
        for kind in (*BREAKING.values(), *NEUTRAL.values()):
            if only and only not in kind.name:
                continue
            for used in (True, False):
                if not used and (kind.unused == "nowhere" or kind.least == "neutral"):
                    continue
                made = mutants(base, kind, count, seed, used=used)
                for number, mutant in enumerate(made):
                    said, found = verdict(base, mutant)
                    group = _group(kind, used=used)
                    counts[f"{group}: {said}"] += 1
                    by_base[name] += 1
                    kinds.setdefault(kind.name, Counter())[f"{group}: {said}"] += 1
                    if number == 0:
                        sample.append((base, mutant))
                    if said != "right":
                        wrong.append(_told(mutant, said, found))
        told = f"{path}, {usage_name or 'a drawn usage'}"
        print(f"  {name} ({told}): {by_base[name]} mutants", file=sys.stderr)
    return {
        "kinds": {"breaking": len(BREAKING), "neutral": len(NEUTRAL)},
        "planted": {k: sum(v.values()) for k, v in kinds.items()},
        "never": [k for k in (*BREAKING, *NEUTRAL) if k not in kinds and only in k],
        "mutants": sum(by_base.values()),
        "by_base": dict(by_base),
        "verdicts": dict(sorted(counts.items())),
        "wrong": wrong,
        "seconds": round(time.perf_counter() - began, 1),
        "sample": sample,
    }


def _group(kind: Kind, *, used: bool) -> str:
    if kind.least == "neutral":
        return "neutral twin"
    return "break at a used place" if used else "break at an unused place"


def _told(mutant: Mutant, said: str, found: list[Finding]) -> dict[str, Any]:
    return {
        "verdict": said,
        "base": mutant.base,
        "kind": mutant.kind,
        "operation": mutant.site.operation,
        "path": f"{mutant.site.direction} {mutant.site.path}",
        "least": mutant.least,
        "said": [f"{f.severity} {f.rule} {f.path}: {f.advice}" for f in found][:3],
    }


def main(
    *,
    json_: Annotated[bool, cyclopts.Parameter(name="--json", negative="")] = False,
    count: int = 8,
    only: str = "",
    seed: int = 0,
    show: int = 12,
    tools_: Annotated[Path | None, cyclopts.Parameter(name="--tools")] = None,
    sample: int = 60,
) -> int:
    """Measures; exits 1 where a verdict is wrong, 2 where no history is at hand."""
    if not HISTORY.exists():
        print(f"no provider history at {HISTORY}; TOLLKEEPER_DATA names it", file=sys.stderr)
        return 2
    result = measure(count, only, seed)
    picked = result.pop("sample")
    if tools_ is not None:
        result["tools"] = tools.compare(tools_, _sampled(picked, sample, seed), HOME)
    if json_:
        print(json.dumps(result, indent=1))
        return 1 if result["wrong"] else 0
    for part in ("kinds", "mutants", "by_base", "never", "verdicts", "seconds"):
        print(f"{part}: {result[part]}")
    for item in result["wrong"][:show]:
        print("  wrong", item)
    for name, told in result.get("tools", {}).items():
        print(f"{name}: {told}")
    return 1 if result["wrong"] else 0


def _sampled(picked: list[tuple[Base, Mutant]], count: int, seed: int) -> list[tools.Planted]:
    """Mutants for all tools, drawn by the seed: as many breaks at used places as at unused ones
    and as twins, of each a tenth at most of the provider whose text takes others a minute."""
    random.Random(seed or 7).shuffle(picked)
    groups: dict[str, list[tools.Planted]] = {}
    for base, mutant in picked:
        planted = tools.Planted(
            base.name, base.text, mutant.document, base.usage, mutant.least, mutant.site.used
        )
        listed = groups.setdefault(planted.group(), [])
        large = sum(p.base == LARGE for p in listed)
        full = base.name == LARGE and large >= max(1, count // 30)
        if len(listed) < count // 3 and not full:
            listed.append(planted)
    return [planted for name in sorted(groups) for planted in groups[name]]


if __name__ == "__main__":
    sys.exit(cyclopts.run(main))
