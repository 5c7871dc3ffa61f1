"""The check of plain English finds what it should, and nothing in code."""

from pathlib import Path

import pytest

import documents
import prose


def found(text: str) -> list[str]:
    """The faults in a page with this text, without their place."""
    return [
        fault.partition(": ")[2]
        for piece in prose.prose_of("page.md", text)
        for fault in prose.faults_of(piece)
    ]


def test_every_page_and_every_message_is_plain() -> None:
    assert prose.problems() == []


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("Nobody sends it again.", "Nobody"),
        ("Whoever reads this asks.", "Whoever"),
        ("Until somebody stops it.", "somebody"),
        ("The database is made anew.", "anew"),
        ("A key counts for ever.", "for ever"),
        ("It goes back by itself.", "by itself"),
        ("A payment that the books have otherwise.", "otherwise"),
        ("Its webhooks tell, and that is enough.", "tell"),
        ("| what | how |\n|---|---|\n| nobody | knows |", "nobody"),
        ("- an item\n\n  that nobody\n  reads", "nobody"),
        ("# A heading for nobody", "nobody"),
    ],
)
def test_a_word_that_hides_the_actor_is_found(text: str, word: str) -> None:
    assert [fault.split(": ")[0] for fault in found(text)] == [f'"{word}"']


@pytest.mark.parametrize(
    "text",
    [
        "Otherwise the service asks the provider.",
        "Send it with a key; otherwise it is refused.",
        "The shop tells the shopper.",
        "Run `nobody --for-ever`.",
        "```sh\necho nobody, anew\n```",
        "    nobody, in an indented block",
        "See [the page](nobody/anew.md).",
        "<!-- nobody -->",
    ],
)
def test_plain_words_code_and_targets_of_links_are_left_alone(text: str) -> None:
    assert found(text) == []


def test_a_sentence_has_a_longest_length() -> None:
    assert found("word " * prose.LONGEST + ".") == []
    (fault,) = found("word " * (prose.LONGEST + 1) + ".")
    assert fault.startswith(f"{prose.LONGEST + 1} words in one sentence")


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("One. Two! Three?", 3),
        ("It costs 0.5 ms, e.g. on `sqlite3`. Two.", 2),
        ("Run it. `doctor` prints more.", 2),
        ("(One.) *Two.* Three.", 3),
        ("Version 1.2.3 of a.b is out", 1),
    ],
)
def test_a_paragraph_is_split_into_sentences(text: str, count: int) -> None:
    (piece,) = prose.prose_of("page.md", text)
    assert len(prose.sentences(piece.text)) == count


def test_the_cells_of_a_table_are_no_sentences() -> None:
    assert found("| a |\n|---|\n| " + "word " * 40 + "|") == []


def test_a_fault_names_page_and_line() -> None:
    (piece,) = (p for p in prose.prose_of("page.md", "One.\n\nNobody.\n") if "Nobody" in p.text)
    (fault,) = prose.faults_of(piece)
    assert fault.startswith("page.md:3: ")


def test_every_source_of_messages_is_read() -> None:
    kinds = {text.place.split(" ")[0] for text in prose.messages()}
    assert kinds == {"error", "setting", "help"}


def test_decisions_the_changelog_and_generated_pages_are_not_read() -> None:
    names = {str(page.relative_to(documents.ROOT)) for page in prose.pages()}
    assert {"README.md", "SECURITY.md", "CONTRIBUTING.md", "ARCHITECTURE.md"} <= names
    assert not names & {"CHANGELOG.md", "docs/reference/errors.md", "docs/decisions/index.md"}


def test_an_exception_allows_its_sentence_and_must_be_needed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "README.md").write_text("Nobody knows.\n")
    monkeypatch.setattr(prose, "messages", lambda: iter(()))
    monkeypatch.setattr(prose, "EXCEPTIONS", {("README.md", "Nobody knows"): "a quotation"})
    assert prose.problems(tmp_path) == []
    (tmp_path / "README.md").write_text("The operator knows.\n")
    (problem,) = prose.problems(tmp_path)
    assert "is not needed any more" in problem
