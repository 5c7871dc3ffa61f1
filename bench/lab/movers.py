"""What others do about a version that fails: nothing, rescues alone, rules of thumb, an oracle."""

from collections import deque

from lab.failing import Done, Policy, is_failure


class Rescue(Policy):
    """Each payment is rescued by itself; no traffic moves. The product with failover off."""

    rescues = True

    def __init__(self, *, reads: bool = True) -> None:
        self.reads = reads
        self.name = "rescue" if reads else "rescue, no reading over"


class Window(Rescue):
    """Moves everything by the last `size` first attempts of V: where the part that succeeded falls
    below `least` (elimination: a decline is no success), or where `most` of them failed."""

    def __init__(
        self, size: int, *, least: float | None = None, most: int = 0, reads: bool = False
    ) -> None:
        super().__init__(reads=reads)
        self.least, self.most = least, most
        self.last: deque[bool] = deque(maxlen=size)
        self.name = f"elimination {size} < {least:g}" if least else f"{most} of last {size}"
        self.name += ", reading over" if reads else ""

    def over(self, done: Done) -> None:
        if self.share:
            return
        kind = done.kinds[0]
        self.last.append(kind == "ok" if self.least else is_failure(kind))
        if len(self.last) == self.last.maxlen and self._is_enough(sum(self.last)):
            self.share, self.moved_at = 1.0, done.over_at

    def _is_enough(self, count: int) -> bool:
        if self.least:
            return count < self.least * len(self.last)
        return count >= self.most


class Oracle(Rescue):
    """Moves everything at the onset, because it knows."""

    def __init__(self) -> None:
        super().__init__()
        self.name = "oracle"

    def over(self, done: Done) -> None:
        if done.over_at >= 0 and not self.share:
            self.share, self.moved_at = 1.0, done.over_at
