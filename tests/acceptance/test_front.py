"""`roost serve` as it is typed: its lines, its token, its certificate, over real TLS; and what it refuses."""

import asyncio
import hashlib
import http.client
import json
import os
import shutil
import signal
import socket
import ssl
import stat
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from acceptance.front import STARTING, Front, Yard, has_ipv6, opened
from acceptance.house import ROOT, agent_yaml, until
from fakes.llm import FakeLLM
from roost.cli import beacon
from roost.client import local
from roost.config import certificates


@pytest.fixture
def yard(tmp_path: Path) -> Iterator[Yard]:
    with opened(tmp_path) as found:
        yield found


def test_the_first_start_makes_a_token_and_a_certificate_and_says_so_in_order(yard: Yard) -> None:
    front = yard.serve()
    warning, token, starting = front.opening
    cert = yard.home / "tls" / "cert.pem"
    fingerprint = hashlib.sha256(ssl.PEM_cert_to_DER_cert(cert.read_text())).hexdigest()
    assert warning.startswith("WARNING:")
    assert "self-signed" in warning
    assert "--tls-cert" in warning
    assert "--tls-key" in warning
    assert fingerprint in warning.replace(":", "").lower()
    assert len(token.removeprefix("Token: ")) == 64
    assert starting == f"{STARTING}https://0.0.0.0:{front.port}"
    saved = yard.home / "serve.toml"
    assert tomllib.loads(saved.read_text()) == {"server": {"token": front.token}}
    modes = {path: stat.S_IMODE((yard.home / path).stat().st_mode) for path in ("", "serve.toml", "tls/key.pem")}
    assert modes == {"": 0o700, "serve.toml": 0o600, "tls/key.pem": 0o600}
    assert front.term() == 0
    assert front.process.stdout is not None
    assert front.process.stdout.read() == b""

    again = yard.serve()
    assert again.opening[1] == f"Token: {front.token[:4]}{'*' * 12}"
    assert yard.ask(again, "/api/v1/health", tls=yard.trust()).status == 200
    assert yard.ask(again, "/api/ping", token=front.token).status == 200


def test_both_doors_ask_for_the_token_and_health_for_none(yard: Yard) -> None:
    front = yard.serve("--token", "sesame")
    assert "Token: ************" in front.lines
    assert "sesame" not in "\n".join(front.lines)
    health = yard.ask(front, "/api/v1/health")
    assert (health.status, health.json["status"]) == (200, "ok")
    for path in ("/api/v1/sessions", "/api/v1/nowhere"):
        assert yard.ask(front, path).json == {"error": "Missing or invalid Authorization header"}
        assert yard.ask(front, path, token="wrong").json == {"error": "Invalid token"}
        assert yard.ask(front, path, token="wrong").status == 401
    assert yard.ask(front, "/api/v1/nowhere", token="sesame").status == 404
    assert yard.ask(front, "/api/sessions").status == 401
    assert yard.ask(front, "/api/sessions", token="sesame").json == []
    assert yard.ask(front, "/docs").status == 200
    assert yard.ask(front, "/api/v1/x", method="OPTIONS").status == 200


def test_d13_secrets_that_others_can_read_are_warned_of(yard: Yard) -> None:
    path = yard.toml('# mine\n[server]\ntoken = "sesame"  # ours\n')
    path.chmod(0o644)
    front = yard.serve()
    until(lambda: any(line.startswith(f"WARNING: other users can read {path}") for line in front.lines))
    assert front.lines.index(front.opening[-1]) < len(front.lines) - 1
    assert front.term() == 0
    front = yard.serve("--generate-token")
    assert path.read_text() == f'# mine\n[server]\ntoken = "{front.token}"  # ours\n'
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert yard.ask(front, "/api/ping", token="sesame").status == 401
    assert yard.ask(front, "/api/ping", token=front.token).status == 200


def test_an_authority_s_key_that_others_can_read_is_warned_of(yard: Yard) -> None:
    front = yard.serve("--own-ca")
    assert front.term() == 0
    (key,) = yard.folder.rglob("ca-key.pem")
    key.chmod(0o640)
    front = yard.serve("--own-ca")
    until(lambda: any(line.startswith(f"WARNING: other users can read {key}") for line in front.lines))


