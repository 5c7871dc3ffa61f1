"""Stripe's lists: their rows are read one by one, so that what is wrong with one hides no other.

Law: frozen versions import this file. It never changes by a byte; a change is `lists_2`, for new
revisions only.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import msgspec

from tollkeeper.integrations.parts.reading_1 import pointer, storable
from tollkeeper.integrations.stripe.objects_1 import dispute_seen, read_intent, read_refund
from tollkeeper.integrations.stripe.shape_1 import Shape
from tollkeeper.integrations.stripe.types_1 import (
    Dispute,
    DisputeList,
    IntentList,
    Listed,
    Referenced,
    RefundList,
)
from tollkeeper.payments.outcome import (
    Doubt,
    Outcome,
    UnreadRow,
    unknown,
)


def read_intents(shape: Shape, body: bytes) -> Outcome:
    page = msgspec.json.decode(body, type=IntentList)
    charges, unread = [], []
    for raw in page.data:
        row = _listed(raw)
        if isinstance(row, UnreadRow):
            unread.append(row)
        elif row.metadata is None:
            unread.append(_unreferenced(row, _row(partial(read_intent, shape), raw)))
        elif row.metadata.tollkeeper_payment is not None:
            said = _row(partial(read_intent, shape), raw)
            if said.charge is None:
                unread.append(_unread(row, said))
            else:
                charges.append(said.charge)
    return _page(page, tuple(unread), charges=tuple(charges))


def read_refunds(shape: Shape, body: bytes) -> Outcome:
    page = msgspec.json.decode(body, type=RefundList)
    refunds, unread = [], []
    for raw in page.data:
        row = _listed(raw)
        if isinstance(row, UnreadRow):
            unread.append(row)
            continue
        said = _row(partial(read_refund, shape), raw)
        if said.refund is None:
            unread.append(_unread(row, said))
        else:
            refunds.append(said.refund)
    return _page(page, tuple(unread), refunds=tuple(refunds))


def read_disputes(shape: Shape, body: bytes) -> Outcome:
    page = msgspec.json.decode(body, type=DisputeList)
    disputes, unread = [], []
    for raw in page.data:
        try:
            text = storable(bytes(raw))
            disputes.append(dispute_seen(msgspec.json.decode(text, type=Dispute), 0))
        except (msgspec.MsgspecError, ValueError, RecursionError) as error:
            unread.append(UnreadRow(doubt=Doubt("decode", str(error)[:200]), may_be_ours=True))
    return _page(page, tuple(unread), disputes=tuple(disputes))


def _listed(raw: msgspec.Raw) -> Listed | UnreadRow:
    """A row's id and reference, which say whose it is, whatever else is wrong with it."""
    try:
        return msgspec.json.decode(raw, type=Listed)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        doubt = Doubt("decode", str(error)[:200], "/data/-")
    try:
        return Listed(metadata=msgspec.json.decode(raw, type=Referenced).metadata)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return UnreadRow(doubt=doubt, may_be_ours=True)


def _row(read: Callable[[bytes], Outcome], raw: msgspec.Raw) -> Outcome:
    """One row, read by itself, so that its trouble is not that of the others."""
    try:
        return read(storable(bytes(raw)))
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        return unknown("decode", str(error)[:200], pointer(str(error)))


def _unreferenced(row: Listed, said: Outcome) -> UnreadRow:
    """An intent without metadata, which Stripe always shows: it could be anybody's."""
    charge = said.charge
    return UnreadRow(
        doubt=Doubt("contract", "the row shows no metadata", "/data/-/metadata"),
        provider_id=row.id,
        may_be_ours=True,
        amount_minor=charge.amount_minor if charge is not None else None,
        currency=charge.currency if charge is not None else "",
    )


def _unread(row: Listed, said: Outcome) -> UnreadRow:
    doubt = said.doubt or Doubt("contract", "the row holds no charge")
    return UnreadRow(
        doubt=msgspec.structs.replace(doubt, pointer=f"/data/-{doubt.pointer}"),
        provider_id=row.id,
        payment_id=row.metadata.tollkeeper_payment if row.metadata else None,
        attempt_id=row.metadata.tollkeeper_attempt if row.metadata else None,
        may_be_ours=row.metadata is None,
    )


def _page(
    page: IntentList | RefundList | DisputeList, unread: tuple[UnreadRow, ...], **read: Any
) -> Outcome:
    """One page. A list goes on after its last row. Where that row shows no id, or is not there,
    what follows could be ours; what was read counts."""
    last = _listed(page.data[-1]) if page.data else Listed()
    cursor = last.id if isinstance(last, Listed) and page.has_more else ""
    if page.has_more and not cursor:
        doubt = Doubt("decode", "the list goes on, and its last row shows no id", "/data/-/id")
        unread = (*unread, UnreadRow(doubt=doubt, may_be_ours=True))
    return Outcome(kind="approved", unread=unread, next_cursor=cursor or None, **read)
