"""Canaries: private values planted wherever an evidence pack is made from: does one leave?

Law: whether a value left is found by plain search for it, not by what the pack's own gate uses.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

from tollkeeper.incidents.incident import Entry, Finding, Impact, Incident
from tollkeeper.integrations.version import WireReply, WireRequest
from tollkeeper.kernel.ids import ALPHABET
from tollkeeper.payments.payment import Attempt
from tollkeeper.providers.calls import call_of, reproduction_of
from tollkeeper.providers.card import Card, Contact
from tollkeeper.providers.evidence import Evidence, Gathered, evidence_of
from tollkeeper.providers.pack import files_of, known_words
from tollkeeper.providers.searching import Private, leaks_in

CARDS: Final = ("4242424242424242", "5555555555554444", "378282246310005", "6011111111111117")
"""Published test numbers."""

FIRST: Final = ("Ada", "Grace", "Alan", "Edsger", "Barbara", "Niklaus", "Radia", "Vint")
LAST: Final = ("Lovelace", "Hopper", "Turing", "Dijkstra", "Liskov", "Wirth", "Perlman", "Cerf")
DOMAINS: Final = ("provider_changed", "provider_down", "provider_slow", "provider_limited")
KEPT: Final = frozenset({"id", "status", "amount", "currency", "object", "latest_charge"})
NOW_MS: Final = 1_795_726_606_338
VERSIONS: Final = ("stripe@2022-08-01", "stripe@2022-11-15", "stripe@2026-03-25.dahlia")


@dataclass
class Drawn:
    """One pack as it would be made, with what was planted into its sources."""

    evidence: Evidence
    private: Private
    planted: list[str] = field(default_factory=list)

    def files(self) -> dict[str, bytes]:
        """The pack's files."""
        return files_of(self.evidence)

    def leaks(self) -> tuple[str, ...]:
        """What the gate says of them."""
        return leaks_in(self.files(), self.private, known_words())

    def outside(self) -> list[str]:
        """Planted values that stand in the files, by plain search."""
        whole = b"\n".join(self.files().values()).decode().casefold()
        digits = "".join(one for one in whole if one.isdigit() or one.isalpha())
        found = []
        for value in self.planted:
            bare = value.casefold()
            number = "".join(one for one in bare if one.isdigit())
            if bare in whole or (len(number) >= 15 and number in digits):
                found.append(value)
        return found