def test_d15_the_token_of_the_environment_is_used_and_an_empty_one_is_none(yard: Yard) -> None:
    front = yard.serve(env={"ZAG_SERVE_TOKEN": "zag-token", "ROOST_SERVE_TOKEN": ""})
    assert yard.ask(front, "/api/ping", token="zag-token").status == 200
    assert not (yard.home / "serve.toml").exists()
    assert "--token: must not be empty" in yard.fails("--token", "")


@pytest.mark.skipif(not shutil.which("bwrap"), reason="no sandbox: `apt-get install bubblewrap` brings one")
def test_force_sandbox_is_said_where_tools_look_for_it(yard: Yard) -> None:
    yard.toml('[server]\ntoken = "t"\nforce_sandbox = true\n')
    front = yard.serve()
    assert front.opening[-2].startswith("Force sandbox: enabled")


def test_accounts_are_said_where_tools_look_for_them(yard: Yard) -> None:
    zag = yard.folder / ".zag"
    zag.mkdir()
    user = {"username": "ann", "password_hash": f"$2b$04${'x' * 53}", "home_dir": str(yard.folder), "enabled": True}
    (zag / "users.json").write_text(json.dumps({"users": [user]}))
    front = yard.serve("--token", "t")
    assert front.opening[1:3] == [f"User accounts mode: loaded from {zag}/users.json", f"Token: {'*' * 12}"]


def test_a_certificate_of_ones_own_needs_no_warning(yard: Yard) -> None:
    pair = certificates.own(yard.folder / "mine", "localhost")
    front = yard.serve("--tls-cert", str(pair.cert), "--tls-key", str(pair.key), "--token", "t")
    assert front.opening == [f"Token: {'*' * 12}", STARTING + front.address]
    assert not (yard.home / "tls").exists()
    assert yard.ask(front, "/api/v1/health", tls=ssl.create_default_context(cafile=pair.cert)).status == 200


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
def test_only_modern_tls_is_spoken(yard: Yard) -> None:
    front = yard.serve("--token", "t")
    with (
        socket.create_connection(("localhost", front.port), 10) as raw,
        yard.trust().wrap_socket(raw, server_hostname="localhost") as sock,
    ):
        assert sock.version() == "TLSv1.3"
    old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    old.check_hostname, old.verify_mode = False, ssl.CERT_NONE
    old.minimum_version = ssl.TLSVersion.TLSv1
    old.maximum_version = ssl.TLSVersion.TLSv1_1
    old.set_ciphers("ALL:@SECLEVEL=0")
    with (
        socket.create_connection(("localhost", front.port), 10) as raw,
        pytest.raises((ssl.SSLError, ConnectionError)),
    ):
        old.wrap_socket(raw, server_hostname="localhost")


def test_d23_half_a_pair_is_an_error(yard: Yard) -> None:
    assert "--tls-key: is missing: a TLS certificate and its key go together" in yard.fails("--tls-cert", "c.pem")
    yard.toml('[server]\ntls_key = "k.pem"\n')
    assert "server.tls_cert: is missing" in yard.fails()


def test_a_key_of_another_certificate_is_an_error(yard: Yard) -> None:
    one, two = (certificates.own(yard.folder / name, "") for name in "ab")
    said = yard.fails("--tls-cert", str(one.cert), "--tls-key", str(two.key))
    assert said == f"roost: the TLS key {two.key} does not belong to the certificate {one.cert}"


def test_d23_a_broken_file_is_an_error_with_its_name_and_line(yard: Yard) -> None:
    path = yard.toml("[server]\nport = 21OO\n")
    assert f"{path}:2: " in yard.fails()
    assert path.read_text() == "[server]\nport = 21OO\n"


