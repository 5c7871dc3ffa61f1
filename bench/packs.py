"""Whether an evidence pack lets out what is private, and how often it refuses what is clean.

`./dev bench packs` plants private values into all that packs are made from: card numbers, keys,
secrets of the settings, names, mail addresses, customer ids. It searches what would leave for them.
Then it makes packs without any, and counts how many are refused.
Example: `./dev bench packs --count 10000 --seed 7`
"""

import argparse
import time

import rig

from tollkeeper.testing.canaries import Planter

SHARES = (0.02, 0.02, 0.02, 0.5, 1.0)
"""Of the places, how many get a value, pack by pack: few, so that one value alone must be found."""


def planted(seed: int, count: int) -> dict[str, object]:
    planter = Planter(seed, share=0)
    values = packs = refused = in_files = outside = 0
    while values < count:
        planter.share = SHARES[packs % len(SHARES)]
        drawn = planter.drawn()
        held = bool(drawn.leaks())
        through = len(drawn.outside())
        values += len(drawn.planted)
        packs += 1
        refused += held
        in_files += through
        outside += 0 if held else through
    return {
        "values planted": values,
        "packs": packs,
        "packs refused": refused,
        "values that passed the allow-list": in_files,
        "values found outside": outside,
    }


def clean(seed: int, count: int) -> dict[str, object]:
    planter = Planter(seed, share=0)
    refused, taken = 0, 0.0
    for _ in range(count):
        drawn = planter.drawn()
        began = time.perf_counter()
        refused += bool(drawn.leaks())
        taken += time.perf_counter() - began
    return {
        "clean packs": count,
        "refused": refused,
        "refused, percent": round(100 * refused / count, 3),
        "search, ms each": round(taken / count * 1000, 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=10_000, help="Values to plant, at least.")
    parser.add_argument("--clean", type=int, default=5_000, help="Clean packs.")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    rows = planted(given.seed, given.count) | clean(given.seed + 1, given.clean)
    rig.show([{"what": name, "value": value} for name, value in rows.items()], as_json=given.json)


if __name__ == "__main__":
    main()
