"""The page in real browsers' tabs, over a real server: opened, watched, and asked what they show."""

import json
import re
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, BrowserContext, Locator, Page, expect

from acceptance import front
from acceptance.front import Front, Yard
from acceptance.house import Client, agent_yaml, free_port, until
from fakes.llm import FakeLLM

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), "")
TOKEN = "a-token-for-the-tests-of-the-page"
TOOLS = "    toolsets:\n      - type: shell\n      - type: user_prompt\n"
WIDE, NARROW = (1280, 800), (360, 740)
FAR = "roost.test"
"""This machine under a name that browsers hold for another's: over plain HTTP they trust it with less."""
ARGS = ("--no-sandbox", "--renderer-process-limit=1", f"--host-resolver-rules=MAP {FAR} 127.0.0.1")

# What a browser writes down itself of requests that fail, as those of these tests are meant to.
_MEANT = re.compile(
    r"Failed to load resource|WebSocket connection to .* failed|An SSL certificate error occurred when fetching"
)
_WATCH = """
addEventListener('securitypolicyviolation', (event) => {
  console.error(`policy: ${event.violatedDirective} ${event.blockedURI}`)
})
"""


@dataclass
class Site:
    """A server with both doors, on a port that stays its own; and a client of it."""

    yard: Yard
    model: FakeLLM
    port: int
    front: Front | None = None
    flags: tuple[str, ...] = ()
    secure: bool = False
    env: Mapping[str, str] = field(default_factory=dict)

    @property
    def url(self) -> str:
        return f"http{'s' if self.secure else ''}://127.0.0.1:{self.port}/"

    @property
    def client(self) -> Client:
        return Client(f"127.0.0.1:{self.port}", token=TOKEN)

    def open(self) -> None:
        """Start it, or start it again."""
        agents = self.yard.folder / "agents"
        agents.mkdir(exist_ok=True)
        (agents / "helper.yaml").write_text(agent_yaml(self.model.url, TOOLS))
        self.front = self.yard.serve(
            *(() if self.secure else ("--insecure-http",)),
            *("--host", "127.0.0.1", "--port", str(self.port), "--enable-mock"),
            *("--token", TOKEN, "--agents", str(agents), "--safety", "strict", *self.flags),
            env=self.env,
        )

    def again(self) -> None:
        """Stop it, and start it again."""
        assert self.front is not None
        self.front.term()
        self.open()

    def run(self, text: str, **template: Any) -> str:
        """A session of `helper` that is told something, and goes on with it by itself."""
        session = self.client.create(**template)
        self.client.start(session, text, "helper", detach=True).close()
        return session

    def ask_for(self, command: str, **template: Any) -> str:
        """A session that waits for leave to run a command."""
        session = self.run(f"[[tool shell {json.dumps({'cmd': command})}]]", **template)
        self.wait_of(session)
        return session

    def wait_of(self, session: str) -> Any:
        """What waits in a session, once something does."""
        return until(lambda: next((w for w in self.client.get("/api/waits").json if w["session_id"] == session), None))


@contextmanager
def opened(folder: Path, model: FakeLLM, *flags: str) -> Iterator[Site]:
    """A site; leaving it ends its servers."""
    with front.opened(folder) as yard:
        site = Site(yard, model, free_port(), flags=flags)
        site.open()
        yield site


