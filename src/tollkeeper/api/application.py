"""The application: routes joined to what surrounds them. Litestar finds the route, no more.

Law: no clock, no thread and no state of its own but `app.state`, so that the same application is
served over sockets and called directly in the simulation. `app.state.service` may be swapped
between requests.
"""

import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, Final

from litestar import HttpMethod, Litestar, Request, Response
from litestar.datastructures import State
from litestar.exceptions import HTTPException, MethodNotAllowedException, NotFoundException
from litestar.handlers import ASGIRouteHandler, HTTPRouteHandler
from litestar.types import ASGIApp, Receive, Scope, Send

from tollkeeper import app as composition
from tollkeeper.api import plain
from tollkeeper.api.admission import Running, admission_of
from tollkeeper.api.answers import Answer, problem_answer
from tollkeeper.api.endpoint import serve, stamp, unexpected
from tollkeeper.api.metrics import UNMATCHED, Metrics
from tollkeeper.api.openapi import document
from tollkeeper.api.route import Route
from tollkeeper.api.routes import ROUTES
from tollkeeper.flows.operations.keys import API_VERSIONS
from tollkeeper.kernel.errors import Malformed, MethodNotAllowed, NotFound, TollkeeperError
from tollkeeper.settings import Settings

PLAIN: Final[dict[str, Callable[[State], Awaitable[Answer]]]] = {
    "/health": plain.health,
    "/ready": plain.ready,
    "/metrics": plain.metrics,
    "/openapi.json": plain.openapi,
}
"""Routes for those who run the service: no key, never shed."""


def create_app(service: Running | None = None, *, lifespan: Any = None) -> Litestar:
    """The ASGI application. Without a `service` the caller sets `app.state.service`, or a
    `lifespan` does."""
    state = State({"service": service, "desks": {}, "metrics": Metrics(), "openapi": document()})
    return Litestar(
        _handlers(),
        state=state,
        lifespan=[lifespan] if lifespan is not None else [],
        exception_handlers={HTTPException: _routing_error, Exception: _unexpected},
        openapi_config=None,
        logging_config=None,
        debug=False,
    )


def factory() -> Litestar:
    """The application with a service of its own, by the settings that `app.read_settings` finds;
    for a server to start by name."""
    settings = composition.read_settings()
    composition.configure_logging(settings)
    return application_for(settings)


def application_for(settings: Settings) -> Litestar:
    """The application that opens a service when it starts up, and closes it when it shuts down."""

    @asynccontextmanager
    async def running(app: Litestar) -> AsyncIterator[None]:
        async with composition.Service(settings) as service:
            app.state.service = service
            yield

    return create_app(lifespan=running)


type Serve = Callable[[State, Scope, Receive], Awaitable[Answer]]


def _handlers() -> list[ASGIRouteHandler | HTTPRouteHandler]:
    """One handler for each path, with a method's own inside: OPTIONS and HEAD come with it."""
    by_path: dict[str, dict[str, Serve]] = {}
    for path, plainly in PLAIN.items():
        by_path[path] = {"GET": _plain(plainly)}
    for route in ROUTES:
        by_path.setdefault(route.path, {})[route.method] = _endpoint(route)
    return [_register(path, methods) for path, methods in by_path.items()]


def _register(path: str, methods: dict[str, Serve]) -> ASGIRouteHandler | HTTPRouteHandler:
    """Joins the methods of a path to Litestar's router; who may GET may ask for the HEAD.

    A whole path is served without Litestar's request and response, which cost 20 us; it does not
    hand parameters of a path to what is served so.
    """
    if "GET" in methods:
        methods["HEAD"] = methods["GET"]
    methods["OPTIONS"] = _options(sorted([*methods, "OPTIONS"]))
    return _with_parameters(path, methods) if "{" in path else _whole(path, methods)


