"""`python -m tollkeeper`."""

from tollkeeper.cli.main import run

run()
