"""The one place that says who may do what, and where."""

from pathlib import Path

from roost.core.errors import BadValue, Denied
from roost.core.principals import Principal
from roost.core.session import Head


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
        if self._root is not None and not place.resolve().is_relative_to(self._root):
            raise BadValue(f'invalid working directory: "{path}" is outside the permitted root "{self._root}"')
        return str(place.absolute())


def _exists(place: Path) -> bool:
    try:
        return place.exists()
    except (OSError, ValueError):
        return False
