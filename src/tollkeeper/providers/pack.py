"""The evidence pack: a page, the same as JSON, a reproduction, and a manifest of digests."""

import hashlib
from collections.abc import Mapping
from html import escape
from typing import Final

import msgspec

from tollkeeper.kernel.clock import rfc3339
from tollkeeper.providers.calls import CallSeen, Reproduction
from tollkeeper.providers.evidence import Evidence
from tollkeeper.providers.page import document
from tollkeeper.providers.searching import TOKEN
from tollkeeper.providers.wording import ASKS, SAYINGS, called, subject_of, text_of

MANIFEST: Final = "MANIFEST.sha256"
MOST_DIFFERENCES: Final = 40
FORMAT: Final = "tollkeeper evidence pack 1"


def files_of(evidence: Evidence) -> dict[str, bytes]:
    """The files of a pack, without its manifest."""
    files = {
        "evidence.html": html_of(evidence).encode(),
        "evidence.json": json_of(evidence),
        "notice.txt": text_of(evidence).encode() + b"\n",
    }
    if evidence.reproduction is not None:
        files["reproduce.sh"] = shell_of(evidence.reproduction).encode()
    return files


def manifest_of(files: Mapping[str, bytes]) -> bytes:
    """The SHA-256 digest of each file, as `sha256sum --check` reads it."""
    lines = [f"{hashlib.sha256(body).hexdigest()}  {name}" for name, body in sorted(files.items())]
    return ("\n".join(lines) + "\n").encode()


def json_of(evidence: Evidence) -> bytes:
    """The evidence for programs; moments are RFC 3339 text."""
    told = msgspec.to_builtins(evidence)
    told = {
        "format": FORMAT,
        "asks": list(ASKS[evidence.domain]),
        "changed": differences(*evidence.shapes),
        **_dated(told),
    }
    return msgspec.json.format(msgspec.json.encode(told)) + b"\n"


def _dated(value: dict[str, object]) -> dict[str, object]:
    found: dict[str, object] = {}
    for name, inner in value.items():
        if name.endswith("_ms") and isinstance(inner, int):
            found[name.removesuffix("_ms")] = rfc3339(inner)
        elif isinstance(inner, list | tuple):
            found[name] = [_dated(one) if isinstance(one, dict) else one for one in inner]
        elif name == "shape":
            found[name] = _shape(str(inner))
        else:
            found[name] = _dated(inner) if isinstance(inner, dict) else inner
    return found


def _shape(text: str) -> object:
    try:
        return msgspec.json.decode(text) if text else None
    except msgspec.DecodeError:
        return text


def html_of(evidence: Evidence) -> str:
    """The page that a person reads."""
    sections = [
        f"<h1>{escape(subject_of(evidence))}</h1>",
        _facts(evidence),
        _shapes(evidence),
        _calls("Requests that failed", evidence.failing),
        _calls("Requests that succeeded", evidence.succeeding),
        _list("Shapes of replies that departed", evidence.samples, code=True),
        _list("What speaks for this, and against other causes", _excluded(evidence)),
        _list(
            "What our service did",
            [f"{rfc3339(one.at_ms)[:19]}Z {one.did}" for one in evidence.actions],
        ),
        _list("What we ask", ASKS[evidence.domain]),
    ]
    if evidence.reproduction is not None:
        shown = escape(shell_of(evidence.reproduction))
        sections.append(f"<h2>Reproduction</h2><pre>{shown}</pre>")
    return document(subject_of(evidence), "\n".join(one for one in sections if one))


def _facts(evidence: Evidence) -> str:
    rows = {
        "what": SAYINGS[evidence.domain],
        "calls": called(evidence),
        "place in the reply": evidence.pointer,
        "API version": evidence.version.partition("@")[2],
        "since": f"{rfc3339(evidence.since_ms)[:19]}Z",
        "drawn": f"{rfc3339(evidence.drawn_ms)[:19]}Z",
        "impact": f"{evidence.failed} of {evidence.of} payments failed "
        f"({evidence.share_percent:.0f} %), {evidence.customers} customers"
        if evidence.failed
        else "",
        "where": ", ".join(f"{name} {value}" for name, value in evidence.slice.items()),
        "our accounts with you": ", ".join(evidence.accounts),
        "reference": f"{evidence.incident} / {evidence.notice}",
    }
    cells = [
        f"<tr><th>{escape(name)}</th><td>{escape(value)}</td></tr>"
        for name, value in rows.items()
        if value
    ]
    return f"<table>{''.join(cells)}</table>"


