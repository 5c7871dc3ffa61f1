"""Breaking changes of an operation as a whole: place, bodies, media types, duties."""

from typing import Any

from mutating.kinds import Kind, table
from mutating.places import Spot, content_of, localized, same_path


def item_of(spot: Spot) -> tuple[dict[str, Any], str, str]:
    """The section, the path and the method of the spot's operation."""
    method, _, wanted = spot.site.operation.partition(" ")
    if wanted.startswith("webhook:"):
        section = "webhooks" if "webhooks" in spot.document else "x-webhooks"
        hooks = spot.document[section]
        name = wanted.removeprefix("webhook:")
        return hooks, next(p for p in hooks if p.lstrip("/") == name), method.lower()
    paths = spot.document["paths"]
    return paths, next(p for p in paths if same_path(p, wanted)
                       and method.lower() in paths[p]), method.lower()  # fmt: skip


def gone(spot: Spot) -> bool:
    paths, path, method = item_of(spot)
    del paths[path][method]
    return True


def other_method(spot: Spot) -> bool:
    paths, path, method = item_of(spot)
    if "trace" in paths[path] or "webhook:" in spot.site.operation:
        return False
    new = next(m for m in ("patch", "put", "delete") if m not in paths[path])
    paths[path][new] = paths[path].pop(method)
    return True


def moved(spot: Spot) -> bool:
    paths, path, _ = item_of(spot)
    if "webhook:" in spot.site.operation or (not spot.site.used and not _alone(paths[path])):
        return False
    paths[f"/next{path}"] = paths.pop(path)
    return True


def _alone(item: dict[str, Any]) -> bool:
    """Whether a path has one operation, so that moving it moves nothing else."""
    return len({"get", "put", "post", "delete", "patch"} & set(item)) == 1


def deeper(spot: Spot) -> bool:
    paths, path, _ = item_of(spot)
    if not spot.site.used and not _alone(paths[path]):
        return False
    paths[f"{path}/all"] = paths.pop(path)
    return True


def _replies(spot: Spot) -> dict[str, Any]:
    found: dict[str, Any] = spot.operation["responses"]
    return found


def _read_content(spot: Spot) -> Any:
    hook = "webhook:" in spot.site.operation
    return content_of(spot.document, spot.operation, "hook" if hook else "read")


def _every_reply(spot: Spot) -> list[dict[str, Any]]:
    """The contents of all replies that succeed, or of the webhook's request."""
    if "webhook:" in spot.site.operation:
        return [c for c in [_read_content(spot)] if c]
    replies = _replies(spot)
    found = [localized(spot.document, replies, s).get("content")
             for s in replies if s.startswith("2")]  # fmt: skip
    return [content for content in found if content]


def no_reply_body(spot: Spot) -> bool:
    for content in (found := _every_reply(spot)):
        content.clear()
    return bool(found)


def no_content(spot: Spot) -> bool:
    if "webhook:" in spot.site.operation or not _read_content(spot):
        return False
    replies = _replies(spot)
    for status in [s for s in replies if s.startswith("2")]:
        del replies[status]
    replies["204"] = {"description": "nothing"}
    replies.pop("default", None)
    return True


def enveloped(spot: Spot) -> bool:
    content = _read_content(spot)
    for media in (content or {}).values():
        inner = media["schema"]
        media["schema"] = {"type": "object", "properties": {"envelope": inner},
                           "required": ["envelope"]}  # fmt: skip
    return bool(content)


def listed(spot: Spot) -> bool:
    content = _read_content(spot)
    for media in (content or {}).values():
        media["schema"] = {"type": "array", "items": media["schema"]}
    return bool(content)


def text_reply(spot: Spot) -> bool:
    content = _read_content(spot)
    for media in (content or {}).values():
        media["schema"] = {"type": "string"}
    return bool(content)


def xml_reply(spot: Spot) -> bool:
    for content in (found := _every_reply(spot)):
        media = next(iter(content.values()))
        content.clear()
        content["application/xml"] = media
    return bool(found)


