"""Searching a pack: card numbers, secrets and personal data in any byte of it.

Law: this is the second gate and trusts the first one in nothing. It reads what would leave, in each
of the spellings that HTML, JSON and addresses give to a text, and names the place, never the value.
"""

import base64
import re
from collections.abc import Iterable, Iterator, Mapping
from html import unescape
from typing import Final
from urllib.parse import quote, unquote_plus

import msgspec

from tollkeeper.payments.cards import find_card_numbers

LEAST: Final = 5
"""Characters of the shortest private value that is searched for: shorter ones are in any text."""

MOST_SHOWN: Final = 20
DIGEST: Final = re.compile(r"\b[0-9a-f]{64}\b")
KEY: Final = re.compile(
    r"\b(?:sk|rk|pk)_(?:live|test)_[A-Za-z0-9]{4,}|\bwhsec_[A-Za-z0-9+/=]{4,}|"
    r"\btk_[a-z0-9_]{16,}|\bAKIA[0-9A-Z]{16}\b|-----BEGIN [A-Z ]+-----|"
    r"\bBearer\s+[A-Za-z0-9._~+/-]{12,}|\bgh[pousr]_[A-Za-z0-9]{20,}|\bxox[abprs]-[A-Za-z0-9-]{8,}|"
    r"\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}|://[^/\s:@\"<]{1,100}:[^/\s@\"<]{1,100}@"
)
"""Texts that have a secret's form: prefixes of keys, private keys, bearer tokens, passwords in
addresses."""

MAIL: Final = re.compile(r"[A-Za-z0-9._%+-]+@(?!\d{4}-\d\d-\d\d)[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+")
"""A mail address; a version like `stripe@2022-11-15` is none."""

IBAN: Final = re.compile(r"\b[A-Z]{2}\d{2}(?: ?[0-9A-Z]{4}){3,7}(?: ?[0-9A-Z]{1,3})?\b")
TOKEN: Final = re.compile(r"\w+")


class Private(msgspec.Struct, frozen=True, kw_only=True):
    """What may not leave: `secrets` of ours, and `persons`: what payments say of shoppers."""

    secrets: frozenset[str] = frozenset()
    persons: frozenset[str] = frozenset()


def leaks_in(
    files: Mapping[str, bytes], private: Private, known: frozenset[str] = frozenset()
) -> tuple[str, ...]:
    """Where the files hold what may not leave, and of which kind; none where they may. `known`:
    words that the templates hold themselves, in lower case."""
    found = [
        f"{name}: {leak}"
        for name, body in files.items()
        for leak in _in_text(body.decode("utf-8", "replace"), private, known)
    ]
    return tuple(found[:MOST_SHOWN])


def _in_text(text: str, private: Private, known: frozenset[str]) -> Iterator[str]:
    spellings = dict.fromkeys((text, unescape(text), unquote_plus(text), _unescaped(text)))
    seen: set[str] = set()
    for spelling in spellings:
        for kind, at in _leaks(spelling, private, known):
            leak = f"{kind} in line {spelling.count(chr(10), 0, at) + 1}"
            if leak not in seen:
                seen.add(leak)
                yield leak


def _unescaped(text: str) -> str:
    """JSON's `\\u0040` and the like as the characters that they stand for."""
    return re.sub(r"\\u([0-9a-fA-F]{4})", lambda match: chr(int(match[1], 16)), text)


def _leaks(text: str, private: Private, known: frozenset[str]) -> Iterator[tuple[str, int]]:
    for start, _ in find_card_numbers(DIGEST.sub("digest", text)):
        yield "a card number", start
    for form, kind in ((KEY, "a secret"), (MAIL, "a mail address"), (IBAN, "a bank account")):
        for match in form.finditer(text):
            yield kind, match.start()
    for secret in private.secrets:
        for spelling in _spellings(secret):
            if (at := text.find(spelling)) >= 0:
                yield "a secret of the settings", at
    yield from _persons(text.casefold(), private.persons, known)


def _spellings(secret: str) -> Iterable[str]:
    """A secret as it is, percent-encoded, and in base 64."""
    if len(secret) < LEAST:
        return ()
    coded = base64.b64encode(secret.encode()).decode().rstrip("=")
    return dict.fromkeys((secret, quote(secret, safe=""), coded[: len(coded) // 4 * 4]))


def _persons(text: str, persons: Iterable[str], known: frozenset[str]) -> Iterator[tuple[str, int]]:
    """Values of payments that stand in the text as words of their own."""
    tokens = set(TOKEN.findall(text))
    for person in persons:
        value = person.strip().casefold()
        words = TOKEN.findall(value)
        if len(value) < LEAST or not words or not tokens.issuperset(words):
            continue
        if known.issuperset(words):
            continue
        place = re.search(rf"(?<!\w){re.escape(value)}(?!\w)", text)
        if place is not None:
            yield "personal data", place.start()
