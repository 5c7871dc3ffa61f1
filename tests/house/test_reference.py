"""If it exists it is documented: every setting has a meaning, every command an example."""

import cli_page
import settings_page


def test_every_setting_has_a_description() -> None:
    assert settings_page.undescribed() == []


def test_every_command_shows_an_example_in_its_help() -> None:
    assert len(cli_page.commands()) >= 12
    assert cli_page.without_example() == []
