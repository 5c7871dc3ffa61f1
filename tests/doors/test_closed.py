"""Closed for payments: nothing that moves money is taken, the rest goes on. And keys that lack."""

from pathlib import Path

import pytest
from tests.doors.stage import PAYMENT, stage

from tollkeeper import app
from tollkeeper.cli.reconcile import moment_ms
from tollkeeper.kernel.errors import Invalid, Misconfigured
from tollkeeper.settings import ProviderSettings, Settings


async def test_a_closed_service_moves_no_money_and_reads_on(tmp_path: Path) -> None:
    async with stage(tmp_path, accept_payments=False) as at:
        reply = await at.post("/v1/payments", PAYMENT)
        assert (reply.status, reply.body["code"]) == (503, "closed_for_payments")
        assert (reply.headers["retry-after"], reply.body["retryable"]) == ("30", True)
        assert (await at.get("/v1/payments")).status == 200
        assert (await at.get("/ready", role=None)).status == 200


def test_a_provider_that_is_given_payments_needs_its_key() -> None:
    with pytest.raises(Misconfigured, match="TOLLKEEPER_STRIPE_SECRET_KEY"):
        app.require_keys(Settings())
    app.require_keys(Settings(providers={"stripe": ProviderSettings(secret_key="sk")}))


def test_a_moment_is_utc_unless_it_says_otherwise() -> None:
    assert moment_ms("2026-11-24T10:00") == moment_ms("2026-11-24T12:00+02:00")
    with pytest.raises(Invalid, match="no moment"):
        moment_ms("yesterday")
