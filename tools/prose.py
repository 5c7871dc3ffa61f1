"""Plain English that is checked: words that hide the actor, and sentences that are too long.

`prose.py check` reads the pages that are written by hand, the advice of errors, the descriptions of
settings, and the help of the command line. Markdown is parsed, so that code, the targets of links
and HTML are not prose. The cells of a table are fragments: only their words are checked.
"""

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

from markdown_it import MarkdownIt
from markdown_it.token import Token

import cli_page
import documents
import settings_page

LONGEST: Final = 30
"""Words in a sentence. The aim is 20; above 30 a reader has to begin again."""

AVOID: Final = (
    (r"\bnobody\b", "name the actor, or say that no caller, no version ... does it"),
    (r"\bwhoever\b", "name the actor"),
    (r"\bsomebody\b", "name the actor"),
    (r"\banew\b", "say `again` or `a new ...`"),
    (r"\bfor ?ever\b", "give the duration, or say `without end` or `never again`"),
    (r"\bby (?:it|him|her)self\b", "say `automatically` or `alone`"),
    (r"(?<![,;:(.] )(?<!^)(?<!\band )(?<!\bor )(?<!\bbut )\botherwise\b", "say `differently`"),
    (r"\btells?(?=[.,;:])", "say whom and what, or use another verb"),
)
"""A pattern, and what to do instead. `otherwise` is fine where it begins a clause."""

EXCEPTIONS: Final = {
    ("docs/explanation/looking-after-every-payment.md", "Further reading"): "a list of titles",
}
"""A place (a page, or a text's name) and words of the sentence, to the reason why it may stay."""

STOP: Final = re.compile(r"(?<=[.!?])[\"')*_]*\s+(?=[\"'(*_]*[A-Z0-9`])")
WORD: Final = re.compile(r"\w[\w'’/.@%-]*")
ABBREVIATIONS: Final = re.compile(r"\b(e\.g|i\.e|etc|vs|cf)\.")
CODE: Final = "Code"
"""Stands for a span of code: one word, which may begin a sentence."""


class Text(NamedTuple):
    """A piece of prose. `whole` is false for fragments, whose length says nothing."""

    place: str
    line: int
    text: str
    whole: bool = True


def pages(root: Path = documents.ROOT) -> list[Path]:
    """The pages that are written by hand; decisions and the changelog are history."""
    return [
        page
        for page in documents.pages(root)
        if page.name != "CHANGELOG.md"
        and str(page.relative_to(root)) not in documents.PAGES
        and not page.is_relative_to(root / "docs" / "decisions")
    ]


def prose_of(place: str, source: str) -> Iterator[Text]:
    """Every paragraph, item, heading and table cell of a Markdown text."""
    in_cell = False
    for token in MarkdownIt("commonmark").enable("table").parse(source):
        if token.type in {"th_open", "td_open"}:
            in_cell = True
        elif token.type in {"th_close", "td_close"}:
            in_cell = False
        elif token.type == "inline":
            line = (token.map or [0])[0] + 1
            yield Text(place, line, _plain(token), whole=not in_cell)


def _plain(token: Token) -> str:
    parts = []
    for child in token.children or ():
        match child.type:
            case "text":
                parts.append(child.content)
            case "code_inline":
                parts.append(CODE)
            case "softbreak" | "hardbreak":
                parts.append(" ")
            case _:
                pass  # marks, links' targets, pictures and HTML
    return "".join(parts)


def messages() -> Iterator[Text]:
    """The texts that a person meets outside the pages."""
    for kind in documents.error_classes():
        yield from prose_of(f"error {kind.code}", kind.advice)
    for name, described in settings_page.descriptions().items():
        yield from prose_of(f"setting {name}", described)
    for name, helped in cli_page.texts():
        yield from prose_of(f"help {name}", helped)


def sentences(text: str) -> list[str]:
    """The sentences of a paragraph."""
    return STOP.split(ABBREVIATIONS.sub(r"\1", text.strip()))


def faults_of(text: Text) -> Iterator[str]:
    """What is wrong with one piece of prose."""
    where = f"{text.place}:{text.line}"
    for sentence in sentences(text.text):
        if _excepted(text.place, sentence):
            continue
        for pattern, advice in AVOID:
            found = re.search(pattern, sentence, re.IGNORECASE)
            if found:
                yield f'{where}: "{found[0]}": {advice}'
        count = len(WORD.findall(sentence))
        if text.whole and count > LONGEST:
            start = " ".join(sentence.split()[:8])
            yield f'{where}: {count} words in one sentence, at most {LONGEST}: "{start} ..."'


def _excepted(place: str, sentence: str) -> bool:
    return any(place == where and words in sentence for where, words in EXCEPTIONS)


def unused_exceptions(texts: list[Text]) -> Iterator[str]:
    """Exceptions for sentences that are gone."""
    for where, words in EXCEPTIONS:
        if not any(text.place == where and words in text.text for text in texts):
            yield f'prose.py: the exception for "{words}" in {where} is not needed any more'


def problems(root: Path = documents.ROOT) -> list[str]:
    """Every fault in every text."""
    texts = [
        text
        for page in pages(root)
        for text in prose_of(str(page.relative_to(root)), page.read_text())
    ]
    texts += messages()
    found = [fault for text in texts for fault in faults_of(text)]
    return [*found, *unused_exceptions(texts)]


def main(arguments: list[str]) -> int:
    if arguments != ["check"]:
        print("usage: prose.py check")
        return 2
    found = problems()
    print("\n".join(found) or "prose: plain")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
