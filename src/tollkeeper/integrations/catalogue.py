"""The installed integration versions by name. Adding one is one import and one entry.

Versions of other distributions are found by their entry points in the group
`tollkeeper.integrations`, whose names are the versions'.
"""

import difflib
from collections.abc import Iterator, Mapping
from importlib.metadata import entry_points
from typing import Final

from tollkeeper.integrations.stripe import golden, v2022_08_01, v2022_11_15, v2026_03_25_dahlia
from tollkeeper.integrations.version import Integration, Samples
from tollkeeper.kernel.errors import Misconfigured

GROUP: Final = "tollkeeper.integrations"

OURS: Final[dict[str, Integration]] = {
    module.INTEGRATION.name: module.INTEGRATION
    for module in (v2022_08_01, v2022_11_15, v2026_03_25_dahlia)
}
"""The versions in this package."""

GOLDEN: Final[Mapping[str, Samples]] = {"stripe": golden.GOLDEN}
"""The golden samples of each provider in this package."""


def _outside() -> Iterator[tuple[str, Integration]]:
    for point in entry_points(group=GROUP):
        found = point.load()
        if not isinstance(found, Integration):
            raise Misconfigured(f"entry point {point.name} of {GROUP} is no Integration")
        if found.name != point.name:
            raise Misconfigured(f"entry point {point.name} of {GROUP} is {found.name}: same names")
        if found.name in OURS:
            raise Misconfigured(f"entry point {point.name} of {GROUP} is in this package already")
        yield found.name, found


INSTALLED: Final[dict[str, Integration]] = OURS | dict(_outside())


def find(name: str) -> Integration:
    """The version called `name` (`stripe@2022-11-15`); a wrong name suggests the nearest."""
    found = INSTALLED.get(name)
    if found is not None:
        return found
    near = difflib.get_close_matches(name, INSTALLED, n=1)
    hint = f"; did you mean {near[0]}?" if near else ""
    raise Misconfigured(f"no integration version {name!r} is installed{hint}")


def at_address(installed: Mapping[str, Integration], name: str) -> Integration | None:
    """The version that reads the webhooks sent to the address of `name`. The address of an API
    version whose first revision is gone is read by its newest revision."""
    if name in installed:
        return installed[name]
    revisions = [v for v in installed.values() if f"{v.provider}@{v.version}" == name]
    return max(revisions, key=lambda v: v.revision, default=None)
