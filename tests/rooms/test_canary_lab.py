"""The laboratory of `./dev bench canary` measures the product's formulas, and no twin of them."""

import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PYTHON = ROOT / ".venv-canary" / "bin" / "python"


@pytest.mark.slow
@pytest.mark.skipif(not PYTHON.exists(), reason="run ./dev canary-env for the laboratory's numpy")
def test_the_laboratorys_wealth_is_the_products_unit_by_unit() -> None:
    done = subprocess.run(
        [PYTHON, "bench/canary.py", "--alike"], cwd=ROOT, text=True, capture_output=True,
        env={**os.environ, "PYTHONPATH": "src"}, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "the product's wealth to" in done.stderr
