"""What a program in a sandbox reaches: its endpoints, and nothing else."""

import json
import os
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from roost.sandbox import proxy
from sandbox.conftest import Cell
from sandbox.keeping import finished, python


class Host:
    """A server of the host on loopback, and what it was asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        asked = self.asked

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                asked.append(self.path)
                body = b"hello from outside"
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None: ...

        class Many(ThreadingHTTPServer):
            request_queue_size = 128  # of the usual five, all others come back after a second or three

        self.server = Many(("127.0.0.1", 0), Handler)
        self.port: int = self.server.server_address[1]

    @property
    def endpoint(self) -> str:
        return f"127.0.0.1:{self.port}"


@pytest.fixture
def host() -> Iterator[Host]:
    found = Host()
    thread = threading.Thread(target=found.server.serve_forever)
    thread.start()
    yield found
    found.server.shutdown()
    thread.join()
    found.server.server_close()


@pytest.fixture
def other() -> Iterator[Host]:
    found = Host()
    thread = threading.Thread(target=found.server.serve_forever)
    thread.start()
    yield found
    found.server.shutdown()
    thread.join()
    found.server.server_close()


CLIENT = """
import http.client, socket
def get(host, port, path="/x"):
    connection = http.client.HTTPConnection(host, port, timeout=20)
    connection.request("GET", path)
    answer = connection.getresponse()
    return [answer.status, answer.read().decode()]
def proxy():
    return os.environ["HTTPS_PROXY"].removeprefix("http://").split(":")
def through(target):
    host, port = proxy()
    line = socket.create_connection((host, int(port)), timeout=20)
    line.sendall(f"CONNECT {target} HTTP/1.1\\r\\nHost: {target}\\r\\n\\r\\n".encode())
    answer = b""
    while b"\\r\\n\\r\\n" not in answer:
        chunk = line.recv(4096)
        if not chunk:
            break
        answer += chunk
    return line, answer.decode()
"""


def told(cell: Cell, code: str, *endpoints: str) -> Any:
    done = finished(cell.launch(*python(CLIENT + code), endpoints=endpoints), cell.run)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_without_endpoints_there_is_no_network_at_all(cell: Cell, host: Host) -> None:
    code = f"""
tries = {{"loopback": ("127.0.0.1", {host.port}), "metadata": ("169.254.169.254", 80), "out": ("192.0.2.1", 443)}}
seen = {{name: tried(lambda: get(*where)) for name, where in tries.items()}}
seen["names"] = tried(lambda: socket.gethostbyname("example.com"))
seen["links"] = [name for _, name in socket.if_nameindex()]
print(json.dumps(seen))
"""
    seen = told(cell, code)
    links = seen.pop("links")
    assert seen == {"loopback": "ConnectionRefusedError", "metadata": "OSError", "out": "OSError", "names": "gaierror"}
    assert "lo" in links
    assert not {name for name in links if name.startswith(("eth", "en", "wl", "docker"))}
    assert host.asked == []


def test_an_endpoint_on_loopback_is_where_it_is_outside(cell: Cell, host: Host, other: Host) -> None:
    code = f"""
print(json.dumps([get("127.0.0.1", {host.port}), tried(lambda: get("127.0.0.1", {other.port})),
                  os.environ.get("HTTPS_PROXY"), os.environ["NO_PROXY"]]))
"""
    seen = told(cell, code, host.endpoint)
    assert seen == [[200, "hello from outside"], "ConnectionRefusedError", None, "localhost,127.0.0.1,::1"]
    assert (host.asked, other.asked) == (["/x"], [])


def test_a_large_body_comes_back_whole(cell: Cell, host: Host) -> None:
    code = f"""
import hashlib
body = os.urandom(3_000_000)
connection = http.client.HTTPConnection("127.0.0.1", {host.port}, timeout=20)
connection.request("POST", "/", body)
print(json.dumps(hashlib.sha256(connection.getresponse().read()).digest() == hashlib.sha256(body).digest()))
"""
    assert told(cell, code, host.endpoint) is True


def test_many_connections_one_after_the_other_and_at_once(cell: Cell, host: Host) -> None:
    code = f"""
from concurrent.futures import ThreadPoolExecutor
with ThreadPoolExecutor(100) as pool:
    print(json.dumps(sorted(set(map(tuple, pool.map(lambda _: get("127.0.0.1", {host.port}), range(300)))))))
"""
    assert told(cell, code, host.endpoint) == [[200, "hello from outside"]]
    assert len(host.asked) == 300


def test_by_connect_it_reaches_endpoints_and_nothing_else(cell: Cell, host: Host, other: Host) -> None:
    code = f"""
