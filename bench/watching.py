"""What the watch of failover and the coin add to a payment that goes well: CPU, no input or output.

`./dev bench watching` takes the choice of a version with watched streams and without them, and what
is noted when the payment is over, in the same run. Example: `./dev bench watching --payments 50000`
"""

import argparse
import sys
import time
from collections.abc import Callable

from tollkeeper.flows import observing
from tollkeeper.flows.sending import SendResult
from tollkeeper.payments.outcome import Charge, Outcome
from tollkeeper.payments.payment import Attempt, Books, Payment
from tollkeeper.routing.routes import RouteChoice, Routes, RoutingContext, Share, choose_route
from tollkeeper.testing.coverage import Coverage
from tollkeeper.testing.world import Simulation

CARRYING, CANDIDATE = "stripe@2022-08-01", "stripe@2022-11-15"
FACTS = RoutingContext(unit="c1", payment_id="pay_1", currency="EUR", account="acc_1")
ROUNDS = 5


def seconds(run: Callable[[], object], count: int) -> float:
    """The least of `ROUNDS` rounds, in CPU-seconds a call."""
    found = []
    for _ in range(ROUNDS):
        began = time.process_time()
        for _ in range(count):
            run()
        found.append((time.process_time() - began) / count)
    return min(found)


def drive(make: Callable[[], object]) -> Callable[[], None]:
    """Runs a coroutine that waits for nothing."""

    def run() -> None:
        coroutine = make()
        try:
            coroutine.send(None)  # type: ignore[attr-defined]
        except StopIteration:
            return
        raise AssertionError("it waits for something")

    return run


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--payments", type=int, default=20_000)
    count = parser.parse_args().payments
    simulation = Simulation(1, Coverage())
    simulation.loop.run(simulation.set_up())
    runtime = simulation.replicas[0].runtime
    rules = runtime.live.routes.rules
    watched = Share(candidate=CANDIDATE, share_ppm=0, salt="s", is_open=False)
    names = {name for rule in rules for name in rule.weights}
    plain, shared = (
        Routes(rules=rules),
        Routes(rules=rules, shares=dict.fromkeys(names, (watched,))),
    )
    payment = Payment(
        id="pay_1", account="acc_1", amount_minor=1000, currency="EUR", capture_method="automatic",
        payment_method="pm", integration=CARRYING, created_ms=1, updated_ms=1, deadline_ms=9,
        status="succeeded", outcome_known=True,
    )  # fmt: skip
    attempt = Attempt(
        id="att_1", payment_id="pay_1", operation="authorize", sender="bench",
        integration=CARRYING, amount_minor=1000, first_sent_ms=1, sent_ms=1, outcome="approved",
    )  # fmt: skip
    books = Books(payment=payment, attempts=(attempt,))
    charge = Charge(provider_id="pi_1", state="captured", amount_minor=1000, currency="EUR")
    said = Outcome(kind="approved", charge=charge)
    heard = SendResult(said, None, own=said)
    taken = RouteChoice(integration=CARRYING, share=watched)

    def noted() -> object:
        return observing.note_first(runtime, books, taken, [CARRYING], [heard], tossed=False)

    without = seconds(lambda: choose_route(plain, "s", FACTS, 1), count)
    with_ = seconds(lambda: choose_route(shared, "s", FACTS, 1), count)
    over = seconds(drive(noted), count)
    coin = seconds(lambda: runtime.live.is_coin_due(CARRYING, 1.0), count)
    added = max(with_ - without, 0.0) + over
    rows = (
        ("choice of a version, nothing watched", without),
        ("choice of a version, watched", with_),
        ("what is noted when it is over", over),
        ("added by the watch to a payment that goes well", added),
        ("whether a coin is due, asked after a refusal alone", coin),
    )
    for name, value in rows:
        sys.stdout.write(f"{value * 1e6:7.2f} us  {value / without:5.2f}x  {name}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
