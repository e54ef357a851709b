"""Short names for agents: ours in `serve.toml`, and those of docker agent's user file where ours has none."""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

log = logging.getLogger(__name__)

FILE: Final = "config.yaml"
THEIRS: Final = Path(".config") / "cagent" / FILE
LARGEST: Final = 1024 * 1024  # bytes


def known(ours: Mapping[str, str], config_dir: Path, env: Mapping[str, str]) -> dict[str, str]:
    """What each name stands for: a path, an address, a name in a registry, a built-in agent."""
    home = Path(env.get("HOME") or Path.home())
    return {**_theirs([config_dir / FILE, home / THEIRS]), **ours}


def _theirs(paths: list[Path]) -> dict[str, str]:
    """The aliases of the first file that is there.  It is only ever read; one that can't be is left alone."""
    for path in paths:
        try:
            with path.open("rb") as file:
                raw = file.read(LARGEST)
        except FileNotFoundError:
            continue
        except OSError as error:
            log.warning("%s can't be read: %s", path, error.strerror, extra={"action": "aliases_unreadable"})
            continue
        return _read(path, raw)
    return {}


def _read(path: Path, raw: bytes) -> dict[str, str]:
    from roost.config.yaml import Unreadable, read  # most homes have no such file

    try:
        data = read(raw).data
    except Unreadable as error:
        log.warning("%s can't be read: %s", path, error, extra={"action": "aliases_unreadable"})
        return {}
    entries = data.get("aliases") if isinstance(data, dict) else None
    found = {name: _target(entry) for name, entry in entries.items()} if isinstance(entries, dict) else {}
    return {name: target for name, target in found.items() if target}


def _target(entry: Any) -> str:
    target = entry.get("path") if isinstance(entry, dict) else entry
    return target if isinstance(target, str) else ""
