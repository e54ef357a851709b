"""An agent file as a registry keeps it: its manifest, and what a push adds to the file."""

import codecs
import hashlib
import json
import re
from datetime import UTC, datetime
from typing import Any, Final

from msgspec import Struct

from roost.config.agentfile import load
from roost.config.externals import is_file
from roost.config.shapes import NEWEST
from roost.config.yaml import Document, Unreadable, read
from roost.core.errors import AgentBroken

MANIFEST: Final = "application/vnd.oci.image.manifest.v1+json"
DOCKER: Final = "application/vnd.docker.distribution.manifest.v2+json"
CONFIG: Final = "application/vnd.docker.agent.config.v1+json"
LAYER: Final = "application/yaml"
MARKS: Final = ("io.docker.agent.version", "io.docker.cagent.version")
TITLES: Final = "org.opencontainers.image."

DIGEST: Final = re.compile(r"sha256:[0-9a-f]{64}")

_BREAK = re.compile(r"\r\n|[\r\n\x85\u2028\u2029]")


class Packed(Struct, frozen=True):
    """All that is pushed: three blobs, the manifest among them."""

    manifest: bytes
    config: bytes
    layer: bytes

    @property
    def digest(self) -> str:
        """The manifest's, by which all of it is known."""
        return digest(self.manifest)


def digest(content: bytes) -> str:
    """What a registry calls a content."""
    return "sha256:" + hashlib.sha256(content).hexdigest()


def pack(raw: bytes, *, name: str, tool: str, now: datetime) -> Packed:
    """An agent file made ready for a registry; one without a `version` gets a line that says it.

    Raises:
        AgentBroken: it does not load, so nobody could use it.
    """
    layer = versioned(raw, name=name)
    created = now.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    config = {
        "architecture": "",
        "created": created,
        "os": "",
        "config": {},
        "rootfs": {"type": "layers", "diff_ids": [digest(layer)]},
    }
    config_raw = _json(config)
    manifest = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "artifactType": CONFIG,
        "config": _descriptor(CONFIG, config_raw),
        "layers": [_descriptor(LAYER, layer)],
        "annotations": {**dict.fromkeys(MARKS, tool), f"{TITLES}created": created, **_told(layer, name)},
    }
    return Packed(_json(manifest), config_raw, layer)


def _json(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def _descriptor(kind: str, content: bytes) -> dict[str, Any]:
    return {"mediaType": kind, "digest": digest(content), "size": len(content)}


def _told(raw: bytes, name: str) -> dict[str, str]:
    """What the file says about itself, as annotations."""
    data = read(raw).data
    about = data.get("metadata") if isinstance(data, dict) else None
    about = about if isinstance(about, dict) else {}
    keys = {"description": "description", "authors": "author", "licenses": "license", "revision": "version"}
    told = {TITLES + key: str(about[source]) for key, source in keys.items() if about.get(source)}
    if isinstance(about.get("tags"), list) and about["tags"]:
        told["io.docker.agent.tags"] = ",".join(str(tag) for tag in about["tags"])
    return {f"{TITLES}description": f"Agent file {name}", **told}


# -- the version line ---------------------------------------------------------------------------


def versioned(raw: bytes, *, name: str) -> bytes:
    """The file with a `version`: the newest with which it loads.  One that names its own is left as it is.

    Raises:
        AgentBroken: it does not load.
    """
    team = load(name, raw, name=name)
    if near := next(filter(is_file, team.externals.values()), ""):
        raise AgentBroken(f"{name} names a file of this machine, which nobody else has: {near}")
    document = read(raw)
    if not isinstance(document.data, dict) or "version" in document.data:
        return raw
    trouble: AgentBroken | None = None
    for version in range(NEWEST, -1, -1):
        told = _with_line(raw, document, version)
        if told is None:
            raise AgentBroken(f"{name} has no `version`, and there is no place for it: write the line yourself")
        try:
            load(name, told, name=name)
        except AgentBroken as error:
            trouble = trouble or error
        else:
            return told
    assert trouble is not None
    raise AgentBroken(f"{name} has no `version`, and there is none with which it loads. {trouble.message}")


def _with_line(raw: bytes, document: Document, version: int) -> bytes | None:
    """The same bytes, with one line before the first key; None where that would say something else."""
    mark = "\ufeff" if raw.startswith(codecs.BOM_UTF8) else ""
    text = raw.decode("utf-8").removeprefix(mark)
    breaks = list(_BREAK.finditer(text))
    ending = next((one[0] for one in breaks if one[0] in ("\n", "\r\n", "\r")), "\n")
    first = min(at for path, at in document.keys.items() if len(path) == 1)
    start = breaks[first.line - 2].end() if first.line > 1 else 0
    offset = start + first.column - 1
    before = text[start:offset]
    line = f'version: "{version}",{ending}' if before.strip() else f'version: "{version}"{ending}{before}'
    told = f"{mark}{text[:offset]}{line}{text[offset:]}".encode()
    try:
        return told if read(told).data == {"version": str(version), **document.data} else None
    except Unreadable:
        return None


# -- what came from a registry ------------------------------------------------------------------


class Layer(Struct, frozen=True):
    """Where a manifest says that the file is."""

    digest: str
    size: int


def layer(manifest: bytes, name: str) -> Layer:
    """The agent file of a manifest.

    Raises:
        AgentBroken: it is not an agent's manifest.
    """
    try:
        data = json.loads(manifest)
        layers = data["layers"] if isinstance(data, dict) and "layers" in data else None
        if layers is None:
            raise AgentBroken(f"{name} is no agent: it holds other images, or none")
        marks = data.get("annotations") or {}
        if not any(marks.get(mark) for mark in MARKS):
            raise AgentBroken(f"{name} is no agent: its manifest has neither {MARKS[0]} nor {MARKS[1]}")
        texts = [one for one in layers if one["mediaType"] == LAYER]
        if len(texts) != 1:
            raise AgentBroken(f"{name} is no agent: it has {len(texts)} layers of type {LAYER} in place of one")
        found = Layer(str(texts[0]["digest"]), int(texts[0]["size"]))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise AgentBroken(f"{name}: the registry sent a manifest that can't be read") from error
    if not DIGEST.fullmatch(found.digest):
        raise AgentBroken(f"{name}: its manifest names no SHA-256 digest")
    return found
