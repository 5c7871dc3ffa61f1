"""Commands: misuse is told in a sentence, and new versions begin from the newest."""

from pathlib import Path

import pytest

from tollkeeper.cli.integrations import newest_of
from tollkeeper.cli.main import MISUSE, main


@pytest.mark.parametrize(
    ("arguments", "told"),
    [(["--status", "nonsense"], "requires_capture"), (["--limit", "-1"], "1 to")],
)
def test_a_wrong_filter_is_told(
    capsys: pytest.CaptureFixture[str], arguments: list[str], told: str
) -> None:
    assert main(["payments", "list", *arguments]) == MISUSE
    error = capsys.readouterr().err
    assert arguments[0] in error
    assert told in error


def test_the_simulators_commands_are_named(capsys: pytest.CaptureFixture[str]) -> None:
    main(["simulator", "--help"])
    told = " ".join(capsys.readouterr().out.split())
    assert "serve, fault, ledger, shoppers" in told


@pytest.mark.parametrize("flag", ["--help", "-h"])
def test_a_program_s_own_commands_have_help(capfd: pytest.CaptureFixture[str], flag: str) -> None:
    assert main(["drill", "carrying", flag]) == 0
    told = capfd.readouterr().out
    assert "--row" in told
    assert "Example:" in told
    assert main(["simulator", "fault", flag]) == 0
    assert "--operation" in capfd.readouterr().out


def test_a_new_version_begins_as_a_copy_of_the_newest(tmp_path: Path) -> None:
    assert newest_of("stripe") == "stripe@2026-03-25.dahlia"
    assert newest_of("nobody") is None
    source = Path(__file__).parents[2] / "src" / "tollkeeper"
    place = tmp_path / "integrations" / "stripe"
    place.mkdir(parents=True)
    newest = "integrations/stripe/v2026_03_25_dahlia.py"
    (tmp_path / newest).write_text((source / newest).read_text())
    arguments = ["integrations", "new", "stripe@2027-01-27.elm", "--folder", str(tmp_path)]
    assert main(arguments) == 0
    assert "2027-01-27.elm" in (place / "v2027_01_27_elm.py").read_text()


def test_the_list_of_commands_says_what_each_is_for(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    told = capsys.readouterr().out
    assert "Canary rollouts of integration versions." in told
    assert "Check the invariants on a live store" in told
    main(["doctor", "--help"])
    assert "Example:" in capsys.readouterr().out  # alone it prints more
