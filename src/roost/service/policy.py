"""The one place that says who may do what, where, and in which sandbox."""

import os
import re
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from typing import Protocol, TypeVar

from msgspec.structs import replace

from roost.core.errors import BadModel, BadValue, Denied, SessionNotFound
from roost.core.messages import File, Message
from roost.core.principals import Principal
from roost.core.session import Head

LONGEST_MODEL = 1000  # characters of a reference; it may be a list

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


class Owned(Protocol):
    """What belongs to an account, or to none."""

    @property
    def owner(self) -> str:
        """The account; "" for none."""
        ...


O = TypeVar("O", bound=Owned)  # noqa: E741


class Policy:
    """Asked by every method of the service that names a session or a path, whichever door it came through."""

    def __init__(self, working_dir: Path, root: Path | None = None, *, force_sandbox: bool = False) -> None:
        self._here = working_dir
        self._root = root.resolve() if root else None
        self._force_sandbox = force_sandbox

    # -- who ------------------------------------------------------------------------------------

    def may(self, principal: Principal, head: Head) -> None:
        """Whether a caller may look at, or change, a session: an account its own, everybody else each.

        Raises:
            SessionNotFound: it may not, nor learn that there is such a session.
        """
        if not self._sees(principal, head):
            raise SessionNotFound(head.id)

    @staticmethod
    def sees(principal: Principal, owner: str) -> bool:
        """Whether a caller may see what belongs to the account `owner` ("" is no account).

        A CLI that calls from inside its session may not: it sees single sessions.
        """
        return not principal.confined or (owner == principal.name and not principal.session)

    def _sees(self, principal: Principal, one: Owned) -> bool:
        if principal.session:
            return isinstance(one, Head) and one.parent == principal.session and not one.started_by
        return self.sees(principal, one.owner)

    def seen(self, principal: Principal, listed: Sequence[O]) -> Sequence[O]:
        """Those of a list that a caller may see."""
        if not principal.confined:
            return listed
        return [one for one in listed if self._sees(principal, one)]

    @staticmethod
    def inside(head: Head) -> Principal:
        """The CLI that works for a session, as a caller: with its owner's name, and no more rights than it has.

        Raises:
            Denied: the session is in no turn, or is on its way out of it.
        """
        turn = head.turn
        if turn is None or turn.canceled or head.deleted:
            raise Denied("the session has ended")
        return Principal(
            head.owner,
            f"session {head.id}",
            kind="session",
            home=head.worktree_path or turn.working_dir,
            must_sandbox=head.confined or turn.confined,
            session=head.id,
        )

    @staticmethod
    def owner(principal: Principal, parent: Head | None = None) -> str:
        """Whose a new session is: that of the session it comes from, else the caller's."""
        return principal.name if parent is None else parent.owner

    @staticmethod
    def admin(principal: Principal) -> None:
        """Whether a caller may do what concerns all: accounts, settings, skills, tool servers, cleaning up.

        Raises:
            Denied: it is an account.
        """
        if principal.confined:
            raise Denied("only the server's own token may do this")

    def must_sandbox(self, principal: Principal, *, asked: bool = False) -> bool:
        """Whether a run has to be in a sandbox: the server, the caller's account, or the request wants it."""
        return self._force_sandbox or principal.must_sandbox or asked

    # -- names ----------------------------------------------------------------------------------

    @staticmethod
    def session_id(text: str) -> str:
        """What may be the id of a session (or the beginning of one): looked at before anything else is done with it.

        Raises:
            BadValue: it can't be.
        """
        if not _ID.fullmatch(text):
            raise BadValue(f"{_shown(text)} can't be a session's id: {_allowed(128)}")
        return text

    @staticmethod
    def name(text: str, what: str = "name") -> str:
        """What may be the name of an account, a skill or a tool server, and of a file or a folder after it.

        Raises:
            BadValue: it can't be.
        """
        if not _NAME.fullmatch(text):
            raise BadValue(f"{_shown(text)} can't be a {what}: {_allowed(64)}")
        return text

    # -- where ----------------------------------------------------------------------------------

    @property
    def default_dir(self) -> str:
        """Where a session works that names no directory, and that is no account's."""
        return str(self._root or self._here)

    def home(self, principal: Principal) -> str:
        """Where a caller's sessions work unless they say otherwise."""
        return os.path.realpath(principal.home) if principal.confined else self.default_dir

    def confine(self, principal: Principal, path: str) -> str:
        """A path that a caller names, absolute and without links, whether or not it is there.

        For an account, relative paths begin in its home, and the path must not lead out of it; for
        everybody else they begin where the server works, and must not lead out of the permitted root.

        Raises:
            Denied: it leads out of the home.
            BadValue: it leads out of the permitted root, or can't be a path.
        """
        if "\0" in path:
            raise BadValue(f"{_shown(path)} can't be a path")
        if not principal.confined:
            return self._within_root(path)
        home, real = _real(Path(principal.home)), _real(Path(principal.home) / path)
        if home is None or real is None or not real.is_relative_to(home):
            raise Denied(f"Path '{path}' is outside your home directory: {principal.home}")
        return str(real)

    def working_dir(self, principal: Principal, path: str) -> str:
        """A directory that a caller wants a session to work in, made absolute.

        "" is an account's home; for everybody else it stays "".

        Raises:
            Denied: it leads out of the account's home.
            BadValue: it has a `..` in it, is no directory, or lies outside the permitted root.
        """
        path = path.strip()
        if principal.confined:
            place = Path(self.confine(principal, path))
            _check_folder(place, path or principal.home)
            return str(place)
        if not path:
            return ""
        if ".." in Path(path).parts or "\0" in path:
            raise BadValue(f'invalid working directory: "{path}" must not contain ".."')
        place = self._here / path
        _check_folder(place, path)
        if self._root is None:
            return os.path.realpath(place) if self.must_sandbox(principal) else str(place.absolute())
        if (real := self._inside(place)) is None:
            raise BadValue(f'invalid working directory: "{path}" is outside the permitted root "{self._root}"')
        return str(real)

    def check(self, principal: Principal, working_dir: str) -> None:
        """Look again at a session's directory before it is used: it may be older than the rule, or a link by now.

        Raises:
            Denied: it leads out of the account's home.
            BadValue: it lies outside of the permitted root.
        """
        if principal.confined:
            self.confine(principal, working_dir)
        elif self._root is not None and self._inside(Path(working_dir)) is None:
            raise BadValue(f'the working directory "{working_dir}" is outside the permitted root "{self._root}"')

    def files(self, principal: Principal, messages: Iterable[Message]) -> list[Message]:
        """The messages with the files on this machine that a caller wants a model to be shown, once it may.

        Those of an account are named in full.

        Raises:
            Denied: one leads out of the account's home.
            BadValue: one lies outside the permitted root.
        """
        return [self._with_files(principal, message) for message in messages]

    def _with_files(self, principal: Principal, message: Message) -> Message:
        parts = tuple(
            self._file(principal, part) if isinstance(part, File) and part.path else part for part in message.parts
        )
        return message if parts == message.parts else replace(message, parts=parts)

    def _file(self, principal: Principal, file: File) -> File:
        if principal.confined:
            return replace(file, path=self.confine(principal, file.path), firm=True)
        if self._root is not None and self._inside(self._here / file.path) is None:
            raise BadValue(f'invalid file: "{file.path}" is outside the permitted root "{self._root}"')
        return file

    def _within_root(self, path: str) -> str:
        if (real := _real(self._here / path)) is None:
            raise BadValue(f"{_shown(path)} can't be a path")
        if self._root is not None and not real.is_relative_to(self._root):
            raise BadValue(f'"{path}" is outside the permitted root "{self._root}"')
        return str(real)

    def _inside(self, place: Path) -> Path | None:
        """The place without links, if it lies in the permitted root."""
        real = _real(place)
        return real if real is not None and self._root is not None and real.is_relative_to(self._root) else None

    # -- with what ------------------------------------------------------------------------------

    def model(self, ref: str, own: Collection[str] = ()) -> None:
        """Look at a model that a caller names; `own` are those of the agent file, which may be any.

        Raises:
            BadModel: it is a file on this machine, or no name at all.
        """
        if len(ref) > LONGEST_MODEL:
            raise BadModel(f"the name of the model is longer than {LONGEST_MODEL} characters")
        for part in map(str.strip, ref.split(",")):
            provider, _, name = part.partition("/")
            if provider.lower() == "scripted" and not re.fullmatch(r"[\w-]*", name) and part not in own:
                raise BadModel(f"{part!r} is a file on this machine: only agent files may name it")


def _real(place: Path) -> Path | None:
    """The place without links: what is not there yet lies in the deepest of its parents that is.

    None where nobody can say, as in a circle of links.
    """
    try:
        return place.resolve()
    except (OSError, ValueError, RuntimeError):
        return None


def _check_folder(place: Path, said: str) -> None:
    try:
        if place.is_dir():
            return
        what = "is not a directory" if place.exists() else "does not exist"
    except (OSError, ValueError):
        what = "does not exist"
    raise BadValue(f'invalid working directory: "{said}" {what}')


def _shown(text: str) -> str:
    return repr(text if len(text) <= 40 else text[:40] + "…")


def _allowed(most: int) -> str:
    return f"a letter or digit, then letters, digits, '.', '_' and '-', at most {most} in all"
