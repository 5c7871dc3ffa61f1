"""Hearing: the job that each event about the service makes, so that none is lost with a process."""

from typing import Final

from tollkeeper.flows.incidents.publishing import soon
from tollkeeper.flows.incidents.writing import change_of, impact_now, tell
from tollkeeper.flows.ports import Job
from tollkeeper.flows.reaching import plan_now
from tollkeeper.flows.runtime import Runtime
from tollkeeper.incidents.incident import Writing
from tollkeeper.incidents.news import News, news_of, since_of
from tollkeeper.incidents.opening import home_of, joined, opened
from tollkeeper.kernel.clock import moment_ms

AGAIN_MS: Final = 100
"""When news that another replica was faster with is looked at again."""


async def hear(runtime: Runtime, job: Job) -> None:
    """Runs one `incident_news` job: the event opens an incident, joins one, or is none."""
    store = runtime.store
    event = await store.load_event(job.subject)
    news = None
    if event is not None and not await store.is_news_known(event.id):
        since_ms = moment_ms(since_of(event.data)) or 0
        news = news_of(event.id, event.type, event.created_ms, event.data, since_ms)
    if news is None or await take(runtime, news):
        await store.finish_job(job)
    else:
        await store.postpone_job(job, store.now_ms() + AGAIN_MS)


async def take(runtime: Runtime, news: News) -> bool:
    """Writes what news does to incidents; false where another was faster, and it must be decided
    anew."""
    writing = await _decided(runtime, news)
    if writing is None:
        return True
    ends = not writing.incident.is_open
    write = change_of(
        runtime, writing, news=news.event, tells="over" if ends else None, cancels=ends
    )
    if not await runtime.store.save_incident(write):
        return await runtime.store.is_news_known(news.event)
    tell(runtime, writing)
    await soon(runtime)
    return True


async def _decided(runtime: Runtime, news: News) -> Writing | None:
    store = runtime.store
    known = await store.list_open_incidents()
    ended = await store.last_ended(news.fingerprint)
    home = home_of(news, [*known, ended] if ended is not None else known)
    if home is None and not news.may_open:
        return None
    plan = await plan_now(runtime)
    impact = await impact_now(runtime, news.fingerprint, news.began_ms)
    now_ms = store.now_ms()
    if home is None:
        return opened(news, plan, impact, runtime.new_id("inc"), now_ms)
    return joined(home, news, plan, impact, now_ms)
