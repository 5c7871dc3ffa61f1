"""The rule of failover: may traffic move from version V to version W of one provider?

V carries traffic, W is installed and takes none. Five wealths decide. Each is a product of factors
whose mean is 1 while its null hypothesis is true, so that by Ville's inequality (1939) it reaches
`A` with a probability of at most `1/A`, however often it is looked at.

- R: V fails more than its own history (a Shiryaev-Roberts mixture over three kinds of excess).
- S: the failures are V's own. Null: a second attempt through W ends no better than one through V.
  A fair coin sends the second attempt through V again or through W. That the coin is fair is the
  only assumption; payments may depend on each other in any way.
- T: W is better on everybody's first attempts. U: W is worse. First attempts are assigned at random
  with the share in force. Null of both: V and W fail alike, whatever their common rate does, and
  as soon. Who fails sooner than the other is known sooner; T waits for W's first attempts.
- N: W does not help either. This is a heuristic and no bound, because its floor begins it anew. It
  is said only while V fails nearly always: half of the payments are worth taking.

A start needs R and S, a complete move needs T as well, which begins at 1 when the ramp begins: a
false complete move has a probability of at most `1/A_START * 1/A_FULL` in an episode. Declines and
"not now" are never evidence. Nothing here moves back by itself.
"""

from math import fsum
from typing import Final, Literal

import msgspec
from msgspec.structs import replace

type First = Literal["ok", "declined", "refused", "unreadable", "dead", "later"]
"""What a first attempt came to. `refused`: proof of no effect (class A or B1); `unreadable`: the
version could not read the reply; `dead`: unknown without a body (5xx, a timeout); `later`: the
provider said "not now"."""

type Phase = Literal["watch", "explore", "ramp", "moved", "stopped"]

LIVE: Final[frozenset[Phase]] = frozenset({"explore", "ramp"})
"""Phases in which first attempts go to W by a share."""

ALARM: Final = 1e7
"""R at which V fails more than its history. At a steady rate a false alarm comes once in 1e7 first
attempts on average."""

QUIET: Final = 30.0
"""R below which an episode is over. In health R rests near 10."""

MOST_R: Final = 1e9
MOST_WEALTH: Final = 1e12
"""Each part of R, and each part of the other wealths, at most. Without a cap a product is infinite
after some thousand payments, and JSON has no infinity. A cap only takes away from a wealth, so that
Ville's inequality holds."""

LEAST_RATE: Final = 1e-3
MOST_RATE: Final = 0.2
"""V's failure rate before is taken for at least and at most this."""

EXCESS: Final = (0.04, 0.2, 0.8)
"""Additional shares of failing payments that R looks for."""

PAIRS: Final = ((0.5, 0.05, 0.95), (0.2, 0.05, 0.5), (0.2, 0.7, 0.98))
"""S: stake, the supposed chance that V again succeeds, and that W does."""

CASH: Final = 0.1
"""The part of S that is not staked; 1/(n+20) of it is staked anew at the n-th failing payment, so
that a fault that begins late is not forgotten."""

A_START_SLOW: Final = 100.0
A_START: Final = 1e4
"""S at which a share begins: below and from one payment a second on."""

UPWARD: Final = (
    (0.05, 0.003), (0.25, 0.01), (0.25, 0.08), (0.75, 0.03), (0.99, 0.02), (0.99, 0.4),
)  # fmt: skip
"""T: supposed failure rates of V and W."""

DOWNWARD: Final = ((0.01, 0.05), (0.01, 0.25), (0.01, 0.75), (0.5, 0.99), (0.02, 0.5))
"""U: supposed failure rates of V and W."""

A_HALF: Final = 100.0
A_FULL: Final = 1e4
A_BACK: Final = 1e3
A_NONE: Final = 1e4
"""T for half of the traffic, T for all of it, U for none of it, N for "no version works"."""

SMALL: Final = 0.25
HALF: Final = 0.5
EXPLORING: Final = 0.1
"""First shares: usual, where V is of no use, and where only new first attempts prove anything."""

