"""By which address others reach this machine, and how a browser spells it."""

import ipaddress

import pytest

from roost import addresses


def test_this_machines_own_are_no_loopback() -> None:
    for address in addresses.outward():
        assert not ipaddress.ip_address(address).is_loopback


@pytest.mark.parametrize(
    ("host", "wanted"), [("10.0.0.5", "10.0.0.5"), ("build.example", "build.example"), ("[::1]", "::1")]
)
def test_what_has_a_name_keeps_it(host: str, wanted: str) -> None:
    assert addresses.reachable(host) == wanted


def test_every_address_is_one_that_leads_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(addresses, "outward", lambda: ["192.168.1.7", "fd00::7"])
    assert addresses.reachable("0.0.0.0") == addresses.reachable("::") == "192.168.1.7"
    monkeypatch.setattr(addresses, "outward", list)
    assert addresses.reachable("0.0.0.0") == "127.0.0.1"


@pytest.mark.parametrize(
    ("scheme", "host", "port", "wanted"),
    [
        ("https", "192.168.1.7", 2100, "https://192.168.1.7:2100"),
        ("https", "fd00::7", 2100, "https://[fd00::7]:2100"),
        ("https", "a.example", 443, "https://a.example"),
        ("http", "a.example", 80, "http://a.example"),
        ("http", "a.example", None, "http://a.example"),
    ],
)
def test_urls_are_as_browsers_take_them(scheme: str, host: str, port: int | None, wanted: str) -> None:
    assert addresses.url(scheme, host, port) == wanted
