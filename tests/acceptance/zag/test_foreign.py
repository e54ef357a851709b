"""Every route of `/api/v1`, about somebody else's session (D11), and by names that lead astray."""

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import anyio
import httpx2
import pytest

from acceptance import front
from acceptance.zag.remote import SECRET, Remote, Site, played, talk
from roost.doors.app import Doors, make_app
from roost.doors.routes import Route

NOBODY = "c0ffee00-0000-4000-8000-000000000000"
S, P = "/sessions/:id", "/processes/:id"

# What is asked of a session or a process, with a body that would do: somebody else's looks as if it were not there.
NAMED: Mapping[str, Any] = {
    f"GET {S}": None,
    f"DELETE {S}": None,
    f"PATCH {S}": {"name": "mine now", "tags": ["mine"], "clear_tags": True},
    f"GET {S}/status": None,
    f"GET {S}/events": None,
    f"GET {S}/output": None,
    f"POST {S}/input": {"message": "say your secret"},
    f"POST {S}/cancel": {"reason": "because"},
    f"POST {S}/log": {"message": "I was here"},
    f"GET {S}/env": None,
    f"GET {S}/stream": None,
    f"GET {P}": None,
    f"POST {P}/stop": {},
    f"POST {P}/kill": {"result": "mine"},
}

# What names sessions in its body, or none at all: it answers, about the caller's own alone, or refuses.
BODIES: Mapping[str, Callable[[str], Any]] = {
    "GET /sessions": lambda session: None,
    "GET /processes": lambda session: None,
    "POST /sessions/collect": lambda session: {"session_ids": [session], "tag": "hers"},
    "POST /sessions/wait": lambda session: {"session_ids": [session], "timeout": "1s"},
    "POST /sessions/summary": lambda session: {"session_ids": [session], "tag": "hers"},
    "POST /sessions/retry": lambda session: {"session_ids": [session], "tag": "hers"},
    "POST /sessions/pipe": lambda session: {"session_ids": [session], "prompt": "what is it?", "provider": "mock"},
    "POST /sessions/broadcast": lambda session: {"message": "say your secret", "tag": "hers"},
    "POST /sessions/spawn": lambda session: {"prompt": "x", "provider": "mock", "depends_on": [session]},
    "POST /search": lambda session: {"query": "secret", "session": session},
}

# What concerns all: an account is refused.
ADMIN: Mapping[str, Any] = {
    "POST /gc": {"force": True, "older_than": "0h"},
    "POST /config": {"args": ["provider=mock"]},
    "POST /skills": {"command": "add", "name": "x"},
    "POST /mcp": {"command": "add", "name": "x", "command_str": "x", "global": True},
    "POST /sessions/import": {},
    "GET /users": None,
    "POST /users/add": {"username": "eve", "password": "x", "home_dir": "/tmp/eve"},
    "POST /users/remove": {"username": "ann"},
    "POST /users/passwd": {"username": "ann", "password": "x"},
}

# What is the same for everybody, is about the caller alone, or is looked at on its own (`/subscribe`, `/review`).
SHARED = {
    "GET /health",
    "POST /login",
    "POST /logout",
    "GET /capability",
    "GET /discover",
    "GET /subscribe",
    "POST /review",
}


class Nothing:
    """A service that is never asked."""

    def __getattr__(self, name: str) -> Any:
        return Nothing()


def routes() -> list[Route]:
    """The routes of the door: one that is new has to find its place above."""
    app = make_app(Nothing(), closing=anyio.Event())
    assert isinstance(app, Doors)
    return [route for route in app.routes if route.path.startswith("/api/v1/")]


def test_every_route_has_its_place_here() -> None:
    known = [*NAMED, *BODIES, *ADMIN, *SHARED]
    assert sorted(known) == sorted(f"{route.method} {route.path.removeprefix('/api/v1')}" for route in routes())


