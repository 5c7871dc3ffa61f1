"""Makes `docs/pictures/rollout.svg`: one rollout on the running service, as it went.

`./dev bench picture` starts the demo, moves payments to a version step by step, and lets the
provider break that version when it carries a quarter. Example: `./dev bench picture --rate 30`
"""

import json
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import rig

from tollkeeper.cli.serving import Demo

sys.path.insert(0, str(Path(__file__).parent.parent / "tools"))

import rollout_picture

PICTURE: Final = Path(__file__).parent.parent / "docs" / "pictures" / "rollout.svg"
CANDIDATE: Final = "stripe@2022-11-15"
STEPS: Final = "10,25,50,100"
PATIENCE_SECONDS: Final = 1200.0


def main() -> None:
    options = rig.parser(__doc__)
    options.add_argument("--rate", type=float, default=30.0, help="payments a second")
    options.add_argument(
        "--calm", type=float, default=10.0, help="seconds at 25 %% before the fault"
    )
    options.add_argument("--records", type=Path, help="keep the rollout's records in this file")
    options.add_argument("--redraw", type=Path, help="draw from such a file; nothing is run")
    given = options.parse_args()
    if given.redraw is None:
        with TemporaryDirectory() as folder:
            story = play(Path(folder), given.rate, given.calm)
    else:
        story = json.loads(given.redraw.read_text())
    if given.records is not None:
        given.records.write_text(json.dumps(story))
    PICTURE.write_text(rollout_picture.svg(story))
    rig.say(f"drawn: {PICTURE}")


def play(folder: Path, rate: float, calm: float) -> dict[str, Any]:
    """What `rollout explain --json` prints in the end, with the moment of the fault."""
    demo = Demo(folder, None, None)
    try:
        demo.start(rate)
        _run(demo, "rollout", "start", CANDIDATE, "--steps", STEPS, "--dwell", "20")
        _until(demo, lambda rollout: rollout["step"] > 0)
        time.sleep(calm)
        broken_ms = int(time.time() * 1000)
        _run(
            demo, "simulator", "fault", "add", "rename_field", "--url", demo.provider, "--object",
            "payment_intent", "--path", "latest_charge", "--to", "newest_charge",
            "--api-version", CANDIDATE.partition("@")[2],
        )  # fmt: skip
        _until(demo, lambda rollout: rollout["status"] != "running")
        time.sleep(5)
        told = json.loads(_run(demo, "rollout", "explain", "--json"))
        return {**told, "broken_ms": broken_ms, "rate": rate}
    finally:
        demo.stop()


def _until(demo: Demo, reached: Any) -> None:
    end = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < end:
        rollout = json.loads(_run(demo, "rollout", "show", "--json"))
        if reached(rollout):
            return
        rig.say(f"{rollout['status']}, step {rollout['step']}: {rollout['waiting']}")
        time.sleep(3)
    raise TimeoutError("the rollout did not get there")


def _run(demo: Demo, *words: str) -> str:
    program = [sys.executable, "-m", "tollkeeper", *words]
    if words[0] != "simulator":
        program += ["--config", str(demo.config)]
    done = subprocess.run(program, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(words)}: {done.stderr or done.stdout}")
    return done.stdout


if __name__ == "__main__":
    main()
