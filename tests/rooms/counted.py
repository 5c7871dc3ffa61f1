"""Windows of counts made from a few words: what happens in each second, by kind of cell."""

from collections.abc import Callable, Iterable
from functools import cache
from hashlib import blake2b
from typing import Any

from tollkeeper.signals.counts import (
    Batch,
    Cell,
    Change,
    Counted,
    Gauges,
    Probe,
    Tally,
    Waiting,
    Window,
    fold,
)

END_S = 1_000_000
"""The second at which windows end."""

LENGTH_S = 300
QUIET = Gauges(lag_ms=4.0, store_ms=3.0)

type Second = Callable[[int], Iterable[tuple[Cell, int]]]
"""The cells that start in a second, with how many of each."""


def cell(**given: Any) -> Cell:
    """An attempt that succeeded, but for what is given."""
    usual: dict[str, Any] = {
        "kind": "attempt", "provider": "stripe", "integration": "stripe@2",
        "operation": "authorize", "host": "h1", "account": "acct_1", "currency": "EUR",
        "country": "DE", "method": "visa",
        "issuer": "bank_1", "settings": "s1", "status": 200, "shows_id": True,
    }  # fmt: skip
    return Cell(**usual | given)


def bad(**given: Any) -> Cell:
    """An attempt that failed."""
    return cell(**{"result": "failed", "shows_id": False} | given)


def tally(n: int, *, is_bad: bool, took: int = 6, wait_ms: float = 250.0) -> Tally:
    return Tally(
        n=n, witnesses=n if is_bad else 0, took={took: n},
        wait_n=n, wait_ms=wait_ms * n, connect_n=n, connect_ms=15.0 * n, tls_n=n, tls_ms=30.0 * n,
    )  # fmt: skip


def line(second: int, one: Cell, n: int, took: int = 6) -> Counted:
    return Counted(second, one, tally(n, is_bad=one.result != "ok", took=took))


HOSTS = ("h1", "h2")
ACCOUNTS = ("acct_1", "acct_2", "acct_3")
PROVIDERS = ("stripe", "adyen")


def healthy(second: int, each: int = 8) -> list[tuple[Cell, int]]:
    """So many payments, spread over providers, hosts, accounts and banks, with a decline in nine
    and a failure in a hundred."""
    found = []
    for number in range(each):
        turn = second * each + number
        provider = PROVIDERS[_of(turn, 1, 2)]
        spread: dict[str, Any] = {
            "provider": provider, "integration": f"{provider}@{2 - _of(turn, 2, 3) // 2}",
            "host": HOSTS[_of(turn, 3, 2)], "account": ACCOUNTS[_of(turn, 4, 3)],
            "issuer": f"bank_{_of(turn, 5, 5)}", "method": ("visa", "mastercard")[_of(turn, 6, 2)],
        }  # fmt: skip
        if turn % 9 == 4:
            found.append((cell(**spread, result="declined", error="do_not_honor", status=402), 1))
        elif turn % 101 == 50:
            found.append((bad(**spread, stage="wait", error="http_response_timeout", status=0), 1))
        else:
            found.append((cell(**spread), 1))
            hook = Cell(kind="webhook_in", provider=provider, operation="charge", host="h1")
            found.append((hook, 1))
    return found


def _of(turn: int, salt: int, count: int) -> int:
    """A fixed number below `count`, spread evenly and unlike those of other salts."""
    return blake2b(f"{salt} {turn}".encode(), digest_size=1).digest()[0] % count


def window(
    *happens: Second,
    since: int = 40,
    changes: tuple[Change, ...] = (),
    probes: tuple[Probe, ...] = (),
    gauges: Gauges = QUIET,
    waiting: Callable[[int], list[Waiting]] = lambda second: [],
    took: Callable[[Cell], int] = lambda one: 6,
    history: bool = True,
) -> Window:
    """A window of healthy seconds, in whose last `since` seconds each of `happens` may replace or
    add: a function that gets the second and gives cells. The first one replaces where it is
    wrapped in `instead`."""
    batches = []
    for second in range(END_S - LENGTH_S, END_S):
        cells = healthy(second)
        if second >= END_S - since:
            for happen in happens:
                cells = apply(happen, second, cells)
        counted = [
            line(second, one, n, took(one) if second >= END_S - since else 6) for one, n in cells
        ]
        batches.append(
            Batch(
                second=second, replica="r1", host="h1", counted=counted,
                waiting=waiting(second) if second >= END_S - since else [],
                gauges=gauges if second >= END_S - since else QUIET,
            )
        )  # fmt: skip
    if batches:
        batches[-1].probes.extend(probes)
    return Window(
        at_ms=END_S * 1000,
        batches=tuple(batches),
        usual=usual() if history else (),
        usual_seconds=3_000 if history else 0,
        changes=changes,
        carrying={"stripe": ("stripe@2", "stripe@1"), "adyen": ("adyen@2", "adyen@1")},
    )


@cache
def usual() -> tuple[Counted, ...]:
    """Three thousand healthy seconds, folded."""
    lines = [
        line(second, one, n, took=6 if place % 20 else 9)
        for second in range(3_000)
        for place, (one, n) in enumerate(healthy(second))
    ]
    return tuple(fold(lines, 0))


def apply(happen: Second, second: int, cells: list[tuple[Cell, int]]) -> list[tuple[Cell, int]]:
    if isinstance(happen, Instead):
        return [happen.turned(second, one, n) for one, n in cells]
    return [*cells, *happen(second)]


class Instead:
    """Turns the cells of a second into others, where they fit."""

    def __init__(self, turn: Callable[[Cell], Cell], fits: Callable[[Cell], bool]) -> None:
        self.turn = turn
        self.fits = fits

    def __call__(self, second: int) -> Iterable[tuple[Cell, int]]:
        return ()

    def turned(self, second: int, one: Cell, n: int) -> tuple[Cell, int]:
        return (self.turn(one), n) if self.fits(one) else (one, n)


def probe(name: Any, tried: int, failed: int, **given: Any) -> Probe:
    return Probe(at_ms=END_S * 1000 - 1500, name=name, tried=tried, failed=failed, **given)
