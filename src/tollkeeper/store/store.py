"""The store: every topic over one driver. A new topic is one more name here."""

from tollkeeper.store.audits import Audits
from tollkeeper.store.canaries import Canaries
from tollkeeper.store.descriptions import Descriptions
from tollkeeper.store.events import Events
from tollkeeper.store.failovers import Failovers
from tollkeeper.store.incidents import Incidents
from tollkeeper.store.jobs import Jobs
from tollkeeper.store.keys import ApiKeys
from tollkeeper.store.on_call import OnCall
from tollkeeper.store.payments import Payments
from tollkeeper.store.providers import Providers
from tollkeeper.store.retention import Retention
from tollkeeper.store.rollouts import Rollouts
from tollkeeper.store.signals import Signals
from tollkeeper.store.webhooks import Webhooks


class SqlStore(
    Payments,
    Jobs,
    Webhooks,
    Events,
    Rollouts,
    Canaries,
    Descriptions,
    ApiKeys,
    Audits,
    Retention,
    Failovers,
    Signals,
    Incidents,
    OnCall,
    Providers,
):
    """Satisfies the flows' ports by shape."""

    def now_ms(self) -> int:
        """The store's own clock, the one that waiting windows are counted by."""
        return self.clock.now_ms()

    async def close(self) -> None:
        """Closes the driver."""
        await self.driver.close()
