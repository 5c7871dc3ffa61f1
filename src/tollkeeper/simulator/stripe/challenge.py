"""The bank's page of 3-D Secure: approve or fail, then back to the merchant."""

from html import escape
from urllib.parse import parse_qs, urlencode, urlsplit, urlunsplit

from tollkeeper.kernel.money import display
from tollkeeper.simulator.core.messages import SimReply, SimRequest
from tollkeeper.simulator.stripe import intents
from tollkeeper.simulator.stripe.currencies import iso_minor
from tollkeeper.simulator.stripe.records import Intent
from tollkeeper.simulator.stripe.world import World

_PAGE = """<!DOCTYPE html><html lang="en">
<head><meta charset="utf-8"><title>Your bank</title></head>
<body><h1>Your bank</h1><p>A shop asks for {amount}.</p>
<form method="post">
<button name="outcome" value="success">Approve</button>
<button name="outcome" value="fail">Fail</button>
</form></body></html>"""


def complete(world: World, intent_id: str, *, authenticated: bool) -> bool:
    """Finish the challenge of an intent; False if there is none to finish."""
    intent = world.find_intent(intent_id)
    return intent is not None and intents.complete_challenge(
        world, intent, authenticated=authenticated
    )


def handle(world: World, request: SimRequest) -> SimReply:
    """`GET` shows the page; `?outcome=success|fail` or a posted form acts and redirects (303)."""
    intent = world.find_intent(request.path.removeprefix("/3ds/"))
    if intent is None:
        return _html(404, "<!DOCTYPE html><html><body>No such payment.</body></html>")
    sent = request.query_string or request.body.decode("latin-1")
    outcome = parse_qs(sent).get("outcome", [""])[0]
    if outcome in ("success", "fail"):
        complete(world, intent.id, authenticated=outcome == "success")
    elif intent.status == "requires_action":
        amount_minor = iso_minor(intent.amount, intent.currency)
        shown = _PAGE.format(amount=escape(display(amount_minor, intent.currency.upper())))
        return _html(200, shown)
    return _back_to_merchant(intent)


def _back_to_merchant(intent: Intent) -> SimReply:
    if not intent.return_url:
        return _html(200, "<!DOCTYPE html><html><body>You may close this page.</body></html>")
    extra = {
        "payment_intent": intent.id,
        "payment_intent_client_secret": intent.client_secret,
        "source_type": "card",
    }
    parts = urlsplit(intent.return_url)
    query = f"{parts.query}&{urlencode(extra)}" if parts.query else urlencode(extra)
    url = urlunsplit(parts._replace(query=query))
    return SimReply(303, [("location", url), ("content-type", "text/html")], b"")


def _html(status: int, page: str) -> SimReply:
    return SimReply(status, [("content-type", "text/html; charset=utf-8")], page.encode())
