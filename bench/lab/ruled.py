"""The product's failover on a stream of payments: trials, healthy counts and looks as its flows
make them, decided by `tollkeeper.failover` itself.

`tests/flows/test_failover_lab.py` compares this file with the running flows.
"""

from typing import Final, NamedTuple

from msgspec.structs import replace

from lab.failing import ANSWERS, Done, Policy, V, W, is_failure, trial
from tollkeeper.failover.rule import LIVE, READ_OVER, State, Trial, begin, healthy
from tollkeeper.failover.state import Step, Watch, decided, replayed
from tollkeeper.flows.live.places import Places
from tollkeeper.flows.live.state import Live
from tollkeeper.routing.routes import Routes

LOOK_S: Final = 1.0
"""As `flows.failover.controller.LOOK_MS`: how soon the controller looks again."""

RESTS: Final = 5_000
"""Payments without a failure after which R rests."""


class Manner(NamedTuple):
    """How evidence is made, where the product departs from its study.

    `untossed`: a second attempt through W counts as the coin's where no coin was tossed, too.
    `twice`: in an open episode V's good first attempts count among the healthy ones and as trials.
    `later`: "not now" counts as healthy. `neither`: a reply that neither V nor W reads is told to
    the rule. `apart`: W cannot read good replies to V, because their forms differ."""

    untossed: bool = True
    twice: bool = True
    later: bool = True
    neither: bool = False
    apart: bool = False


PRODUCT: Final = Manner()
APART: Final = Manner(apart=True)
STUDY: Final = Manner(untossed=False, twice=False, later=False, neither=True)


class Ruled(Policy):
    """One watch of V and W. `automatic` is the operator's policy; without it, what the rule says is
    done. `reads`: what W reads over is told the shopper, as the product does. `look_s`: how far
    apart looks are. `rate`: V's failure rate before."""

    name = "rule"
    rescues = True

    def __init__(
        self,
        rate: float = 0.005,
        per_second: float = 5.0,
        *,
        automatic: bool = True,
        reads: bool = True,
        look_s: float = LOOK_S,
        manner: Manner = PRODUCT,
        state: State | None = None,
    ) -> None:
        self.reads = reads
        self.automatic, self.look_s, self.manner = automatic, look_s, manner
        fresh = state if state is not None else healthy(begin(rate, per_second=per_second), RESTS)
        self.watch = Watch(provider="provider", carrying=V, candidate=W, state=fresh, salt="")
        self.live = Live(routes=Routes(rules=()), places=Places(1))
        self.steps: list[Step] = []
        self.waiting: list[Step] = []
        self.next_look = float("-inf")
        self.started_at: float | None = None
        self.shared_at: float | None = None
        self.explored_at: float | None = None
        self.none_at: float | None = None
        self.proposed_at: float | None = None
        self.alarmed = False

    @property
    def state(self) -> State:
        """What the rule knows."""
        return self.watch.state

    @property
    def is_open(self) -> bool:
        """Whether every payment is told to the rule, as the routes say it."""
        return self.watch.state.is_open

    @property
    def ended(self) -> str:
        """`moved` or `stopped`, where it is over, else the phase."""
        return "moved" if self.moved_at is not None else self.state.phase

    def is_coin_due(self, version: str, now: float) -> bool:
        return self.live.is_coin_due(version, now)

    def passed(self, count: int) -> None:
        """So many healthy first attempts of V while no episode is open."""
        self.live.unfailed[V] += count

    def over(self, done: Done) -> None:
        """As `flows.observing.note_first`."""
        failed, counted = is_failure(done.kinds[0]), self._is_counted(done)
        if not done.through_w and (failed or counted):
            self.live.noted_first(V, done.over_at, failed=failed)
        if self.moved_at is None and (failed or self.is_open):
            self._note(self._trial(done))
        if self.waiting and done.over_at >= self.next_look:
            self.look(done.over_at)

    def _is_counted(self, done: Done) -> bool:
        if done.kinds[0] == "later":
            return self.manner.later
        return self.manner.twice or not self.is_open

    def _trial(self, done: Done) -> Trial:
        found = trial(
            done.versions, done.kinds, told_bad=done.is_bad, read_over=self._read_over(done)
        )
        if found.second and not done.is_tossed and not self.manner.untossed:
            return replace(found, second="", second_ok=False)
        return found

    def _read_over(self, done: Done) -> bool | None:
        """`True` as the controller finds it after a look-up, `False` where W cannot read."""
        if done.read_by == W:
            return True
        if done.w_cannot or (self.manner.apart and self._is_good(done)):
            return False
        unread = done.kinds[0] in {"unreadable", "mess"} and not done.read_by and not done.through_w
        return False if unread and self.manner.neither else None

    @staticmethod
    def _is_good(done: Done) -> bool:
        return not done.through_w and done.kinds[0] in ANSWERS

    def _note(self, found: Trial) -> None:
        self.waiting.append(Step(self.live.unfailed.pop(V, 0), found))

    def look(self, now: float) -> None:
        """As `flows.failover.controller.look`."""
        before, steps = self.watch, tuple(self.waiting)
        self.waiting, self.next_look = [], now + self.look_s
        self.steps.extend(steps)
        state = replayed(before.state, steps)
        self._mark(before.state, state, now)
        if self.automatic:
            self.watch, kind = decided(before, state, "automatic")
            if kind == "proposed" and self.proposed_at is None:
                self.proposed_at = now
        else:
            self.watch = replace(before, state=state)
        after = self.watch.state
        self.share = after.share if after.phase in LIVE else 0.0
        if self.share and self.shared_at is None and after.phase == "ramp":
            self.shared_at = now
        if after.phase == "moved":
            self.share, self.moved_at = 1.0, now

    def _mark(self, before: State, state: State, now: float) -> None:
        self.alarmed = self.alarmed or state.alarmed
        if self.explored_at is None and state.phase == "explore":
            self.explored_at = now
        if self.started_at is None and state.phase in {"ramp", "moved"} and has_proof(state):
            self.started_at = now
        if self.none_at is None and state.none_works and not before.none_works:
            self.none_at = now


def has_proof(state: State) -> bool:
    """Whether a share may have come of S, and not of exploring alone."""
    return state.wealth_s >= state.a_start or state.read_over >= READ_OVER
