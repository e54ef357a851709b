"""A browser comes in over real TLS: by a code of the command line, by an authority of our own, and across a restart."""

import http.client
import json
import ssl
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.client import connect

from acceptance.front import Front, Yard, opened

pytestmark = pytest.mark.anyio


@pytest.fixture
def yard(tmp_path: Path) -> Iterator[Yard]:
    with opened(tmp_path) as found:
        yield found


def roost(yard: Yard, *words: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "roost", *words], env=yard.env({}), capture_output=True, text=True, timeout=60
    )


class Page:
    """A page that is open in a browser."""

    def __init__(self, front: Front, tls: ssl.SSLContext) -> None:
        self.port = front.port
        self.tls = tls
        self.cookie = ""
        self.csrf = ""
        self.set_cookie = ""

    def ask(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        line = http.client.HTTPSConnection("localhost", self.port, timeout=20, context=self.tls)
        headers = {"sec-fetch-site": "same-origin"}
        if method != "GET":
            headers |= {"origin": f"https://localhost:{self.port}", "x-roost-csrf": self.csrf}
        if self.cookie:
            headers["cookie"] = self.cookie
        raw = None if body is None else json.dumps(body)
        line.request(method, path, raw, headers | ({"content-type": "application/json"} if raw else {}))
        answer = line.getresponse()
        self.set_cookie = answer.getheader("set-cookie") or ""
        text = answer.read()
        line.close()
        return answer.status, json.loads(text) if text else None

    def pair(self, code: str) -> int:
        status, told = self.ask("POST", "/web/pair", {"code": code})
        if status == 200:
            self.cookie, self.csrf = self.set_cookie.partition(";")[0], told["csrf"]
        return status


async def test_the_command_line_lets_a_browser_in_and_sends_it_away(yard: Yard) -> None:
    front = yard.serve()
    assert "#pair=" not in "\n".join(front.lines)  # nobody looks: no link
    link = roost(yard, "pair").stdout.strip()
    place, _, code = link.partition("/#pair=")
    assert place.startswith("https://")
    assert place.endswith(f":{front.port}")
    page = Page(front, yard.trust())
    assert page.ask("GET", "/api/sessions")[0] == 401
    assert page.pair(code) == 200
    assert page.set_cookie.startswith("__Host-roost_session_")
    assert {"Secure", "HttpOnly", "SameSite=Strict", "Path=/"} <= set(page.set_cookie.split("; "))
    assert page.ask("GET", "/api/sessions")[0] == 200
    assert page.ask("POST", "/api/sessions", {})[0] == 200

    front.kill()
    front = yard.serve("--port", str(front.port))
    assert page.ask("GET", "/api/sessions")[0] == 200
    assert page.ask("GET", "/web/session")[1]["csrf"] == page.csrf
    assert page.set_cookie.startswith(f"{page.cookie};")
    listed = roost(yard, "pair", "--list").stdout.splitlines()
    assert listed[0].split() == ["ID", "DEVICE", "USER", "LAST", "SEEN"]
    (device,) = [line.split()[0] for line in listed[1:]]
    headers = {"cookie": page.cookie, "origin": f"https://localhost:{front.port}"}
    url = f"wss://localhost:{front.port}/api/v1/subscribe"
    async with connect(url, ssl=page.tls, additional_headers=headers, proxy=None) as stream:
        assert roost(yard, "pair", "--revoke", device[:6]).returncode == 0
        await stream.wait_closed()
        assert stream.close_code == 1008
    assert page.ask("GET", "/api/sessions")[0] == 401
    said = "\n".join(front.lines)
    assert code not in said
    assert page.cookie.partition("=")[2] not in said


def test_an_authority_of_our_own_is_trusted_once(yard: Yard) -> None:
    front = yard.serve("--own-ca")
    ca = yard.home / "tls" / "ca.pem"
    assert any("/web/ca.pem" in line and "fingerprint" in line for line in front.opening)
    assert not any("self-signed" in line for line in front.lines)
    shown = yard.ask(front, "/web/ca.pem", tls=ssl.create_default_context(cafile=ca))
    assert shown.status == 200
    assert shown.body == ca.read_bytes()
    assert b"PRIVATE" not in shown.body
    assert roost(yard, "whoami").returncode == 0  # commands on this machine know it
    named = ssl.create_default_context(cafile=ca)
    assert yard.ask(front, "/health", host="127.0.0.1", tls=named).status == 200
    front.term()
    front = yard.serve()
    assert any("self-signed" in line for line in front.lines)
    assert yard.ask(front, "/web/ca.pem").status == 404
    assert yard.fails("--own-ca", "--insecure-http", "--host", "127.0.0.1").startswith("roost: --own-ca")


def test_pairing_with_a_server_that_no_browser_reaches_says_so(yard: Yard) -> None:
    path = yard.folder / "r.sock"
    yard.serve("--listen", f"unix://{path}")
    done = roost(yard, "pair")
    assert done.returncode == 1
    assert "which no browser reaches" in done.stderr
