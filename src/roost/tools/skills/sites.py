"""Skills on the web: a site's index of them, and their files, kept on the disk for when it does not answer."""

import hashlib
import json
import logging
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from anyio import to_thread

from roost import private
from roost.ports import Place
from roost.tools.house import House
from roost.tools.reach import Reach, domains
from roost.tools.skills.skill import FILE, LARGEST, Skill, is_name
from roost.tools.tool import Refused
from roost.tools.web import Request, Web

INDEX = "/.well-known/skills/index.json"
FRESH = 300.0  # seconds for which nothing is asked anew
PATIENCE = 10.0  # seconds for one answer
MOST = 500  # skills of one site
MOST_FILES = 200

log = logging.getLogger(__name__)


class Sites:
    """Asks the sites that an agent file names, and no others: it does not follow them elsewhere."""

    def __init__(self, place: Place, house: House) -> None:
        self._kept = house.home / "skills"
        self._env = house.env
        self._endpoints = house.endpoints if place.confined else None

    async def skills(self, source: str) -> list[Skill]:
        """The skills of a site.

        Raises:
            Refused: it does not say, and never has.
        """
        base = source.rstrip("/").removesuffix(INDEX)
        data = await self._get(base + INDEX, base)
        try:
            index = json.loads(data)
        except (ValueError, RecursionError):
            raise Refused(f"{base}{INDEX} is no JSON") from None
        return list(_listed(index, base + INDEX.removesuffix("index.json")))

    async def text(self, skill: Skill, path: str) -> str:
        """A file of a skill.

        Raises:
            Refused: it has none of this name, or it can't be had.
        """
        if path != FILE and path not in skill.files:
            raise Refused(f"the skill {skill.name} has no file {path!r}")
        data = await self._get(skill.url + quote(path), skill.url)
        if b"\0" in data:
            raise Refused(f"{path} is a binary file")
        return data.decode("utf-8-sig", "replace")

    async def _get(self, url: str, base: str) -> bytes:
        kept = self._kept / hashlib.sha256(url.encode()).hexdigest()[:32]
        old, age = await to_thread.run_sync(_kept, kept)
        if old is not None and age < FRESH:
            return old
        try:
            reply = await self._web(base).ask(Request(url), most=LARGEST)
            if reply.status != 200 or reply.cut:
                raise Refused(f"HTTP {reply.words}" if reply.status != 200 else f"it is longer than {LARGEST} bytes")
        except Refused as refusal:
            if old is None:
                raise Refused(f"{url} can't be had: {refusal}") from None
            log.warning("%s can't be had (%s): an older copy stands in", url, refusal, extra={"action": "skill_stale"})
            return old
        await to_thread.run_sync(private.write, kept, reply.body)
        return reply.body

    def _web(self, base: str) -> Web:
        """The host is the agent file's own word, so it may be a private one."""
        try:
            host = urlsplit(base).hostname or ""
        except ValueError:
            host = ""
        if not host:
            raise Refused(f"{base} is no address")
        reach = Reach(private=True, allowed=domains([host], "skills"), endpoints=self._endpoints)
        return Web(reach, self._env, timeout=PATIENCE)


def _kept(path: Path) -> tuple[bytes | None, float]:
    """What is kept, and its age in seconds."""
    try:
        return path.read_bytes(), max(time.time() - path.stat().st_mtime, 0.0)
    except OSError:
        return None, 0.0


def _listed(index: Any, base: str) -> Iterator[Skill]:
    """The skills of an index; what is none is left out."""
    entries = index.get("skills") if isinstance(index, Mapping) else None
    for entry in entries[:MOST] if isinstance(entries, list) else ():
        if not isinstance(entry, Mapping):
            continue
        name, description = str(entry.get("name")), entry.get("description")
        files = entry.get("files")
        if not is_name(name) or not isinstance(description, str) or not description.strip():
            log.warning("a skill of %s is left out: %.80r", base, name, extra={"action": "skill_left_out"})
            continue
        inner = tuple(path for path in files[:MOST_FILES] if _is_inside(path)) if isinstance(files, list) else ()
        yield Skill(name, " ".join(description.split())[:1024], url=f"{base}{name}/", files=inner)


def _is_inside(path: Any) -> bool:
    if not isinstance(path, str) or not path or len(path) > 500 or path.startswith("/") or "\\" in path:
        return False
    return all(part not in ("", ".", "..") for part in path.split("/")) and path.isprintable()
