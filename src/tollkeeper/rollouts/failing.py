"""Which versions fail, as the watch of failover says: what a rollout may not trust."""

from tollkeeper.failover.state import Watch


def is_failing(watch: Watch | None, baseline: str) -> bool:
    """Whether the baseline carries the traffic and fails more than its history."""
    return watch is not None and watch.is_failing(baseline)


def distrusted(watch: Watch | None) -> frozenset[str]:
    """Versions that no other one should be compared with, or looked up through, if it can be
    helped: those that carry traffic and fail, and those that failover has taken out."""
    if watch is None:
        return frozenset()
    failing = [stream.carrying for stream in watch.wholes if stream.state.alarmed]
    return frozenset((*failing, *watch.taken_out))
