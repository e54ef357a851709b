"""`roost connect`: a server is known before it is told anything, and is not forgotten because it is slow."""

import json
import os
import pty
import socket
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme

import roost
from cli.there import There
from fakes.api import OTHER, SID, TOKEN, FakeApi, P, serving
from roost.client.errors import colons

SOURCE = Path(roost.__file__).parents[1]


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def safe(there: There, authority: trustme.CA) -> Iterator[There]:
    """A server with a certificate that the system does not trust, and a home that is not connected."""
    (there.home / "connect.json").unlink()
    with serving(FakeApi(), tls=authority) as api:
        yield There(api, there.home)


def kept(there: There) -> dict[str, object]:
    path = there.home / "connect.json"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    found: dict[str, object] = json.loads(path.read_text())
    return found


def test_a_token_is_tried_and_kept(there: There) -> None:
    (there.home / "connect.json").unlink()
    done = there.run("connect", there.api.url + "/", "--token", TOKEN)
    assert done.stdout == f"connected to {there.api.url}\n"
    assert kept(there) == {"url": there.api.url, "token": TOKEN}
    assert there.api.calls() == [("GET", f"{P}/sessions?limit=1", None)]
    assert there.run("status", SID).stdout


def test_a_wrong_token_is_said_at_once_and_nothing_is_kept(there: There) -> None:
    (there.home / "connect.json").unlink()
    done = there.run("connect", there.api.url, "--token", "wrong", code=1)
    assert "does not take this token" in done.stderr
    assert not (there.home / "connect.json").exists()


