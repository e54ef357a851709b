"""Agents in registries: pushed, pulled and kept."""

import os
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import anyio

from roost import __version__
from roost.cli import options, progress
from roost.clock import SystemClock
from roost.config import artifact
from roost.config.references import Reference, is_address, parse
from roost.config.remotes import Remotes
from roost.config.settings import load
from roost.config.storeroom import Kept
from roost.config.yaml import LARGEST
from roost.core.errors import BadValue
from roost.ports import Progress
from roost.service.progress import Jobs


def named(reference: str) -> Reference:
    """The name in a registry that is meant.

    Raises:
        BadValue: it is none.
    """
    found = parse(reference)
    if found is None or is_address(reference):
        raise BadValue(f"{reference!r} is no name in a registry: those are like org/name:tag")
    return found


def push(file: Path, to: Reference, flags: Mapping[str, Any]) -> tuple[str, bool]:
    """Put a file there: its digest, and whether it got a `version` on the way."""
    with file.open("rb") as opened:
        raw = opened.read(LARGEST + 1)
    packed = artifact.pack(raw, name=file.name, tool=__version__, now=datetime.now(UTC))
    return anyio.run(_remotes(flags).push, to, packed), packed.layer != raw


def pull(wanted: Reference, flags: Mapping[str, Any]) -> Kept:
    """Fetch an agent, and show how far it is."""
    return anyio.run(_pull, wanted, flags)


def kept(flags: Mapping[str, Any]) -> Sequence[Kept]:
    """What has been pulled."""
    return anyio.run(_remotes(flags).kept)


async def _pull(wanted: Reference, flags: Mapping[str, Any]) -> Kept:
    jobs = Jobs(SystemClock())
    async with progress.shown(jobs):
        return await _remotes(flags, jobs).pull(wanted)


def _remotes(flags: Mapping[str, Any], told: Progress | None = None) -> Remotes:
    return Remotes(load(options.given(dict(flags)), os.environ).data_dir, os.environ, told)