answers = {{}}
line, answers["mine"] = through("{host.endpoint}")
line.sendall(b"GET /connected HTTP/1.0\\r\\n\\r\\n")
page = b""
while chunk := line.recv(4096):
    page += chunk
for target in ["{other.endpoint}", "localhost:{host.port}", "169.254.169.254:80", "127.0.0.1:22", "example.com:443",
               "x:y", "[::1]:80"]:
    answers[target] = through(target)[1].split(" ")[1]
print(json.dumps([answers, page.decode()]))
"""
    answers, page = told(cell, code, host.endpoint, "model.invalid:443")
    assert answers.pop("mine").startswith("HTTP/1.1 200")
    assert page.endswith("hello from outside")
    assert set(answers.values()) == {"403"}
    assert (host.asked, other.asked) == (["/connected"], [])


def test_plain_requests_go_through_the_proxy_too(cell: Cell, host: Host, other: Host) -> None:
    code = f"""
host, port = proxy()
print(json.dumps([get(host, int(port), "http://{host.endpoint}/plain?a=b"), get(host, int(port), "http://{other.endpoint}/")[0],
                  get(host, int(port), "/x")[0], get(host, int(port), "file:///etc/passwd")[0]]))
"""
    assert told(cell, code, host.endpoint, "model.invalid:443") == [[200, "hello from outside"], 403, 400, 400]
    assert (host.asked, other.asked) == (["/plain?a=b"], [])


def test_a_name_that_leads_to_this_machine_is_refused(cell: Cell, host: Host) -> None:
    name = socket.gethostname()  # which the host's own table gives an address of this machine
    try:
        found = socket.gethostbyname(name)
    except OSError:
        pytest.skip("this host does not know its own name")
    if not found.startswith("127."):
        pytest.skip("this host's own name leads elsewhere")
    assert told(cell, f'print(json.dumps(through("{name}:{host.port}")[1]))', f"{name}:{host.port}").startswith(
        "HTTP/1.1 403"
    )
    assert host.asked == []


def test_an_endpoint_that_can_not_be_reached_is_a_502(cell: Cell) -> None:
    assert told(cell, 'print(json.dumps(through("model.invalid:443")[1]))', "model.invalid:443").startswith(
        "HTTP/1.1 502"
    )


@pytest.mark.parametrize("endpoint", ["169.254.169.254:80", "[fe80::1]:80", "0.0.0.0:80", "[::ffff:127.0.0.1]:80"])
def test_not_even_an_endpoint_may_be_at_an_address_of_a_cloud(cell: Cell, endpoint: str) -> None:
    assert told(cell, f'print(json.dumps(through("{endpoint}")[1]))', endpoint).startswith("HTTP/1.1 403")


def test_a_unix_socket_can_be_let_in(cell: Cell) -> None:
    (folder := cell.path / "doors").mkdir()
    (folder / "secret").write_text("")
    door = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    here = os.open(folder, os.O_RDONLY)
    door.bind(f"/proc/self/fd/{here}/api.sock")
    door.listen()

    def answer() -> None:
        line, _ = door.accept()
        line.sendall(line.recv(100).upper())
        line.close()

    thread = threading.Thread(target=answer, daemon=True)
    thread.start()
    code = f"""
os.chdir("{folder}")
line = socket.socket(socket.AF_UNIX)
line.connect("api.sock")
line.sendall(b"hello")
print(json.dumps([line.recv(100).decode(), os.listdir()]))
"""
    assert told(cell, code, f"unix:{folder}/api.sock") == ["HELLO", ["api.sock"]]
    thread.join()
    door.close()
    os.close(here)


def test_the_proxy_is_nobodys_but_ours(cell: Cell, host: Host) -> None:
    launch = cell.launch(*python(CLIENT + f'get("127.0.0.1", {host.port}); print(1)'), endpoints=(host.endpoint,))
    assert finished(launch, cell.run).stdout == "1\n"
    assert Path(cell.run, "net.sock").stat().st_mode & 0o077 == 0


@pytest.mark.parametrize(
    "address", ["127.0.0.1", "::ffff:127.0.0.1", "2002:7f00:1::", "169.254.169.254", "fd00:ec2::254", "100.100.100.200"]
)
def test_no_name_may_lead_to_this_machine_or_to_where_clouds_keep_credentials(address: str) -> None:
    assert not proxy.may_be("model.example", address)


def test_a_port_that_is_no_number_is_refused_and_not_stumbled_over() -> None:
    for port in ("9" * 5000, "x", ""):
        with pytest.raises(proxy.Refused, match="not among"):
            proxy.connect(f"model.example:{port}", {"model.example:443"})
