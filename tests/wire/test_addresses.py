"""Which addresses an outgoing webhook may be sent to."""

import pytest

from tollkeeper.wire import addresses

DENIED = [
    "0.0.0.0", "0.1.2.3", "10.0.0.1", "10.255.255.255", "100.64.0.1", "127.0.0.1",
    "127.255.255.254", "169.254.169.254", "172.16.0.1", "172.31.255.255", "192.0.0.170",
    "192.0.2.1", "192.168.1.1", "198.18.0.1", "198.19.255.255", "198.51.100.7", "203.0.113.9",
    "224.0.0.1", "239.255.255.250", "240.0.0.1", "255.255.255.255",
    "::", "::1", "::7f00:1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:169.254.169.254",
    "::ffff:0:127.0.0.1", "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "64:ff9b:1::1", "100::1",
    "2001::1", "2001:10::1", "2001:db8::1", "2002:7f00:1::", "3fff::1", "5f00::1", "fc00::1",
    "fd00:ec2::254", "fe80::1", "fe80::1%eth0", "fec0::1", "ff02::1", "ff0e::1",
    "localhost", "", "127.1", "2130706433", "0x7f000001", "①②⑦.0.0.1",
]  # fmt: skip

ALLOWED = [
    "1.1.1.1", "8.8.8.8", "100.63.255.255", "100.128.0.1", "172.15.255.255", "172.32.0.1",
    "192.0.1.1", "198.17.255.255", "198.20.0.1", "223.255.255.255", "2606:4700::1111",
    "2a00:1450:4001::1", "::ffff:8.8.8.8", "64:ff9b::808:808",
]  # fmt: skip


@pytest.mark.parametrize("address", DENIED)
def test_an_address_that_is_not_public_is_prohibited(address: str) -> None:
    assert addresses.prohibited(address) is not None


@pytest.mark.parametrize("address", ALLOWED)
def test_a_public_address_is_permitted(address: str) -> None:
    assert addresses.prohibited(address) is None
    assert addresses.anything_but_loopback(address) is not None


@pytest.mark.parametrize("address", ["127.0.0.1", "127.8.8.8", "::1"])
def test_this_machine_is_permitted_where_the_setting_says_so(address: str) -> None:
    assert addresses.prohibited_but_loopback(address) is None
    assert addresses.anything_but_loopback(address) is None


@pytest.mark.parametrize(
    "address", ["::ffff:127.0.0.1", "64:ff9b::7f00:1", "10.0.0.1", "169.254.169.254", "0.0.0.0"]
)
def test_the_setting_opens_this_machine_and_nothing_else(address: str) -> None:
    assert addresses.prohibited_but_loopback(address) is not None
    assert addresses.anything_but_loopback(address) is not None
