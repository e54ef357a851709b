"""Pages come as they are asked for, from where they may come from, and within bounds."""

import gzip
import json
import ssl
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import anyio
import pytest
import trustme

from fakes.calls import Session
from fakes.site import Asked, Site, drip, endless, hang, open_site
from roost.core.errors import ToolsetFailed
from roost.core.messages import Result
from roost.tools import fetch, hypertext, web
from roost.tools.builtin import Builtin

pytestmark = pytest.mark.anyio


@pytest.fixture
def site() -> Iterator[Site]:
    with open_site() as opened:
        yield opened


@pytest.fixture
def other() -> Iterator[Site]:
    with open_site() as opened:
        yield opened


async def get(session: Session, *urls: str, form: str = "text", **options: Any) -> Result:
    timeout = {"timeout": options.pop("wait")} if "wait" in options else {}
    async with session.open("fetch", **{"allow_private_ips": True, **options}) as toolset:
        return await session.call(toolset, "fetch", urls=list(urls), format=form, **timeout)


def names(monkeypatch: pytest.MonkeyPatch, **addresses: Sequence[str]) -> list[str]:
    """Give hosts addresses (`_` for a dot); the look-ups, as they happen."""
    asked: list[str] = []

    async def resolve(host: str, port: int) -> list[str]:
        asked.append(host)
        return list(addresses.get(host.replace(".", "_"), ()))

    monkeypatch.setattr(web, "resolve", resolve)
    return asked


# -- what comes ---------------------------------------------------------------------------------


async def test_one_page(session: Session, site: Site) -> None:
    url = site.page("/a", "hello")
    assert await get(session, url) == Result(f"Successfully fetched {url} (Status: 200, Length: 5 bytes):\nhello")
    assert site.paths() == ["/robots.txt", "/a"]
    assert site.asked[1].headers["user-agent"] == "roost" and site.asked[1].headers["host"] == f"127.0.0.1:{site.port}"


async def test_a_page_that_is_not_there(session: Session, site: Site) -> None:
    result = await get(session, f"{site.url}/none")
    assert result == Result(f"Error fetching {site.url}/none: HTTP 404 Not Found\nnothing here", is_error=True)


async def test_several(session: Session, site: Site) -> None:
    urls = [site.page("/a", "A"), f"{site.url}/none", "ftp://example.test/x"]
    result = await get(session, *urls)
    one, two, three = json.loads(result.output)
    assert one == {
        "url": urls[0],
        "statusCode": 200,
        "status": "200 OK",
        "contentType": "text/plain",
        "contentLength": 1,
        "body": "A",
    }
    assert two["error"] == "HTTP 404 Not Found" and two["statusCode"] == 404
    assert three == {"url": urls[2], "error": "only http:// and https:// addresses can be asked"}
    assert not result.is_error
    assert (await get(session, *urls[1:])).is_error
    assert site.paths().count("/robots.txt") == 2  # once a call


HTML = """<html><head><title>T</title><style>x{}</style></head><body><h1>Head &amp; all</h1>
<p>One <b>bold</b> <a href="/next">link</a>.</p><script>alert(1)</script>
<ul><li>a</li><li>b<ol><li>c</li></ol></li></ul><pre>  x = 1
y</pre><table><tr><th>k</th><th>v</th></tr><tr><td>1</td><td>2|3</td></tr></table><blockquote>said</blockquote>
<img src="p.png" alt="pic"></body></html>"""


async def test_a_page_as_markdown_text_and_html(session: Session, site: Site) -> None:
    url = site.page("/dir/page", HTML, "text/html; charset=utf-8")
    marked = (await get(session, url, form="markdown")).output.partition("\n")[2]
    assert marked.split("\n\n") == [
        "# Head & all",
        f"One **bold** [link]({site.url}/next).",
        "- a\n- b\n  1. c\n```\n  x = 1\ny\n```",
        "| k | v |\n| --- | --- |\n| 1 | 2\\|3 |",
        "> said",
        f"![pic]({site.url}/dir/p.png)",
    ]
    plain = (await get(session, url)).output
    assert "Head & all\n\nOne bold link.\n\n" in plain and "k\tv\n1\t2|3" in plain
    assert "alert" not in plain + marked and "x{}" not in plain + marked
    assert (await get(session, url, form="html")).output.endswith(HTML)


