"""Scaffolding: the text of a new version's module, to be filled in by a person.

A version of a provider that we know begins as a copy of an older one, since most of a provider's
versions read alike; a new provider begins with a skeleton that knows no word and so decides
nothing.
"""

import re
from typing import Final

from tollkeeper.integrations.version import Integration
from tollkeeper.kernel.errors import Misconfigured

PROVIDER: Final = re.compile(r"[a-z][a-z0-9_]{1,30}")
VERSION: Final = re.compile(r"[0-9a-zA-Z][0-9a-zA-Z._-]{0,40}")

_DOCSTRING: Final = re.compile(r'\A""".*?"""\n', re.DOTALL)
_VERSION_LINE: Final = re.compile(r'^( +)api_version="([^"]+)",$', re.MULTILINE)
_REVISION: Final = re.compile(r"^    revision=\d+,\n", re.MULTILINE)
_HANDLES: Final = re.compile(r"handles=frozenset\(\{([^}]*)\}\)")


def module_name(version: str, revision: int = 1) -> str:
    """`2026-03-25.dahlia` to `v2026_03_25_dahlia`; revision 2 of it ends in `_r2`."""
    mark = f"_r{revision}" if revision > 1 else ""
    return "v" + re.sub(r"[^0-9a-zA-Z]", "_", version) + mark


def module_path(provider: str, version: str, revision: int = 1) -> str:
    """Where the module belongs, from the folder of `tollkeeper`."""
    return f"integrations/{provider}/{module_name(version, revision)}.py"


def module_of(integration: Integration) -> str:
    """The name of the module that a version of this package stands in."""
    name = module_name(integration.version, integration.revision)
    return f"tollkeeper.integrations.{integration.provider}.{name}"


def parts_of(name: str) -> tuple[str, str, int]:
    """Provider, API version and revision of `provider@version+N`."""
    provider, _, rest = name.partition("@")
    version, mark, number = rest.partition("+")
    if mark and (not number.isascii() or not number.isdigit() or int(number) < 2):
        raise Misconfigured(f"revision {number!r} of {name}: a number from 2 on, as in +2")
    return provider, version, int(number) if mark else 1


def catalogue_entry(provider: str, version: str, revision: int = 1) -> str:
    """What to write into `integrations/catalogue.py`: an import, and a member of OURS."""
    name = module_name(version, revision)
    return (
        f"from tollkeeper.integrations.{provider} import {name}\n"
        f"# and {name} among the modules of OURS"
    )


def scaffold(provider: str, version: str, like: str = "", *, revision: int = 1) -> str:
    """The source of a new module for `provider@version`. `like` is the source of the version to
    begin with; without it the result is a skeleton. Raises `Misconfigured` for odd names."""
    if not PROVIDER.fullmatch(provider):
        raise Misconfigured(f"provider {provider!r}: lower-case letters, digits, underscores")
    if not VERSION.fullmatch(version):
        raise Misconfigured(f"version {version!r}: letters, digits, dots, hyphens, underscores")
    if not like:
        return _skeleton(provider, version)
    return _copied(provider, version, like, revision)


def _copied(provider: str, version: str, like: str, revision: int) -> str:
    before = _VERSION_LINE.search(like)
    if before is None or not _DOCSTRING.search(like):
        raise Misconfigured("the version to copy has no docstring or no `api_version=...`")
    docstring = (
        f'"""{provider.capitalize()} {version}: say in one sentence what changed.\n'
        f"\nBegun as a copy of {before[2]}. Say here what the provider's changelog lists between"
        "\nthe two, and delete every field and word that this version no longer has.\n"
        '"""\n'
    )
    text = _DOCSTRING.sub(lambda _: docstring, like, count=1)
    text = _VERSION_LINE.sub(rf'\g<1>api_version="{version}",', text, count=1)
    text = _HANDLES.sub(lambda found: _handling(found[1], provider, before[2], version), text)
    text = _REVISION.sub("", text)
    if revision > 1:
        text = text.replace("    handles=", f"    revision={revision},\n    handles=", 1)
    return text


def _handling(known: str, provider: str, copied: str, version: str) -> str:
    """The payments that the new version can follow up: those of its model, and what that could."""
    names = set(re.findall(r'"([^"]+)"', known)) | {f"{provider}@{copied}"}
    if copied != version:
        names.discard(f"{provider}@{version}")
    listed = ", ".join(f'"{name}"' for name in sorted(names))
    whole = f"handles=frozenset({{{listed}}})"
    if len(whole) < 90:
        return whole
    lines = "".join(f'\n            "{name}",' for name in sorted(names))
    return f"handles=frozenset(\n        {{{lines}\n        }}\n    )"


