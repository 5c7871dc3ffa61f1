"""What one played scenario came to: what was said, what shoppers saw, what others said."""

import msgspec

from tollkeeper.proving.rivals import RivalSaid


class Said(msgspec.Struct, frozen=True, kw_only=True):
    """One verdict as the log tells it, so many seconds after the fault began."""

    after_seconds: float
    domain: str
    confidence: float
    pointer: str
    slice: dict[str, str]
    about: str
    says: str
    because: tuple[str, ...] = ()


class Played(msgspec.Struct, frozen=True, kw_only=True):
    """What one scenario came to. `early`: alerts before the fault. `moves`: decisions of failover
    that moved traffic. `bad_*`: the share of shoppers who were told failed, wait or nothing, before
    the fault and during it. `slow_*`: median seconds to the first answer; `tail_*`: what nine of
    ten stay below. `declined_*`: the share who were declined. `struck`: how often the provider, the
    network or the resolver did what the file says, as each of them counts it, and webhooks that
    the service had refused when its own fault ended. `moved_seconds`: when traffic was moved.
    `seen`: by second of the fault, negative before it, how many shoppers came and how many of them
    had a bad time. `rivals`: what others said; `rivals_absent`: those that could not run."""

    scenario: str
    rate: float
    severity: float
    seed: int
    said: tuple[Said, ...]
    early: int
    moves: tuple[str, ...]
    shoppers: int
    bad_before: float
    bad_during: float
    slow_before: float
    slow_during: float
    tail_before: float = 0.0
    tail_during: float = 0.0
    struck: int = 0
    declined_before: float = 0.0
    declined_during: float = 0.0
    moved_seconds: tuple[float, ...] = ()
    seen: tuple[tuple[int, int, int], ...] = ()
    rivals: tuple[RivalSaid, ...] = ()
    with_rivals: bool = False
    rivals_absent: tuple[str, ...] = ()
