"""Pages: newest first, cut by cursors that go both ways, filtered, never another account's."""

from pathlib import Path
from typing import Any

from tests.doors.stage import Stage, stage


async def _walk(it: Stage, query: str) -> list[list[str]]:
    """The ids of every page, from the first to the last."""
    pages, cursor = [], ""
    for _ in range(20):
        page = (await it.get(f"/v1/payments?{query}{cursor}")).body
        pages.append([payment["id"] for payment in page["data"]])
        assert page["has_more"] is (page["next_cursor"] is not None)
        if not page["has_more"]:
            return pages
        cursor = f"&cursor={page['next_cursor']}"
    raise AssertionError("pages without an end")


async def test_pages_hold_every_payment_once_newest_first(tmp_path: Path) -> None:
    async with stage(tmp_path) as it:
        made = [(await it.pay())["id"] for _ in range(7)]
        newest_first = made[::-1]
        assert await _walk(it, "limit=3") == [newest_first[:3], newest_first[3:6], newest_first[6:]]
        assert await _walk(it, "limit=7") == [newest_first]
        assert await _walk(it, "") == [newest_first]


async def test_a_page_leads_back_to_the_one_before(tmp_path: Path) -> None:
    async with stage(tmp_path) as it:
        made = [(await it.pay())["id"] for _ in range(5)][::-1]

        async def page(cursor: str | None) -> Any:
            more = f"&cursor={cursor}" if cursor else ""
            return (await it.get(f"/v1/payments?limit=2{more}")).body

        def ids(page: Any) -> list[str]:
            return [payment["id"] for payment in page["data"]]

        first = await page(None)
        assert first["previous_cursor"] is None
        second = await page(first["next_cursor"])
        third = await page(second["next_cursor"])
        assert (ids(third), third["has_more"]) == (made[4:], False)
        back = await page(third["previous_cursor"])
        assert (ids(back), back["has_more"]) == (made[2:4], True)
        start = await page(back["previous_cursor"])
        assert (ids(start), start["previous_cursor"]) == (made[:2], None)
        assert ids(await page(start["next_cursor"])) == made[2:4]


async def test_filters_narrow_a_list(tmp_path: Path) -> None:
    async with stage(tmp_path) as it:
        paid = await it.pay(customer="cus_1", reference="order ü/1")
        held = await it.pay(customer="cus_1", capture_method="manual")
        await it.pay(customer="cus_2")
        assert await _walk(it, "customer=cus_1") == [[held["id"], paid["id"]]]
        assert await _walk(it, "customer=cus_1&status=succeeded") == [[paid["id"]]]
        assert await _walk(it, "reference=order%20%C3%BC/1") == [[paid["id"]]]
        assert await _walk(it, "status=canceled") == [[]]


async def test_refunds_of_a_payment_are_listed_oldest_first(tmp_path: Path) -> None:
    async with stage(tmp_path) as it:
        paid = await it.pay()
        path = f"/v1/payments/{paid['id']}/refunds"
        made = [(await it.post(path, {"amount_minor": amount})).body["id"] for amount in (1, 2)]
        assert [refund["id"] for refund in (await it.get(path)).body["data"]] == made
        left = await it.post(path, {})
        assert left.body["amount_minor"] == 1231
        assert (await it.post(path, {})).status == 422


async def test_events_are_paged_and_read(tmp_path: Path) -> None:
    async with stage(tmp_path) as it:
        paid = await it.pay()
        await it.post(f"/v1/payments/{paid['id']}/refunds", {})
        page = (await it.get("/v1/events?limit=1")).body
        (newest,) = page["data"]
        assert (newest["type"], newest["data"]["payment"]) == ("refund.succeeded", paid["id"])
        assert (await it.get(f"/v1/events/{newest['id']}")).body == newest
        older = (await it.get(f"/v1/events?cursor={page['next_cursor']}")).body
        assert [event["type"] for event in older["data"]] == ["payment.succeeded"]
        assert older["has_more"] is False