RECENT: Final = 8
"""First attempts of V by which it counts as of no use: more than half of them failed."""

KEPT: Final = 16
SELDOM: Final = 12
MOSTLY: Final = 14
"""First attempts of V that are kept, and how many of them fail where it is of no use for sure."""

READ_OVER: Final = 3
RESCUED: Final = 3
AGAIN_BAD: Final = 2
"""What must have been seen before a start: replies that W read over; or payments that W rescued
and payments that failed through V again."""

EXPLORE_AFTER: Final = 4
EXPLORE_FAILURES: Final = 8
RECOVERED: Final = 3
NEARLY_ALL: Final = 0.9
MOST_DEAD: Final = 512
"""Dead replies before exploring, and failures of W that end it; where they are nearly all of what W
was given, and V fails nearly always as well, no version works. After each try eight times as many
dead replies are needed. So many first attempts of V in a row that do not fail take the word back
that no version works."""

SEEN: Final = 0.5
"""The part of W's first attempts, as many as their chances promise, that must be over before T
counts. Where W hangs and V fails at once, V's failures are known first, and would speak for W."""

ALONE: Final = 1.9
"""By how much a reply that W alone reads speaks for W: a sign test, whose null is that W reads at
most half of what only one of them can. A wrong reading would speak for it too: enough to ask a
person, and never for a move."""

N_WORSE: Final = 1.9
N_BETTER: Final = 0.1
N_LEAST: Final = 1e-3


class Trial(msgspec.Struct, frozen=True, kw_only=True):
    """One payment that is over, as the rule sees it.

    `share`: the chance, from 0 to 1, that its first attempt went through W, and `through_w` whether
    it did; 0 where nothing was drawn, `None` where the share in force is meant. `first` is what
    that came to, and `told_bad` whether the shopper was told "failed" or "wait" in the end.
    `second` is where the fair coin sent the second attempt after a refusal of V, and `second_ok`
    whether that ended the payment. `third_ok`: W's attempt after V had failed twice, or the second
    one where no coin was tossed. `read_over`: whether W read a reply that V could not, and a
    look-up through a version other than W agreed. `read_alone`: W read it, and no version could
    answer a look-up that would confirm it.
    """

    first: First
    share: float | None = None
    through_w: bool = False
    told_bad: bool = False
    second: Literal["", "again", "other"] = ""
    second_ok: bool = False
    third_ok: bool | None = None
    read_over: bool | None = None
    read_alone: bool = False

    @property
    def is_failure(self) -> bool:
        """Whether the version gave no usable answer."""
        return self.first in {"refused", "unreadable", "dead"}


