"""Which versions fail, as the watch of failover says: what a rollout may not trust."""

from tollkeeper.failover.state import Watch


def is_failing(watch: Watch | None, baseline: str) -> bool:
    """Whether the baseline carries the traffic and fails more than its history."""
    return watch is not None and watch.carrying == baseline and watch.state.alarmed


def distrusted(watch: Watch | None) -> frozenset[str]:
    """Versions that no other one should be compared with, or looked up through, if it can be
    helped: the carrying one while it fails, and those that failover has taken out."""
    if watch is None:
        return frozenset()
    failing = (watch.carrying,) if watch.state.alarmed else ()
    return frozenset((*failing, *watch.taken_out))
