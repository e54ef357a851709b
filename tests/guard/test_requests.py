"""Requests that no decent client sends."""

import resource
import socket
from collections.abc import Iterator
from contextlib import suppress

import pytest

from acceptance.house import House, Server, opened, until
from fakes import llm
from guard.scripts import calling, results

LIMIT = 1_048_576


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One for all that only ask."""
    with llm.serve() as model, opened(tmp_path_factory.mktemp("house"), model) as house:
        house.agent(text=calling())
        yield house.serve()


def dialled(server: Server, timeout: float = 15.0) -> socket.socket:
    host, _, port = server.address.rpartition(":")
    return socket.create_connection((host, int(port)), timeout)


def sent(server: Server, *pieces: bytes) -> bytes:
    """What comes back for these bytes until the server closes."""
    with dialled(server) as sock:
        with suppress(BrokenPipeError, ConnectionResetError):
            for piece in pieces:
                sock.sendall(piece)
        chunks = []
        with suppress(ConnectionResetError):
            while chunk := sock.recv(65536):
                chunks.append(chunk)
        return b"".join(chunks)


def head(server: Server, *lines: str, method: str = "POST", path: str = "/api/sessions") -> bytes:
    first = [f"{method} {path} HTTP/1.1", f"Host: {server.address}", "Content-Type: application/json"]
    return "\r\n".join([*first, *lines, "", ""]).encode()


def test_the_answer_to_a_body_that_is_far_too_large_is_read(server: Server) -> None:
    """A client that sends first and reads then must not find a dead line."""
    before = server.get("/api/sessions").json
    for size in (LIMIT + 1, 40 << 20):
        reply = server.post("/api/sessions", b'{"title": "' + b"a" * size)
        assert reply.status == 413
        assert reply.message == "Request Entity Too Large"
    assert server.get("/api/sessions").json == before


@pytest.mark.parametrize(
    ("lines", "body"),
    [
        (["Transfer-Encoding: chunked", "Connection: close"], b"5\r\n{}\r\n0\r\n\r\n"),
        (["Transfer-Encoding: chunked", "Connection: close"], b"-2\r\n{}\r\n0\r\n\r\n"),
        (["Transfer-Encoding: chunked", "Connection: close"], b"fffffffffffffffff\r\n{}\r\n0\r\n\r\n"),
        (["Transfer-Encoding: chunked", "Content-Length: 2"], b"2\r\n{}\r\n0\r\n\r\n"),
        (["Content-Length: 2", "Content-Length: 3"], b"{} "),
        (["Content-Length: -2"], b"{}"),
        (["Content-Length: 99999999999999999999999"], b"{}"),
        (["Transfer-Encoding: gzip"], b"{}"),
        (["X-Folded: a", " b", "no colon"], b""),
    ],
)
def test_lies_about_the_body(server: Server, lines: list[str], body: bytes) -> None:
    before = server.get("/api/sessions").json
    assert sent(server, head(server, *lines), body).startswith(b"HTTP/1.1 400 ")
    assert server.get("/api/sessions").json == before


def test_a_body_that_is_cut_off_makes_nothing(server: Server) -> None:
    before = server.get("/api/sessions").json
    for tail in (b"", b'{"title"', b"{}"):
        with dialled(server) as sock:
            sock.sendall(head(server, "Content-Length: 200") + tail)
            sock.shutdown(socket.SHUT_WR)
            assert sock.recv(100) == b""
    assert server.get("/api/sessions").json == before


@pytest.mark.parametrize("host", ["localhost:80@evil.example", "[::1].evil.example", "127.0.0.1/x", "a b", "[::1"])
def test_hosts_that_are_no_hosts(server: Server, host: str) -> None:
    answer = sent(server, f"GET /api/sessions HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
    assert answer.startswith((b"HTTP/1.1 403 ", b"HTTP/1.1 400 "))


def test_two_hosts_are_none(server: Server) -> None:
    lines = f"GET /api/sessions HTTP/1.1\r\nHost: {server.address}\r\nHost: evil.example\r\nConnection: close\r\n\r\n"
    assert sent(server, lines.encode()).startswith(b"HTTP/1.1 403 ")


@pytest.mark.parametrize("method", ["HEAD", "TRACE", "CONNECT", "PUT", "PROPFIND"])
def test_other_methods(server: Server, method: str) -> None:
    answer = sent(server, head(server, "Connection: close", method=method))
    assert answer.startswith(b"HTTP/1.1 405 ") and b"allow: GET, OPTIONS, POST" in answer


def test_a_method_is_overridden_by_nothing(server: Server) -> None:
    session = server.create()
    for name in ("X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override"):
        assert server.get(f"/api/sessions/{session}?_method=DELETE", headers={name: "DELETE"}).status == 200
    assert server.get(f"/api/sessions/{session}").status == 200


@pytest.mark.parametrize("id", ["..%2f..%2fetc", "%2e%2e", "%00", "%ff", "%", "%ed%a0%80", "a" * 60_000, "%0d%0aX:y"])
def test_odd_ids(server: Server, id: str) -> None:
    for path in (f"/api/sessions/{id}", f"/api/agents/{id}", f"/api/sessions/{id}/events", f"/api/waits/{id}"):
        reply = server.ask("POST" if "waits" in path else "GET", path)
        assert reply.status in (404, 400), path
        assert reply.message
    assert max(len(line) for line in server.stderr().splitlines()) < 5000, "a log is no place for a caller's novel"


def test_an_inherited_socket_on_loopback_is_guarded_too(house: House) -> None:
    house.agent(text=calling())
    with socket.create_server(("127.0.0.1", 0)) as sock:
        server = house.start(listen=f"fd://{sock.fileno()}", fds=[sock.fileno()]).until_listening()
        evil = {"Host": "evil.example", "Origin": "http://evil.example"}
        assert server.get("/api/sessions", headers=evil).status == 403
        assert server.get("/api/sessions").status == 200


def test_a_page_elsewhere_can_not_profile(house: House) -> None:
    house.agent(text=calling())
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = f"127.0.0.1:{free.getsockname()[1]}"
    server = house.serve("--pprof-addr", address)
    server.address = address

    def answers() -> bool:
        with suppress(OSError):  # it listens soon after the other one
            return server.get("/debug/pprof/").status == 200
        return False

    until(answers)
    assert server.get("/debug/pprof/", headers={"Host": "evil.example"}).status == 403
    assert server.get("/debug/pprof/", headers={"Origin": "http://evil.example"}).status == 403


def test_a_short_request_gets_each_session_once(server: Server) -> None:
    session = server.create()
    reply = server.post("/api/sessions/batch/export", {"session_ids": [session] * 20_000})
    assert reply.json["session_count"] == len(reply.json["sessions"]) == 1


def test_an_idempotency_key_is_kept_and_so_has_an_end(server: Server) -> None:
    session = server.create()
    server.run(session, "hi")
    body = {"messages": [{"content": "x"}]}
    reply = server.post(f"/api/sessions/{session}/followup", body, headers={"Idempotency-Key": "k" * 50_000})
    assert reply.status == 400 and "Idempotency-Key" in reply.message


def test_a_thousand_small_messages_too_many(server: Server) -> None:
    """A mebibyte of tiny messages is a turn like any other, and nobody else waits for it."""
    session = server.create()
    messages = b'{"messages":[' + b",".join([b'{"content":"a"}'] * 5_000) + b"]}"
    reply = server.post(f"/api/sessions/{session}/agent/my-agent", messages, timeout=60.0)
    assert reply.status == 200 and b'"reason":"normal"' in reply.body


def test_a_nul_cuts_no_command(house: House) -> None:
    """What was judged is what runs: the system would end the command at the NUL."""
    house.agent(text=calling(("shell", {"cmd": "echo cut\0 safe"}), ("run_background_job", {"cmd": "echo\0 x"})))
    server = house.serve()
    found = results(server.run(server.create(tools_approved=True), "call"))
    assert found == ["the command holds a NUL byte"] * 2


def test_a_server_without_descriptors_lives_on(house: House) -> None:
    house.agent(text=calling(("shell", {"cmd": "echo here"})))
    server = house.serve()
    session = server.create(tools_approved=True)
    server.run(session, "hi")
    resource.prlimit(server.process.pid, resource.RLIMIT_NOFILE, (64, 64))
    followers: list[socket.socket] = []
    try:
        for _ in range(100):
            sock = dialled(server)
            followers.append(sock)
            with suppress(OSError):
                sock.sendall(f"GET /api/sessions/{session}/events HTTP/1.1\r\nHost: {server.address}\r\n\r\n".encode())
        assert server.alive
    finally:
        for sock in followers:
            sock.close()

    def answers() -> bool:
        with suppress(OSError):
            return server.get("/health", timeout=2.0).status == 200
        return False

    until(answers)
    assert until(lambda: results(server.run(server.create(tools_approved=True), "call"))) == ["here"]
    assert server.term() == 0