class State(msgspec.Struct, frozen=True, kw_only=True):
    """What the rule knows of V and W. `rate` is V's failure rate before. Wealths: `r` by `EXCESS`,
    `s` by `PAIRS` with `cash` and the number `staked`, `t` by `UPWARD`, `u` by `DOWNWARD`, `none`
    (N). `share` of first attempts goes to W, from 0 to 1. `w_over` of W's have ended, of which
    `w_failed` failed; `w_seen` have ended or are late, and `w_due` would be if they took as long as
    V's. `a_start` is S for a start. `by_told`: the ramp counts
    what shoppers are told, because V still works for more than half. `unhelped` of the replies that
    W read over did not help the shopper at once; `alone` is the wealth of the `read_alone`."""

    rate: float
    a_start: float = A_START
    phase: Phase = "watch"
    share: float = 0.0
    r: tuple[float, ...] = (0.0,) * len(EXCESS)
    s: tuple[float, ...] = tuple(stake for stake, _, _ in PAIRS)
    cash: float = CASH
    staked: int = 0
    t: tuple[float, ...] = (1 / len(UPWARD),) * len(UPWARD)
    u: tuple[float, ...] = (1 / len(DOWNWARD),) * len(DOWNWARD)
    none: float = 1.0
    read_over: int = 0
    unhelped: int = 0
    alone: float = 1.0
    read_alone: int = 0
    rescued: int = 0
    again_bad: int = 0
    dead: int = 0
    explore_at: int = EXPLORE_AFTER
    w_failed: int = 0
    w_over: int = 0
    w_seen: int = 0
    w_due: float = 0.0
    recent: tuple[bool, ...] = ()
    alarmed: bool = False
    by_told: bool = True
    none_works: bool = False

    @property
    def wealth_r(self) -> float:
        """R."""
        return fsum(self.r) / len(self.r)

    @property
    def wealth_s(self) -> float:
        """S."""
        return fsum(self.s) + self.cash

    @property
    def wealth_t(self) -> float:
        """T."""
        return fsum(self.t)

    @property
    def wealth_u(self) -> float:
        """U."""
        return fsum(self.u)

    @property
    def is_read_alone(self) -> bool:
        """Whether W reads what V cannot, beyond chance, and no version could confirm any of it."""
        return self.alarmed and self.phase == "watch" and self.alone >= self.a_start

    @property
    def is_w_seen(self) -> bool:
        """Whether W's first attempts are over about as soon as V's."""
        return self.w_seen >= SEEN * self.w_due

    @property
    def is_useless(self) -> bool:
        """Whether V failed more than half of its last first attempts."""
        last = self.recent[-RECENT:]
        return len(last) == RECENT and sum(last) * 2 > RECENT

    @property
    def has_failed_lately(self) -> bool:
        """Whether V failed three of four of its last few first attempts."""
        return sum(self.recent[-RECENT:]) * KEPT >= SELDOM * RECENT

    @property
    def works_seldom(self) -> bool:
        """Whether V failed three of four of its last first attempts."""
        return sum(self.recent) >= SELDOM

    @property
    def fails_mostly(self) -> bool:
        """Whether V failed nearly all of its last first attempts."""
        return sum(self.recent) >= MOSTLY

    @property
    def is_open(self) -> bool:
        """Whether an episode is open: every payment's end should be told to the rule."""
        return self.phase in LIVE or self.wealth_r >= QUIET


def begin(rate: float, *, per_second: float) -> State:
    """The state of a watch that begins. `rate`: V's failure rate before; `per_second`: V's payments
    a second, on which the threshold of S depends."""
    return State(
        rate=min(max(rate, LEAST_RATE), MOST_RATE),
        a_start=A_START if per_second >= 1 else A_START_SLOW,
    )


def counted(state: State, trial: Trial) -> State:
    """The state after one payment."""
    if trial.first == "later" or state.phase in {"moved", "stopped"}:
        return state
    state = _second_attempt(state, trial)
    state = _read(state, trial)
    share = state.share if trial.share is None else trial.share
    if state.share > 0 and share > 0:
        state = _ramp(state, trial, share)
    if trial.through_w:
        return _w_ended(state, trial)
    if state.phase in {"moved", "stopped"}:
        return state
    return _decided(_ended(_first_attempt(state, trial)))


def drawn(state: State, trial: Trial, *, bad: bool) -> State:
    """The state after one payment that was drawn, in T and U alone, in the order in which those
    payments began. `bad`: what T counts of it, as was chosen before it was drawn. N counts it when
    it ends: one that is late is bad for its shopper, and may still succeed."""
    if state.phase in {"moved", "stopped"} or state.share <= 0 or not trial.share:
        return state
    return _arms_counted(state, trial, trial.share, bad=bad)


def healthy(state: State, count: int) -> State:
    """The state after `count` first attempts of V in a row that did not fail, and were not told one
    by one."""
    for _ in range(count):
        after = _ended(_recovered(_stepped(state, failed=False)))
        if after.r == state.r and after.recent == state.recent:
            return after  # it has come to rest
        state = after
    return state


# R: does V fail more than before?


def _first_attempt(state: State, trial: Trial) -> State:
    state = _stepped(state, failed=trial.is_failure)
    dead = state.dead + (trial.first == "dead")
    alarmed = state.alarmed or state.wealth_r >= ALARM
    return _of_use(_recovered(replace(state, dead=dead, alarmed=alarmed)))


