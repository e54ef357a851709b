"""Skills for agent CLIs: folders with a SKILL.md, kept in `<home>/skills` and linked to where each CLI looks."""

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from msgspec import Struct

from roost.core.errors import BadValue, NotKept
from roost.core.principals import Principal
from roost.service.desk import Desk
from roost.service.shelf import write

FILE = "SKILL.md"
PREFIX = "roost-"
LARGEST = 1 << 20  # bytes of a SKILL.md
LONGEST = 4000  # characters of a description
PLACES: Mapping[str, str] = {
    "claude": ".claude/skills",
    "gemini": ".gemini/skills",
    "copilot": ".copilot/skills",
    "codex": ".agents/skills",
}
"""Where each CLI looks for skills, below the user's home."""


class Skill(Struct, frozen=True):
    """A skill: the front matter of its file, the text below it, and the folder."""

    name: str
    description: str
    body: str
    dir: str


class Skills:
    """Looks after the folder.  Only the server's own token may, where there are accounts."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._folder = desk.makers.home / "skills"
        self._user = Path(desk.makers.env.get("HOME") or "/nonexistent")

    def listing(self, principal: Principal) -> Sequence[Skill]:
        """All skills, by name."""
        self._desk.policy.admin(principal)
        if not self._folder.is_dir():
            return []
        return [read(place) for place in sorted(self._folder.iterdir()) if (place / FILE).is_file()]

    def show(self, principal: Principal, name: str) -> Skill:
        """One of them.

        Raises:
            BadValue: that can't be a name.
            NotKept: there is none.
        """
        return read(self._place(principal, name))

    def add(self, principal: Principal, name: str, description: str = "") -> str:
        """Make a skill to be filled in; the path of its file.

        Raises:
            BadValue: that can't be a name, or it is taken.
        """
        self._desk.policy.admin(principal)
        place = self._folder / self._desk.policy.name(name, "skill's name")
        if place.exists():
            raise BadValue(f"there is a skill {name!r} already")
        if len(description) > LONGEST:
            raise BadValue(f"the description is longer than {LONGEST} characters")
        said = " ".join(description.split())
        write(place / FILE, f"---\nname: {name}\ndescription: {said}\n---\n\n# {name}\n\n{said}\n")
        return str(place / FILE)

    def remove(self, principal: Principal, name: str) -> None:
        """Remove a skill, and the links to it.

        Raises:
            BadValue: that can't be a name.
            NotKept: there is none.
        """
        place = self._place(principal, name)
        for folder in PLACES.values():
            link = self._user / folder / f"{PREFIX}{name}"
            if link.is_symlink():
                link.unlink()
        shutil.rmtree(place)

    def sync(self, principal: Principal, provider: str = "") -> int:
        """Link all skills to where a CLI, or each of them, looks for skills; how many links were made.

        Raises:
            BadValue: a provider that has no skills.
        """
        skills, made = self.listing(principal), 0
        for place in [_place_of(provider)] if provider else PLACES.values():
            folder = self._user / place
            for skill in skills:
                made += _linked(folder / f"{PREFIX}{Path(skill.dir).name}", Path(skill.dir))
        return made

    def take_over(self, principal: Principal, provider: str = "") -> Sequence[str]:
        """Copy a CLI's own skills that are not here yet; their names.

        Raises:
            BadValue: a provider that has no skills.
        """
        self._desk.policy.admin(principal)
        folder, names = self._user / _place_of(provider or "claude"), []
        for place in sorted(folder.iterdir()) if folder.is_dir() else []:
            mine = self._folder / place.name
            if place.is_symlink() or mine.exists() or not (place / FILE).is_file():
                continue
            self._desk.policy.name(place.name, "skill's name")
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            shutil.copytree(place, mine, symlinks=True)
            names.append(place.name)
        return names

    def _place(self, principal: Principal, name: str) -> Path:
        self._desk.policy.admin(principal)
        place = self._folder / self._desk.policy.name(name, "skill's name")
        if place.is_symlink() or not (place / FILE).is_file():
            raise NotKept("skill", name)
        return place


def read(place: Path) -> Skill:
    """A skill as its file has it.

    Raises:
        BadValue: it can't be read.
    """
    try:
        with (place / FILE).open("rb") as file:
            text = file.read(LARGEST).decode("utf-8", "replace")
    except OSError as error:
        raise BadValue(f"{place / FILE} can't be read: {error.strerror}") from None
    matter, body = _parted(text)
    return Skill(matter.get("name") or place.name, matter.get("description", ""), body, str(place))


def _parted(text: str) -> tuple[dict[str, str], str]:
    """The front matter's plain lines, and what stands below it."""
    lines = text.splitlines()
    if not lines or lines[0].strip() != "---":
        return {}, text
    end = next((number for number, line in enumerate(lines[1:], 1) if line.strip() == "---"), 0)
    pairs = (line.partition(":") for line in lines[1:end] if not line.startswith((" ", "#")))
    matter = {key.strip(): value.strip().strip("\"'") for key, colon, value in pairs if colon}
    return matter, "\n".join(lines[end + 1 :]).strip("\n") if end else text


def _place_of(provider: str) -> str:
    if provider not in PLACES:
        raise BadValue(f"{provider[:40]!r} has no skills (those that have: {', '.join(PLACES)})")
    return PLACES[provider]


def _linked(link: Path, target: Path) -> bool:
    """Make a link; False where it is there, or something else has its name."""
    if link.is_symlink():
        if link.readlink() == target:
            return False
        link.unlink()
    elif link.exists():
        return False
    link.parent.mkdir(parents=True, exist_ok=True)
    link.symlink_to(target)
    return True
