"""Taking out a version that another one has refuted: it misreads payments."""

from msgspec.structs import replace

from tollkeeper.failover.checks import refuted
from tollkeeper.failover.state import misread
from tollkeeper.failover.streams import Stream
from tollkeeper.flows.failover import watching
from tollkeeper.flows.failover.judged import Judged
from tollkeeper.flows.runtime import Runtime


async def take_out_refuted(runtime: Runtime, judged: Judged) -> None:
    """Takes versions out that misread a payment: their shares end at once, and what they carry goes
    to another version; where there is none, back to the one that was left. That fails for all to
    see, and a misreading does not."""
    found = [name for name in refuted(judged.checks) if not judged.checks[name].is_out]
    for version in found:  # all of them first: none may be the refuge of another one
        judged.checks = judged.checks | {version: replace(judged.checks[version], is_out=True)}
        judged.take_out(version)
    for version in found:
        concerned = [s for s in judged.streams if version in {s.carrying, s.candidate}]
        if not concerned:  # it was asked what it sees of another version's payment
            _say_at_rest(judged, version)
        for stream in concerned:
            if stream.carrying == version:
                _leave(runtime, judged, stream)
                continue
            _say(judged, stream, version)
            again = await watching.begun_again(runtime, judged.watch, stream)
            judged.streams[judged.streams.index(stream)] = again


def _leave(runtime: Runtime, judged: Judged, stream: Stream) -> None:
    others = runtime.router.other_versions(stream.carrying, stream.condition.account)
    sound = [v.name for v in others if v.name not in judged.taken_out]
    back = [judged.moved_from] if judged.moved_from not in {"", stream.carrying} else []
    refuge = next(iter([*sound, *back]), "")
    left = replace(stream, candidate=refuge)
    _say(judged, left, stream.carrying)
    if not refuge:
        return
    judged.move(left)
    judged.taken_out = tuple(name for name in judged.taken_out if name != refuge)


def _say_at_rest(judged: Judged, version: str) -> None:
    """Says of a version that no stream knows of that it misreads: it gets no traffic from now on,
    which ends nothing that goes on."""
    stream = (*judged.streams, *judged.watch.streams)[0]
    _say(judged, replace(stream, candidate=version), version)


def _say(judged: Judged, stream: Stream, version: str) -> None:
    reason = misread(stream, version, judged.checks[version])
    judged.record(stream, "misread", stream.state, reason)
    judged.tell(stream, "misread", stream.state, reason)
