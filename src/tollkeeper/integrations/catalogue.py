"""The installed integration versions by name. Adding one is one import and one entry."""

import difflib
from typing import Final

from tollkeeper.integrations.stripe import v2022_08_01, v2022_11_15, v2026_03_25_dahlia
from tollkeeper.integrations.values import Integration
from tollkeeper.kernel.errors import Misconfigured

INSTALLED: Final[dict[str, Integration]] = {
    module.INTEGRATION.name: module.INTEGRATION
    for module in (v2022_08_01, v2022_11_15, v2026_03_25_dahlia)
}


def find(name: str) -> Integration:
    """The version called `name` (`stripe@2022-11-15`); a wrong name suggests the nearest."""
    found = INSTALLED.get(name)
    if found is not None:
        return found
    near = difflib.get_close_matches(name, INSTALLED, n=1)
    hint = f"; did you mean {near[0]}?" if near else ""
    raise Misconfigured(f"no integration version {name!r} is installed{hint}")
