"""The reference page of jobs, drawn from the features' declarations."""

from tollkeeper.app import JOBS
from tollkeeper.flows.live.breakers import FIRST_REST_MS, LONGEST_REST_MS, THRESHOLD
from tollkeeper.jobs.lanes import lanes_for
from tollkeeper.settings import Settings


def page() -> str:
    """`docs/reference/jobs.md`."""
    settings = Settings()
    lanes = lanes_for(
        JOBS,
        settings.job_concurrency,
        per_account=settings.deliveries_per_account,
        per_endpoint=settings.deliveries_per_endpoint,
    )
    rows = [
        f"| `{lane.kind}` | {JOBS[lane.kind].why} | {lane.slots} "
        f"| {lane.per_account if lane.parties != 'none' else ''} "
        f"| {lane.per_peer if lane.parties != 'none' else ''} |"
        for lane in lanes
    ]
    return (
        "# Jobs\n\nJobs are the work of the service beside its requests. Every kind has its own "
        "slots, so that a kind that hangs takes no slot of another kind. The numbers are for the "
        f"default `job_concurrency` of {settings.job_concurrency}, in one process. Other values "
        "change them in proportion, and each kind keeps at least one slot. A peer is the provider "
        "or the webhook endpoint that the job calls. A free slot goes to the account with the "
        "fewest slots.\n\n"
        "| kind | what it does | slots | for one account | for one peer |\n|---|---|---|---|---|\n"
        + "\n".join(rows)
        + f"\n\nThe service pauses an endpoint that fails {THRESHOLD} times in a row for "
        f"{FIRST_REST_MS // 1000} s. Each further failure doubles the pause, up to "
        f"{LONGEST_REST_MS // 1000} s. The events of the endpoint wait and lose no try.\n"
    )
