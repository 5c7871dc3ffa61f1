"""What happens around every handler: let in, know the key, read, handle, answer; or say why not.

Law: whatever happens inside, the caller gets a problem document with a code and a request id, and
nobody's bytes are logged.
"""

import traceback
from typing import Final

import structlog
from litestar.datastructures import State
from litestar.types import Receive, Scope

from tollkeeper.api.admission import Admission, admission_of
from tollkeeper.api.answers import Answer, problem_answer
from tollkeeper.api.calls import Call
from tollkeeper.api.incoming import (
    MAX_INBOUND_BYTES,
    Disconnected,
    header,
    idempotency_key,
    query_of,
    read_body,
    require_form,
    require_json,
    require_plain,
)
from tollkeeper.api.metrics import OPERATIONS, Metrics
from tollkeeper.api.route import Route
from tollkeeper.flows.observing import count_answer
from tollkeeper.flows.operations.keys import API_VERSIONS, allows
from tollkeeper.flows.ports import ApiKey
from tollkeeper.flows.runtime import Runtime
from tollkeeper.kernel.errors import (
    Closed,
    Fault,
    Forbidden,
    Malformed,
    Overloaded,
    RateLimited,
    TollkeeperError,
    Unauthenticated,
)

VERSION_HEADER: Final = b"tollkeeper-version"

log: Final = structlog.get_logger("tollkeeper.api")


async def serve(route: Route, state: State, scope: Scope, receive: Receive) -> Answer:
    """One request from its headers to its answer, in a span below the caller's."""
    facts = {"http.request.method": route.method, "http.route": route.path}
    tracer = admission_of(state).runtime.tracer
    name, parent = f"{route.method} {route.path}", _parent(scope)
    with tracer.span(name, "server", facts, parent=parent) as span:
        answer = await _served(route, state, scope, receive)
        span.note({"http.response.status_code": answer.status})
        if answer.status >= 500:
            span.failed(str(answer.status))
    return answer


def _parent(scope: Scope) -> str:
    """The caller's `traceparent` (W3C Trace Context); what is no such thing is ignored later."""
    found = (value for key, value in scope["headers"] if key == b"traceparent")
    return next(found, b"")[:64].decode("latin-1")


async def _served(route: Route, state: State, scope: Scope, receive: Receive) -> Answer:
    desk = admission_of(state)
    metrics: Metrics = state.metrics
    clock = desk.runtime.clock
    began = clock.monotonic()
    request_id = desk.runtime.new_id("req")
    version = API_VERSIONS[-1]
    code = account = ""
    try:
        desk.refuse_if_full(route.pot)
        version = _wanted_version(scope) or version
        call = await _call(route, desk, scope, receive, request_id)
        if call.key is not None:
            account = call.key.account
            if header(scope, VERSION_HEADER) is None:
                version = call.key.api_version
        answer = await _inside(route, desk, call)
        _count(metrics, route, answer)
    except TollkeeperError as error:
        code = error.code
        answer = _refused(error, request_id, metrics)
    except Disconnected:
        answer = Answer(499)
    except Exception as error:  # noqa: BLE001 - the last resort: a bug must not reach the caller raw
        code = TollkeeperError.code
        answer = unexpected(error, request_id, route.path)
    stamp(answer, request_id, version)
    taken = clock.monotonic() - began
    metrics.answered(route.method, route.path, answer.status, taken)
    _count_for_detectors(route, desk.runtime, answer.status, code, taken)
    if desk.runtime.settings.access_log:
        log.info(
            "request",
            method=route.method,
            route=route.path,
            status=answer.status,
            milliseconds=round(taken * 1000, 1),
            request_id=request_id,
            account=account,
        )
    return answer


def _count_for_detectors(
    route: Route, runtime: Runtime, status: int, code: str, taken: float
) -> None:
    operation = OPERATIONS.get(route.path) if route.money else None
    count_answer(runtime, operation or route.path, status, code, taken)


