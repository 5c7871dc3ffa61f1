"""`tollkeeper drill`: incidents replayed, and faults in the running demo, as one program."""

import sys
from typing import Final

import cyclopts

from tollkeeper.proving.demo import fault
from tollkeeper.testing.drill import app as replays

app: Final[cyclopts.App] = replays
app.command(fault)

if __name__ == "__main__":
    sys.exit(app())
