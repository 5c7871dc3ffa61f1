"""If it exists it is documented, and what is documented exists."""

from pathlib import Path
from xml.etree import ElementTree

import pytest

import documents
import requirements
import rooms_picture

SOURCE = documents.ROOT / "src" / rooms_picture.PACKAGE


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
    for name, draw in documents.FILES.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(draw())
    links = "\n".join(f"- [page]({name.removeprefix('docs/')})" for name in documents.PAGES)
    (tmp_path / "docs/index.md").write_text(f"# Index\n\n{links}\n")
    assert documents.problems(tmp_path) == []
    return tmp_path


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("[away](missing.md)", "link to missing.md leads nowhere"),
        ("![picture](missing.svg)", "link to missing.svg leads nowhere"),
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


def test_a_drawn_picture_that_was_edited_is_found(site: Path) -> None:
    (site / "docs/pictures/rooms.svg").write_text("<svg/>\n")
    (problem,) = documents.problems(site)
    assert problem.startswith("docs/pictures/rooms.svg")


def test_a_part_of_the_house_that_is_not_in_the_picture_is_found(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert rooms_picture.undrawn() == set()
    monkeypatch.setattr(rooms_picture, "BANDS", (("ground", ("kernel",)),))
    assert {"flows", "api", "dashboard"} <= rooms_picture.undrawn()
    assert "flows has no place in the picture" in "\n".join(documents.problems())


def test_the_picture_is_well_formed_and_shows_every_part_and_every_kind_of_import() -> None:
    drawn = rooms_picture.svg()
    words = "".join(ElementTree.fromstring(drawn).itertext())  # noqa: S314 - drawn by ourselves
    assert [part for part in rooms_picture.lines_of(SOURCE) if part not in words] == []
    for layer in ("doors", "root", "flows", "plumbing", "rooms"):
        assert f'class="edge {layer}"' in drawn


def test_lines_are_rounded_so_that_the_picture_rests() -> None:
    assert [rooms_picture.rounded(n) for n in (12, 449, 951, 1024, 4709)] == [
        "100 lines", "400 lines", "1k lines", "1k lines", "4.5k lines",
    ]  # fmt: skip


def test_the_guide_has_ten_changes_each_with_places_and_tests() -> None:
    rows = documents._guide((documents.ROOT / "CONTRIBUTING.md").read_text()).splitlines()[2:]
    assert len(rows) == 10
    for row in rows:
        *places, tests = row.strip("| ").split(" | ")[1:]
        assert any(documents.SHORT_PATH.fullmatch(span) for span in documents.CODE.findall(row))
        assert "tests/" in tests
        assert len(places) == 2


def test_a_path_in_the_guide_that_does_not_exist_is_found(site: Path) -> None:
    (site / "src/tollkeeper/flows").mkdir(parents=True)
    (site / "CONTRIBUTING.md").write_text(
        f"{documents.GUIDE}\n\n| to | begin in |\n|---|---|\n| move | `flows/`, `attic/x.py` |\n"
    )
    assert documents.problems(site) == [
        "CONTRIBUTING.md: there is no attic/x.py in the project or below src/tollkeeper"
    ]