async def _inside(route: Route, desk: Admission, call: Call) -> Answer:
    """Runs the handler. Only whole requests are counted: one that arrives slowly takes no place."""
    with desk.inside(route.pot):
        return await route.handler(call)


async def _call(
    route: Route, desk: Admission, scope: Scope, receive: Receive, request_id: str
) -> Call:
    """Checks all that stands in the headers, and only then takes the body in."""
    runtime = desk.runtime
    key = await _key(route, desk, scope) if route.role is not None else None
    if route.reach == "link":
        desk.slow_down(_peer(scope))
    call = Call(
        runtime=runtime,
        request_id=request_id,
        method=route.method,
        template=route.path,
        path=scope["path_params"],
        query=query_of(scope) if key is not None else {},  # else it is a provider's, not ours
        headers=list(scope["headers"]),
        body=b"",
        key=key,
    )
    if not route.query:
        call.only(())
    if route.money:
        call.idempotency_key = idempotency_key(scope)
        if not runtime.settings.accept_payments:
            raise Closed("payments are closed for now")
    if route.method == "POST":
        require_plain(scope)
        limit = MAX_INBOUND_BYTES if route.signed else runtime.settings.max_body_bytes
        with desk.arriving() as hold:
            call.body = await read_body(
                scope,
                receive,
                max_bytes=limit,
                receive_seconds=runtime.settings.receive_seconds,
                hold=hold,
            )
        if route.form:
            require_form(scope)
        elif not route.signed and (call.body or not route.body_optional):
            require_json(scope)
    return call


async def _key(route: Route, desk: Admission, scope: Scope) -> ApiKey:
    """The live key of the request, if its role may do this and its rate allows."""
    given = header(scope, b"authorization")
    scheme, _, secret = (given or "").partition(" ")
    if scheme.lower() != "bearer" or not secret:
        raise Unauthenticated("no API key: send Authorization: Bearer tk_...")
    key = await desk.key_of(secret.strip())
    if key is None:
        desk.refuse_wrong_key(_peer(scope))
    assert route.role is not None, "a route without a role asks for no key"
    if not allows(key.role, route.role):
        raise Forbidden(f"this needs the role {route.role}; the key's role is {key.role}")
    desk.spend(key)
    return key


def _peer(scope: Scope) -> str:
    """The network that the request came from: an IPv6 network of 64 bits is one customer's."""
    client = scope["client"]
    host = client[0] if client else ""
    return ":".join(host.split(":")[:4]) if ":" in host else host


def _wanted_version(scope: Scope) -> str | None:
    """The version of the API that the request names. Raises `Malformed` for an unknown one."""
    wanted = header(scope, VERSION_HEADER)
    if wanted is not None and wanted not in API_VERSIONS:
        known = ", ".join(API_VERSIONS)
        raise Malformed(
            f"no such version of this API; there is {known}",
            faults=(Fault(VERSION_HEADER.decode(), f"one of {known}"),),
        )
    return wanted


def _refused(error: TollkeeperError, request_id: str, metrics: Metrics) -> Answer:
    if isinstance(error, Overloaded | RateLimited):
        metrics.shed(error.code)
    return problem_answer(error, request_id)


def unexpected(error: Exception, request_id: str, route: str) -> Answer:
    """A 500 for a bug of ours. The log has its kind and its place: an error's own words, and the
    values around it, may hold what a caller sent."""
    frames = traceback.extract_tb(error.__traceback__)
    log.error(
        "internal_error",
        request_id=request_id,
        route=route,
        error=type(error).__name__,
        at=[f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames],
    )
    return problem_answer(TollkeeperError("something went wrong on our side"), request_id)


def _count(metrics: Metrics, route: Route, answer: Answer) -> None:
    operation = OPERATIONS.get(route.path) if route.money else None
    if operation is not None and answer.told is not None:
        metrics.decided(operation, answer.told)


def stamp(answer: Answer, request_id: str, version: str) -> None:
    """Says which request this answers, and in which version of the API."""
    answer.headers.append((b"request-id", request_id.encode()))
    answer.headers.append((VERSION_HEADER, version.encode()))
