"""Certificates: when those of the providers end, told as a change while there is time.

Law: a certificate is read where a request connects anyway. No connection is made for it.
"""

from dataclasses import dataclass, field
from typing import Final

from tollkeeper.flows.runtime import Runtime
from tollkeeper.flows.signals import commands
from tollkeeper.kernel.clock import rfc3339
from tollkeeper.signals.counts import Change

WARN_MS: Final = 14 * 86_400_000
"""How long before its end a certificate is told of: automatic renewals come 30 days before it
(Let's Encrypt's advice), so that one which is left at 14 days has failed."""

HOURS: Final = WARN_MS / 3_600_000 + 24


@dataclass
class Certificates:
    """What one process has told: by provider the end, and whether that was over."""

    told: dict[str, tuple[int, bool]] = field(default_factory=dict)

    async def tell(self, runtime: Runtime) -> None:
        """Keeps a change for each certificate that ends soon, and one for each that has ended. What
        another process or an earlier start has kept is not kept again."""
        now_ms = runtime.clock.now_ms()
        for provider, until_ms in runtime.live.certificates.items():
            news = (until_ms, until_ms <= now_ms)
            if until_ms > now_ms + WARN_MS or self.told.get(provider) == news:
                continue
            change = Change(
                at_ms=0,
                kind="certificate",
                text=_text(provider, until_ms, has_ended=until_ms <= now_ms),
                provider=provider,
                until_ms=until_ms,
            )
            known = {one.text for one in await commands.changes(runtime.store, HOURS)}
            if change.text not in known:
                await commands.keep(runtime, change, actor="certificates")
            self.told[provider] = news


def _text(provider: str, until_ms: int, *, has_ended: bool) -> str:
    word = "has ended" if has_ended else "ends"
    return f"the certificate of {provider} {word} at {rfc3339(until_ms)}"
