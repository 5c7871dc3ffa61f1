"""What flows need from outside, as protocols. Plumbing satisfies them by shape; `app` joins them.

Law: an implementation acknowledges a write only after it is durable, and never makes a network call
inside one. `Wire.send` never raises but on cancellation. A feature declares what it needs in a
module of its own here, and joins it to `Store` by one name.
"""

from typing import Protocol

from tollkeeper.flows.ports.contracts import DescriptionStore, SeenDescription
from tollkeeper.flows.ports.failover import FailoverStore, TrialRow
from tollkeeper.flows.ports.incidents import (
    IncidentStore,
    IncidentWrite,
    Notify,
    Publish,
    SealedPlan,
)
from tollkeeper.flows.ports.jobs import Due, Job, JobKind, JobStore, Parties
from tollkeeper.flows.ports.machine import (
    Fetched,
    HandOver,
    Hook,
    HookResult,
    Sources,
    Stage,
    Target,
    Tell,
    Vault,
    Wire,
    WireFailure,
    WireResult,
)
from tollkeeper.flows.ports.operations import ApiKey, OperationStore
from tollkeeper.flows.ports.payments import PaymentStore
from tollkeeper.flows.ports.providers import NoticeWrite, ProviderStore, SealedBook
from tollkeeper.flows.ports.rollouts import Follow, Place, Rerouting, RolloutStore, RoutingRow
from tollkeeper.flows.ports.signals import SignalStore
from tollkeeper.flows.ports.tracing import NO_SPANS, Fact, Span, SpanKind, Tracer
from tollkeeper.flows.ports.webhooks import Delivery, Endpoint, WebhookStore


class Store(
    PaymentStore,
    WebhookStore,
    RolloutStore,
    DescriptionStore,
    OperationStore,
    JobStore,
    FailoverStore,
    SignalStore,
    IncidentStore,
    ProviderStore,
    Protocol,
):
    """The operations that flows use. Each is one atomic unit, acknowledged after it is durable.

    Any of them may raise `StoreDoubt` (a commit's acknowledgement was lost: it may have happened)
    or `Unavailable` (it did not happen).
    """

    def now_ms(self) -> int:
        """The store's own clock, the one that waiting windows are counted by."""
        ...


__all__ = [
    "NO_SPANS",
    "ApiKey",
    "Delivery",
    "DescriptionStore",
    "Due",
    "Endpoint",
    "Fact",
    "FailoverStore",
    "Fetched",
    "Follow",
    "HandOver",
    "Hook",
    "HookResult",
    "IncidentStore",
    "IncidentWrite",
    "Job",
    "JobKind",
    "JobStore",
    "NoticeWrite",
    "Notify",
    "OperationStore",
    "Parties",
    "PaymentStore",
    "Place",
    "ProviderStore",
    "Publish",
    "Rerouting",
    "RolloutStore",
    "RoutingRow",
    "SealedBook",
    "SealedPlan",
    "SeenDescription",
    "SignalStore",
    "Sources",
    "Span",
    "SpanKind",
    "Stage",
    "Store",
    "Target",
    "Tell",
    "Tracer",
    "TrialRow",
    "Vault",
    "WebhookStore",
    "Wire",
    "WireFailure",
    "WireResult",
]
