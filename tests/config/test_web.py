"""Agent files at addresses: ETags, what is kept, redirects, and who is told the token."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2
import pytest

from fakes.pages import site
from roost.config.remotes import Remotes
from roost.config.transfer import leads
from roost.config.web import Pages, reject_login
from roost.config.yaml import LARGEST
from roost.core.errors import AgentUnreachable
from roost.ports import Effort, Untold

pytestmark = pytest.mark.anyio

ONE = b"agents: {root: {description: one}}"
TWO = b"agents: {root: {description: two}}"


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def test_the_same_content_is_sent_only_once(tmp_path: Path) -> None:
    with site(a=ONE) as there:
        url = f"{there.url}/a.yaml"
        assert (await Remotes(tmp_path, {}).fetch(url)).raw == ONE
        assert (await Remotes(tmp_path, {}).fetch(url)).raw == ONE
        assert there.answered == [200, 304]
        there.pages["/a.yaml"] = TWO
        assert (await Remotes(tmp_path, {}).fetch(url)).raw == TWO
        assert {path.suffix for path in (tmp_path / "url_cache").iterdir()} == {"", ".etag"}


@pytest.mark.parametrize("status", [403, 404, 500, 503])
async def test_while_the_server_is_down_the_copy_will_do(tmp_path: Path, status: int) -> None:
    with site(a=ONE) as there:
        url = f"{there.url}/a.yaml"
        await Remotes(tmp_path, {}).fetch(url)
        there.down = status
        fetched = await Remotes(tmp_path, {}).fetch(url)
        assert (fetched.raw, fetched.stale) == (ONE, f"{url} can't be fetched: HTTP {status}")
        with pytest.raises(AgentUnreachable, match=f"HTTP {status}"):
            await Remotes(tmp_path, {}).fetch(f"{there.url}/b.yaml")
    fetched = await Remotes(tmp_path, {}).fetch(url)
    assert fetched.raw == ONE
    assert "can't be reached" in fetched.stale


async def test_a_mark_without_its_copy_is_not_used(tmp_path: Path) -> None:
    with site(a=ONE) as there:
        url = f"{there.url}/a.yaml"
        await Remotes(tmp_path, {}).fetch(url)
        [copy] = [path for path in (tmp_path / "url_cache").iterdir() if not path.suffix]
        copy.unlink()
        assert (await Remotes(tmp_path, {}).fetch(url)).raw == ONE


async def test_a_folder_that_can_not_be_written_keeps_nothing_back(tmp_path: Path) -> None:
    (tmp_path / "url_cache").write_text("in the way")
    with site(a=ONE) as there:
        assert (await Remotes(tmp_path, {}).fetch(f"{there.url}/a.yaml")).raw == ONE


async def test_redirects_are_followed_a_few_times(tmp_path: Path) -> None:
    with site(a=ONE) as there:
        there.leads = {"/x": "/y", "/y": f"{there.url}/a.yaml", "/round": "/round", "/file": "file:///etc/passwd"}
        assert (await Remotes(tmp_path, {}).fetch(f"{there.url}/x")).raw == ONE
        with pytest.raises(AgentUnreachable, match="more than 5 times"):
            await Remotes(tmp_path, {}).fetch(f"{there.url}/round")
        with pytest.raises(AgentUnreachable, match="not http"):
            await Remotes(tmp_path, {}).fetch(f"{there.url}/file")


def test_no_redirect_leads_from_tls_to_none() -> None:
    at = httpx2.URL("https://x.example/a")
    with pytest.raises(AgentUnreachable, match="without TLS"):
        leads(at, "http://x.example/a")
    assert str(leads(at, "/b")) == "https://x.example/b"
    assert str(leads(httpx2.URL("http://x.example/a"), "https://y.example/")) == "https://y.example/"


async def test_too_much_and_compressed_answers_are_refused(tmp_path: Path) -> None:
    with site(a=b"x" * (LARGEST + 1)) as there:
        with pytest.raises(AgentUnreachable, match=f"more than {LARGEST} bytes"):
            await Remotes(tmp_path, {}).fetch(f"{there.url}/a.yaml")
        there.pages["/b.yaml"], there.headers = ONE, {"Content-Encoding": "gzip"}
        with pytest.raises(AgentUnreachable, match="compressed"):
            await Remotes(tmp_path, {}).fetch(f"{there.url}/b.yaml")


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("https://github.com/o/r/raw/main/a.yaml", True),
        ("https://raw.githubusercontent.com/o/r/main/a.yaml", True),
        ("https://gist.githubusercontent.com/o/1/raw/a.yaml", True),
        ("http://github.com/o/r", False),
        ("https://github.com:8443/o/r", False),
        ("https://github.com.example/o/r", False),
        ("https://api.github.com/o/r", False),
        ("https://x.example/github.com", False),
    ],
)
def test_github_alone_is_told_the_token(tmp_path: Path, url: str, told: bool) -> None:
    headers = Pages(tmp_path, {"GITHUB_TOKEN": "t"})._authorize(httpx2.URL(url))
    assert headers == ({"authorization": "Bearer t"} if told else {})


async def test_a_site_that_is_not_github_sees_no_token(tmp_path: Path) -> None:
    with site(a=ONE) as there:
        await Remotes(tmp_path, {"GITHUB_TOKEN": "t"}).fetch(f"{there.url}/a.yaml")
        [(_, headers)] = there.seen
        assert "authorization" not in headers


@pytest.mark.parametrize("url", ["http://ann:secret@x.example/a", "https://t@x.example/a", "http://", "http://[x/a"])
def test_addresses_that_are_not_to_be_shown_are_refused(url: str) -> None:
    assert reject_login(url)
    assert not reject_login("https://x.example/a@b.yaml")


async def test_what_is_fetched_is_told_of(tmp_path: Path) -> None:
    told = Told()
    with site(a=ONE) as there:
        await Remotes(tmp_path, {}, told).fetch(f"{there.url}/a.yaml")
        with pytest.raises(AgentUnreachable):
            await Remotes(tmp_path / "b", {}, told).fetch(f"{there.url}/b.yaml")
        assert told.jobs == [("pull", f"{there.url}/a.yaml", len(ONE)), ("pull", f"{there.url}/b.yaml", 0)]


class Told(Untold):
    """What was told of each job, and how much of it was done."""

    def __init__(self) -> None:
        self.jobs: list[tuple[str, str, int]] = []
        self.done = 0

    def step(self, done: int = 1) -> None:
        self.done += done

    @contextmanager
    def job(self, what: str, title: str, *, total: int = 0, unit: str = "", owner: str = "") -> Iterator[Effort]:
        self.done = 0
        try:
            yield self
        finally:
            self.jobs.append((what, title, self.done))
