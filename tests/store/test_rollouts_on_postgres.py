"""The stories of rollouts on PostgreSQL: the same tests that the flows have on SQLite."""

import inspect
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from tests.flows import test_rollouts as ordinary
from tests.flows import test_rollouts_hostile as hostile
from tests.flows.stage import SETTINGS, LeverClock, Stage
from tests.store.backends import OnPostgres

from tollkeeper.store.store import SqlStore

pytestmark = pytest.mark.postgres

STORIES = [
    story
    for module in (ordinary, hostile)
    for name, story in vars(module).items()
    if name.startswith("test_") and list(inspect.signature(story).parameters) == ["tmp_path"]
]
"""All that ask for nothing but a folder."""


@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.__name__.removeprefix("test_"))
async def test_a_story_ends_alike(
    story: Any, postgres: OnPostgres, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    @asynccontextmanager
    async def stage(folder: Path, **settings: Any) -> AsyncIterator[Stage]:
        del folder
        async with postgres.store() as opened:
            clock = LeverClock()
            store = SqlStore(opened.driver, clock)
            yield Stage(store, clock, replace(SETTINGS, **settings))

    for module in (ordinary, hostile):
        monkeypatch.setattr(module, "stage", stage)
    await story(tmp_path)
