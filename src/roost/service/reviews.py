"""A review of changes in a repository, by a session of its own."""

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial

import anyio
from msgspec import Struct
from msgspec.structs import replace

from roost.core.errors import BadValue, Unfinished
from roost.core.ids import LogId
from roost.core.principals import Principal
from roost.core.session import Head
from roost.engine.results import result
from roost.service.desk import Desk
from roost.service.orders import Request
from roost.service.results import until_ended
from roost.service.spawns import Spawns

PATIENCE = 60.0  # seconds that git gets
LARGEST = 1 << 20  # characters of a diff
MOST_NEW = 200  # untracked files that are shown
REVISION = re.compile(r"[A-Za-z0-9_@^~][A-Za-z0-9_./@^~{}+-]{0,199}")
SAFE = ("-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null", "-c", "core.pager=cat", "--no-pager")
PLAIN = ("--no-ext-diff", "--no-textconv", "--no-color")
"""Git runs no program that a repository names, as far as git lets itself be told."""

ROLE = """You review changes as an experienced engineer. Read the diff, and where it helps the files around it.

Look for mistakes that matter: wrong results, lost data, races, leaks, security holes, broken interfaces, missing tests.
Name each with its file and line, say why it is one and what would mend it, the gravest first. Leave out matters of
taste. Where nothing is wrong, say so."""


class Wanted(Struct, frozen=True, kw_only=True):
    """What is to be reviewed; at least one of the first three."""

    uncommitted: bool = False
    base: str = ""
    commit: str = ""
    title: str = ""
    prompt: str = ""  # what is asked on top


class Reviewed(Struct, frozen=True):
    """The session that reviewed, and what it found."""

    head: Head
    result: str


class Reviews:
    """Lets agents review."""

    def __init__(self, desk: Desk, spawns: Spawns) -> None:
        self._desk = desk
        self._spawns = spawns

    async def review(self, principal: Principal, wanted: Wanted, asked: Request) -> Reviewed:
        """Start a review and wait for it.

        Raises:
            BadValue: nothing is to be reviewed, or git can't show it.
            Unfinished: the session came to nothing.
            And whatever `spawn` raises.
        """
        _check(wanted)
        policy = self._desk.policy
        root = policy.working_dir(principal, asked.root) or policy.home(principal)
        policy.check(principal, root)
        for folder in asked.add_dirs:
            policy.confine(principal, folder)
        if policy.must_sandbox(principal, asked=asked.sandbox is not None):
            shown = _told(wanted)  # git may run what the repository names: only in the sandbox
        else:
            shown = _fenced(await diff(root, wanted, self._desk.makers.env))
        pieces = [ROLE, f"Title: {wanted.title}" if wanted.title else "", shown, wanted.prompt]
        prompt = "\n\n".join(piece for piece in pieces if piece.strip())
        spawned = await self._spawns.spawn(principal, replace(asked, root=root, prompt=prompt, command="review"))
        head = await until_ended(self._desk, LogId(spawned.head.id))
        if head.outcome != "normal":
            raise Unfinished(head.error or "the review failed")
        return Reviewed(head, await result(self._desk.store, head) or "")


def _check(wanted: Wanted) -> None:
    if not (wanted.uncommitted or wanted.base or wanted.commit):
        raise BadValue("say what to review: uncommitted changes, a base, or a commit")
    for what, revision in (("base", wanted.base), ("commit", wanted.commit)):
        if revision and (not REVISION.fullmatch(revision) or ".." in revision):
            raise BadValue(f"{revision[:40]!r} can't be a {what}")


def _told(wanted: Wanted) -> str:
    """The commands that show the changes, for whoever may not have them run here."""
    commands = [
        *(["git status --porcelain", "git diff HEAD"] if wanted.uncommitted else []),
        *([f"git diff {wanted.base}...HEAD"] if wanted.base else []),
        *([f"git show {wanted.commit}"] if wanted.commit else []),
    ]
    return "The changes are those that these commands show:\n\n" + "\n".join(f"    {line}" for line in commands)


def _fenced(text: str) -> str:
    fence = "```"
    while fence in text:
        fence += "`"
    return f"{fence}diff\n{text}\n{fence}"


async def diff(root: str, wanted: Wanted, env: Mapping[str, str]) -> str:
    """The changes as git shows them.

    Raises:
        BadValue: git can't, or there are none.
    """
    git, pieces = partial(_git, root, env), list[str]()
    with anyio.move_on_after(PATIENCE) as scope:
        if wanted.uncommitted:
            pieces.append(await git("diff", *PLAIN, "HEAD"))
            pieces += await _untracked(git)
        if wanted.base:
            pieces.append(await git("diff", *PLAIN, f"{wanted.base}...HEAD"))
        if wanted.commit:
            pieces.append(await git("show", *PLAIN, "--format=", wanted.commit))
    if scope.cancelled_caught:
        raise BadValue("git takes too long to show the changes")
    text = "\n".join(piece.rstrip("\n") for piece in pieces if piece.strip())
    if not text:
        raise BadValue("there is nothing to review: the diff is empty")
    if len(text) > LARGEST:
        raise BadValue(f"the diff is longer than {LARGEST} characters: review a part of it")
    return text


async def _untracked(git: Callable[..., Awaitable[str]]) -> Sequence[str]:
    """New files, each as a diff against nothing."""
    listed = await git("ls-files", "--others", "--exclude-standard", "-z")
    names = [name for name in listed.split("\0") if name][:MOST_NEW]
    return [await git("diff", *PLAIN, "--no-index", "--", "/dev/null", name, fine=(0, 1)) for name in names]


async def _git(root: str, env: Mapping[str, str], command: str, *words: str, fine: Sequence[int] = (0,)) -> str:
    own = {name: env[name] for name in ("PATH", "HOME") if name in env}
    quiet = {"LC_ALL": "C", "GIT_TERMINAL_PROMPT": "0", "GIT_OPTIONAL_LOCKS": "0"}
    alone = {"GIT_NO_LAZY_FETCH": "1", "GIT_ALLOW_PROTOCOL": "none"}
    try:
        line = ["git", *SAFE, "-C", root, command, *words]
        done = await anyio.run_process(line, env={**own, **quiet, **alone}, check=False)
    except OSError as error:
        raise BadValue(f"git can't be run: {error.strerror}") from None
    if done.returncode not in fine:
        first, *_ = done.stderr.decode("utf-8", "replace").strip().splitlines() or ["it failed"]
        raise BadValue(f"git can't show the changes: {first[:300]}")
    return done.stdout.decode("utf-8", "replace")
