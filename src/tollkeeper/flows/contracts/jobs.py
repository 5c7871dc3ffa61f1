"""The jobs of this feature: what runs each kind, and its part of the slots."""

from typing import Final

from tollkeeper.flows.ports import Job, JobKind
from tollkeeper.flows.runtime import Runtime


async def watch_description(runtime: Runtime, job: Job) -> None:
    """Runs one `watch` job. The checker is loaded when something is watched."""
    from tollkeeper.flows.contracts import watch  # noqa: PLC0415 - see above

    await watch.watch(runtime, job)


JOBS: Final[dict[str, JobKind]] = {
    "watch": JobKind(run=watch_description, slots=2, why="fetches providers' descriptions"),
}