class Planter:
    """Draws packs from a seed. `share`: of the places, how many get a private value; 0 for none."""

    def __init__(self, seed: int, *, share: float) -> None:
        self.chance = random.Random(seed)
        self.share = share
        self.planted: list[str] = []
        self.persons: set[str] = set()
        self.secrets: set[str] = set()

    def id(self, prefix: str) -> str:
        """An id as ours are."""
        return f"{prefix}_01m8{''.join(self.chance.choices(ALPHABET, k=22))}"

    def provider_id(self, prefix: str) -> str:
        """An id as providers make them."""
        letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
        return f"{prefix}_3{''.join(self.chance.choices(letters, k=22))}"

    def value(self) -> str:
        """A private value of any kind; empty where none is planted."""
        if self.chance.random() >= self.share:
            return ""
        kind = self.chance.choice(("card", "key", "hook", "name", "mail", "customer", "setting"))
        made = getattr(self, f"_{kind}")()
        self.planted.append(made)
        return str(made)

    def _card(self) -> str:
        number = self.chance.choice(CARDS)
        mark = self.chance.choice(("", " ", "-", "."))
        return mark.join(number[at : at + 4] for at in range(0, len(number), 4))

    def _key(self) -> str:
        return f"sk_live_{self.chance.randbytes(12).hex()}"

    def _hook(self) -> str:
        return f"whsec_{self.chance.randbytes(12).hex()}"

    def _setting(self) -> str:
        made = self.chance.randbytes(16).hex()
        self.secrets.add(made)
        return made

    def _name(self) -> str:
        made = f"{self.chance.choice(FIRST)} {self.chance.choice(LAST)}"
        self.persons.add(made)
        return made

    def _mail(self) -> str:
        return f"{self.chance.choice(FIRST).lower()}{self.chance.randrange(99)}@example.com"

    def _customer(self) -> str:
        made = f"cust-{self.chance.randrange(10**6):06}"
        self.persons.add(made)
        return made

    def drawn(self) -> Drawn:
        """One pack."""
        self.planted = []
        self.persons.clear()
        self.secrets.clear()
        incident = self._incident()
        calls = tuple(self._call(failed=number % 2 == 0) for number in range(6))
        request = self._request()
        gathered = Gathered(
            entries=tuple(self._entries(incident)),
            calls=calls,
            reproduction=reproduction_of(request),
            names=KEPT,
        )
        card = Card(
            title="Stripe",
            account_ids=(self.provider_id("acct"),),
            contacts=(Contact(name="a", role="b", level="L1", channels=()),),
        )
        evidence = evidence_of(
            incident, card, gathered, notice=self.id("ntc"), provider="stripe", now_ms=NOW_MS
        )
        persons = self.persons | {self._quiet_customer() for _ in range(200)}
        private = Private(secrets=frozenset(self.secrets), persons=frozenset(persons))
        return Drawn(evidence, private, list(self.planted))

    def _quiet_customer(self) -> str:
        """What payments of shops say that has nothing to do with the incident."""
        kinds = (
            lambda: f"user{self.chance.randrange(10**5)}",
            lambda: f"{self.chance.choice(FIRST)} {self.chance.choice(LAST)}",
            lambda: f"order-{self.chance.randrange(10**6)}",
            lambda: self.chance.choice(("Coffee beans", "blue", "web", "checkout", "payment")),
            lambda: str(self.chance.randrange(10**6)),
        )
        return self.chance.choice(kinds)()

    def _incident(self) -> Incident:
        failed = self.chance.randrange(500)
        counts = f"{self.chance.randrange(50)} of {self.chance.randrange(50, 99)}"
        says = [f"{counts} failures depart.", "The provider answered within 3 s.", self.value()]
        says.append(f"account {self.value() or 'x1'}: {counts} bad; all others: 0 of 25.")
        return Incident(
            id=self.id("inc"),
            fingerprint="stripe",
            status="triggered",
            severity=self.chance.choice(("sev1", "sev2", "sev3", "sev4")),
            title=f"it fails for {self.value()}",
            policy="",
            opened_ms=NOW_MS,
            began_ms=NOW_MS - 9_000,
            impact=Impact(minutes=5, failed=failed, of=failed * 2, users=failed),
            finding=Finding(
                domain=self.chance.choice(DOMAINS),
                confidence=0.9,
                provider="stripe",
                integration=self._or(self.chance.choice(VERSIONS)),
                operation=self._or("authorize"),
                pointer=self._or("/status", "/status/{}"),
                slice={"account": self.value(), "country": self._or("DE"), "brand": self.value()},
                says=self.value(),
                sure=self.value(),
                next=self.value(),
                because=tuple(says),
                runner_up=self._or("provider_down 3%"),
            ),
        )

    def _or(self, right: str, form: str = "{}") -> str:
        """A right value, or a planted one in its place."""
        planted = self.value()
        return form.format(planted) if planted else right

    def _entries(self, incident: Incident) -> Iterator[Entry]:
        said: tuple[tuple[Any, str, str], ...] = (
            ("note", "cli:me", f"call {self.value()}"),
            (
                "failover",
                "machine:failover.moved",
                f"failover moved of {VERSIONS[0]}: {self.value()}",
            ),
            ("rollout", f"machine:{self.value()}", f"rollout rolled back: {self.value()}"),
            ("failover", "machine:x", self.value()),
            ("provider", "provider:mail", self.value()),
        )
        for number, (kind, source, text) in enumerate(said, 1):
            yield Entry(
                incident=incident.id, seq=number, at_ms=NOW_MS, kind=kind, source=source,
                text=text, facts={"x": self.value()},
            )  # fmt: skip

    def _request(self) -> WireRequest:
        body = (
            f"amount={self.chance.randrange(10**5)}&currency=eur&confirm=true&{self.value()}=1"
            f"&payment_method={self.value()}&metadata[order]={self.value()}"
            f"&description={self.value()}&amount_to_capture={self.value()}"
        )
        return WireRequest(
            method="POST",
            path=f"/v1/payment_intents/{self.provider_id('pi')}/{self.value()}",
            query=f"q={self.value()}",
            headers=(
                ("content-type", "application/x-www-form-urlencoded"),
                ("authorization", f"Bearer {self.value()}"),
                ("stripe-version", self._or("2022-08-01")),
                ("x-note", self.value()),
            ),
            body=body.encode(),
        )

    def _call(self, *, failed: bool) -> Any:
        reply = WireReply(
            status=200,
            headers=(("request-id", self._or(self.provider_id("req"))), ("x-note", self.value())),
            body=msgspec.json.encode(
                {
                    "id": self.provider_id("pi"),
                    "status": self._or("succeeded"),
                    "amount": 1,
                    "latest_charge": {"id": self.value(), "billing_details": {"a": self.value()}},
                    "metadata": {self.value() or "a": self.value()},
                    "receipt_email": self.value(),
                    "note": self.value(),
                }
            ),
        )
        attempt = Attempt(
            id=self.id("att"),
            payment_id=self.id("pay"),
            operation="authorize",
            integration=self.chance.choice(VERSIONS),
            amount_minor=1_000,
            first_sent_ms=NOW_MS,
            sent_ms=NOW_MS,
            outcome="unknown" if failed else "approved",
            result_class="C" if failed else None,
            provider_id=self._or(self.provider_id("ch")),
            detail=self.value(),
        )
        return call_of(attempt, self._request(), reply, "/status", KEPT)
