"""Every route of the public API in one table: the application, the OpenAPI text and the reference
are drawn from it."""

from collections.abc import Awaitable, Callable
from typing import Final, Literal

import msgspec

from tollkeeper.api import events, failovers, hooks, payments, requests, rollouts, shopper, views
from tollkeeper.api.access import Reach, Resource
from tollkeeper.api.admission import Pot
from tollkeeper.api.answers import Answer
from tollkeeper.api.calls import Call
from tollkeeper.flows.failover.views import FailoverView
from tollkeeper.flows.operations.keys import Role
from tollkeeper.payments.view import DisputeView, EventView, PaymentView, RefundView

type Handler = Callable[[Call], Awaitable[Answer]]


class Route(msgspec.Struct, frozen=True, kw_only=True):
    """One operation. `resource`: what it acts on; `role`: the weakest that may, `None` for no key
    at all; `reach`: whose things it may touch; `money`: needs an idempotency key; `body`: what is
    sent, `signed` marks a provider's own bytes; `gives`: what comes back with each of
    `statuses`."""

    method: Literal["GET", "POST", "DELETE"]
    path: str
    handler: Handler
    summary: str
    resource: Resource
    role: Role | None
    reach: Reach = "own"
    gives: type[msgspec.Struct] | None
    statuses: tuple[int, ...] = (200,)
    body: type[msgspec.Struct] | None = None
    body_optional: bool = False
    signed: bool = False
    money: bool = False
    query: tuple[str, ...] = ()

    @property
    def pot(self) -> Pot:
        """Which requests it shares its places with."""
        if self.money:
            return "payments"
        if self.signed:
            return "inbound"
        if self.reach == "shopper":
            return "shoppers"  # the provider is asked, so that one that hangs fills this pot
        return "reads" if self.method == "GET" else "administration"


PAYMENT: Final = "/v1/payments/{payment_id}"
ROLLOUT: Final = "/v1/rollouts/{rollout_id}"
FAILOVER: Final = "/v1/failovers/{provider}"
ENDPOINT: Final = "/v1/webhook_endpoints/{endpoint_id}"

