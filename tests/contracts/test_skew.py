"""Skew: events rendered at one version and read by another."""

from urllib.parse import urlencode

import pytest

from tollkeeper.contracts.skew import skews
from tollkeeper.flows.ports import Target
from tollkeeper.integrations.catalogue import INSTALLED
from tollkeeper.integrations.version import HookAddress, ProviderAccount, WireReply, WireRequest
from tollkeeper.simulator.program import RunningSimulator
from tollkeeper.simulator.stripe.config import AccountConfig, SimulatorConfig
from tollkeeper.wire.provider import HttpWire

NAME = "stripe@2022-11-15"
URL = "https://pay.example.com/v1/inbound/stripe/2022-11-15"


def _found(default: str | None, *hooks: HookAddress) -> list[tuple[str, str]]:
    found = skews(INSTALLED[NAME], ProviderAccount(default, hooks), INSTALLED)
    return [(item.severity, item.where) for item in found]


def test_an_endpoint_at_the_version_of_its_path_is_no_skew() -> None:
    assert _found("2022-11-15", HookAddress(URL, "2022-11-15")) == []


@pytest.mark.parametrize(
    ("default", "rendered", "severity"),
    [
        ("2022-11-15", "2022-08-01", "breaking"),
        ("2022-08-01", None, "breaking"),
        ("2022-11-15", None, "risky"),
        (None, None, "risky"),
    ],
)
def test_events_of_another_version_than_they_are_read_as_are_found(
    default: str | None, rendered: str | None, severity: str
) -> None:
    assert (severity, URL) in _found(default, HookAddress(URL, rendered))


def test_an_endpoint_whose_path_names_no_installed_version_is_found() -> None:
    url = "https://pay.example.com/v1/inbound/stripe/1999-01-01"
    assert ("breaking", url) in _found(
        "2022-11-15", HookAddress(URL, "2022-11-15"), HookAddress(url, "2022-11-15")
    )


def test_no_endpoint_at_all_is_risky_and_other_peoples_endpoints_are_not_ours() -> None:
    other = HookAddress("https://shop.example.com/hooks", "2019-02-11")
    assert _found("2022-11-15", other) == [("risky", "webhook endpoints")]


@pytest.mark.parametrize("name", sorted(INSTALLED))
@pytest.mark.parametrize("body", [b"", b"{}", b'{"data": [1]}', b"\xff", b"[" * 5000])
def test_a_reply_that_is_no_list_of_endpoints_is_none(name: str, body: bytes) -> None:
    read = INSTALLED[name].account
    assert read is not None
    assert read(WireReply(status=200, body=body)) is None


async def test_the_simulator_is_asked_over_sockets_and_tells_its_endpoints() -> None:
    config = SimulatorConfig(accounts=[AccountConfig(api_version="2022-08-01")])
    async with RunningSimulator(config) as simulator, HttpWire() as wire:
        target = Target(
            base_url=simulator.url,
            headers=INSTALLED[NAME].credentials({"secret_key": config.accounts[0].key}),
        )
        made = WireRequest(
            method="POST",
            path="/v1/webhook_endpoints",
            headers=(("content-type", "application/x-www-form-urlencoded"),),
            body=urlencode({"url": URL, "enabled_events[]": "*"}).encode(),
        )
        assert (await wire.send(made, target)).reply is not None
        asked, read = INSTALLED[NAME].account_request, INSTALLED[NAME].account
        assert asked is not None
        assert read is not None
        result = await wire.send(asked(), target)
        assert result.reply is not None
        surroundings = read(result.reply)
    assert surroundings == ProviderAccount("2022-08-01", (HookAddress(URL, None),))
    assert ("breaking", URL) in [
        (item.severity, item.where) for item in skews(INSTALLED[NAME], surroundings, INSTALLED)
    ]
