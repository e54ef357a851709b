"""How often logins may fail."""

import pytest

from roost.core.errors import TooManyLogins
from roost.service import throttle
from roost.service.throttle import BY_ADDRESS, BY_NAME, TOGETHER, WINDOW, Throttle
from roost.testing.clock import HandClock


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def limit(clock: HandClock) -> Throttle:
    return Throttle(clock.monotonic)


def test_d32_an_address_may_not_try_all_names(limit: Throttle) -> None:
    for n in range(BY_ADDRESS):
        limit.attempt(f"user{n}", "192.0.2.1")
    with pytest.raises(TooManyLogins):
        limit.attempt("another", "192.0.2.1")
    limit.attempt("another", "192.0.2.2")


def test_d32_a_name_may_not_be_tried_from_everywhere(limit: Throttle) -> None:
    for n in range(BY_NAME):
        limit.attempt("ann", f"192.0.2.{n}")
    with pytest.raises(TooManyLogins):
        limit.attempt("ann", "198.51.100.1")
    limit.attempt("bob", "198.51.100.1")


def test_behind_a_socket_names_count_alone(limit: Throttle) -> None:
    for n in range(BY_ADDRESS * 2):
        limit.attempt(f"user{n}", "")
    for _ in range(TOGETHER):
        limit.attempt("ann", "")
    with pytest.raises(TooManyLogins):
        limit.attempt("ann", "")


def test_time_heals_one_after_the_other(limit: Throttle, clock: HandClock) -> None:
    for _ in range(TOGETHER):
        limit.attempt("ann", "a")
        clock.wind(10)
    with pytest.raises(TooManyLogins) as error:
        limit.attempt("ann", "a")
    assert error.value.retry_after == WINDOW - 10 * TOGETHER
    clock.wind(error.value.retry_after)
    limit.attempt("ann", "a")
    with pytest.raises(TooManyLogins):
        limit.attempt("ann", "a")


def test_the_right_password_forgives(limit: Throttle) -> None:
    for _ in range(TOGETHER):
        limit.attempt("ann", "192.0.2.1")
    limit.forgive("ann", "192.0.2.1")
    for _ in range(TOGETHER):
        limit.attempt("ann", "192.0.2.1")
    with pytest.raises(TooManyLogins):
        limit.attempt("ann", "192.0.2.1")


def test_logins_that_go_well_never_count(limit: Throttle) -> None:
    for _ in range(BY_NAME * 2):
        limit.attempt("ann", "192.0.2.1")
        limit.forgive("ann", "192.0.2.1")


def test_what_is_remembered_is_bounded(limit: Throttle, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(throttle, "KEPT", 50)
    for n in range(200):
        limit.attempt(f"user{n}", f"host{n}")
    assert len(limit._tried) <= 50


def test_all_addresses_of_one_network_of_ipv6_are_one(limit: Throttle) -> None:
    for number in range(BY_ADDRESS):
        limit.attempt(f"user{number}", f"2001:db8::{number + 1:x}")
    with pytest.raises(TooManyLogins):
        limit.attempt("another", "2001:db8::ffff:ffff:1:2")
    limit.attempt("another", "2001:db8:0:1::1")
    for number in range(BY_ADDRESS):
        limit.attempt(f"user{number}", "::ffff:192.0.2.1" if number % 2 else "192.0.2.1")
    with pytest.raises(TooManyLogins):
        limit.attempt("another", "192.0.2.1")