def test_a_taken_port_is_one_clear_sentence(yard: Yard) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        where = f"127.0.0.1:{taken.getsockname()[1]}"
        said = yard.fails("--host", "127.0.0.1", "--port", where.rpartition(":")[2])
    assert said.startswith(f"roost: can't listen on {where}: Address already in use; another server has it")
    assert "\n" not in said
    assert not (yard.home / "serve.toml").exists()
    assert not (yard.home / "serve.json").exists()


def test_d23_host_names_are_listened_on(yard: Yard) -> None:
    front = yard.serve("--host", "localhost", "--token", "t")
    assert front.address == f"https://localhost:{front.port}"
    assert yard.ask(front, "/api/v1/health").status == 200
    assert "can't listen on 'nowhere.invalid'" in yard.fails("--host", "nowhere.invalid", "--token", "t")


@pytest.mark.skipif(not has_ipv6(), reason="no IPv6: `sysctl -w net.ipv6.conf.lo.disable_ipv6=0` brings it")
@pytest.mark.parametrize("host", ["::1", "[::1]", "::"])
def test_d23_ipv6_is_listened_on(yard: Yard, host: str) -> None:
    front = yard.serve("--host", host, "--token", "t")
    assert front.address == f"https://[{host.strip('[]')}]:{front.port}"
    assert yard.ask(front, "/api/v1/health", host="::1").status == 200
    if host == "::":
        assert yard.ask(front, "/api/v1/health", host="127.0.0.1").status == 200


def test_plain_http_is_spoken_on_this_machine_only_unless_it_is_forced(yard: Yard) -> None:
    said = yard.fails("--insecure-http", "--token", "t")
    assert "0.0.0.0:0 can be reached from other machines" in said
    assert "roost serve --port 0 --insecure-http --insecure-http-anywhere" in said
    local = yard.serve("--insecure-http", "--host", "127.0.0.1", "--token", "t")
    assert local.address == f"http://127.0.0.1:{local.port}"
    assert local.opening == [f"Token: {'*' * 12}", STARTING + local.address]
    assert yard.ask(local, "/api/ping", token="t").status == 200
    assert yard.ask(local, "/api/ping").status == 401
    forced = yard.serve("--insecure-http", "--insecure-http-anywhere", "--token", "t")
    assert forced.address == f"http://0.0.0.0:{forced.port}"
    until(lambda: any("without TLS" in line for line in forced.lines))
    assert not (yard.home / "tls").exists()