def _of_use(state: State) -> State:
    """The ramp with what the following payments are counted by, where V has proved of no use only
    since it began. T and U stay fair: what is counted is chosen before each payment is drawn."""
    if state.phase != "ramp" or not state.by_told or not state.works_seldom:
        return state
    return replace(state, by_told=False, share=max(state.share, HALF))


def _recovered(state: State) -> State:
    last = state.recent[-RECOVERED:]
    if not state.none_works or len(last) < RECOVERED or any(last):
        return state
    return replace(state, none_works=False, none=1.0)


def _stepped(state: State, *, failed: bool) -> State:
    """R_d <- (1 + R_d) * (q/p or (1-q)/(1-p)), with q = 1 - (1-p)(1-d)."""
    p = state.rate
    raised = []
    for excess, wealth in zip(EXCESS, state.r, strict=True):
        q = 1 - (1 - p) * (1 - excess)
        factor = q / p if failed else (1 - q) / (1 - p)
        raised.append(min((1 + wealth) * factor, MOST_R))
    return replace(state, r=tuple(raised), recent=(*state.recent, failed)[-KEPT:])


def _ended(state: State) -> State:
    """The state with a new episode, where V is well again before W has earned half of T."""
    if state.wealth_r >= QUIET or state.wealth_t >= A_HALF:
        return state
    return State(
        rate=state.rate,
        a_start=state.a_start,
        r=state.r,
        recent=state.recent,
    )


# S: are the failures V's own?


def _second_attempt(state: State, trial: Trial) -> State:
    if trial.through_w or state.phase != "watch":
        return state
    if not trial.second:  # where no coin was tossed it says something about W alone
        return state if trial.third_ok is None else _joint(state, w_ok=trial.third_ok)
    again = trial.second == "again"
    state = _staked(state, again=again, ok=trial.second_ok)
    w_ok = trial.third_ok if again else trial.second_ok
    if w_ok is not None:
        state = _joint(state, w_ok=w_ok)
    return replace(
        state,
        again_bad=state.again_bad + (again and not trial.second_ok),
        rescued=state.rescued + (not again and trial.second_ok),
    )


def _read(state: State, trial: Trial) -> State:
    """A sign test on replies that V cannot read. Null: W reads at most half of them. The bytes
    stand still, so that no coin is needed. Whether W reads V's good replies says nothing: they are
    in V's form, and W's own payments are not."""
    if trial.through_w or state.phase != "watch":
        return state
    if trial.read_alone:
        alone = min(state.alone * ALONE, MOST_R)
        return replace(state, alone=alone, read_alone=state.read_alone + 1)
    if trial.read_over is None:
        return state
    state = _joint(state, w_ok=trial.read_over)
    if not trial.read_over:
        return replace(state, alone=max(state.alone * N_BETTER, 1.0))  # neither reads it
    state = _staked(state, again=True, ok=False)
    unhelped = state.unhelped + trial.told_bad
    return replace(state, read_over=state.read_over + 1, unhelped=unhelped)


def _staked(state: State, *, again: bool, ok: bool) -> State:
    staked = state.staked + 1
    put = state.cash / (staked + 20)
    wealths = tuple(
        min(wealth * _pair_factor(a, b, again=again, ok=ok), MOST_WEALTH) + put * stake / (1 - CASH)
        for wealth, (stake, a, b) in zip(state.s, PAIRS, strict=True)
    )
    return replace(state, s=wealths, cash=state.cash - put, staked=staked)


def _pair_factor(a: float, b: float, *, again: bool, ok: bool) -> float:
    """Mean 1 over the fair coin, whatever becomes of the payment."""
    mine = a if again else b
    mean = (a + b) / 2
    return mine / mean if ok else (1 - mine) / (1 - mean)


def _joint(state: State, *, w_ok: bool) -> State:
    factor = N_BETTER if w_ok else N_WORSE
    return replace(state, none=min(max(state.none * factor, N_LEAST), MOST_WEALTH))


