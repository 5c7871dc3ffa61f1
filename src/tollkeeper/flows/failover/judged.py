"""What one look of the controller decides, put together stream by stream."""

from tollkeeper.failover.drawn import Step
from tollkeeper.failover.rule import State
from tollkeeper.failover.state import Kind, Record, Watch, moved_rules
from tollkeeper.failover.streams import Stream
from tollkeeper.flows.ports import Rerouting, RoutingRow
from tollkeeper.flows.runtime import Runtime, configured_rules


class Judged:
    """`streams` as they will be, `told` what people are told, `rules` as they will be. `gone`:
    versions whose traffic moves, so that what is known of their streams is of no use any more."""

    def __init__(self, watch: Watch, row: RoutingRow, runtime: Runtime) -> None:
        self.watch = watch
        self.rules = row.rules or configured_rules(runtime.settings)
        self.records: list[Record] = []
        self.streams: list[Stream] = []
        self.gone: set[str] = set()
        self.taken_out = watch.taken_out
        self.checks = watch.checks
        self.moved_from = watch.moved_from
        self.told: list[tuple[Kind, Stream, State, str]] = []
        self.moved = False
        self._row = row
        self._now_ms = runtime.store.now_ms()

    @property
    def rerouting(self) -> Rerouting | None:
        """The change of the routes, where traffic moves."""
        return Rerouting(before=self._row.rules, after=self.rules) if self.moved else None

    def record(
        self,
        stream: Stream,
        kind: Kind,
        after: State,
        reason: str,
        *,
        steps: tuple[Step, ...] = (),
        counted: State | None = None,
    ) -> None:
        """Writes a decision down, with the steps that it counted and the state that they gave."""
        self.records.append(
            Record(
                seq=self.watch.seq + len(self.records) + 1,
                at_ms=self._now_ms,
                kind=kind,
                carrying=stream.carrying,
                candidate=stream.candidate,
                condition=stream.condition,
                operation=stream.operation,
                before=stream.state,
                steps=steps,
                counted=counted if counted is not None else stream.state,
                after=after,
                reason=reason,
            )
        )

    def tell(self, stream: Stream, kind: Kind, after: State, reason: str) -> None:
        """Tells people of a decision, once it is written."""
        self.told.append((kind, stream, after, reason))

    def move(self, stream: Stream) -> None:
        """Gives what the stream's version carried to its candidate. The version's streams begin
        anew: what is known of them is of other payments."""
        self.rules = moved_rules(self.rules, stream.carrying, stream.candidate, stream.condition)
        self.moved, self.moved_from = True, stream.carrying
        self.gone.add(stream.carrying)
        self.streams = [s for s in self.streams if s.carrying not in self.gone]
        if stream.is_whole:
            self.take_out(stream.carrying)

    def take_out(self, version: str) -> None:
        """Keeps traffic from moving to `version` until an operator clears it."""
        self.taken_out = tuple(dict.fromkeys((*self.taken_out, version)))
