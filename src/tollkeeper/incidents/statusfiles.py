"""The status page as files: HTML without scripts, Statuspage-v2-shaped JSON, and Atom."""

from collections.abc import Mapping
from html import escape
from typing import Any, Final

import msgspec

from tollkeeper.incidents.statuspage import (
    COMPONENTS,
    WORDS,
    Component,
    Page,
    PublicIncident,
)
from tollkeeper.kernel.clock import rfc3339

IMPACTS: Final = {
    "operational": "none",
    "under_maintenance": "maintenance",
    "degraded_performance": "minor",
    "partial_outage": "major",
    "major_outage": "critical",
}

STYLE: Final = """
:root{color-scheme:light dark;--back:#fff;--text:#1b1f24;--soft:#57606a;--line:#d0d7de;
--good:#1a7f37;--bad:#b42318;--warn:#8a5a00}
@media(prefers-color-scheme:dark){:root{--back:#0d1117;--text:#e6edf3;--soft:#9da7b3;
--line:#30363d;--good:#56d364;--bad:#ff8a80;--warn:#e3b341}}
body{font:16px/1.5 system-ui,sans-serif;background:var(--back);color:var(--text);
margin:0 auto;max-width:44rem;padding:1.5rem}
h1{font-size:1.4rem}h2{font-size:1.1rem;margin-top:2rem}
.now{border:1px solid var(--line);border-left:.5rem solid var(--line);padding:1rem;
border-radius:.4rem;font-weight:600}
.none{border-left-color:var(--good)}.minor,.maintenance{border-left-color:var(--warn)}
.major,.critical{border-left-color:var(--bad)}
table{border-collapse:collapse;width:100%}
td,th{text-align:left;padding:.6rem .3rem;border-bottom:1px solid var(--line);
vertical-align:top;font-weight:400}
.operational{color:var(--good)}.partial_outage,.major_outage{color:var(--bad)}
.degraded_performance,.under_maintenance{color:var(--warn)}
small,time{color:var(--soft)}article{border-bottom:1px solid var(--line);padding:.5rem 0}
h3{font-size:1rem;margin:.5rem 0}ul{padding-left:1.2rem}
"""


def files_of(page: Page, url: str) -> dict[str, bytes]:
    """Every file of the page by its name. `url`: where they will be read from."""
    components = [_component(page, one) for one in page.components]
    incidents = [_incident(one) for one in page.incidents]
    about = _about(page, url)
    return {
        "index.html": _html(page).encode(),
        "feed.atom": _atom(page, url).encode(),
        "api/v2/summary.json": _json(_summary(page, url)),
        "api/v2/status.json": _json({"page": about, "status": _status(page)}),
        "api/v2/components.json": _json({"page": about, "components": components}),
        "api/v2/incidents.json": _json({"page": about, "incidents": incidents}),
    }


def _json(value: Any) -> bytes:
    return msgspec.json.format(msgspec.json.encode(value))


def _about(page: Page, url: str) -> Mapping[str, str]:
    return {
        "id": "tollkeeper",
        "name": page.title,
        "url": url,
        "time_zone": "Etc/UTC",
        "updated_at": rfc3339(page.at_ms),
    }


def _status(page: Page) -> Mapping[str, str]:
    return {"indicator": page.indicator, "description": page.says}


def _summary(page: Page, url: str) -> Mapping[str, Any]:
    return {
        "page": _about(page, url),
        "status": _status(page),
        "components": [_component(page, one) for one in page.components],
        "incidents": [_incident(one) for one in page.incidents if one.ended_ms is None],
        "scheduled_maintenances": [],
    }


def _component(page: Page, one: Component) -> Mapping[str, Any]:
    return {
        "id": one.id,
        "name": one.name,
        "status": one.status,
        "description": one.text or None,
        "updated_at": rfc3339(page.at_ms),
        "group": False,
    }


def _incident(one: PublicIncident) -> Mapping[str, Any]:
    return {
        "id": one.id,
        "name": one.name,
        "status": one.phase,
        "impact": IMPACTS[one.status],
        "created_at": rfc3339(one.updates[-1].at_ms),
        "started_at": rfc3339(one.began_ms),
        "updated_at": rfc3339(one.updates[0].at_ms),
        "resolved_at": rfc3339(one.ended_ms) if one.ended_ms is not None else None,
        "shortlink": one.review or None,
        "components": [{"id": one.component, "name": COMPONENTS[one.component][0]}],
        "incident_updates": [
            {
                "id": f"{one.id}-{len(one.updates) - number}",
                "incident_id": one.id,
                "status": update.phase,
                "body": update.text,
                "created_at": rfc3339(update.at_ms),
                "display_at": rfc3339(update.at_ms),
            }
            for number, update in enumerate(one.updates)
        ],
    }


def _html(page: Page) -> str:
    rows = "\n".join(
        f'<tr><th scope="row">{escape(one.name)}</th>'
        f'<td class="{one.status}">{escape(WORDS[one.status])}'
        f"{f'<br><small>{escape(one.text)}</small>' if one.text else ''}</td></tr>"
        for one in page.components
    )
    past = "\n".join(_article(one) for one in page.incidents) or "<p>None so far.</p>"
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<meta http-equiv="refresh" content="60">
<title>{escape(page.title)}: {escape(page.says)}</title>
<link rel="alternate" type="application/atom+xml" href="feed.atom" title="{escape(page.title)}">
<style>{STYLE}</style>
</head>
<body>
<main>
<h1>{escape(page.title)}</h1>
<p class="now {page.indicator}">{escape(page.says)}</p>
<p><small>As of {_moment(page.at_ms)}. If this is long ago, the page itself is not kept up to date.
</small></p>
<table>
<caption><small>What works, and what does not</small></caption>
{rows}
</table>
<h2>Disturbances</h2>
{past}
</main>
</body>
</html>
"""


def _article(one: PublicIncident) -> str:
    until = f" to {_moment(one.ended_ms)}" if one.ended_ms is not None else ", and it goes on"
    lines = "\n".join(
        f"<li>{_moment(update.at_ms)} <strong>{escape(update.phase)}</strong>: "
        f"{escape(update.text)}</li>"
        for update in one.updates
    )
    review = f'<p><a href="{escape(one.review)}">What we learned</a></p>' if one.review else ""
    return (
        f"<article><h3>{escape(one.name)}</h3>"
        f"<small>From {_moment(one.began_ms)}{until}</small><ul>{lines}</ul>{review}</article>"
    )


def _moment(at_ms: int) -> str:
    text = rfc3339(at_ms)
    return f'<time datetime="{text}">{text[:10]} {text[11:16]} UTC</time>'


def _atom(page: Page, url: str) -> str:
    entries = "\n".join(
        f"<entry><id>{escape(f'{url}#{one.id}-{len(one.updates) - number}')}</id>"
        f"<title>{escape(f'{one.name} ({update.phase})')}</title>"
        f"<updated>{rfc3339(update.at_ms)}</updated>"
        f'<content type="text">{escape(update.text)}</content>'
        f'<link href="{escape(url)}"/></entry>'
        for one in page.incidents
        for number, update in enumerate(one.updates)
    )
    newest = max((u.at_ms for one in page.incidents for u in one.updates), default=page.at_ms)
    return f"""<?xml version="1.0" encoding="utf-8"?>
<feed xmlns="http://www.w3.org/2005/Atom">
<id>{escape(url)}</id>
<title>{escape(page.title)}</title>
<updated>{rfc3339(newest)}</updated>
<author><name>{escape(page.title)}</name></author>
<link rel="self" href="{escape(url)}feed.atom"/>
{entries}
</feed>
"""
