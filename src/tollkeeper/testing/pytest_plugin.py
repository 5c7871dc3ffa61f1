"""The pytest plugin: a provider's new description as a test of your integration.

`pytest --tollkeeper-new new.json --tollkeeper-integration stripe@2022-11-15` (or with
`--tollkeeper-usage usage.json`) adds an item for every finding, of which the breaking ones fail
with their witness, and `--tollkeeper-endpoint URL` one for every play of the rehearsal.
"""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, Final, override

import msgspec
import pytest

from tollkeeper.kernel.errors import TollkeeperError

SHOWN: Final = 2_000


class Broken(Exception):
    """A finding that breaks us, or a play that went wrong."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """The options; without `--tollkeeper-new` and `--tollkeeper-endpoint` nothing is added."""
    group = parser.getgroup("tollkeeper", "provider contracts")
    group.addoption("--tollkeeper-new", metavar="FILE", help="the provider's new description")
    group.addoption("--tollkeeper-old", metavar="FILE", help="the old one, to compare with")
    group.addoption("--tollkeeper-usage", metavar="FILE", help="what the integration uses")
    group.addoption("--tollkeeper-integration", metavar="NAME", help="an installed version")
    group.addoption("--tollkeeper-endpoint", metavar="URL", help="a sandbox to rehearse at")
    group.addoption("--tollkeeper-key", metavar="KEY", default="sk_test_tollkeeper",
                    help="the sandbox's test key")  # fmt: skip


def pytest_collection_modifyitems(session: pytest.Session, items: list[pytest.Item]) -> None:
    """Adds the items of the contract and of the rehearsal."""
    option = session.config.getoption
    if not option("--tollkeeper-new") and not option("--tollkeeper-endpoint"):
        return
    try:
        parent = Contract.from_parent(session, name="tollkeeper", path=session.path)
        items.extend(parent.collect())
    except TollkeeperError as error:
        raise pytest.UsageError(f"tollkeeper: {error.detail}") from error


class Contract(pytest.Collector):
    """What the options ask for, as items."""

    @override
    def collect(self) -> Iterator[pytest.Item]:
        option = self.config.getoption
        if option("--tollkeeper-new"):
            yield from self._findings()
        if option("--tollkeeper-endpoint"):
            yield from self._plays()

    def _findings(self) -> Iterator[pytest.Item]:
        from tollkeeper.cli.contracts import contract_verdict  # noqa: PLC0415 - only when asked for

        option = self.config.getoption
        result = contract_verdict(
            new=Path(option("--tollkeeper-new")),
            old=_path(option("--tollkeeper-old")),
            usage=_path(option("--tollkeeper-usage")),
            integration=option("--tollkeeper-integration"),
        )
        name = result.checked["usage"]
        yield Check.from_parent(self, name=f"{name} was checked", run=lambda: None)
        for number, finding in enumerate(result.findings):
            label = f"{name} {finding.rule} {finding.path or finding.pointer} [{number}]"
            yield Check.from_parent(self, name=label, run=_judging(finding))

    def _plays(self) -> Iterator[pytest.Item]:
        from tollkeeper.app import rehearse  # noqa: PLC0415 - only when asked for
        from tollkeeper.contracts.plays import PLAYS  # noqa: PLC0415
        from tollkeeper.integrations.catalogue import find  # noqa: PLC0415

        option = self.config.getoption
        version = find(option("--tollkeeper-integration") or "")
        endpoint, key = option("--tollkeeper-endpoint"), option("--tollkeeper-key")
        for play in PLAYS:
            run = _playing(partial(rehearse, endpoint, key, version, None, (play,)))
            yield Check.from_parent(self, name=f"{version.name} {play.name}", run=run)


class Check(pytest.Item):
    """One finding or one play."""

    def __init__(self, *, run: Callable[[], None], **rest: Any) -> None:
        super().__init__(**rest)
        self._run = run

    @override
    def runtest(self) -> None:
        self._run()

    @override
    def repr_failure(self, excinfo: Any, style: Any = None) -> Any:
        if isinstance(excinfo.value, Broken):
            return str(excinfo.value)
        return super().repr_failure(excinfo, style)

    @override
    def reportinfo(self) -> tuple[Path, int | None, str]:
        return self.path, None, f"tollkeeper: {self.name}"


def _path(text: str | None) -> Path | None:
    return Path(text) if text else None


def _judging(finding: Any) -> Callable[[], None]:
    def run() -> None:
        if finding.severity == "breaking" and not finding.standing:
            witness = msgspec.json.encode(finding.witness).decode()[:SHOWN]
            raise Broken(
                f"{finding.advice}\n  at {finding.pointer}\n  in {', '.join(finding.operations)}\n"
                f"  relied on by {finding.relied_on_by}\n  witness {witness}"
            )

    return run


def _playing(play: Callable[[], Any]) -> Callable[[], None]:
    def run() -> None:
        for difference in play().differences:
            raise Broken(f"{difference.operation}: {difference.seen}")

    return run
