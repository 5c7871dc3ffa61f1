"""The product's failover on a stream of payments: trials, healthy counts and looks as its flows
make them, decided by `tollkeeper.failover` itself.

`tests/flows/test_failover_lab.py` compares this file with the running flows.
"""

from typing import Final

from msgspec.structs import replace

from lab.failing import Done, Policy, V, W, is_failure, trial
from tollkeeper.failover.drawn import Begun, Happened, Over, Step, counted
from tollkeeper.failover.rule import LIVE, READ_OVER, State, Trial, begin, healthy
from tollkeeper.failover.state import decided, kind_of
from tollkeeper.failover.streams import Stream, tallied
from tollkeeper.flows.failover.evidence import VERIFIED
from tollkeeper.flows.live.places import Places
from tollkeeper.flows.live.state import Live
from tollkeeper.routing.routes import Routes

LOOK_S: Final = 1.0
"""As `flows.failover.controller.LOOK_MS`: how soon the controller looks again."""

RESTS: Final = 5_000
"""Payments without a failure after which R rests."""


class Ruled(Policy):
    """One watch of V and W, with the policy `automatic`. `look_s`: how far apart looks are; `rate`:
    V's failure rate before. All payments are one stream: slices are not watched here."""

    name = "rule"
    rescues = True
    reads = True

    def __init__(
        self,
        rate: float = 0.005,
        per_second: float = 5.0,
        *,
        look_s: float = LOOK_S,
        state: State | None = None,
    ) -> None:
        self.look_s = look_s
        fresh = state if state is not None else healthy(begin(rate, per_second=per_second), RESTS)
        self.stream = Stream(carrying=V, candidate=W, state=fresh)
        self.live = Live(routes=Routes(rules=()), places=Places(1))
        self.steps: list[Step] = []
        self.waiting: list[Happened] = []
        self.read_over = 0
        self.next_look = float("-inf")
        self.started_at: float | None = None
        self.shared_at: float | None = None
        self.explored_at: float | None = None
        self.none_at: float | None = None
        self.none_told_at: float | None = None
        self.proposed_at: float | None = None
        self.stopped_at: float | None = None
        self.alarmed = False

    @property
    def state(self) -> State:
        """What the rule knows."""
        return self.stream.state

    @property
    def is_open(self) -> bool:
        """Whether every payment is told to the rule, as the routes say it."""
        return self.stream.state.is_open

    @property
    def ended(self) -> str:
        """`moved` or `stopped`, where it is over, else the phase."""
        return "moved" if self.moved_at is not None else self.state.phase

    def is_coin_due(self, version: str, now: float) -> bool:
        return self.live.is_coin_due(version, now)

    def passed(self, count: int) -> None:
        """So many healthy first attempts of V while no episode is open."""
        self.live.unfailed[V] += count

    def begun(self, done: Done) -> None:
        """As `flows.observing.note_begun`."""
        if done.share and self.moved_at is None:
            self.waiting.append(Begun(_name(done), _ms(done.at), done.share, done.through_w))

    def over(self, done: Done) -> None:
        """As `flows.observing.note_first`."""
        if done.kinds[0] == "later" and not done.share:
            return
        failed = is_failure(done.kinds[0])
        if failed:
            self.live.noted_failing(done.versions[0], done.over_at)
        elif not done.was_open:
            self.live.unfailed[done.versions[0]] += 1
        if self.moved_at is None and (failed or done.was_open):
            healthy = self.live.unfailed.pop(V, 0)
            over = Over(_name(done), _ms(done.over_at), healthy, self._trial(done))
            self.waiting.append(over)
        if self.waiting and done.over_at >= self.next_look:
            self.look(done.over_at)

    def _trial(self, done: Done) -> Trial:
        return trial(
            done.versions,
            done.kinds,
            share=done.share,
            tossed=done.is_tossed,
            told_bad=done.is_bad,
            read_over=self._read_over(done),
        )

    def _read_over(self, done: Done) -> bool | None:
        """As `flows.failover.evidence`, where each look-up agrees: `True` for what W read and was
        looked up, `False` where W, a proved version, cannot read it either."""
        if done.through_w or done.kinds[0] not in {"unreadable", "mess"}:
            return None
        if done.read_by != W:
            return False
        self.read_over += 1
        return True if self.read_over <= VERIFIED else None

    def look(self, now: float) -> None:
        """As `flows.failover.controller.look`, which it calls in the same order."""
        before, happened = self.stream, self.waiting
        self.waiting, self.read_over, self.next_look = [], 0, now + self.look_s
        made = counted(before.state, before.pending, happened, _ms(now))
        state, steps = made.state, made.steps
        self.steps.extend(steps)
        self._mark(before.state, state, now)
        stream = replace(tallied(before, state, steps, "", ""), pending=made.pending)
        self.stream, kind = decided(
            stream, state, "automatic", may_start=True, has_moved=False, more=False
        )
        if kind == "proposed" and self.proposed_at is None:
            self.proposed_at = now
        after = self.stream.state
        self.share = after.share if after.phase in LIVE else 0.0
        if self.share and self.shared_at is None and after.phase == "ramp":
            self.shared_at = now
        if after.phase == "moved":
            self.share, self.moved_at = 1.0, now
        if after.phase == "stopped" and self.stopped_at is None:
            self.stopped_at = now

    def _mark(self, before: State, state: State, now: float) -> None:
        self.alarmed = self.alarmed or state.alarmed
        if self.explored_at is None and state.phase == "explore":
            self.explored_at = now
        if self.started_at is None and state.phase in {"ramp", "moved"} and has_proof(state):
            self.started_at = now
        if self.none_at is None and state.none_works and not before.none_works:
            self.none_at = now
        if self.none_told_at is None and kind_of(before, state) == "none_works":
            self.none_told_at = now


def _name(done: Done) -> str:
    return str(done.at)


def _ms(at: float) -> int:
    return round(at * 1000)


def has_proof(state: State) -> bool:
    """Whether a share may have come of S, and not of exploring alone."""
    return state.wealth_s >= state.a_start or state.read_over >= READ_OVER