class Street:
    """Ann has a session that hangs, and one that has ended; Bob is logged in too."""

    def __init__(self, site: Site) -> None:
        self.op = site.op
        self.site = site
        self.ann, self.bob = site.account("ann"), site.account("bob")
        self.over = self.ann.done(talk("Ann's secret"), tags=["hers"], name="hers")
        self.busy = self.ann.spawn(played({"say": "Ann's secret"}, hang=True), tags=["hers"])
        self.op.until(self.busy, "assistant_message")
        self.process = next(one["id"] for one in self.op.get("/processes") if one["session_id"] == self.busy)

    def state(self) -> Any:
        """All that Bob could have changed."""
        return (
            [one for one in self.op.get("/sessions") if one["owner"] == "ann"],
            [one for one in self.op.get("/processes") if one["session_id"] in (self.over, self.busy)],
            self.op.events(self.over),
            self.op.events(self.busy),
            self.op.get("/users"),
        )

    def asked(self, key: str, body: Any, name: str) -> tuple[int, str]:
        """What Bob is told, with the name that he has given taken out."""
        method, _, path = key.partition(" ")
        if path.endswith("/stream"):
            status, text = self.bob.turned_away(path.replace(":id", name))
        else:
            answer = self.bob.ask(method, path.replace(":id", name), body)
            status, text = answer.status_code, answer.text
        return status, text.replace(name, "…")


@pytest.fixture(scope="module")
def street(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Street]:
    with front.opened(tmp_path_factory.mktemp("street")) as yard:
        served = yard.serve("--host", "127.0.0.1", "--enable-mock", "--token", SECRET)
        yield Street(Site(yard, served, Remote.at(yard, served)))


@pytest.mark.parametrize("key", NAMED)
def test_d11_what_is_anothers_looks_as_if_it_were_not_there(street: Street, key: str) -> None:
    before = street.state()
    for name in [street.process] if P in key else [street.busy, street.over, street.busy[:8]]:
        told = street.asked(key, NAMED[key], name)
        assert told == street.asked(key, NAMED[key], NOBODY)
        assert told[0] == 404
    assert street.state() == before


@pytest.mark.parametrize("key", BODIES)
def test_d11_answers_hold_the_callers_own_alone(street: Street, key: str) -> None:
    before, processes = street.state(), len(street.op.get("/processes"))
    for name in (street.over, street.busy):
        status, text = street.asked(key, BODIES[key](name), name)
        unknown = street.asked(key, BODIES[key](NOBODY), NOBODY)
        assert (status, text) == unknown
        assert status in (200, 400, 404)
        for secret in ("secret", "hers", street.process, street.over, street.busy):
            assert secret not in text.replace("tag hers", "")
    assert street.state() == before
    assert len(street.op.get("/processes")) == processes


@pytest.mark.parametrize("key", ADMIN)
def test_d11_what_concerns_all_is_for_the_servers_token_alone(street: Street, key: str) -> None:
    before = street.state()
    method, _, path = key.partition(" ")
    street.bob.refused(method, path, 403, ADMIN[key])
    assert street.state() == before


def test_d11_the_latest_is_the_callers_own(street: Street) -> None:
    own = street.bob.done(talk("mine"))
    street.ann.done(talk("later"))
    assert street.bob.get("/sessions/latest")["session_id"] == own
    assert street.bob.get("/sessions/latest/env")["ZAG_SESSION_ID"] == own


def test_own_sessions_are_all_there_for_their_owner_and_the_operator(street: Street) -> None:
    for who in (street.ann, street.op):
        assert {street.over, street.busy} <= {one["session_id"] for one in who.get("/sessions")}
        assert who.get(f"/processes/{street.process}")["session_id"] == street.busy
    assert street.op.get(f"/sessions/{street.over}")["owner"] == "ann"


def test_d11_what_the_operator_does_with_an_accounts_session_stays_the_accounts(street: Street) -> None:
    home = street.site.folder / "bob"
    session = street.bob.done(talk("x"))
    street.op.post(f"/sessions/{session}/input", {"message": played({"write": {"path": "by-op"}})})
    assert (home / "by-op").is_file()
    [item] = street.bob.post("/sessions/retry", {"session_ids": [session]})
    again = street.bob.get(f"/sessions/{item['new_session_id']}")
    assert (again["owner"], again["worktree_path"]) == ("bob", str(home))
    street.bob.ended(again["session_id"])


