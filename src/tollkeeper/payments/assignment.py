"""Which arm of a rollout a payment fell into, and what its first attempt came to.

Law: an assignment is written with the payment, before anything is sent, and holds the share that
was in force then: the random assignment is all that a rollout's evidence trusts.
"""

from typing import Literal

import msgspec

Arm = Literal["baseline", "canary"]


class Assignment(msgspec.Struct, frozen=True, kw_only=True):
    """One unit's (a customer's, else a payment's) place in one rollout; the first one counts.

    `share_ppm`: the chance, in millionths, with which a new unit became a canary at that moment;
    0 where the canary took nobody. `unit` is a digest, so that no customer's name is kept here.
    A later payment of the unit counts as `again_unit`, whose chance was `again_ppm`; with 0 it does
    not count. `drawn`: a canary's payment that is to be cross-read, whether or not it counts.
    """

    rollout_id: str
    unit: str
    payment_id: str
    arm: Arm
    share_ppm: int
    assigned_ms: int
    again_unit: str = ""
    again_ppm: int = 0
    drawn: bool = False


class FirstResult(msgspec.Struct, frozen=True, kw_only=True):
    """What the first attempt of an assigned payment came to.

    `failed`: no usable answer (class A, B1 or C); `unreadable`: an answer that the version could
    not read, whoever else could; `latency_ms`: from the send to the judged answer.
    """

    rollout_id: str
    unit: str
    payment_id: str
    failed: bool
    unreadable: bool
    declined: bool
    latency_ms: int
    decided_ms: int
    again_unit: str = ""


class FollowUpResult(msgspec.Struct, frozen=True, kw_only=True):
    """What the first follow-up (capture, void or refund) of an assigned payment came to, through
    the version that took the payment: `failed` as in `Observed`."""

    rollout_id: str
    units: tuple[str, str]
    payment_id: str
    failed: bool


class ShadowResult(msgspec.Struct, frozen=True, kw_only=True):
    """What a candidate that sends nothing yet made of one live reply of the baseline's."""

    rollout_id: str
    payment_id: str
    differs: bool
    at_ms: int
    detail: str = ""