def test_ends_of_tags_that_html_does_not_ask_for() -> None:
    assert (
        hypertext.convert("<head><title>T<meta charset=x><body>Hello<svg/>, <br/>you<p>a<p>b", "text")
        == "Hello,\nyou\na\nb"
    )
    assert hypertext.convert("<title>T</title>x", "markdown") == "# T\n\nx"


@pytest.mark.parametrize(
    "page",
    [
        "",
        "<",
        "<p",
        "<!--",
        "<![",
        "</p></p>",
        "<li>" * 3000,
        "<table><tr><td>x",
        "<a href='http://['>x</a>",
        "<title>",
        "<script>never closed <p>x",
        "<ol><li><ul>" * 500,
        "&#xFFFFFFFF;&bogus;",
        "\0<b>\ud800",
    ],
)
@pytest.mark.parametrize("form", ["text", "markdown"])
def test_broken_html_is_text_all_the_same(page: str, form: str) -> None:
    assert isinstance(hypertext.convert(page, form, "http://a.test/"), str)


async def test_a_conversion_that_takes_for_ever(
    session: Session, site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = tmp_path / "slow.py"
    slow.write_text("while True: pass")
    monkeypatch.setattr(fetch, "_PROGRAM", str(slow))
    monkeypatch.setattr(fetch, "PATIENCE", 0.2)
    result = await get(session, site.page("/a", HTML, "text/html"))
    assert result.is_error and result.output.endswith("the page can't be turned into text: ask for html")


async def test_encodings(session: Session, site: Site) -> None:
    latin = site.page("/latin", "é".encode("latin-1"), "text/plain; charset=ISO-8859-1")
    assert (await get(session, latin)).output.endswith("\né")
    meta = site.page("/meta", b'<html><meta charset="latin-1"><p>\xe9', "text/html")
    assert (await get(session, meta)).output.endswith("\né")
    broken = site.page("/broken", b"a\xff\xfeb", "text/plain; charset=none-such")
    assert (await get(session, broken)).output.endswith("\na\ufffd\ufffdb")
    picture = site.page("/pic", b"\x89PNG\0\0", "image/png")
    assert (await get(session, picture)).output.endswith("\n[image/png, 6 bytes: not text]")


# -- bounds -------------------------------------------------------------------------------------


async def test_a_server_that_never_answers(session: Session, site: Site) -> None:
    site.pages["/hang"] = hang
    with anyio.fail_after(8):
        result = await get(session, f"{site.url}/hang", wait=1)
    assert result.output == f"Error fetching {site.url}/hang: no complete answer within 1 s" and result.is_error


async def test_a_server_that_never_ends(session: Session, site: Site) -> None:
    site.pages["/endless"], site.pages["/drip"] = endless, drip
    result = await get(session, f"{site.url}/endless")
    assert not result.is_error and len(result.output) < 300_000
    assert "more characters left out" in result.output
    assert result.output.endswith("[only the first 1048576 bytes were read]")
    assert "no complete answer within 1 s" in (await get(session, f"{site.url}/drip", wait=1)).output


async def test_compressed_answers(session: Session, site: Site) -> None:
    for name, data in (("gzip", gzip.compress(b"small")), ("deflate", zlib.compress(b"small"))):
        assert (await get(session, site.page("/c", data, content_encoding=name))).output.endswith("\nsmall")
    bomb = site.page("/bomb", gzip.compress(bytes(b"0" * 200_000_000), 9), content_encoding="gzip")
    assert (await get(session, bomb)).output.endswith("[only the first 1048576 bytes were read]")
    broken = await get(session, site.page("/x", b"no gzip", content_encoding="gzip"))
    assert broken.output.endswith("the answer is compressed, and broken")
    odd = await get(session, site.page("/x", b"...", content_encoding="br"))
    assert odd.output.endswith("compressed in a way that was not asked for (br)")


async def test_what_is_no_http(session: Session, site: Site) -> None:
    def noise(asked: Asked, handler: Any) -> None:
        handler.wfile.write(b"\xff\xfe nothing of the kind\r\n\r\n")

    site.page("/robots.txt", "")
    site.pages["/noise"] = noise
    assert "no HTTP, or was cut off" in (await get(session, f"{site.url}/noise")).output
    for url in ("http://", "http://[::1", "http://a b/", "https:///x", "http://" + "a" * 70 + "." + "b" * 70 + "/"):
        assert (await get(session, url)).is_error


async def test_redirects(session: Session, site: Site) -> None:
    end = site.page("/end", "there")
    start = site.page("/start", "", status=302, location="/end")
    assert (await get(session, start)).output.endswith("\nthere") and end
    loop = site.page("/loop", "", status=301, location="/loop")
    assert (await get(session, loop)).output.endswith("more than 10 redirects")
    away = site.page("/away", "", status=302, location="file:///etc/passwd")
    assert (await get(session, away)).output.endswith("only http:// and https:// addresses can be asked")


# -- robots.txt ---------------------------------------------------------------------------------


async def test_robots(session: Session, site: Site) -> None:
    site.page("/robots.txt", "User-agent: *\nDisallow: /private\n")
    site.page("/private/x", "secret")
    site.page("/to", "", status=302, location="/private/x")
    for path in ("/private/x", "/to"):
        result = await get(session, site.url + path)
        assert result.is_error and result.output.endswith("the robots.txt of the site does not allow it")
    assert "/private/x" not in site.paths()
    assert not (await get(session, site.page("/open", "x"))).is_error
    site.page("/robots.txt", "", status=503)
    assert "robots.txt of the site can't be read (HTTP 503" in (await get(session, f"{site.url}/open")).output
    site.page("/robots.txt", b"\xff\xfe\0garbage")
    assert not (await get(session, f"{site.url}/open")).is_error


# -- where it may go ----------------------------------------------------------------------------


async def test_private_addresses_are_out_of_reach(
    session: Session, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    names(monkeypatch, inner_test=["127.0.0.1"], both_test=["93.184.216.34", "10.0.0.7"])
    url = site.page("/x", "secret")
    for host in ("inner.test", "both.test"):
        result = await get(session, url.replace("127.0.0.1", host), allow_private_ips=False)
        assert result.is_error and f"{host} leads to" in result.output and "allow_private_ips" in result.output
    assert site.asked == []


async def test_numbers_that_are_loopback_in_disguise(session: Session, site: Site) -> None:
    for host in ("127.0.0.1", "localhost", "2130706433", "0x7f.1", "[::ffff:127.0.0.1]", "[::1]", "0", "127.1"):
        result = await get(session, f"http://{host}:{site.port}/x", allow_private_ips=False)
        assert result.is_error and "not a public address" in result.output, host
        assert f"{host} leads to {host}," not in result.output
    assert site.asked == []


async def test_each_hop_is_looked_at(session: Session, site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    options = {"blocked_domains": ["inner.test"]}
    asked = names(monkeypatch, outer_test=["127.0.0.1"], inner_test=["127.0.0.1"])
    site.page("/x", "", status=302, location=f"http://inner.test:{site.port}/y")
    result = await get(session, f"http://outer.test:{site.port}/x", **options)
    assert result.output.endswith("inner.test is on the list of blocked domains")
    assert asked == ["outer.test", "outer.test"]  # robots.txt and the page; the other one was not looked up


async def test_the_address_that_was_looked_at_is_the_one_that_is_asked(
    session: Session, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = names(monkeypatch, only_here_test=["127.0.0.1"])
    url = site.page("/x", "here").replace("127.0.0.1", "only.here.test")
    assert (await get(session, url)).output.endswith("\nhere")
    assert asked == ["only.here.test"] * 2
    assert site.asked[-1].headers["host"] == f"only.here.test:{site.port}"


async def test_the_next_address_where_one_does_not_answer(
    session: Session, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    names(monkeypatch, two_test=["::1", "127.0.0.1"], none_test=[])
    url = site.page("/x", "here").replace("127.0.0.1", "two.test")
    assert (await get(session, url)).output.endswith("\nhere")
    assert (await get(session, "http://none.test/")).output.endswith("no address is known for none.test")


async def test_a_certificate_is_the_hosts(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    authority = trustme.CA()
    names(monkeypatch, good_test=["127.0.0.1"], bad_test=["127.0.0.1"])
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)
    monkeypatch.setattr(web.tls, "trusted", lambda: trusting)
    with open_site(authority.issue_cert("good.test")) as secure:
        secure.page("/x", "safe")
        assert (await get(session, f"https://good.test:{secure.port}/x")).output.endswith("\nsafe")
        bad = await get(session, f"https://bad.test:{secure.port}/x")
        assert bad.is_error and "CERTIFICATE_VERIFY_FAILED" in bad.output
        assert len(secure.asked) == 2


async def test_lists_of_domains(session: Session, site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    here = ["127.0.0.1"]
    names(monkeypatch, a_test=here, sub_a_test=here, b_test=here, nota_test=here)
    site.page("/x", "here")

    async def good(host: str, **lists: list[str]) -> bool:
        return not (await get(session, f"http://{host}:{site.port}/x", **lists)).is_error

    assert await good("A.test.", allowed_domains=["a.TEST"]) and await good("sub.a.test", allowed_domains=["a.test."])
    assert not await good("nota.test", allowed_domains=["a.test"])
    assert not await good("a.test", allowed_domains=["*.a.test"]) and not await good(
        "a.test", allowed_domains=[".a.test"]
    )
    assert await good("sub.a.test", allowed_domains=["*.a.test"])
    assert await good("b.test", allowed_domains=["127.0.0.0/8"]) and not await good(
        "b.test", allowed_domains=["10.0.0.1"]
    )
    assert not await good("b.test", blocked_domains=["127.0.0.1"]) and await good("b.test", blocked_domains=["a.test"])
    assert not await good("sub.a.test", blocked_domains=["a.test"])
    for bad in ("https://a.test", "a b", "", "a*.test"):
        with pytest.raises(ToolsetFailed, match="neither a domain"):
            await get(session, "http://a.test", allowed_domains=[bad])


async def test_a_confined_session_reaches_what_its_sandbox_may(tmp_path: Path, site: Site) -> None:
    session = Session(tmp_path)
    session.confined = True
    url = site.page("/x", "here")
    result = await get(session, url)
    assert result.is_error and "this session is confined to a sandbox" in result.output and site.asked == []
    session.builtin = Builtin({}, state=session.home, endpoints=[f"127.0.0.1:{site.port}"])
    assert (await get(session, url, allow_private_ips=False, form="html")).output.endswith("\nhere")


async def test_a_proxy_only_where_nothing_has_to_be_looked_at(tmp_path: Path, site: Site, other: Site) -> None:
    def proxied(asked: Asked, handler: Any) -> tuple[int, dict[str, str], bytes]:
        return 200, {"content-type": "text/plain"}, b"by proxy"

    other.pages["http://far.test/x"] = other.pages["http://far.test/robots.txt"] = proxied
    session = Session(tmp_path, Builtin({"HTTP_PROXY": other.url, "NO_PROXY": "127.0.0.1, .near.test"}, state=tmp_path))
    assert (await get(session, "http://far.test/x")).output.endswith("\nby proxy")
    assert (await get(session, site.page("/y", "direct"))).output.endswith("\ndirect")
    before = len(other.asked)
    for options in ({"allow_private_ips": False}, {"blocked_domains": ["10.0.0.0/8"]}):
        assert (await get(session, "http://far.test/x", **options)).is_error
    assert len(other.asked) == before


# -- headers ------------------------------------------------------------------------------------


async def test_headers_of_the_entry_and_their_secrets(tmp_path: Path, site: Site, other: Site) -> None:
    session = Session(tmp_path, Builtin({"KEY": "k3y-of-mine"}, state=tmp_path))
    session.headers = {"X-Person": "person-secret"}
    headers = {"Authorization": "Bearer ${env.KEY}", "X-Who": "${headers.x_person}", "X-Plain": "plain"}

    def echo(asked: Asked, handler: Any) -> tuple[int, dict[str, str], bytes]:
        return 200, {"content-type": "text/plain"}, json.dumps(dict(asked.headers)).encode()

    site.pages["/echo"] = other.pages["/echo"] = echo
    result = await get(session, f"{site.url}/echo", headers=headers)
    assert site.asked[-1].headers["authorization"] == "Bearer k3y-of-mine"
    assert site.asked[-1].headers["x-who"] == "person-secret"
    assert "k3y" not in result.output and "person-secret" not in result.output and "plain" in result.output
    site.page("/away", "", status=302, location=f"{other.url}/echo")
    await get(session, f"{site.url}/away", headers=headers)
    assert other.paths()[-1] == "/echo"
    assert not {"authorization", "x-who", "x-plain"} & set(other.asked[-1].headers)
