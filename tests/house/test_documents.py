"""If it exists it is documented, and what is documented exists."""

from pathlib import Path

import pytest

import documents
import requirements


def test_every_page_is_reachable_true_and_in_step_with_the_code() -> None:
    assert documents.problems() == []


def test_every_error_has_its_own_code_and_stands_in_the_reference() -> None:
    codes = [kind.code for kind in documents.error_classes()]
    page = (documents.ROOT / "docs/reference/errors.md").read_text()
    assert len(set(codes)) == len(codes)
    assert [code for code in codes if f"| `{code}` |" not in page] == []


def test_the_requirements_belong_to_the_project_and_name_no_place() -> None:
    assert requirements.problems() == []


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A small site without a fault, generated pages included."""
    (tmp_path / "docs/reference").mkdir(parents=True)
    for name, draw in documents.PAGES.items():
        (tmp_path / name).write_text(documents.DRAWN + draw())
    for name, draw in documents.SCHEMAS.items():
        (tmp_path / name).write_text(draw())
    links = "\n".join(f"- [page]({name.removeprefix('docs/')})" for name in documents.PAGES)
    (tmp_path / "docs/index.md").write_text(f"# Index\n\n{links}\n")
    assert documents.problems(tmp_path) == []
    return tmp_path


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("[away](missing.md)", "link to missing.md leads nowhere"),
        ("[heading](#no-such)", "index.md has no heading #no-such"),
        ("see `src/tollkeeper/attic.py`", "there is no file src/tollkeeper/attic.py"),
        ("see `tollkeeper.attic.Trunk`", "there is no module or name tollkeeper.attic.Trunk"),
    ],
)
def test_a_page_that_points_nowhere_is_found(site: Path, line: str, problem: str) -> None:
    with (site / "docs/index.md").open("a") as page:
        page.write(f"\n{line}\n")
    assert documents.problems(site) == [f"docs/index.md: {problem}"]


def test_a_page_that_nobody_links_is_found(site: Path) -> None:
    (site / "docs/lost.md").write_text("# Lost\n")
    assert documents.problems(site) == ["docs/lost.md cannot be reached from docs/index.md"]


def test_a_drawn_page_that_was_edited_is_found(site: Path) -> None:
    (site / "docs/reference/errors.md").write_text("# Errors\n\nNone.\n")
    assert [problem.split(" ")[0] for problem in documents.problems(site)] == [
        "docs/reference/errors.md"
    ]
