"""The reference page of jobs, drawn from the table of lanes."""

from tollkeeper.flows.live.breakers import FIRST_REST_MS, LONGEST_REST_MS, THRESHOLD
from tollkeeper.jobs.lanes import SHARES, lanes_for
from tollkeeper.settings import Settings


def page() -> str:
    """`docs/reference/jobs.md`."""
    settings = Settings()
    lanes = lanes_for(
        SHARES,
        settings.job_concurrency,
        per_account=settings.deliveries_per_account,
        per_endpoint=settings.deliveries_per_endpoint,
    )
    rows = [
        f"| `{lane.kind}` | {SHARES[lane.kind].why} | {lane.slots} "
        f"| {lane.per_account if lane.parties != 'none' else ''} "
        f"| {lane.per_peer if lane.parties != 'none' else ''} |"
        for lane in lanes
    ]
    return (
        "# Jobs\n\nWhat the service does beside its requests. Every kind has slots of its own, so "
        "that a kind that hangs takes none of another. The numbers are for the default "
        f"`job_concurrency` of {settings.job_concurrency}, in one process; other values change "
        "them in proportion, and each kind keeps at least one slot. A peer is the provider that is "
        "asked, or the webhook endpoint that is sent to. A free slot goes to the account that has "
        "the fewest.\n\n"
        "| kind | what it does | slots | for one account | for one peer |\n|---|---|---|---|---|\n"
        + "\n".join(rows)
        + f"\n\nAn endpoint that fails {THRESHOLD} times in a row rests for "
        f"{FIRST_REST_MS // 1000} s, and twice as long after each further failure, at most "
        f"{LONGEST_REST_MS // 1000} s. Its events wait and lose no try.\n"
    )
