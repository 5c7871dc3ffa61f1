"""How a bug is planted: names in our modules are replaced, and nothing else differs."""

import difflib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

type Patch = tuple[Any, str, Any]
type Patches = Callable[[], list[Patch]]


@dataclass(frozen=True)
class Bug:
    """`patches()` gives what to replace: (module or class, name, value)."""

    name: str
    story: str
    patches: Patches

    @contextmanager
    def planted(self) -> Iterator[None]:
        """The bug is in the code inside this block."""
        patches = self.patches()
        saved = [(owner, name, getattr(owner, name)) for owner, name, _ in patches]
        for owner, name, value in patches:
            setattr(owner, name, value)
        try:
            yield
        finally:
            for owner, name, value in saved:
                setattr(owner, name, value)


def collector(into: list[Bug]) -> Callable[[str], Callable[[Patches], Patches]]:
    """A decorator that adds a bug to `into`: it takes the bug's story."""

    def bug(story: str) -> Callable[[Patches], Patches]:
        def add(patches: Patches) -> Patches:
            into.append(Bug(patches.__name__, story, patches))
            return patches

        return add

    return bug


def find(name: str, among: Iterable[Bug]) -> Bug:
    """The bug called `name`; a wrong name suggests the nearest."""
    known = {bug.name: bug for bug in among}
    if name in known:
        return known[name]
    near = difflib.get_close_matches(name, list(known), n=1)
    raise SystemExit(f"no planted bug {name!r}" + (f"; did you mean {near[0]}?" if near else ""))