ROUTES: Final = (
    Route(
        method="POST",
        path="/v1/payments",
        handler=payments.create,
        summary="Take a payment",
        resource="payment",
        role="service",
        body=requests.CreatePayment,
        money=True,
        gives=PaymentView,
        statuses=(200, 201, 202),
    ),
    Route(
        method="GET",
        path="/v1/payments",
        handler=payments.page,
        summary="Page through payments",
        resource="payment",
        role="viewer",
        gives=views.PaymentPage,
        query=("limit", "cursor", "status", "customer", "reference", "needs_attention"),
    ),
    Route(
        method="GET",
        path=PAYMENT,
        handler=payments.read,
        summary="Read a payment",
        resource="payment",
        role="viewer",
        gives=PaymentView,
    ),
    Route(
        method="POST",
        path=f"{PAYMENT}/capture",
        handler=payments.capture,
        summary="Capture an authorized payment",
        resource="payment",
        role="service",
        body=requests.CapturePayment,
        body_optional=True,
        money=True,
        gives=PaymentView,
        statuses=(200, 202),
    ),
    Route(
        method="POST",
        path=f"{PAYMENT}/void",
        handler=payments.void,
        summary="Cancel an authorization",
        resource="payment",
        role="service",
        body=requests.VoidPayment,
        body_optional=True,
        money=True,
        gives=PaymentView,
        statuses=(200, 202),
    ),
    Route(
        method="POST",
        path=f"{PAYMENT}/refunds",
        handler=payments.refund,
        summary="Refund a payment",
        resource="payment",
        role="service",
        body=requests.RefundPayment,
        body_optional=True,
        money=True,
        gives=RefundView,
        statuses=(201, 202),
    ),
    Route(
        method="GET",
        path=f"{PAYMENT}/refunds",
        handler=payments.refunds,
        summary="List a payment's refunds",
        resource="payment",
        role="viewer",
        gives=views.RefundList,
    ),
    Route(
        method="GET",
        path=f"{PAYMENT}/refunds/{{refund_id}}",
        handler=payments.read_refund,
        summary="Read a refund",
        resource="payment",
        role="viewer",
        gives=RefundView,
    ),
    Route(
        method="POST",
        path=f"{PAYMENT}/clear_attention",
        handler=payments.clear_attention,
        summary="Say that a payment needs no attention any more",
        resource="payment",
        role="operator",
        gives=PaymentView,
        body=requests.ClearAttention,
    ),
    Route(
        method="GET",
        path=f"{PAYMENT}/disputes",
        handler=payments.disputes,
        summary="List a payment's disputes",
        resource="payment",
        role="viewer",
        gives=views.DisputeList,
    ),
    Route(
        method="GET",
        path=f"{PAYMENT}/disputes/{{dispute_id}}",
        handler=payments.read_dispute,
        summary="Read a dispute",
        resource="payment",
        role="viewer",
        gives=DisputeView,
    ),
    Route(
        method="GET",
        path=f"{PAYMENT}/attempts",
        handler=payments.attempts,
        summary="List a payment's attempts",
        resource="payment",
        role="operator",
        gives=views.AttemptList,
    ),
    Route(
        method="GET",
        path=f"{PAYMENT}/audit",
        handler=payments.audit,
        summary="List a payment's audit rows",
        resource="payment",
        role="operator",
        gives=views.AuditList,
    ),
    Route(
        method="GET",
        path="/v1/events",
        handler=events.page,
        summary="Page through events",
        resource="event",
        role="viewer",
        gives=views.EventPage,
        query=("limit", "cursor"),
    ),
    Route(
        method="GET",
        path="/v1/events/{event_id}",
        handler=events.read,
        summary="Read an event",
        resource="event",
        role="viewer",
        gives=EventView,
    ),
    Route(
        method="POST",
        path="/v1/webhook_endpoints",
        handler=hooks.create,
        summary="Add a webhook endpoint",
        resource="webhook endpoint",
        role="admin",
        body=requests.CreateEndpoint,
        gives=views.EndpointView,
        statuses=(201,),
    ),
    Route(
        method="GET",
        path="/v1/webhook_endpoints",
        handler=hooks.listed,
        summary="List webhook endpoints",
        resource="webhook endpoint",
        role="operator",
        gives=views.EndpointList,
    ),
    Route(
        method="GET",
        path=ENDPOINT,
        handler=hooks.read,
        summary="Read a webhook endpoint",
        resource="webhook endpoint",
        role="operator",
        gives=views.EndpointView,
    ),
    Route(
        method="DELETE",
        path=ENDPOINT,
        handler=hooks.end,
        summary="End a webhook endpoint",
        resource="webhook endpoint",
        role="admin",
        gives=None,
        statuses=(204,),
    ),
    Route(
        method="POST",
        path=f"{ENDPOINT}/rotate_secret",
        handler=hooks.rotate,
        summary="Give a webhook endpoint a new secret",
        resource="webhook endpoint",
        role="admin",
        body=requests.RotateSecret,
        body_optional=True,
        gives=views.EndpointView,
    ),
    Route(
        method="GET",
        path=f"{ENDPOINT}/deliveries",
        handler=hooks.deliveries,
        summary="List an endpoint's newest deliveries",
        resource="webhook endpoint",
        role="operator",
        gives=views.DeliveryList,
    ),
    Route(
        method="POST",
        path="/v1/rollouts",
        handler=rollouts.begin,
        summary="Start a rollout",
        resource="rollout",
        role="admin",
        reach="own_or_platform",
        gives=views.RolloutView,
        body=requests.StartRollout,
        statuses=(201,),
    ),
    Route(
        method="GET",
        path="/v1/rollouts",
        handler=rollouts.listed,
        summary="List the rollouts that the key reaches",
        resource="rollout",
        role="operator",
        reach="own_or_platform",
        gives=views.RolloutList,
    ),
    Route(
        method="POST",
        path="/v1/rollouts/stop",
        handler=rollouts.stop,
        summary="Stop every rollout that the key reaches",
        resource="rollout",
        role="operator",
        reach="own_or_platform",
        gives=views.RolloutList,
        body=requests.Reasoned,
        body_optional=True,
    ),
    Route(
        method="GET",
        path=ROLLOUT,
        handler=rollouts.read,
        summary="Read a rollout",
        resource="rollout",
        role="operator",
        reach="own_or_platform",
        gives=views.RolloutView,
    ),
    Route(
        method="GET",
        path=f"{ROLLOUT}/records",
        handler=rollouts.records,
        summary="List the records of a rollout",
        resource="rollout",
        role="operator",
        reach="own_or_platform",
        query=("limit", "cursor"),
        gives=views.RecordList,
    ),
    Route(
        method="POST",
        path=f"{ROLLOUT}/approve",
        handler=rollouts.approve,
        summary="Approve a waiting rollout",
        resource="rollout",
        role="operator",
        reach="own_or_platform",
        gives=views.RolloutView,
        body=requests.Reasoned,
        body_optional=True,
    ),
    Route(
        method="POST",
        path=f"{ROLLOUT}/abort",
        handler=rollouts.abort,
        summary="Abort a rollout",
        resource="rollout",
        role="operator",
        reach="own_or_platform",
        gives=views.RolloutView,
        body=requests.Reasoned,
        body_optional=True,
    ),
    Route(
        method="POST",
        path=f"{ROLLOUT}/promote",
        handler=rollouts.promote,
        summary="Promote a rollout without its evidence",
        resource="rollout",
        role="admin",
        reach="own_or_platform",
        gives=views.RolloutView,
        body=requests.Reasoned,
        body_optional=True,
    ),
    Route(
        method="POST",
        path=f"{ROLLOUT}/rollback",
        handler=rollouts.roll_back,
        summary="Take a candidate out",
        resource="rollout",
        role="operator",
        reach="own_or_platform",
        gives=views.RolloutView,
        body=requests.Reasoned,
        body_optional=True,
    ),
    Route(
        method="GET",
        path="/v1/failovers",
        handler=failovers.listed,
        summary="List what is watched for failover",
        resource="failover",
        role="platform",
        reach="installation",
        gives=failovers.FailoverList,
    ),
    Route(
        method="GET",
        path=FAILOVER,
        handler=failovers.read,
        summary="Read what is watched of a provider",
        resource="failover",
        role="platform",
        reach="installation",
        gives=FailoverView,
    ),
    Route(
        method="GET",
        path=f"{FAILOVER}/decisions",
        handler=failovers.decisions,
        summary="List the decisions of a failover with their numbers",
        resource="failover",
        role="platform",
        reach="installation",
        query=("limit", "cursor"),
        gives=failovers.DecisionList,
    ),
    Route(
        method="POST",
        path=f"{FAILOVER}/stop",
        handler=failovers.stop,
        summary="Stop a failover that goes on",
        resource="failover",
        role="platform",
        reach="installation",
        body=requests.MustReason,
        gives=FailoverView,
    ),
    Route(
        method="POST",
        path=f"{FAILOVER}/clear",
        handler=failovers.clear,
        summary="Let a version take traffic again",
        resource="failover",
        role="platform",
        reach="installation",
        body=requests.ClearVersion,
        gives=FailoverView,
    ),
    Route(
        method="POST",
        path=f"{FAILOVER}/policy",
        handler=failovers.choose_policy,
        summary="Choose what happens if a version fails",
        resource="failover",
        role="platform",
        reach="installation",
        body=requests.ChoosePolicy,
        gives=FailoverView,
    ),
    Route(
        method="GET",
        path="/v1/routes",
        handler=failovers.read_routes,
        summary="Read the routes in force",
        resource="routes",
        role="platform",
        reach="installation",
        gives=failovers.RoutesView,
    ),
    Route(
        method="POST",
        path="/v1/routes",
        handler=failovers.set_routes,
        summary="Move new payments by hand",
        resource="routes",
        role="platform",
        reach="installation",
        body=requests.SetRoutes,
        gives=failovers.RoutesView,
    ),
    Route(
        method="POST",
        path="/v1/inbound/{provider}/{version}",
        handler=hooks.inbound,
        summary="Receive a provider's webhook",
        resource="payment",
        role=None,
        reach="signature",
        signed=True,
        gives=views.Received,
    ),
    Route(
        method="GET",
        path="/v1/return/{payment_id}",
        handler=shopper.returned,
        summary="Bring a shopper back from authentication",
        resource="payment",
        role=None,
        reach="shopper",
        gives=None,
        statuses=(200, 303),
    ),
)
"""Every route."""
