"""Printing what was measured, and the bound that a rate is judged by."""

import math
from typing import Any

CONFIDENCE = 0.99
HALVINGS = 60


def lower_bound(hits: int, runs: int) -> float:
    """Clopper and Pearson's one-sided lower bound of a rate: where as many hits are as rare."""
    if not hits:
        return 0.0
    low, high = 0.0, hits / runs
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        if _at_least(hits, runs, middle) > 1 - CONFIDENCE:
            high = middle
        else:
            low = middle
    return low


def upper_bound(hits: int, runs: int, confidence: float = CONFIDENCE) -> float:
    """Clopper and Pearson's one-sided upper bound of a rate: where as few hits are as rare."""
    low, high = hits / runs, 1.0
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        if 1 - _at_least(hits + 1, runs, middle) > 1 - confidence:
            low = middle
        else:
            high = middle
    return high


def _at_least(hits: int, runs: int, rate: float) -> float:
    if rate <= 0:
        return 0.0
    below = 0.0
    for k in range(hits):
        log = math.lgamma(runs + 1) - math.lgamma(k + 1) - math.lgamma(runs - k + 1)
        below += math.exp(log + k * math.log(rate) + (runs - k) * math.log1p(-rate))
    return 1 - below


def show(rows: list[dict[str, Any]]) -> None:
    """A table of rows, whose columns are those of any of them."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    cells = [names, *([_cell(row.get(name)) for name in names] for row in rows)]
    widths = [max(len(line[n]) for line in cells) for n in range(len(names))]
    for line in cells:
        print("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)))


def _cell(value: object) -> str:
    if value is None:
        return ""
    return f"{value:.4g}" if isinstance(value, float) else str(value)
