"""The rules for Prometheus: they speak of metrics that exist, and do what their tests say."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tollkeeper.api.metrics import Metrics

RULES = Path(__file__).parents[2] / "docs" / "prometheus"
NAME = re.compile(r"\btollkeeper_[a-z_]+")
PROMTOOL = shutil.which("promtool")


def known() -> set[str]:
    found = set()
    for family in Metrics().registry.collect():
        suffix = {"counter": "_total", "info": "_info"}.get(family.type, "")
        found.add(family.name + suffix)
        if family.type == "histogram":
            found.add(f"{family.name}_bucket")
    return found


@pytest.mark.parametrize("path", sorted(RULES.glob("*")), ids=lambda path: path.name)
def test_files_for_prometheus_speak_of_metrics_that_exist(path: Path) -> None:
    named = set(NAME.findall(path.read_text("utf-8")))
    assert named
    assert named - known() == set()


@pytest.mark.skipif(PROMTOOL is None, reason="promtool is not installed (Debian: prometheus)")
@pytest.mark.parametrize("what", ["check rules rules.yml", "test rules rules_test.yml"])
def test_the_rules_do_what_their_tests_say(what: str) -> None:
    assert PROMTOOL is not None
    done = subprocess.run(
        [PROMTOOL, *what.split()], cwd=RULES, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_metric_says_what_it_is() -> None:
    for family in Metrics().registry.collect():
        assert family.documentation.endswith("."), family.name
        assert len(family.documentation) > 20


def test_the_dashboard_is_a_grafana_model_whose_panels_do_not_overlap() -> None:
    document = json.loads((RULES / "dashboard.json").read_text("utf-8"))
    taken: set[tuple[int, int]] = set()
    for panel in document["panels"]:
        at = panel["gridPos"]
        cells = {(at["x"] + x, at["y"] + y) for x in range(at["w"]) for y in range(at["h"])}
        assert not cells & taken, panel["title"]
        assert at["x"] + at["w"] <= 24
        taken |= cells
        assert all(target["expr"] for target in panel["targets"])
    assert len({panel["id"] for panel in document["panels"]}) == len(document["panels"])
