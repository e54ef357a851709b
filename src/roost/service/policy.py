"""The one place that says who may do what, and where."""

import re
from collections.abc import Collection, Iterable
from pathlib import Path

from roost.core.errors import BadModel, BadValue, Denied
from roost.core.messages import File, Message
from roost.core.principals import Principal
from roost.core.session import Head

LONGEST_MODEL = 1000  # characters of a reference; it may be a list


class Policy:
    """Asked by every method of the service that names a session or a path, whichever door it came through."""

    def __init__(self, working_dir: Path, root: Path | None = None) -> None:
        self._here = working_dir
        self._root = root.resolve() if root else None

    @property
    def default_dir(self) -> str:
        """Where a session works that names no directory."""
        return str(self._root or self._here)

    def may(self, principal: Principal, head: Head) -> None:
        """Whether a caller may look at, or change, a session.

        With one token, or none, all callers are one person: whoever the door lets in may.  A session
        that names its owner is that owner's alone.

        Raises:
            Denied: it belongs to somebody else.
        """
        if head.owner and principal.name and head.owner != principal.name:
            raise Denied("this session belongs to another account")

    def working_dir(self, path: str) -> str:
        """A directory that a caller wants a session to work in, made absolute; "" stays "".

        Raises:
            BadValue: it has a `..` in it, is no directory, or lies outside the permitted root.
        """
        path = path.strip()
        if not path:
            return ""
        if ".." in Path(path).parts or "\0" in path:
            raise BadValue(f'invalid working directory: "{path}" must not contain ".."')
        place = self._here / path
        try:
            found = place.is_dir()
        except (OSError, ValueError):
            found = False
        if not found:
            what = "is not a directory" if _exists(place) else "does not exist"
            raise BadValue(f'invalid working directory: "{path}" {what}')
        if self._root is None:
            return str(place.absolute())
        if (real := self._inside(place)) is None:
            raise BadValue(f'invalid working directory: "{path}" is outside the permitted root "{self._root}"')
        return str(real)

    def check(self, working_dir: str) -> None:
        """Look again at a session's directory before it is used: it may be older than the permitted root.

        Raises:
            BadValue: it lies outside.
        """
        if self._root is not None and self._inside(Path(working_dir)) is None:
            raise BadValue(f'the working directory "{working_dir}" is outside the permitted root "{self._root}"')

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

    def files(self, messages: Iterable[Message]) -> None:
        """Look at the files on this machine that a caller wants to be shown to a model.

        Raises:
            BadValue: one lies outside the permitted root.
        """
        for message in messages if self._root is not None else ():
            for part in message.parts:
                if isinstance(part, File) and part.path and self._inside(self._here / part.path) is None:
                    raise BadValue(f'invalid file: "{part.path}" is outside the permitted root "{self._root}"')

    def _inside(self, place: Path) -> Path | None:
        """The place without links, if it lies in the permitted root."""
        try:
            real = place.resolve()
        except (OSError, ValueError, RuntimeError):
            return None
        return real if self._root is not None and real.is_relative_to(self._root) else None


def _exists(place: Path) -> bool:
    try:
        return place.exists()
    except (OSError, ValueError):
        return False