# -- D12: paths ------------------------------------------------------------------------------------

OUTSIDE = [
    "..",
    "../ann",
    "/",
    "/etc",
    "nowhere/../../ann",
    "link",
    "link/sub",
    "work/../../ann",
    "//etc",
    "./.././ann",
]


@pytest.mark.parametrize("path", OUTSIDE)
def test_d12_no_path_leads_out_of_a_home(street: Street, path: str) -> None:
    home = street.site.folder / "bob"
    (home / "work").mkdir(exist_ok=True)
    if not (home / "link").is_symlink():
        (home / "link").symlink_to(street.site.folder / "ann")
    own = street.bob.done(talk("x"))
    before = street.bob.get("/sessions")
    asked = {"provider": "mock", "prompt": "x"}
    for way, body in (
        ("/sessions/spawn", {**asked, "root": path}),
        ("/sessions/spawn", {**asked, "add_dirs": ["work", path]}),
        ("/sessions/spawn", {**asked, "files": [path]}),
        ("/sessions/pipe", {**asked, "session_ids": [own], "root": path}),
        ("/sessions/pipe", {**asked, "session_ids": [own], "add_dirs": [path]}),
        ("/review", {"provider": "mock", "uncommitted": True, "root": path}),
        ("/review", {"provider": "mock", "uncommitted": True, "root": "work", "add_dirs": [path]}),
    ):
        error = street.bob.refused("POST", way, 403, body)
        assert error == f"Path '{path}' is outside your home directory: {home}"
    assert street.bob.get("/sessions") == before


def test_d12_relative_paths_begin_at_home(street: Street) -> None:
    home = street.site.folder / "bob"
    (home / "work").mkdir(exist_ok=True)
    for root, place in ((None, home), ("work", home / "work"), (str(home / "work"), home / "work")):
        session = street.bob.done(talk("x"), root=root)
        assert street.bob.get(f"/sessions/{session}")["worktree_path"] == str(place)


# -- 8.5.8: names ----------------------------------------------------------------------------------

ASTRAY = [
    "..%2F..%2Fserve.toml",
    "%2Fetc%2Fpasswd",
    "..%2Fsessions%2Fx",
    "%00",
    "a%00b",
    "a%0Ab",
    ".hidden",
    "..",
    "-rf",
    "a" * 300,
    "%E2%80%AEx",
    "%ff%fe",
    "a%20b",
    "*",
    "$(touch%20canary)",
    "`touch%20canary`",
    ";touch%20canary",
]


def fingerprint(folder: Path) -> dict[str, tuple[int, int]]:
    """All files but those that every request touches."""
    own = ("roost.db", ".lock", "-wal", "-shm", ".log")
    found = (path for path in folder.rglob("*") if path.is_file() and not any(part in path.name for part in own))
    return {str(path): (path.stat().st_size, path.stat().st_mtime_ns) for path in found}


@pytest.mark.parametrize("name", ASTRAY)
def test_d12_names_in_paths_lead_nowhere(street: Street, name: str) -> None:
    before, files = street.state(), fingerprint(street.site.folder)
    for key, body in NAMED.items():
        method, _, path = key.partition(" ")
        path = path.replace(":id", name)
        raw = httpx2.URL(f"{street.op.url}/api/v1{path}") if name != ".." else None
        if path.endswith("/stream"):
            assert street.op.turned_away(path)[0] in (400, 404)
        else:
            answer = street.op.ask(method, raw.raw_path.decode().removeprefix("/api/v1") if raw else path, body)
            assert answer.status_code in (400, 404, 405), (key, answer.text)
    assert street.state() == before
    assert fingerprint(street.site.folder) == files


NAMES = ["../x", "..", ".x", "/etc/x", "a/b", "a\0b", "x" * 300, "", "a b", "$(touch canary)", "-rf", "x\n"]


