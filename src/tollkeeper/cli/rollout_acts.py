"""The commands that act on one rollout, all in one shape: `rollout ACT ID --reason WHY`."""

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated, Final

import cyclopts

from tollkeeper.cli.opening import AsJson, Config, person, with_runtime
from tollkeeper.cli.rollout_picture import told
from tollkeeper.flows.rollouts import commands
from tollkeeper.flows.rollouts import read as read_flow
from tollkeeper.flows.runtime import Runtime
from tollkeeper.rollouts.rollout import Rollout

Reason = Annotated[
    str, cyclopts.Parameter(help="Reason for this action; recorded in the rollout's history.")
]
RolloutId = Annotated[
    str | None, cyclopts.Parameter(help="The rollout's id; by default the newest rollout.")
]

type Act = Callable[..., Awaitable[Rollout]]

ACTS: Final[tuple[tuple[str, Act, bool, str], ...]] = (
    (
        "approve", commands.approve, False,
        """Approve the step at which a rollout waits; the evidence still decides.

        Example: `tollkeeper rollout approve --reason "checked with finance"`
        """,
    ),
    (
        "pause", commands.pause, True,
        """Pause a rollout: it keeps its share and goes no step further. Rollback stays armed.

        Example: `tollkeeper rollout pause --reason "no changes during the sale"`
        """,
    ),
    (
        "resume", commands.resume, False,
        """Let a paused rollout go on.

        Example: `tollkeeper rollout resume --reason "the sale is over"`
        """,
    ),
    (
        "step", commands.step, True,
        """Take exactly one step without waiting for the evidence, which can still roll back.

        Example: `tollkeeper rollout step --reason "the bank confirmed the new fields"`
        """,
    ),
    (
        "abort", commands.abort, False,
        """End a rollout: the candidate takes no more new payments.

        Example: `tollkeeper rollout abort --reason "wrong week"`
        """,
    ),
    (
        "promote", commands.promote, True,
        """Promote a candidate without waiting for the evidence.

        Example: `tollkeeper rollout promote --reason "the old version is switched off tonight"`
        """,
    ),
    (
        "rollback", commands.roll_back, False,
        """Roll a candidate back, even after its promotion, and restore the previous routes.

        Example: `tollkeeper rollout rollback --reason "refunds fail"`
        """,
    ),
)  # fmt: skip
"""Commands that act on one rollout: name, what it does, whether it needs a reason, and its help."""


def _add(app: cyclopts.App, name: str, act: Act, about: str, *, needs_reason: bool) -> None:
    """Makes a command of an act."""

    def with_reason(
        rollout_id: RolloutId = None,
        /,
        *,
        reason: Reason,
        json: AsJson = False,
        config: Config = None,
    ) -> int:
        return _operate(config, rollout_id, act, reason, as_json=json)

    def optional(
        rollout_id: RolloutId = None,
        /,
        *,
        reason: Reason = "",
        json: AsJson = False,
        config: Config = None,
    ) -> int:
        return _operate(config, rollout_id, act, reason, as_json=json)

    command = with_reason if needs_reason else optional
    command.__doc__ = about
    app.command(command, name=name)


def _operate(
    config: Path | None,
    rollout_id: str | None,
    act: Callable[..., Awaitable[Rollout]],
    reason: str,
    *,
    as_json: bool,
) -> int:
    async def work(runtime: Runtime) -> Rollout:
        rollout = await read_flow.one(runtime.store, rollout_id)
        return await act(runtime, rollout.id, reason=reason, actor=person())

    return told(with_runtime(config, work), as_json=as_json)


def add_to(app: cyclopts.App) -> None:
    """Adds the commands to the group `rollout`."""
    for name, act, needs_reason, about in ACTS:
        _add(app, name, act, about, needs_reason=needs_reason)
