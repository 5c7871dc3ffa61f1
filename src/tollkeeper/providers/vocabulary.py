"""The words of which a sentence of evidence may consist when it leaves: those that our own
detectors write, and no other. A name of a person, a shop or a host is none of them.
"""

import re
from typing import Final, get_args

from tollkeeper.payments.outcome import OPERATIONS
from tollkeeper.signals.weights import Domain

_TEXT: Final = """
a additional addresses admission after all amounts and another answer answered answers api are
as asked at attempts authorize away bad bank be because before broke built by caller came can
cannot capture carrying certificate change changed climb clock code come configuration
connection contract contradict could counting country counts customers database declines depart
departed deploy descriptions descriptor descriptors did disk disturbance do does down ended
error event every failed failures fall for force found free from full gather give given go goes
got had half have host hour in infrastructure into is issuer it key know known lags late lately
later less lets limited little lookup loop many measured memory met method methods missing more
ms name neutral new no not nothing notices number of off on one only onset or other others our
ours out overlaps own parameter pass payment payments place promise provider providers questions
read reading reads reason refund refusals refused rejected rendered replies reply requests retry
rise rollout routine s say second seconds seen send sent server set settings slow slower slowly
small something spared still store sure takes than that the their them there they third this
three through time timeout times to told too took traffic trust turned undetermined unknown
unusually up us use usual usually version void was we webhook webhooks well went were what which
while with within without worst writes wrong
"""
WORDS: Final = frozenset(_TEXT.split())
NUMBER: Final = re.compile(r"\d{1,7}(?:\.\d+)?%?")
PLACE: Final = re.compile(r"/[a-z_/]{1,60}|[a-z_]{1,40}@[0-9v][0-9A-Za-z.+-]{0,36}")
"""A JSON pointer, or an integration version."""

LONGEST: Final = 300


def plain_sentence(text: str, names: frozenset[str]) -> str:
    """A sentence whose words may all leave; else nothing. `names`: fields that our versions read,
    which a JSON pointer may consist of."""
    words = [word.strip("()\",;:.'") for word in text.split()]
    fine = len(text) <= LONGEST and all(_may_leave(word, names) for word in words if word)
    return text if fine else ""


def _may_leave(word: str, names: frozenset[str]) -> bool:
    if word.lower().removesuffix("'s") in WORDS or NUMBER.fullmatch(word):
        return True
    if not PLACE.fullmatch(word):
        return False
    return "@" in word or plain_pointer(word, names) == word


def plain_pointer(pointer: str, names: frozenset[str]) -> str:
    """A JSON pointer all of whose names are fields that our versions read; else nothing."""
    parts = pointer.split("/")[1:]
    fine = all(part in names or part == "-" or (part.isdigit() and len(part) < 4) for part in parts)
    return pointer if pointer.startswith("/") and fine else ""


SLICES: Final = {
    "operation": re.compile("|".join(OPERATIONS)),
    "integration": re.compile(r"[a-z_]{1,40}@[0-9v][0-9A-Za-z.+-]{0,36}"),
    "currency": re.compile(r"[A-Za-z]{3}"),
    "country": re.compile(r"[A-Za-z]{2}"),
}
"""Dimensions of a slice that a provider sees on its side as well, and the form of their values."""

GUESS: Final = re.compile(
    "(?:" + "|".join(name.replace("_", " ") for name in get_args(Domain.__value__)) + r")(?: \d+%)?"
)
"""The second guess of a verdict."""
