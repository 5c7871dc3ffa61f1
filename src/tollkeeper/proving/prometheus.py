"""The rival that most services have: real Prometheus and Alertmanager, burn-rate rules, defaults.

Needs Debian's `prometheus` and `prometheus-alertmanager`. Intervals are those of a fresh
installation: scrapes and rules each minute, groups after 30 seconds.
"""

import asyncio
import shutil
import signal
import time
from pathlib import Path
from typing import Final

from aiohttp import web

from tollkeeper.proving.rivals import RivalSaid
from tollkeeper.testing.kill import free_port

PROGRAMS: Final = ("prometheus", "prometheus-alertmanager")
NAME: Final = "burn rate, Prometheus"

CONFIG: Final = """
rule_files: [{rules}]
alerting: {{alertmanagers: [{{static_configs: [{{targets: ['127.0.0.1:{alertmanager}']}}]}}]}}
scrape_configs:
  - job_name: tollkeeper
    static_configs: [{{targets: [{targets}]}}]
"""

BAD: Final = 'tollkeeper_provider_requests_total{result=~"A|B1|C|unanswered"}'
ALL: Final = "tollkeeper_provider_requests_total"
RULE: Final = """
      - alert: Burns{long}
        expr: >-
          {long_rate} > {factor} * 0.001 and {short_rate} > {factor} * 0.001
"""
WINDOWS: Final = (("1h", "5m", 14.4), ("6h", "30m", 6.0))

RECEIVER: Final = """
route: {{receiver: here}}
receivers: [{{name: here, webhook_configs: [{{url: 'http://127.0.0.1:{port}/'}}]}}]
"""


def missing() -> list[str]:
    """The programs that are not installed."""
    return [name for name in PROGRAMS if shutil.which(name) is None]


def rules() -> str:
    """Burn rates of 99.9 % over requests to providers, as in the SRE Workbook."""
    found = ["groups:\n  - name: burn\n    rules:"]
    for long, short, factor in WINDOWS:
        rates = [
            f"(sum(rate({BAD}[{window}])) / sum(rate({ALL}[{window}])))" for window in (long, short)
        ]
        found.append(RULE.format(long=long, long_rate=rates[0], short_rate=rates[1], factor=factor))
    return "".join(found)


class BurnRates:
    """Both programs beside a run, and when the first page came."""

    def __init__(self, folder: Path, targets: list[int]) -> None:
        self._folder = folder
        self._targets = targets
        self._running: list[asyncio.subprocess.Process] = []
        self._runner: web.AppRunner | None = None
        self.alertmanager, self.prometheus = free_port(), free_port()
        self.paged_ms: int | None = None

    async def start(self) -> None:
        """Starts the receiver, Alertmanager and Prometheus."""
        folder, port = self._folder, free_port()
        targets = ", ".join(f"'127.0.0.1:{target}'" for target in self._targets)
        files = {
            "rules.yml": rules(),
            "prometheus.yml": CONFIG.format(
                rules=folder / "rules.yml", alertmanager=self.alertmanager, targets=targets
            ),
            "alertmanager.yml": RECEIVER.format(port=port),
        }
        for name, text in files.items():
            (folder / name).write_text(text, encoding="utf-8")
        await self._receive(port)
        await self._run(
            PROGRAMS[1], f"--config.file={folder / 'alertmanager.yml'}",
            f"--storage.path={folder / 'alertmanager'}", "--cluster.listen-address=",
            f"--web.listen-address=127.0.0.1:{self.alertmanager}",
        )  # fmt: skip
        await self._run(
            PROGRAMS[0], f"--config.file={folder / 'prometheus.yml'}",
            f"--storage.tsdb.path={folder / 'prometheus'}",
            f"--web.listen-address=127.0.0.1:{self.prometheus}",
        )  # fmt: skip

    async def _receive(self, port: int) -> None:
        application = web.Application()
        application.router.add_post("/", self._paged)
        self._runner = web.AppRunner(application)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", port).start()

    async def _paged(self, request: web.Request) -> web.Response:
        await request.read()
        self.paged_ms = self.paged_ms or int(time.time() * 1000)
        return web.Response()

    async def _run(self, *arguments: str) -> None:
        silent = asyncio.subprocess.DEVNULL
        self._running.append(
            await asyncio.create_subprocess_exec(*arguments, stdout=silent, stderr=silent)
        )

    def said(self, began_ms: int) -> RivalSaid | None:
        """The first page, if there was one. A burn rate names no cause."""
        if self.paged_ms is None:
            return None
        after = round((self.paged_ms - began_ms) / 1000, 1)
        return RivalSaid(rival=NAME, after_seconds=after, domain="none", because="budget burns")

    async def stop(self) -> None:
        """Ends both programs and the receiver."""
        for process in self._running:
            if process.returncode is None:
                process.send_signal(signal.SIGTERM)
            await process.wait()
        if self._runner is not None:
            await self._runner.cleanup()
