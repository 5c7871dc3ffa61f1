"""One process and its own cost, as JSON: `measured.py LIMIT_SECONDS STDOUT STDERR COMMAND...`.

A process of its own, since a child's peak memory begins with that of whoever started it, and the
bench is large.
"""

import json
import os
import signal
import sys
import time

LOOK_SECONDS = 0.005


def measure(limit_seconds: float, out: str, err: str, command: list[str]) -> dict[str, object]:
    """Runs the command, stopped at the limit: then `exit` is `None`."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
    files = [
        (os.POSIX_SPAWN_OPEN, 1, out, flags, 0o600),
        (os.POSIX_SPAWN_OPEN, 2, err, flags, 0o600),
    ]
    began = time.perf_counter()
    pid = os.posix_spawnp(command[0], command, os.environ, file_actions=files, setpgroup=0)
    stopped = False
    while True:
        ended, status, used = os.wait4(pid, os.WNOHANG)
        if ended:
            break
        if not stopped and time.perf_counter() - began > limit_seconds:
            os.killpg(pid, signal.SIGKILL)
            stopped = True
        time.sleep(LOOK_SECONDS)
    return {
        "exit": None if stopped else os.waitstatus_to_exitcode(status),
        "wall_s": time.perf_counter() - began,
        "cpu_s": used.ru_utime + used.ru_stime,
        "peak_mb": used.ru_maxrss / 1024,
    }


if __name__ == "__main__":
    print(json.dumps(measure(float(sys.argv[1]), sys.argv[2], sys.argv[3], sys.argv[4:])))