def _skeleton(provider: str, version: str) -> str:
    title = provider.replace("_", " ").title().replace(" ", "")
    return SKELETON.replace("@provider@", provider).replace("@Provider@", title).replace(
        "@version@", version
    )  # fmt: skip


SKELETON: Final = '''"""@Provider@, API version @version@: say in one sentence what is special here.

Pinned by ... . Everything below is a table or a type: what is missing from a table is unknown.
"""

from collections.abc import Mapping
from typing import Final

import msgspec

from tollkeeper.integrations.parts.amounts_1 import Amount
from tollkeeper.integrations.parts.reading_1 import storable
from tollkeeper.integrations.version import (
    Capabilities,
    Delivery,
    Integration,
    OperationInput,
    SignatureRefused,
    WireReply,
    WireRequest,
)
from tollkeeper.payments.outcome import (
    Charge,
    ChargeState,
    Event,
    Operation,
    Outcome,
    Refusal,
    unknown,
)

VERSION: Final = "@version@"


class Payment(msgspec.Struct):
    """Only what we read; `reference` is what we sent and get back."""

    id: str
    status: str
    amount: Amount
    currency: str
    reference: str | None = None


PATHS: Final[dict[Operation, tuple[str, str]]] = {
    "authorize": ("POST", "/payments"),
    "capture": ("POST", "/payments/{id}/captures"),
    "void": ("POST", "/payments/{id}/cancels"),
    "refund": ("POST", "/payments/{id}/refunds"),
    "lookup": ("GET", "/payments/{id}"),
    "find": ("GET", "/payments"),
    "list_refunds": ("GET", "/payments/{id}/refunds"),
    "list_disputes": ("GET", "/payments/{id}/disputes"),
}
STATES: Final[dict[str, ChargeState]] = {}
"""Their words of status to ours. Empty, so that every reply is unknown until it is filled in."""

REFUSED_STATUSES: Final = frozenset({401, 403, 405})
"""Statuses that prove by themselves that nothing was executed. When in doubt, leave one out."""


def request(operation: Operation, order: OperationInput) -> WireRequest:
    """The request for `operation`, complete but for credentials."""
    method, path = PATHS[operation]
    path = path.replace("{id}", order.provider_id or "")
    if method == "GET":
        return WireRequest(method=method, path=path)
    body = {
        "amount": order.amount_minor,
        "currency": order.currency,
        "payment_method": order.payment_method,
        "reference": f"{order.payment_id} {order.attempt_id}",
    }
    headers = (("content-type", "application/json"), ("idempotency-key", order.attempt_id))
    return WireRequest(method=method, path=path, headers=headers, body=msgspec.json.encode(body))


def credentials(secrets: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    """The headers that authenticate with the account's secret key."""
    return (("authorization", f"Bearer {secrets['secret_key']}"),)


def outcome(operation: Operation, reply: WireReply) -> Outcome:
    """What the reply says, in our words; `unknown` for whatever the tables do not know."""
    if reply.status in REFUSED_STATUSES:
        return Outcome(kind="failed", refusal=Refusal(f"http_{reply.status}"))
    if reply.status not in {200, 201}:
        return unknown("status", f"status {reply.status}", "", reply.body[:60])
    try:
        payment = msgspec.json.decode(storable(reply.body), type=Payment)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        return unknown("decode", f"{operation}: {error}", "", reply.body[:80])
    state = STATES.get(payment.status)
    if state is None:
        return unknown("contract", "status word not known", "/status", payment.status)
    payment_id, _, attempt_id = (payment.reference or "").partition(" ")
    charge = Charge(
        provider_id=payment.id,
        state=state,
        amount_minor=payment.amount,
        currency=payment.currency.upper(),
        payment_id=payment_id or None,
        attempt_id=attempt_id or None,
    )
    return Outcome(kind="approved", charge=charge)


def events(delivery: Delivery) -> tuple[Event, ...]:
    """Refuses every webhook until its signature can be checked."""
    raise SignatureRefused("webhooks of @provider@@@version@ are not understood yet")


INTEGRATION: Final = Integration(
    provider="@provider@",
    version=VERSION,
    base_url="https://api.@provider@.example",
    request=request,
    outcome=outcome,
    events=events,
    credentials=credentials,
    capabilities=Capabilities(keys_kept_s=0, in_flight_window_s=60, authorization_s=604_800),
    reads={"authorize": Payment, "capture": Payment, "void": Payment, "lookup": Payment},
    words={name: {"status": tuple(STATES)} for name in ("authorize", "capture", "void", "lookup")},
)
'''