def no_request_body(spot: Spot) -> bool:
    sends = spot.site.sends and spot.body is not None
    return sends and spot.operation.pop("requestBody") is not None


def other_form(spot: Spot) -> bool:
    content = content_of(spot.document, spot.operation, "send")
    if not content or not spot.site.sends:
        return False
    media = next(iter(content.values()))
    content.clear()
    content["application/vnd.next+xml"] = media
    return True


def enveloped_request(spot: Spot) -> bool:
    content = content_of(spot.document, spot.operation, "send")
    if not content or not spot.site.sends:
        return False
    for media in content.values():
        inner = media["schema"]
        media["schema"] = {"type": "object", "properties": {"order": inner}, "required": ["order"]}
    return True


def _parameter(spot: Spot, **fields: Any) -> bool:
    if "webhook:" in spot.site.operation:
        return False
    known = spot.operation.get("parameters", [])
    spot.operation["parameters"] = [*known, {"schema": {"type": "string"}, **fields}]
    return True


def query_required(spot: Spot) -> bool:
    return _parameter(spot, name="api_edition", required=True, **{"in": "query"})


def header_required(spot: Spot) -> bool:
    return _parameter(spot, name="X-Edition", required=True, **{"in": "header"})


def cookie_required(spot: Spot) -> bool:
    return _parameter(spot, name="edition", required=True, **{"in": "cookie"})


def other_security(spot: Spot) -> bool:
    if "webhook:" in spot.site.operation:
        return False
    known = spot.operation.get("security", spot.document.get("security"))
    schemes = spot.document.get("components", {}).get("securitySchemes", {})
    if not known or not schemes:
        return False
    schemes["mutual"] = {"type": "mutualTLS"}
    spot.operation["security"] = [{"mutual": []}]
    return True


WHERE = "an ordinary call finds nothing there"
BODY = "nothing of an ordinary reply is where we read it"

BREAKING = table(
    Kind(name="operation gone", at="operation", least="breaking", why=WHERE, change=gone,
         unused="operation"),
    Kind(name="other method", at="operation", least="breaking", why=WHERE, change=other_method,
         unused="operation"),
    Kind(name="path moved", at="operation", least="breaking", why=WHERE, change=moved,
         unused="operation"),
    Kind(name="path deeper", at="operation", least="breaking", why=WHERE, change=deeper,
         unused="operation"),
    Kind(name="reply without a body", at="operation", least="breaking", why=BODY,
         change=no_reply_body, unused="operation"),
    Kind(name="204 for 200", at="operation", least="breaking", why=BODY, change=no_content,
         unused="operation"),
    Kind(name="reply in an envelope", at="operation", least="breaking", why=BODY,
         change=enveloped, unused="operation"),
    Kind(name="reply as a list", at="operation", least="breaking", why=BODY, change=listed,
         unused="operation"),
    Kind(name="reply as a text", at="operation", least="breaking", why=BODY, change=text_reply,
         unused="operation"),
    Kind(name="reply as XML", at="operation", least="risky",
         why="the body may be negotiated; the description cannot say that it is not",
         change=xml_reply, unused="operation"),
    Kind(name="no request body", at="operation", least="breaking",
         why="what we send has no place", change=no_request_body, unused="operation"),
    Kind(name="request in another form", at="operation", least="breaking",
         why="the provider refuses the media type", change=other_form, unused="operation"),
    Kind(name="request in an envelope", at="operation", least="breaking",
         why="what we send is unknown there, and what is required is missing",
         change=enveloped_request, unused="operation"),
    Kind(name="query required", at="operation", least="breaking",
         why="refused without it every time", change=query_required, unused="operation"),
    Kind(name="header required", at="operation", least="risky",
         why="usage files seldom list headers, so that we may send it already",
         change=header_required, unused="operation"),
    Kind(name="cookie required", at="operation", least="risky",
         why="usage files cannot list cookies", change=cookie_required, unused="operation"),
    Kind(name="other security", at="operation", least="risky",
         why="usage does not say how we authenticate", change=other_security,
         unused="operation"),
)  # fmt: skip