@dataclass
class Tab:
    """A tab, and all that it has asked for and complained of."""

    site: Site
    page: Page
    context: BrowserContext
    requests: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    def watch(self) -> "Tab":
        page = self.page
        page.add_init_script(_WATCH)
        page.on("request", lambda request: self.requests.append(request.url))
        page.on("websocket", lambda socket: self.requests.append(socket.url))
        page.on("pageerror", lambda error: self.complaints.append(f"{error}\n{error.stack}"))
        page.on("console", self._heard)
        return self

    def _heard(self, message: Any) -> None:
        if message.type in ("error", "warning") and not _MEANT.match(message.text):
            self.complaints.append(message.text)

    def go(self, where: str = "#/") -> "Tab":
        """Open an address of the page, and wait until it knows its sessions."""
        if self.page.url.startswith(self.site.url):
            self.page.evaluate("where => { location.hash = where }", where)
        else:
            self.page.goto(self.site.url + where)
        expect(self.page.locator(".app")).to_be_attached()
        expect(self.page.locator(".side .bones")).to_have_count(0)
        return self

    def row(self, title: str) -> Locator:
        """A session in the list."""
        return self.page.locator(".entry-item", has=self.page.get_by_text(title, exact=True))

    def act(self, title: str, action: str) -> None:
        """Choose something from the menu of a session."""
        self.page.get_by_role("button", name=f"Actions for {title}").click()
        self.page.get_by_role("menuitem", name=action).click()

    @property
    def overflow(self) -> int:
        """By how many pixels the page is wider than its window."""
        return int(self.page.evaluate("document.documentElement.scrollWidth - innerWidth"))

    def sound(self) -> None:
        """It has asked no other host for anything, and complained of nothing."""
        here = re.compile(rf"(https?|wss?)://127\.0\.0\.1:{self.site.port}/|(data|blob):")
        strange = [url for url in self.requests if not here.match(url)]
        assert not strange, strange
        assert not self.complaints, "\n".join(self.complaints)


def hurry(page: Page) -> None:
    """Let it look for its server now, unless it has found it by itself: its button may be gone by then."""
    page.evaluate("dispatchEvent(new Event('online'))")


def paired(context: BrowserContext, site: Site) -> None:
    """Let a browser in."""
    reply = context.request.post(f"{site.url}web/login", data={"token": TOKEN})
    assert reply.ok, reply.text()


Opener = Callable[..., Tab]


@dataclass
class Guests:
    """Browsers that come again, by their kind: what they know of the page is there still, of a visit is nothing."""

    browser: Browser
    away: dict[str, list[BrowserContext]] = field(default_factory=dict)

    def enter(self, kind: Mapping[str, Any]) -> BrowserContext:
        """One that is not here now, or that has never been."""
        known = self.away.get(repr(kind))
        return known.pop() if known else self.browser.new_context(**kind)

    def leave(self, kind: Mapping[str, Any], context: BrowserContext, site: Site) -> None:
        context.set_offline(False)
        context.clear_cookies()
        context.clear_permissions()
        page, *others = context.pages or [context.new_page()]
        line = context.new_cdp_session(page)
        line.send("Storage.clearDataForOrigin", {"origin": site.url, "storageTypes": "local_storage"})
        for one in (*others, page):
            one.close()
        self.away.setdefault(repr(kind), []).append(context)


@contextmanager
def tabs(guests: Guests) -> Iterator[Opener]:
    """What opens tabs; at the end each must be sound.

    A tab is in a browser of its own unless it `shares` another's: one that may have been here before, or a `new` one.
    """
    found: list[Tab] = []
    with ExitStack() as leaving:

        def opener(
            site: Site,
            size: tuple[int, int] = WIDE,
            *,
            theme: Any = "light",
            let_in: bool = True,
            shares: Tab | None = None,
            new: bool = False,
            **more: Any,
        ) -> Tab:
            narrow = size[0] < 900
            kind = {
                "viewport": {"width": size[0], "height": size[1]},
                "color_scheme": theme,
                "has_touch": narrow,
                "is_mobile": narrow,
                **more,
            }
            if shares:
                context = shares.context
            elif new:
                context = guests.browser.new_context(**kind)
                leaving.callback(context.close)
            else:
                context = guests.enter(kind)
                leaving.callback(guests.leave, kind, context, site)
            context.set_default_timeout(10_000)
            if let_in and not shares:
                paired(context, site)
            tab = Tab(site, context.new_page(), context).watch()
            found.append(tab)
            return tab

        yield opener
        for tab in found:
            tab.sound()
