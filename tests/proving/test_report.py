"""The report: whole without anything else, true in its numbers, safe whatever a file says."""

import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

from msgspec.structs import replace
from tests.proving.test_scoring import CHANGED, QUIET, played, said

from tollkeeper.proving.report import events, page, points, write
from tollkeeper.proving.rivals import STATUS_RULE, RivalSaid
from tollkeeper.proving.scoring import Run, rival_scores, run_of, score

VOID = {"meta", "line", "polyline", "br"}
SEEN = ((-10, 4, 0), (-6, 4, 1), (0, 4, 4), (3, 2, 1), (5, 4, 0))


class Checker(HTMLParser):
    """Every element is closed, and what it links to."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.links: list[str] = []
        self.ids: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        values = dict(attrs)
        self.links += [str(values[name]) for name in ("href", "src") if name in values]
        self.ids.add(str(values.get("id")))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def run(*told: Any, **fields: Any) -> Run:
    given = replace(played(*told), seen=SEEN, with_rivals=True, **fields)
    return run_of(CHANGED, given)


def html(*runs: Run) -> str:
    return page(runs, score([one.mark for one in runs]), rival_scores(runs))


def checked(text: str) -> Checker:
    checker = Checker()
    checker.feed(text)
    assert checker.open == []
    return checker


def test_a_page_needs_nothing_else_and_its_links_lead_somewhere(tmp_path: Path) -> None:
    runs = [run(said("provider_changed", pointer="/status")), run_of(QUIET, played())]
    path = write(tmp_path / "new" / "folder", runs, score([r.mark for r in runs]), {})
    text = path.read_text("utf-8")
    found = checked(text)
    assert not {"script", "link", "img", "iframe"} & set(found.tags)
    assert not re.search(r"https?://|url\(|@import", text)
    assert all(link.startswith("#") and link[1:] in found.ids for link in found.links)
    assert "No shopper came." in text


def test_the_series_is_the_share_of_shoppers_by_five_seconds() -> None:
    assert points(run()) == [(-10, 8, 7), (0, 6, 1), (5, 4, 4)]
    text = html(run())
    assert "<td>8</td><td>7</td><td>88%</td>" in text
    assert "<td>6</td><td>1</td><td>17%</td>" in text
    (line,) = re.findall(r'<polyline points="([^"]*)"', text)
    places = [tuple(map(float, place.split(","))) for place in line.split()]
    assert [x for x, _ in places] == sorted(x for x, _ in places)
    assert places[2][1] < places[0][1] < places[1][1]  # the best is the highest


def test_fault_alarm_verdict_and_move_are_marked_where_they_were() -> None:
    one = run(
        said("undetermined", 3.0), said("provider_changed", 4.5), moves=("proof",),
        moved_seconds=(6.2,),
    )  # fmt: skip
    assert events(one) == [("fault", 0.0), ("alarm", 3.0), ("verdict", 4.5), ("move", 6.2)]
    text = html(one)
    for label in ("alarm 3 s", "verdict 4.5 s", "move 6.2 s"):
        assert text.count(label) == 1
    assert events(run_of(QUIET, played())) == []


def test_rivals_stand_beside_us() -> None:
    rival = RivalSaid(rival=STATUS_RULE, after_seconds=9.0, domain="our_code", because="4xx <b>")
    text = html(run(said("provider_changed"), rivals=(rival,)))
    assert text.count(STATUS_RULE) == 2
    assert "4xx &lt;b&gt;" in text
    assert "9 s" in text
    assert text.count(">missed<") == 3
    assert html(run()).count('class="right"') == 0


def test_whatever_a_scenario_says_is_text() -> None:
    evil = "<script>alert(1)</script><span class="
    one = run(replace(said("provider_changed"), says="<span class=x onload=1>" + evil))
    text = html(replace(one, scenario=replace(one.scenario, title=evil)))
    assert "script" not in checked(text).tags
    assert "<span class=x" not in text
