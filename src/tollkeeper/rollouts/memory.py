"""What became of a candidate before: told where it is started again, and never a refusal."""

from collections.abc import Iterable

from tollkeeper.failover.state import Record, Watch
from tollkeeper.kernel.clock import rfc3339
from tollkeeper.rollouts.rollout import Rollout


def remembered(
    candidate: str, earlier: Iterable[Rollout], watch: Watch | None, records: Iterable[Record]
) -> tuple[str, ...]:
    """A sentence for each time that `candidate` failed and nothing has mended since: its last
    rollout was rolled back, or failover took it out. `earlier` and `records`: the newest first."""
    said = []
    last = next((one for one in earlier if _is_decided(one, candidate)), None)
    if last is not None and not last.is_promoted:
        said.append(
            f"rollout {last.id} of {candidate} was rolled back at {rfc3339(last.updated_ms)}: "
            f"{last.reason}"
        )
    if watch is not None and candidate in watch.taken_out:
        said.append(_taken_out(candidate, records))
    return tuple(said)


def _is_decided(rollout: Rollout, candidate: str) -> bool:
    """Whether a rollout of `candidate` came to an answer."""
    return rollout.candidate == candidate and rollout.status in {"rolled_back", "promoted"}


def _taken_out(candidate: str, records: Iterable[Record]) -> str:
    provider = candidate.partition("@")[0]
    where = f"`tollkeeper failover explain {provider}`"
    for record in records:
        left = record.kind == "moved" and record.carrying == candidate
        ended = record.kind == "stopped" and record.candidate == candidate
        refuted = record.kind == "misread" and record.reason.startswith(f"{candidate} ")
        if left or ended or refuted:
            at = rfc3339(record.at_ms)
            return f"failover took {candidate} out at {at}: {record.reason}; {where}"
    return f"failover took {candidate} out; {where}"
