"""Base paths: what an operation's servers put before its path. Hosts are the caller's affair."""

from collections.abc import Mapping
from typing import Any, Final

MAX_BASES: Final = 32
"""Base paths kept of one list of servers."""


def server_bases(*holders: Mapping[str, Any]) -> tuple[str, ...]:
    """The base paths of the nearest holder (operation, path item, description) that names servers,
    `""` for a server without a path; empty where none names any."""
    for holder in holders:
        servers = holder.get("servers")
        if isinstance(servers, list) and servers:
            found = [base for server in servers for base in _of_server(server)]
            return tuple(sorted(set(found)))[:MAX_BASES]
    return ()


def swagger_bases(document: Mapping[str, Any]) -> tuple[str, ...]:
    """The base path of a Swagger 2 text; empty where it says neither a path nor a host."""
    base = document.get("basePath")
    if isinstance(base, str):
        return (_path(base),)
    return ("",) if isinstance(document.get("host"), str) else ()


def _of_server(server: Any) -> list[str]:
    url = server.get("url") if isinstance(server, Mapping) else None
    if not isinstance(url, str):
        return []
    variables = server.get("variables")
    urls = [url]
    for name, variable in variables.items() if isinstance(variables, Mapping) else ():
        mark = f"{{{name}}}"
        words = _words(variable)
        if mark in _path(url) and words:
            urls = [u.replace(mark, word) for u in urls for word in words][:MAX_BASES]
    return [_path(u) for u in urls]


def _words(variable: Any) -> list[str]:
    """What a variable may be: its words, else its default."""
    if not isinstance(variable, Mapping):
        return []
    words = variable.get("enum")
    found = words if isinstance(words, list) and words else [variable.get("default")]
    return [str(word) for word in found if isinstance(word, (str, int))]


def _path(url: str) -> str:
    """The address's path without its host, query and last slash."""
    path = url.partition("://")[2].partition("/")[2] if "://" in url else url
    path = path.partition("?")[0].partition("#")[0].strip("/")
    return f"/{path}" if path else ""
