"""Hearing: what the service's own log says of alerts and moves."""

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import msgspec

from tollkeeper.proving.played import Said

TOLD: Final = frozenset({"alert_opened", "alert_verdict"})
MOVES: Final = frozenset({"failover_share", "failover_moved"})


def read_log(
    folder: Path, began_ms: int, members: int
) -> tuple[list[Said], int, list[tuple[float, str]]]:
    """What the service's log says of alerts and moves."""
    said, moves, early = [], [], 0
    for line in _log_lines(folder, members):
        try:
            entry = msgspec.json.decode(line, type=dict[str, Any])
        except msgspec.DecodeError:
            continue  # a traceback, or what the interpreter itself has written
        event = str(entry.get("event", ""))
        after_ms = _moment_ms(entry) - began_ms
        if event in MOVES and after_ms >= 0:
            moves.append((round(after_ms / 1000, 1), str(entry.get("reason", ""))))
        if event not in TOLD:
            continue
        if after_ms < 0:
            early += event == "alert_opened"
            continue
        said.append(
            Said(
                after_seconds=round(after_ms / 1000, 1),
                domain=str(entry["domain"]),
                confidence=float(entry["confidence"]),
                pointer=str(entry["pointer"]),
                slice=dict(entry["slice"]),
                about=str(entry["about"]),
                says=str(entry["says"]),
                because=tuple(entry.get("because", ())),
            )
        )
    return said, early, moves


def _log_lines(folder: Path, members: int) -> list[bytes]:
    """The lines of all replicas, in the order of their times where there are several."""
    lines = [
        line
        for path in sorted(folder.glob("replica-*.log"))
        for line in path.read_bytes().splitlines()
    ]
    return sorted(lines, key=_time_in) if members > 1 else lines


def _time_in(line: bytes) -> bytes:
    return line.rpartition(b'"timestamp": ')[2]


def _moment_ms(entry: Mapping[str, Any]) -> int:
    text = str(entry.get("timestamp", ""))
    return int(datetime.fromisoformat(text).timestamp() * 1000) if text else 0
