"""A mutation run: small mistakes in the code about money, and whether any test notices them.

Cosmic Ray plants each mistake in a copy of the tree and starts the tests there. `./dev mutants`
calls this; it samples, shows progress, and lists the mutants that live.
"""

import argparse
import os
import random
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

ROOT = Path(__file__).parent.parent
TOOL = ROOT / ".venv-mutants" / "bin" / "cosmic-ray"
PACKAGE = Path("src/tollkeeper")
WHERE = (
    "payments", "routing", "rollouts", "failover", "flows/payments", "flows/rollouts",
    "flows/sending.py", "flows/recording.py", "flows/observing.py",
)  # fmt: skip
"""What decides about money."""

KINDS = (
    "Comparison_Eq_NotEq", "Comparison_NotEq_Eq", "Comparison_Is_IsNot", "Comparison_IsNot_Is",
    "Comparison_In_NotIn", "Comparison_NotIn_In", "Comparison_Lt_LtE", "Comparison_LtE_Lt",
    "Comparison_Gt_GtE", "Comparison_GtE_Gt", "Comparison_Lt_Gt", "Comparison_Gt_Lt",
    "AndWithOr", "OrWithAnd", "AddNot", "TrueWithFalse", "FalseWithTrue", "_Add_Sub", "_Sub_Add",
)  # fmt: skip
"""Logic alone: most changed constants are matters of judgment."""

COPIED = ("src", "tests", "tools", "pyproject.toml", "bench", "docs", "README.md", "requirements")
TIMEOUT_SECONDS = 400
POLL_SECONDS = 5.0

CONFIG = """
[cosmic-ray]
module-path = {modules}
timeout = {timeout}
excluded-modules = []
test-command = "{python} -m pytest -x -q -p no:cacheprovider -p no:randomly {tests}"

[cosmic-ray.distributor]
name = "local"
"""


def main() -> int:
    """Runs it; exits 1 where mutants live."""
    asked = _arguments()
    with tempfile.TemporaryDirectory(prefix="mutants-") as folder:
        copy = Path(folder) / "tree"
        _copy(copy)
        _run(copy, "init", "mutants.toml", "session.sqlite", asked=asked)
        if not _baseline(copy, asked.tests):
            print("the tests fail without any mistake: nothing can be learned", file=sys.stderr)
            return 2
        session = copy / "session.sqlite"
        count = _sample(session, asked.sample, asked.seed)
        print(f"{count} mutants of {', '.join(asked.where)} (seed {asked.seed})", flush=True)
        worker = subprocess.Popen(
            [str(TOOL), "exec", "mutants.toml", "session.sqlite"], cwd=copy, env=_environment(copy)
        )
        _watch(session, worker, count)
        return _report(session)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="./dev mutants",
        description="Plant small logic mistakes and see whether the tests notice them.",
        epilog="Example: ./dev mutants payments/settlement.py flows/payments/settle.py --sample 40",
    )
    parser.add_argument(
        "where", nargs="*", default=list(WHERE), help="files or folders of the package"
    )
    parser.add_argument("--sample", type=int, default=60, help="how many mutants (60)")
    parser.add_argument("--seed", type=int, default=1, help="which ones (1)")
    parser.add_argument(
        "--tests", default="tests/rooms tests/flows", help="the tests that must notice"
    )
    asked = parser.parse_args()
    for name in asked.where:
        if not (ROOT / PACKAGE / name).exists():
            parser.error(f"{PACKAGE / name} does not exist")
    return asked


def _copy(to: Path) -> None:
    ignore = shutil.ignore_patterns("__pycache__", "*.pyc")
    for name in COPIED:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, to / name, ignore=ignore)
        else:
            to.mkdir(exist_ok=True)
            shutil.copy(source, to / name)


def _environment(copy: Path) -> dict[str, str]:
    paths = os.pathsep.join((str(copy / "src"), str(copy)))
    return {**os.environ, "PYTHONPATH": paths, "PYTHONDONTWRITEBYTECODE": "1"}


def _run(copy: Path, *command: str, asked: argparse.Namespace) -> None:
    modules = [str(PACKAGE / name) for name in asked.where]
    config = CONFIG.format(
        modules=modules, timeout=TIMEOUT_SECONDS, python=sys.executable, tests=asked.tests
    )
    (copy / "mutants.toml").write_text(config.replace("'", '"'))
    subprocess.run([str(TOOL), *command], cwd=copy, env=_environment(copy), check=True)


def _baseline(copy: Path, tests: str) -> bool:
    """Whether the tests pass in the copy as it is."""
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *tests.split()]
    began = time.monotonic()
    done = subprocess.run(command, cwd=copy, env=_environment(copy), check=False)
    print(f"the tests take {time.monotonic() - began:.0f} s as they are", flush=True)
    return done.returncode == 0


def _sample(session: Path, count: int, seed: int) -> int:
    """Keeps `count` logic mutants of the session and drops the others; gives how many are left."""
    with closing(sqlite3.connect(session)) as books:
        rows = books.execute("SELECT job_id, operator_name FROM mutation_specs").fetchall()
        logic = sorted(job for job, operator in rows if any(kind in operator for kind in KINDS))
        kept = set(random.Random(seed).sample(logic, min(count, len(logic))))  # noqa: S311
        dropped = [(job,) for job, _ in rows if job not in kept]
        books.executemany("DELETE FROM mutation_specs WHERE job_id = ?", dropped)
        books.executemany("DELETE FROM work_items WHERE job_id = ?", dropped)
        books.commit()
    return len(kept)


def _watch(session: Path, worker: "subprocess.Popen[bytes]", count: int) -> None:
    shown = -1
    while worker.poll() is None:
        time.sleep(POLL_SECONDS)
        done = len(list(_results(session)))
        if done != shown:
            alive = sum(outcome == "SURVIVED" for outcome, *_ in _results(session))
            print(f"{done} of {count} tried, {alive} live", flush=True)
            shown = done


def _results(session: Path) -> Iterator[tuple[str, str, int, str, str]]:
    """Outcome, file, line, operator and difference of each mutant that was tried."""
    with closing(sqlite3.connect(session)) as books:
        yield from books.execute(
            "SELECT r.test_outcome, s.module_path, s.start_pos_row, s.operator_name, r.diff "
            "FROM work_results r JOIN mutation_specs s ON s.job_id = r.job_id"
        ).fetchall()


def _report(session: Path) -> int:
    found = list(_results(session))
    alive = [row for row in found if row[0] == "SURVIVED"]
    for _, path, line, operator, difference in alive:
        print(f"\nLIVES {path}:{line} {operator.rpartition('/')[2]}")
        print("\n".join(row for row in difference.splitlines() if row[:1] in "+-"))
    print(f"\n{len(found)} mutants, {len(alive)} live")
    return 1 if alive else 0


if __name__ == "__main__":
    sys.exit(main())
