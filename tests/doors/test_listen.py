"""Addresses: what is taken, what is refused, and what is left on disk."""

import fcntl
import os
import socket
import stat
import threading
from contextlib import suppress
from pathlib import Path

import pytest

from roost.core.errors import BadValue
from roost.doors import listen
from roost.doors.listen import Fd, Tcp, Unix, bind, bound, exposed, parse, shown


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("127.0.0.1:8080", Tcp("127.0.0.1", 8080)),
        ("localhost:0", Tcp("localhost", 0)),
        (":8080", Tcp("0.0.0.0", 8080)),
        ("[::1]:8080", Tcp("::1", 8080)),
        ("[::]:0", Tcp("::", 0)),
        ("unix:///run/roost.sock", Unix(Path("/run/roost.sock"))),
        ("fd://3", Fd(3)),
    ],
)
def test_an_address_is_read(text: str, address: object) -> None:
    assert parse(text) == address


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("8080", "no address"),
        ("host:", "no address"),
        ("host:http", "no address"),
        ("host:70000", "no address"),
        ("::1:8080", "stands in brackets"),
        ("[::1:8080", "stands in brackets"),
        ("unix://", "no address"),
        ("fd://x", "no address"),
        ("npipe://roost", "Windows only"),
        ("http://127.0.0.1:8080", "no address"),
    ],
)
def test_what_is_no_address_is_refused_with_a_reason(text: str, says: str) -> None:
    with pytest.raises(BadValue, match=says):
        parse(text)


@pytest.mark.parametrize(
    ("text", "is_exposed"),
    [
        ("127.0.0.1:1", False),
        ("127.8.8.8:1", False),
        ("localhost:1", False),
        ("0.0.0.0:1", True),
        (":1", True),
        ("[::1]:1", False),
        ("[::]:1", True),
        ("unix://x", False),
    ],
)
def test_only_loopback_and_unix_sockets_are_private(text: str, is_exposed: bool) -> None:
    assert exposed(parse(text)) is is_exposed


def test_port_0_finds_a_free_port() -> None:
    with bound([parse("127.0.0.1:0")]) as [sock]:
        host, port = shown(sock).split(":")
        assert host == "127.0.0.1"
        assert int(port) > 0


def test_d23_ipv6_addresses_can_be_listened_on() -> None:
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        pytest.skip("this machine has no IPv6: `sysctl -w net.ipv6.conf.lo.disable_ipv6=0` brings it")
    with bound([parse("[::1]:0")]) as [sock]:
        assert shown(sock) == str(parse(shown(sock)))
        assert shown(sock).startswith("[::1]:")


def test_d23_a_name_that_leads_nowhere_is_refused_with_the_reason() -> None:
    with pytest.raises(BadValue, match=r"can't listen on 'nowhere\.invalid': "):
        bind(parse("nowhere.invalid:0"))


def test_a_taken_port_is_refused_by_name() -> None:
    with bound([parse("127.0.0.1:0")]) as [sock]:
        sock.listen()
        with pytest.raises(BadValue, match=f"{shown(sock)}: Address already in use"):
            bind(parse(shown(sock)))


def test_a_unix_socket_is_its_owners_alone_and_goes_at_the_end(tmp_path: Path) -> None:
    path = tmp_path / "new" / "roost.sock"
    with bound([parse(f"unix://{path}")]) as [sock]:
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert shown(sock) == f"unix://{path}"
    assert not path.exists()


def test_the_umask_is_put_back(tmp_path: Path) -> None:
    before = os.umask(0o022)
    try:
        with bound([Unix(tmp_path / "s")]):
            assert os.umask(0o022) == 0o022
    finally:
        os.umask(before)


def test_a_dead_servers_socket_is_taken_over(tmp_path: Path) -> None:
    path = tmp_path / "s"
    bind(Unix(path)).close()
    assert path.exists()
    with bound([Unix(path)]):
        assert path.exists()


def test_of_many_that_start_at_once_one_has_the_socket(tmp_path: Path) -> None:
    address = Unix(tmp_path / "s.sock")
    for _ in range(20):
        bind(address).close()  # a dead server's
        had: list[socket.socket] = []
        start = threading.Barrier(6)

        def take(start: threading.Barrier = start, had: list[socket.socket] = had) -> None:
            start.wait()
            with suppress(BadValue):
                had.append(bind(address))

        those = [threading.Thread(target=take) for _ in range(6)]
        for one in those:
            one.start()
        for one in those:
            one.join()
        assert len(had) == 1
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(address.path))
        had[0].close()


def test_a_folder_that_somebody_holds_is_waited_for_and_not_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listen, "TRIES", 2)
    held = os.open(tmp_path, os.O_RDONLY)
    try:
        fcntl.flock(held, fcntl.LOCK_EX)
        bind(Unix(tmp_path / "s.sock")).close()
    finally:
        os.close(held)


def test_a_living_servers_socket_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "s"
    with bound([Unix(path)]):
        with pytest.raises(BadValue, match="another server answers"), bound([Unix(path)]):
            pass
        assert path.exists()


def test_a_file_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "s"
    path.write_text("mine")
    with pytest.raises(BadValue, match="no socket"), bound([Unix(path)]):
        pass
    assert path.read_text() == "mine"


def test_a_socket_that_another_has_put_there_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "s"
    with bound([Unix(path)]):
        path.unlink()
        other = bind(Unix(path))
    assert path.exists()
    other.close()


def test_when_one_address_fails_the_others_are_given_back(tmp_path: Path) -> None:
    path = tmp_path / "s"
    with pytest.raises(BadValue), bound([Unix(path), parse("fd://987")]):
        pass
    assert not path.exists()


def test_an_inherited_descriptor_must_listen() -> None:
    with socket.socket() as idle, pytest.raises(BadValue, match="does not listen"):
        bind(Fd(idle.fileno()))


def test_an_inherited_descriptor_is_used_as_it_is() -> None:
    with socket.socket() as ours:
        ours.bind(("127.0.0.1", 0))
        ours.listen()
        assert exposed(Fd(ours.fileno())) is False
        number = os.dup(ours.fileno())
        with bound([Fd(number)]) as [sock]:
            assert sock.fileno() == number
            assert shown(sock) == shown(ours)
            assert not os.get_inheritable(number)
