"""From a provider's change to the last canary payment, on the running service with real sockets.

`./dev bench rollback` starts service, simulator and shoppers, makes the candidate a canary at
`--share` percent, breaks it in each of the drill's ways, and compares with the simulator's ledger.
Example: `./dev bench rollback --rates 1 5 20 --store sqlite --faults sunset timeout_after`
"""

import msgspec
import rig

from tollkeeper.testing.drill import FAULTS, Story, drill_plan, play


def main() -> None:
    options = rig.parser(__doc__)
    options.add_argument("--rates", type=float, nargs="+", default=[20.0], help="payments a second")
    options.add_argument("--share", type=float, default=5.0, help="the canary's percent")
    options.add_argument("--floor", type=float, default=1.0, help="percent while suspicious")
    options.add_argument("--replicas", type=int, default=2, help="on PostgreSQL")
    options.add_argument(
        "--faults", nargs="+", default=list(FAULTS), choices=list(FAULTS), help="which"
    )
    given = options.parse_args()
    found = []
    for store in rig.stores(given.store):
        replicas = given.replicas if store == "postgresql" else 1
        for rate in given.rates:
            for fault in given.faults:
                rig.say(f"{store}, {rate:g} a second, {fault}")
                plan = drill_plan(given.share, floor_percent=given.floor)
                story = play(rate, fault, plan, store=store, replicas=replicas)
                found.append({"store": store, **row(story)})
    rig.show(found, as_json=given.json)


def row(story: Story) -> dict[str, object]:
    """The figures of one run, without its timeline."""
    kept = msgspec.structs.asdict(story)
    for name in ("timeline", "protected", "reason"):
        del kept[name]
    return kept


if __name__ == "__main__":
    main()
