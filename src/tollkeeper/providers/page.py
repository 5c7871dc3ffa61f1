"""Pages for providers: no script, no picture, no font from elsewhere; every value escaped.

Law: one page shows one notice, and nothing that is not in the notice itself.
"""

import base64
import hashlib
from collections.abc import Mapping
from html import escape
from typing import Final

from tollkeeper.kernel.clock import rfc3339
from tollkeeper.providers.notice import LONGEST_LINE, REPLIES, STATES, Act, Notice

STYLE: Final = (
    ":root{color-scheme:light dark;--ink:#1c2430;--dim:#5b6675;--line:#d5dbe3;--paper:#fff;"
    "--box:#f4f6f9;--act:#0b57a4;--on:#fff}"
    "@media(prefers-color-scheme:dark){:root{--ink:#e4e8ee;--dim:#9aa6b5;--line:#36404d;"
    "--paper:#14191f;--box:#1d242c;--act:#7ab8f5;--on:#10151b}}"
    "*{box-sizing:border-box}body{margin:0 auto;padding:1.5rem 1rem 4rem;max-width:54rem;"
    "font:1rem/1.5 system-ui,sans-serif;color:var(--ink);background:var(--paper)}"
    "h1{font-size:1.35rem;line-height:1.3;margin:.2rem 0 1rem}h2{font-size:1.05rem;"
    "margin:2rem 0 .5rem}h3{font-size:.95rem;margin:1rem 0 .3rem;color:var(--dim)}"
    "pre{white-space:pre-wrap;overflow-wrap:anywhere;background:var(--box);padding:.8rem 1rem;"
    "border:1px solid var(--line);border-radius:.4rem;font:.9rem/1.5 ui-monospace,monospace;"
    "margin:0}table{border-collapse:collapse;width:100%}th,td{text-align:left;"
    "vertical-align:top;padding:.35rem .8rem .35rem 0;border-bottom:1px solid var(--line)}"
    "th{color:var(--dim);font-weight:600}.wide{overflow-x:auto;font-size:.85rem}"
    ".dim{color:var(--dim)}.state{font-weight:600}ul{padding-left:1.2rem}li{margin:.4rem 0}"
    "textarea{width:100%;min-height:7rem;font:inherit;color:inherit;background:var(--box);"
    "border:1px solid var(--line);border-radius:.4rem;padding:.6rem}"
    "button{font:inherit;padding:.5rem 1rem;margin:.6rem .5rem 0 0;border-radius:.4rem;"
    "border:1px solid var(--act);background:none;color:var(--act);cursor:pointer}"
    "button.first{background:var(--act);color:var(--on)}"
    "button:focus-visible,textarea:focus-visible{outline:3px solid var(--act);outline-offset:2px}"
)
POLICY: Final = (
    "default-src 'none'; style-src 'sha256-"
    + base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
    + "'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)
"""The content security policy under which the pages are served: this one style, and forms to us."""

BUTTONS: Final[Mapping[Act, str]] = {
    "acknowledge": "Acknowledge",
    "ask": "Ask a question",
    "answer": "Send an answer",
    "resolve": "It is resolved",
}
"""What a provider may do on the page."""

STANDING: Final[Mapping[str, str]] = {
    "approved": "It waits for your acknowledgement.",
    "sent": "It waits for your acknowledgement.",
    "acknowledged": "You have acknowledged it.",
    "resolved": "You have said that it is resolved.",
}
"""How a notice stands, in words for its provider."""

WITHOUT_TEXT: Final = frozenset({"acknowledge", "resolve"})


def document(title: str, body: str) -> str:
    """A whole page. `body` is HTML whose values are escaped already."""
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="robots" content="noindex">'
        f"<title>{escape(title)}</title><style>{STYLE}</style></head>\n<body>{body}</body></html>\n"
    )


def desk_page(notice: Notice, problem: str = "", text: str = "") -> str:
    """The page of one notice. `problem`: why the last form was not taken, with its `text`."""
    state = STANDING.get(notice.status, STATES[notice.status])
    parts = [
        f'<p class="dim">Notice to {escape(notice.title)}</p>',
        f"<main><h1>{escape(notice.subject)}</h1>",
        f'<p><span class="state">{escape(state)}</span>',
        f'<br><span class="dim">sent {_moment(notice.sent_ms)}; this link ends '
        f"{_moment(notice.expires_ms)}</span></p>",
        f"<pre>{escape(notice.text)}</pre>",
        _conversation(notice),
        _form(notice, problem, text),
        "</main>",
    ]
    return document(notice.subject, "\n".join(one for one in parts if one))


def missing_page() -> str:
    """What a wrong, changed or expired link shows: the same for all of them."""
    return document("Not found", "<main><h1>There is nothing here.</h1></main>")


def _moment(at_ms: int | None) -> str:
    return f"{rfc3339(at_ms)[:16].replace('T', ' ')} UTC" if at_ms else "soon"


def _conversation(notice: Notice) -> str:
    if not notice.lines:
        return ""
    items = "".join(
        f'<li><span class="dim">{_moment(line.at_ms)}</span> '
        f"{escape(notice.title)} {escape(REPLIES.get(line.act, line.act))}"
        f"{f'<pre>{escape(line.text)}</pre>' if line.text else ''}</li>"
        for line in notice.lines
    )
    return f"<h2>What was said</h2><ul>{items}</ul>"


def _form(notice: Notice, problem: str, text: str) -> str:
    if not notice.waits_for_provider:  # also while it is on its way: the link is not out yet
        return '<p class="dim">This notice is closed. Thank you.</p>'
    wrong = f'<p role="alert" class="state">{escape(problem)}</p>' if problem else ""
    acts = [act for act in BUTTONS if act != "acknowledge" or notice.acknowledged_ms is None]
    buttons = "".join(
        f'<button{" class=first" if number == 0 else ""} name="act" value="{act}">'
        f"{BUTTONS[act]}</button>"
        for number, act in enumerate(acts)
    )
    return (
        f'<h2>Your reply</h2>{wrong}<form method="post"><label for="text">A question, an answer, '
        "or a word about the resolution. Please send no card numbers and no personal data.</label>"
        f'<textarea id="text" name="text" maxlength="{LONGEST_LINE}">{escape(text)}</textarea>'
        f"{buttons}</form>"
    )
