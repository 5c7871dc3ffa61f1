"""Whether this process can serve: does its store answer?"""

from tollkeeper.flows.ports import Store
from tollkeeper.kernel.errors import StoreDoubt, Unavailable


async def store_answers(store: Store) -> bool:
    """Whether the store answers a small question."""
    try:
        await store.next_job_ms(store.now_ms())
    except (Unavailable, StoreDoubt):
        return False
    return True
