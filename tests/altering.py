"""Altering a runtime, which is frozen, while others hold it already."""

from typing import Any

from tollkeeper.flows.runtime import Runtime


def alter(runtime: Runtime, **fields: Any) -> None:
    """Gives `runtime` other versions, settings or ports, and forgets what was computed of the old
    ones."""
    for name, value in fields.items():
        assert hasattr(runtime, name), name
        object.__setattr__(runtime, name, value)
    runtime._kept.clear()