def _shapes(evidence: Evidence) -> str:
    old, new = evidence.shapes
    if not old and not new:
        return ""
    changed = _list("What changed in the reply", differences(old, new))
    return (
        f"{changed}<h2>Shape of the reply, without values</h2>"
        f"<h3>before</h3><pre>{escape(_wide(old) or 'no reply that was right is kept')}</pre>"
        f"<h3>now</h3><pre>{escape(_wide(new) or 'no reply')}</pre>"
    )


def differences(old: str, new: str) -> list[str]:
    """What differs between two shapes: names that are gone, names that are new, other types."""
    try:
        return _differences(msgspec.json.decode(old), msgspec.json.decode(new), "")
    except msgspec.DecodeError:
        return []


def _differences(old: object, new: object, place: str) -> list[str]:
    if not isinstance(old, dict) or not isinstance(new, dict):
        was, now = _kind(old), _kind(new)
        return [] if was == now else [f"{place}: was {was}, is {now}"]
    found = [f"{place}/{name} is gone" for name in old if name not in new]
    found += [f"{place}/{name} is new" for name in new if name not in old]
    for name in old.keys() & new.keys():
        found += _differences(old[name], new[name], f"{place}/{name}")
    return sorted(found)[:MOST_DIFFERENCES]


def _kind(value: object) -> str:
    if not isinstance(value, str):
        return "a list" if isinstance(value, list) else "an object"
    if value in {"object", "list"}:
        return f"a{'n' * (value == 'object')} {value}"
    return value if value.startswith("(") else "(text)"  # a word that outlines leave as it is


def _wide(shape: str) -> str:
    try:
        return msgspec.json.format(shape)
    except msgspec.DecodeError:
        return shape


def _calls(head: str, calls: tuple[CallSeen, ...]) -> str:
    if not calls:
        return ""
    names = ("time", "call", "status", "request id", "idempotency key", "object")
    rows = [
        (
            f"{rfc3339(call.at_ms)[:19]}Z",
            f"{call.method} {call.path}".strip() or call.operation,
            str(call.status) if call.status else "no reply",
            call.request_id,
            call.attempt,
            call.charge,
        )
        for call in calls
    ]
    header = "".join(f"<th>{name}</th>" for name in names)
    body = "".join(
        "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows
    )
    return f'<h2>{head}</h2><div class="wide"><table><tr>{header}</tr>{body}</table></div>'


def _excluded(evidence: Evidence) -> list[str]:
    lines = list(evidence.excluded)
    if evidence.confidence:
        lines.append(f"Our verdict has a confidence of {evidence.confidence:.0%}.")
    if evidence.runner_up:
        lines.append(f"The second guess: {evidence.runner_up}.")
    return lines


def _list(head: str, lines: object, *, code: bool = False) -> str:
    texts = [str(one) for one in lines] if isinstance(lines, list | tuple) else []
    if not texts:
        return ""
    tag = ("<pre>", "</pre>") if code else ("", "")
    items = "".join(f"<li>{tag[0]}{escape(text)}{tag[1]}</li>" for text in texts)
    return f"<h2>{escape(head)}</h2><ul>{items}</ul>"


def shell_of(reproduction: Reproduction) -> str:
    """The request as a command. Address and key come from the environment of who runs it."""
    lines = [
        "#!/bin/sh",
        "# Use a test account. `...` stands for a value that we do not give away.",
        f'curl -sS -X {reproduction.method} "$API{reproduction.path}" \\',
        '  -H "Authorization: Bearer $KEY" \\',
    ]
    lines += [f'  -H "{name}: {value}" \\' for name, value in reproduction.headers]
    lines += [f"  -d '{name}={value}' \\" for name, value in reproduction.fields]
    lines[-1] = lines[-1].removesuffix(" \\")
    return "\n".join(lines) + "\n"


def known_words() -> frozenset[str]:
    """Words of the templates: a shopper who is called like one of them is not found by it."""
    texts = [*SAYINGS.values(), *(ask for asks in ASKS.values() for ask in asks)]
    names = [field.name for kind in (Evidence, CallSeen, Reproduction) for field in
             msgspec.structs.fields(kind)]  # fmt: skip
    texts += [name.replace("_", " ") for name in names] + names
    texts += [
        "payment payments customer customers order test provider stripe card requests request "
        "failed succeeded charge charges authorize capture void refund lookup true false status "
        "shape reply replies verdict confidence guess service account accounts impact since drawn",
    ]
    return frozenset(word for text in texts for word in TOKEN.findall(text.casefold()))