@pytest.mark.parametrize("name", ["ROOST_CONNECT_TOKEN", "ZAG_CONNECT_TOKEN"])
def test_a_token_may_be_in_the_environment(there: There, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv("ZAG_CONNECT_TOKEN", "not this one")
    monkeypatch.setenv(name, TOKEN)
    there.run("connect", there.api.url)
    assert kept(there)["token"] == TOKEN


def test_without_a_token_nothing_is_kept(there: There) -> None:
    (there.home / "connect.json").unlink()
    assert "a token is needed" in there.run("connect", there.api.url, code=1).stderr


def test_a_login(there: There) -> None:
    done = there.run("connect", there.api.url, "-u", "ann", "--password", "pw")
    assert done.stdout == f"connected to {there.api.url} as ann (home: /srv/ann)\n"
    assert kept(there) == {"url": there.api.url, "token": TOKEN, "username": "ann"}
    assert there.api.calls() == [("POST", f"{P}/login", {"username": "ann", "password": "pw"})]
    there.api.seen.clear()
    assert there.run("disconnect").stdout == f"disconnected from {there.api.url}\n"
    assert [(one.method, one.target) for one in there.api.seen] == [("POST", f"{P}/logout")]
    assert list(there.home.iterdir()) == []


def test_a_password_is_asked_for(there: There) -> None:
    done = there.run("connect", there.api.url, "-u", "ann", input="secret\n")
    assert there.api.calls()[0][2]["password"] == "secret"
    assert "secret" not in done.output


def test_a_wrong_password(there: There) -> None:
    there.api.answers[f"POST {P}/login"] = (401, {"error": "wrong name or password"})
    done = there.run("connect", there.api.url, "-u", "ann", "--password", "x", code=1)
    assert done.stderr == "roost: wrong name or password\n"


def test_nobody_there(there: There) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    done = there.run("connect", f"http://127.0.0.1:{port}", "--token", "t", code=1)
    assert "connection refused" in done.stderr


def test_plain_http_is_hinted_at(there: There) -> None:
    url = there.api.url.replace("http:", "https:")
    assert f"roost connect {there.api.url}" in there.run("connect", url, "--token", "t", "--insecure", code=1).stderr


def test_disconnecting_twice(there: There) -> None:
    assert there.run("disconnect").stdout == f"disconnected from {there.api.url}\n"
    assert there.run("disconnect").stdout == "not connected\n"
    there.connect()
    (there.home / "connect.json").write_text("{")
    assert there.run("disconnect").stdout == "disconnected\n"
    assert there.api.seen == []


# -- certificates -------------------------------------------------------------------------------


def test_a_stranger_is_shown_and_told_nothing(safe: There) -> None:
    done = safe.run("connect", safe.api.url, "--token", TOKEN, code=1)
    assert colons(safe.api.fingerprint) in done.stderr
    assert f"roost connect {safe.api.url} --fingerprint" in done.stderr
    assert not (safe.home / "connect.json").exists()
    assert safe.api.seen == []


def test_a_fingerprint_is_kept_and_held_against_the_server_from_then_on(safe: There, authority: trustme.CA) -> None:
    safe.run("connect", safe.api.url, "--token", TOKEN, "--fingerprint", colons(safe.api.fingerprint))
    assert kept(safe)["fingerprint"] == safe.api.fingerprint
    assert safe.run("listen", SID).stdout
    (safe.home / "health.json").unlink()
    with serving(FakeApi(), tls=authority) as other:  # somebody else, with a certificate of the same authority
        safe.connect(url=other.url, fingerprint=safe.api.fingerprint)
        done = safe.run("status", SID, code=1)
    assert "not the one that this connection was made with" in done.stderr
    assert other.seen == []


def test_authorities_of_ones_own(safe: There, authority: trustme.CA, tmp_path: Path) -> None:
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    safe.run("connect", safe.api.url, "--token", TOKEN, "--ca", str(tmp_path / "ca.pem"))
    assert kept(safe)["ca"] == str(tmp_path / "ca.pem")
    assert safe.run("status", SID).stdout


def test_insecure_has_to_be_said_and_is_warned_of(safe: There) -> None:
    done = safe.run("connect", safe.api.url, "--token", TOKEN, "--insecure")
    assert "any certificate is trusted" in done.stderr
    assert kept(safe)["insecure"] is True
    assert "any is taken" in safe.run("whoami").stdout


def test_only_one_way_of_trusting(safe: There) -> None:
    done = safe.run("connect", safe.api.url, "--insecure", "--fingerprint", "ab" * 32, code=2)
    assert "exclude each other" in done.stderr


@pytest.mark.parametrize(("answer", "code"), [("y\n", 0), ("n\n", 1), ("\n", 1)])
def test_whoever_sits_there_is_asked_about_a_fingerprint(safe: There, answer: str, code: int) -> None:
    near, far = pty.openpty()
    env = {**os.environ, "PYTHONPATH": str(SOURCE)}
    words = [sys.executable, "-m", "roost", "connect", safe.api.url, "--token", TOKEN]
    running = subprocess.Popen(words, stdin=far, stdout=far, stderr=far, env=env)
    os.close(far)
    seen = b""
    while b"Is that what the server printed" not in seen:
        seen += os.read(near, 4096)
    assert colons(safe.api.fingerprint).encode() in seen
    assert safe.api.seen == []
    os.write(near, answer.encode())
    threading.Thread(target=_drain, args=(near,), daemon=True).start()
    assert running.wait(60) == code
    assert (safe.home / "connect.json").exists() == (code == 0)
    if code == 0:
        assert kept(safe)["fingerprint"] == safe.api.fingerprint


def _drain(end: int) -> None:
    try:
        while os.read(end, 4096):
            pass
    except OSError:
        os.close(end)


# -- D30: health --------------------------------------------------------------------------------


def test_d30_a_slow_server_is_kept_and_nothing_runs_elsewhere(there: There, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("roost.client.health.LIMIT", 0.2)
    there.api.hold = threading.Event()
    done = there.run("spawn", "hi", code=1)
    assert "no answer within 0.2 s" in done.stderr
    assert "The connection is kept" in done.stderr
    assert kept(there)["url"] == there.api.url
    assert [one.target for one in there.api.seen] == [f"{P}/health"]
    there.api.hold.set()
    assert there.run("spawn", "hi").stdout == f"{SID}\n"


def test_d30_a_server_that_is_gone_is_kept(there: There) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    there.connect(url=f"http://127.0.0.1:{port}")
    assert "connection refused" in there.run("status", SID, code=1).stderr
    assert kept(there)["url"] == f"http://127.0.0.1:{port}"


def test_the_check_can_be_left_out(there: There, monkeypatch: pytest.MonkeyPatch) -> None:
    there.run("--no-health-check", "status", SID)
    monkeypatch.setenv("ZAG_NO_HEALTH_CHECK", "1")
    there.run("status", SID)
    assert [one.target for one in there.api.seen] == [f"{P}/sessions/{SID}/status"] * 2


def test_a_server_that_was_well_a_moment_ago_is_not_asked_again(there: There) -> None:
    there.run("status", SID)
    there.run("status", SID)
    assert [one.target for one in there.api.seen].count(f"{P}/health") == 1


# -- D22: sessions ------------------------------------------------------------------------------


def test_d22_a_session_talks_to_its_own_server_whatever_its_home_is_connected_to(
    there: There, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ROOST_SESSION_ID", OTHER)
    with serving(FakeApi()) as own:
        monkeypatch.setenv("ROOST_URL", own.url)
        monkeypatch.setenv("ROOST_TOKEN", TOKEN)
        there.run("status", SID)
        assert own.calls() == [("GET", f"{P}/sessions/{SID}/status", None)]
        assert "no other" in there.run("connect", there.api.url, "--token", TOKEN, code=1).stderr
    assert there.api.seen == []


def test_d22_where_its_server_is_gone_no_other_is_asked_or_started(
    there: There, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ZAG_SESSION_ID", OTHER)
    done = there.run("status", SID, code=1)
    assert "a session talks to no other" in done.stderr
    assert there.api.seen == []
    assert [one.name for one in there.home.iterdir()] == ["connect.json"]