def test_a_socket_that_only_we_can_open_needs_no_token(yard: Yard) -> None:
    path = yard.folder / "s"
    front = yard.serve("--listen", f"unix://{path}")
    assert front.opening == [f"{STARTING}unix://{path}"]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with socket.socket(socket.AF_UNIX) as sock:
        sock.connect(str(path))
        sock.sendall(b"GET /api/v1/nowhere HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
        assert sock.recv(100).startswith(b"HTTP/1.1 404")
    assert json.loads((yard.home / "serve.json").read_text())["address"] == f"unix://{path}"
    assert not (yard.home / "serve.toml").exists()
    assert front.term() == 0
    assert not path.exists()


def test_an_inherited_socket_that_others_can_open_asks_for_the_token(yard: Yard) -> None:
    path = yard.folder / "s"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        path.chmod(0o666)
        listener.listen()
        yard.serve("--listen", f"fd://{listener.fileno()}", "--token", "t", fds=(listener.fileno(),))
        with socket.socket(socket.AF_UNIX) as sock:
            sock.connect(str(path))
            sock.sendall(b"GET /api/ping HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
            assert sock.recv(100).startswith(b"HTTP/1.1 401")


def test_commands_on_this_machine_find_the_server_while_it_runs(yard: Yard) -> None:
    front = yard.serve("--token", "t")
    path = yard.home / "serve.json"
    found = beacon.read(path)
    assert found is not None
    assert (found.pid, found.address, found.scheme) == (front.process.pid, front.address, "https")
    assert found.start_time == local.started(front.process.pid)
    assert found.fingerprint == certificates.own(yard.home / "tls", "").fingerprint
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    front.kill()
    assert path.exists()
    assert beacon.read(path) is None, "a server that was killed is no server"
    second = yard.serve("--token", "t")
    found = beacon.read(path)
    assert found is not None
    assert found.pid == second.process.pid
    assert second.term() == 0
    assert not path.exists()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_d34_it_ends_politely_with_clients_connected(yard: Yard, number: signal.Signals) -> None:
    front = yard.serve("--token", "t")
    idle = yard.trust().wrap_socket(
        socket.create_connection(("localhost", front.port), 10), server_hostname="localhost"
    )
    with socket.create_connection(("localhost", front.port), 10), idle:  # one that has not even begun TLS
        idle.sendall(b"GET /api/v1/health HTTP/1.1\r\nhost: localhost\r\n\r\n")
        assert idle.recv(100).startswith(b"HTTP/1.1 200")
        os.kill(front.process.pid, number)
        assert front.until_dead() == 0
        assert not any("Traceback" in line for line in front.lines), front.lines


@pytest.mark.parametrize("end", [True, False])
def test_d34_sessions_are_left_for_the_next_start_unless_they_are_to_end(
    yard: Yard, fake_llm: FakeLLM, end: bool
) -> None:
    agent = yard.folder / "my-agent.yaml"
    agent.write_text(agent_yaml(fake_llm.url))
    flags = ("--token", "t", "--agents", str(agent))
    front = yard.serve(*flags, *(["--stop-sessions"] if end else []))
    session = yard.ask(front, "/api/sessions", token="t", method="POST", body={}).json["id"]

    def snapshot(of: Front) -> Any:
        return yard.ask(of, f"/api/sessions/{session}/snapshot", token="t").json

    run = http.client.HTTPSConnection("localhost", front.port, timeout=20, context=yard.trust())
    said = json.dumps({"messages": [{"role": "user", "content": "[[say hello]] [[hang]]"}]})
    headers = {"Authorization": "Bearer t", "Content-Type": "application/json"}
    run.request("POST", f"/api/sessions/{session}/agent/my-agent?detach=true", said, headers)
    stream = run.getresponse()
    while b"agent_choice" not in stream.readline():
        pass
    os.kill(front.process.pid, signal.SIGTERM)
    rest = stream.read()
    run.close()
    assert front.until_dead() == 0
    assert (b"canceled" in rest) is end
    again = yard.serve(*flags)
    until(lambda: snapshot(again)["streaming"] is not end)  # it goes on, or it has ended
    assert any("Settled 1 turn" in line for line in again.lines) is not end


def test_a_websocket_is_refused_over_tls_before_the_upgrade(yard: Yard) -> None:
    front = yard.serve("--token", "t")

    async def dial(token: str) -> int:
        url, headers = f"wss://localhost:{front.port}/api/v1/nowhere", {"Authorization": f"Bearer {token}"}
        with pytest.raises(InvalidStatus) as refused:
            await connect(url, additional_headers=headers, ssl=yard.trust(), proxy=None)
        return refused.value.response.status_code

    assert asyncio.run(dial("wrong")) == 401
    assert asyncio.run(dial("t")) == 404


def test_flags_of_one_command_are_not_taken_for_those_of_the_other(yard: Yard) -> None:
    command = [sys.executable, "-m", "roost", "serve", "--port", "1", "api", "default"]
    done = subprocess.run(command, cwd=ROOT, env=yard.env({}), capture_output=True, text=True, timeout=20)
    assert done.returncode == 2
    assert "for `roost serve` alone" in done.stderr


def test_what_serve_api_offers_stays_as_it_was_beside_the_table_of_the_other(yard: Yard) -> None:
    yard.toml('[server]\nhost = "10.0.0.1"\nport = 1\n')
    command = [sys.executable, "-m", "roost", "serve", "api", "default", "--listen", "127.0.0.1:0"]
    with subprocess.Popen(
        command, cwd=yard.folder, env=yard.env({}), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith(b"Listening on 127.0.0.1:")
        process.terminate()
        assert process.wait(20) == 0


def test_a_server_that_nobody_uses_ends_by_itself(yard: Yard) -> None:
    front = yard.serve("--token", "t", "--idle-exit", "300ms")
    assert front.until_dead() == 0
    assert any("the server ends" in line for line in front.lines)