@pytest.mark.parametrize("name", NAMES)
def test_d12_names_in_bodies_lead_nowhere(street: Street, name: str) -> None:
    before, files = street.state(), fingerprint(street.site.folder)
    home = {"password": "x", "home_dir": str(street.site.folder / "eve")}
    for path, body, statuses in (
        ("/skills", {"command": "add", "name": name}, (400,)),
        ("/skills", {"command": "show", "name": name}, (400,)),
        ("/skills", {"command": "remove", "name": name}, (400,)),
        *(("/skills", {"command": command, "from": name}, (400,)) for command in ("sync", "import") if name),
        ("/mcp", {"command": "add", "name": name, "command_str": "x", "global": True}, (400,)),
        ("/mcp", {"command": "show", "name": name}, (400,)),
        ("/mcp", {"command": "remove", "name": name}, (400,)),
        *(("/mcp", {"command": command, "from": name}, (400,)) for command in ("sync", "import") if name),
        ("/users/add", {"username": name, **home}, (400,)),
        ("/users/remove", {"username": name}, (400, 404)),
        ("/users/passwd", {"username": name, "password": "x"}, (400, 404)),
        ("/sessions/wait", {"session_ids": [name]}, (400,)),
        ("/sessions/collect", {"session_ids": [name]}, (400,)),
        ("/sessions/summary", {"session_ids": [name]}, (400,)),
        ("/sessions/pipe", {"session_ids": [name], "prompt": "x"}, (400,)),
        ("/sessions/spawn", {"provider": "mock", "prompt": "x", "depends_on": [name]}, (400,)),
    ):
        assert street.op.ask("POST", path, body).status_code in statuses, (path, body)
    assert street.state() == before
    assert fingerprint(street.site.folder) == files


# -- D10: words that a shell would act upon ----------------------------------------------------------


def test_d10_nothing_of_a_request_reaches_a_shell(street: Street) -> None:
    op, canary = street.op, street.site.folder / "canary"
    bites = [f"$(touch {canary})", f"`touch {canary}`", f'"; touch {canary}; "', f"'; touch {canary}; '"]
    for bite in bites:
        first = op.done(f"{bite}\n{talk('x')}", name=bite, description=bite, tags=[bite], system_prompt=bite)
        second = op.spawn(
            f"{bite}\n{talk(bite)}", depends_on=[first], inject_context=True, name=bite, env_vars={"BITE": bite}
        )
        assert op.ended(second)[0]["success"] is True
        assert op.get(f"/sessions/{second}/output")["result"] == bite
        piped = {"session_ids": [second], "prompt": bite, "provider": "mock", "system_prompt": bite, "name": bite}
        assert bite in op.post("/sessions/pipe", piped)["result"]
        assert bite in op.post(f"/sessions/{first}/input", {"message": bite})["result"]
        op.post(f"/sessions/{first}/cancel", {"reason": bite})
        op.post(f"/sessions/{first}/log", {"message": bite, "data": json.dumps(bite)})
        op.post("/sessions/broadcast", {"message": bite, "tag": bite})
        op.post("/search", {"query": bite, "regex": False, "tool": bite, "provider": bite, "tag": bite})
        op.ask("POST", "/search", {"query": bite, "regex": True})
        for field in ("provider", "model", "root", "size", "timeout", "sandbox", "worktree"):
            asked = {"provider": "mock", "prompt": "x", field: bite}
            assert op.ask("POST", "/sessions/spawn", asked).status_code == 400, field
        for field in ("base", "commit"):
            op.refused("POST", "/review", 400, {"provider": "mock", "root": str(street.site.folder), field: bite})
        for path in ("add_dirs", "files"):
            asked = {"provider": "mock", "prompt": "x", path: [bite]}
            op.refused("POST", "/sessions/spawn", 400, asked)
        op.refused("POST", "/gc", 400, {"older_than": bite})
        op.refused("POST", "/sessions/wait", 400, {"session_ids": [first], "timeout": bite})
        op.refused("GET", "/capability", 400, params={"provider": bite})
        op.refused("GET", "/discover", 400, params={"provider": "mock", "resolve": bite})
    assert not canary.exists()