def _whole(path: str, methods: dict[str, Serve]) -> ASGIRouteHandler:
    async def handle(scope: Scope, receive: Receive, send: Send) -> None:
        _require_exact(scope)
        method = methods.get(str(scope.get("method")))
        if method is None:
            raise MethodNotAllowedException(headers={"allow": ", ".join(methods)})
        answer = await method(scope["litestar_app"].state, scope, receive)
        await answer(scope, receive, send)

    return ASGIRouteHandler(path, copy_scope=False)(handle)


def _with_parameters(path: str, methods: dict[str, Serve]) -> HTTPRouteHandler:
    async def handle(request: Request[Any, Any, Any]) -> ASGIApp:
        _require_exact(request.scope)
        method = methods[request.scope["method"]]
        return await method(request.app.state, request.scope, request.receive)

    allowed = [HttpMethod(method) for method in methods]
    return HTTPRouteHandler(path.replace("}", ":str}"), http_method=allowed, status_code=200)(
        handle
    )


def _require_exact(scope: Scope) -> None:
    """Raises `NotFoundException` for another spelling of a path (`//metrics`, `/metrics/`,
    `/%6detrics`), which a proxy in front may not take for the same."""
    raw = scope["raw_path"].partition(b"?")[0]
    if b"//" in raw or (raw.endswith(b"/") and raw != b"/") or _ENCODED.search(raw):
        raise NotFoundException


_ENCODED: Final = re.compile(rb"%(?:2[DdEe]|3[0-9]|[46][1-9A-Fa-f]|[57][0-9Aa]|5[Ff]|7[Ee]|2[Ff])")
"""Percent-encoded characters that no encoder needs to encode (RFC 3986, section 2.3), and slashes.
"""


def _endpoint(route: Route) -> Serve:
    async def handle(state: State, scope: Scope, receive: Receive) -> Answer:
        return await serve(route, state, scope, receive)

    return handle


def _plain(plainly: Callable[[State], Awaitable[Answer]]) -> Serve:
    async def handle(state: State, scope: Scope, receive: Receive) -> Answer:
        answer = await plainly(state)
        _stamp(state, answer)
        return answer

    return handle


def _options(methods: list[str]) -> Serve:
    async def handle(state: State, scope: Scope, receive: Receive) -> Answer:
        answer = Answer(204, headers=[(b"allow", ", ".join(methods).encode())])
        _stamp(state, answer)
        return answer

    return handle


def _stamp(state: State, answer: Answer) -> None:
    stamp(answer, admission_of(state).runtime.new_id("req"), API_VERSIONS[-1])


class _Sent(Response[None]):
    """An `Answer` in the shape in which Litestar wants what an exception handler gives."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(None, status_code=answer.status)
        self._answer = answer

    def to_asgi_response(self, *_: Any, **__: Any) -> Any:
        return self._answer


def _routing_error(request: Request[Any, Any, Any], error: HTTPException) -> Response[None]:
    """No such path, or not this method there; the path is not echoed."""
    told: TollkeeperError
    if error.status_code == 404:
        told = NotFound("there is nothing at this path")
    elif error.status_code == 405:
        told = MethodNotAllowed("this method is not for this path")
    else:
        told = Malformed("the request's path or headers cannot be read")
    runtime = admission_of(request.app.state).runtime
    request_id = runtime.new_id("req")
    answer = problem_answer(told, request_id)
    allow = (error.headers or {}).get("allow")
    if allow is not None:
        answer.headers.append((b"allow", ", ".join(sorted(allow.split(", "))).encode()))
    stamp(answer, request_id, API_VERSIONS[-1])
    metrics: Metrics = request.app.state.metrics
    metrics.answered("ANY", UNMATCHED, answer.status, 0.0)
    return _Sent(answer)


def _unexpected(request: Request[Any, Any, Any], error: Exception) -> Response[None]:
    request_id = admission_of(request.app.state).runtime.new_id("req")
    answer = unexpected(error, request_id, UNMATCHED)
    stamp(answer, request_id, API_VERSIONS[-1])
    return _Sent(answer)
