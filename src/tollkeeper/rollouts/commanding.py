"""What an operator's word does to a rollout: pause it, let it go on, take one step.

Law: none of it switches rollback off, or lifts a share that evidence holds at its floor.
"""

from msgspec.structs import replace

from tollkeeper.rollouts.deciding import pause_because, stepped
from tollkeeper.rollouts.rollout import Rollout


def no_step(rollout: Rollout) -> str:
    """Why an operator can let a rollout take no step; empty where it can."""
    following = rollout.step_percent if rollout.is_shadow else rollout.next_percent
    if following is None:
        return f"the plan ends at {rollout.step_percent:g} %"
    if following >= 100:
        return "the next step is the promotion: `tollkeeper rollout promote`"
    return ""


def stepped_by_hand(rollout: Rollout, reason: str, now_ms: int) -> Rollout:
    """The rollout one step further, on an operator's word."""
    after = stepped(rollout, now_ms)
    return replace(after, waiting=f"step {after.step_percent:g} % by an operator: {reason}")


def paused(rollout: Rollout, reason: str) -> Rollout:
    """The rollout, which goes no step further until it is resumed."""
    return replace(rollout, paused=reason, waiting=pause_because(reason))


def resumed(rollout: Rollout) -> Rollout:
    """The rollout, which goes on."""
    return replace(rollout, paused="", waiting="resumed by an operator")
