"""The very same request, sent again and again: counted where it goes out."""

import asyncio

import pytest
from tests.wire.peers import QUICK, REPLY, Peer, get, post, server

from tollkeeper.flows.ports import Target
from tollkeeper.wire import repeats
from tollkeeper.wire.provider import HttpWire
from tollkeeper.wire.repeats import SPAN_S, Repeats

pytestmark = pytest.mark.usefixtures("loop_factory")


async def test_the_wire_says_how_often_the_same_request_went_out() -> None:
    async def play(peer: Peer) -> None:
        await peer.hear()
        await peer.say(REPLY)

    async with server(play) as url, HttpWire(QUICK, keepalive_seconds=0) as wire:
        target = Target(base_url=url)
        sent = await asyncio.gather(*(wire.send(post(), target) for _ in range(4)))
        asked = [await wire.send(get(), target) for _ in range(3)]
    assert [result.repeats for result in sent] == [0, 1, 2, 3]
    assert [result.repeats for result in asked] == [0, 0, 0]


def test_repeats_are_forgotten_after_two_spans_and_remembered_for_one() -> None:
    counting = Repeats()
    assert counting.count(post(), 0.0) == 0
    assert counting.count(post(), SPAN_S + 0.1) == 1
    assert counting.count(post(), 4 * SPAN_S) == 0


def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(repeats, "MOST", 2)
    counting = Repeats()
    first, second, third = (post(f"amount={number}".encode()) for number in range(3))
    for request in (first, second, third):
        assert counting.count(request, 0.0) == 0
    assert counting.count(third, 0.0) == 0
    assert counting.count(first, 0.0) == 1