# T and U: is W better or worse for everybody?


def _ramp(state: State, trial: Trial, share: float) -> State:
    """Counts a first attempt that was drawn, with the chance that it had. One that was on its way
    before the share was given was not drawn: it went through V whatever it was."""
    bad = trial.told_bad if state.by_told else trial.is_failure
    return _arms_counted(state, trial, share, bad=bad)


def _arms_counted(state: State, trial: Trial, share: float, *, bad: bool) -> State:
    state = replace(
        state,
        t=_arms(state.t, UPWARD, share, through_w=trial.through_w, bad=bad),
        u=_arms(state.u, DOWNWARD, share, through_w=trial.through_w, bad=trial.told_bad),
    )
    if trial.through_w:
        state = replace(state, w_seen=state.w_seen + 1)
    else:
        state = replace(state, w_due=state.w_due + share / max(1 - share, LEAST_RATE))
    return _moved_on(state)


def _arms(
    wealths: tuple[float, ...],
    pairs: tuple[tuple[float, float], ...],
    share: float,
    *,
    through_w: bool,
    bad: bool,
) -> tuple[float, ...]:
    """Mean 1 over the random assignment, where V and W fail alike."""
    after = []
    for wealth, (v, w) in zip(wealths, pairs, strict=True):
        mean = share * w + (1 - share) * v
        mine = w if through_w else v
        factor = mine / mean if bad else (1 - mine) / (1 - mean)
        after.append(min(wealth * factor, MOST_WEALTH))
    return tuple(after)


def _moved_on(state: State) -> State:
    if state.wealth_u >= A_BACK:
        return replace(state, phase="stopped", share=0.0)
    if not state.alarmed:
        return state
    if state.wealth_t >= A_FULL and state.is_w_seen:
        return replace(state, phase="moved", share=1.0, none_works=False)
    if state.wealth_t >= A_HALF and state.is_w_seen:
        return replace(state, phase="ramp", share=max(state.share, HALF), none_works=False)
    return state


def _w_ended(state: State, trial: Trial) -> State:
    """Counts how a first attempt of W ended, in N. W has failed where it did not help."""
    if state.phase not in LIVE:
        return state
    failed = trial.is_failure
    state = replace(state, w_failed=state.w_failed + failed, w_over=state.w_over + 1)
    state = _joint(state, w_ok=not failed)
    explored = state.phase == "explore" and state.w_failed >= EXPLORE_FAILURES
    if state.alarmed and (explored or state.none >= A_NONE):
        mostly = state.w_failed >= NEARLY_ALL * state.w_over
        none_works = state.fails_mostly and (mostly or state.none >= A_NONE)
        return replace(state, phase="watch", share=0.0, none_works=none_works)
    return state


def _decided(state: State) -> State:
    """The state with a share for W, where R and S allow one; or with the word that no version
    works."""
    if state.phase != "watch" or state.wealth_r < ALARM:
        return state
    if state.none >= A_NONE and state.fails_mostly:
        state = replace(state, none_works=True)
    useless = state.is_useless
    tried = state.rescued >= RESCUED and state.again_bad >= AGAIN_BAD
    if state.wealth_s >= state.a_start and (state.read_over >= READ_OVER or tried):
        return _given(state, "ramp", HALF if useless else SMALL, useless=useless)
    if state.dead >= state.explore_at:
        later = replace(state, explore_at=min(max(state.explore_at, 1) * 8, state.dead + MOST_DEAD))
        return _given(later, "explore", EXPLORING, useless=useless)
    return state


def _given(state: State, phase: Phase, share: float, *, useless: bool) -> State:
    fresh = State(rate=state.rate)
    return replace(
        state,
        phase=phase,
        share=share,
        by_told=not useless,
        t=fresh.t,
        u=fresh.u,
        w_failed=0,
        w_over=0,
        w_seen=0,
        w_due=0.0,
        none_works=state.none_works and phase == "explore",
    )
