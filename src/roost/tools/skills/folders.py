"""Skills on this machine: where they are looked for, and their files."""

# ruff: noqa: PTH112, PTH113, PTH118, PTH208  (paths are text here, as in `paths`)

import logging
import os
from collections.abc import Iterator

from msgspec.structs import replace

from roost.tools.paths import Paths
from roost.tools.skills.skill import FILE, LARGEST, BadSkill, Skill, described
from roost.tools.tool import Refused

DEEPEST = 8  # folders in folders
MOST = 1000  # skills of one place
MOST_FILES = 200  # of one skill
LARGEST_FILE = 256 * 1024  # bytes

log = logging.getLogger(__name__)


def find(working_dir: str, home: str, *, confined: bool) -> dict[str, Skill]:
    """All skills by name.  Of several with one name, that which lies closest to the working directory."""
    found: dict[str, Skill] = {}
    for place, deep in _places(os.path.realpath(working_dir), home):
        for folder in _folders(place, DEEPEST if deep else 1):
            if confined and _inside(folder, working_dir) and not _inside(os.path.realpath(folder), working_dir):
                continue  # a link out of it
            try:
                skill = _read(folder)
            except BadSkill as error:
                log.warning("%s is left out: %s", folder, error, extra={"action": "skill_left_out"})
                continue
            found[skill.name] = skill
    return found


def _places(working_dir: str, home: str) -> Iterator[tuple[str, bool]]:
    """Folders of skills, the most general first; with whether skills may lie deeper in them."""
    if home:
        yield os.path.join(home, ".codex/skills"), True
        yield os.path.join(home, ".claude/skills"), False
        yield os.path.join(home, ".agents/skills"), True
    yield os.path.join(working_dir, ".claude/skills"), False
    for folder in _from_root(working_dir):
        yield os.path.join(folder, ".agents/skills"), False


def _from_root(working_dir: str) -> list[str]:
    """The folders from the root of the repository down to the working directory; without one, that alone."""
    chain = [working_dir]
    while not _is_repository(os.path.join(chain[-1], ".git")):
        parent = os.path.dirname(chain[-1])  # noqa: PTH120
        if parent == chain[-1]:
            return [working_dir]
        chain.append(parent)
    return chain[::-1]


def _is_repository(path: str) -> bool:
    """Whether a `.git` is one: a folder with a HEAD, or the file of a working copy elsewhere."""
    return os.path.isfile(path) or os.path.lexists(os.path.join(path, "HEAD"))


def _folders(place: str, depth: int, seen: set[str] | None = None) -> Iterator[str]:
    """The folders with a SKILL.md, by name.  A skill holds no other skills; no folder is looked into twice."""
    seen = set() if seen is None else seen
    try:
        names = sorted(os.listdir(place))
    except OSError:
        return
    for name in names:
        folder = os.path.join(place, name)
        real = os.path.realpath(folder)
        if len(seen) >= MOST or real in seen or not os.path.isdir(real):
            continue
        seen.add(real)
        if os.path.isfile(os.path.join(real, FILE)):
            yield folder
        elif depth > 1:
            yield from _folders(folder, depth - 1, seen)


def _read(folder: str) -> Skill:
    real = os.path.realpath(folder)
    try:
        skill = described(text(real, FILE, LARGEST), os.path.basename(folder))  # noqa: PTH119
    except Refused as refusal:
        raise BadSkill(str(refusal)) from None
    return replace(skill, folder=real)


def text(folder: str, path: str, most: int = LARGEST_FILE) -> str:
    """A file of a skill.

    Raises:
        Refused: it lies outside of the skill's folder, is not there, is too large or no text.
    """
    if os.path.isabs(path) or path.startswith("~") or ".." in path.split("/"):  # noqa: PTH117
        raise Refused(f"{path} is not a path inside of the skill")
    paths = Paths(folder, {}, confined=True)
    try:
        spot = paths.find(path)
    except Refused:
        raise Refused(f"{path} is not a path inside of the skill") from None
    with paths.open(spot) as file:
        data = file.read(most + 1)
    if len(data) > most:
        raise Refused(f"{path} is too large ({most} bytes at most)")
    if b"\0" in data:
        raise Refused(f"{path} is a binary file")
    return data.decode("utf-8-sig", "replace")


def files(folder: str) -> list[str]:
    """The files of a skill beside its SKILL.md, without hidden ones and links."""
    found: list[str] = []
    for place, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        inner = os.path.relpath(place, folder)
        for name in sorted(names):
            path = os.path.normpath(os.path.join(inner, name))
            if not name.startswith(".") and path != FILE and not os.path.islink(os.path.join(place, name)):  # noqa: PTH114
                found.append(path)
        if len(found) >= MOST_FILES:
            return [*found[:MOST_FILES], "..."]
    return found


def _inside(path: str, folder: str) -> bool:
    root = os.path.realpath(folder)
    return path == root or path.startswith(root.rstrip("/") + "/")
