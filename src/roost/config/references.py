"""What leads to an agent that lives elsewhere: an address, or a name in a registry."""

import re
from typing import Final
from urllib.parse import parse_qsl, urlsplit

from msgspec import Struct

HUB: Final = "docker.io"
LONGEST: Final = 2048  # characters

_COMPONENT = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_NAME = re.compile(rf"{_COMPONENT}(?:/{_COMPONENT})*")
_HOST = re.compile(r"(?:[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?(?:\.[A-Za-z0-9-]+)*|\[[0-9A-Fa-f:]+\])(?::\d{1,5})?")
_TAG = re.compile(r"\w[\w.-]{0,127}", re.ASCII)
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_LOCAL = re.compile(r"(localhost|127(\.\d{1,3}){3}|\[::1\])(:\d+)?")
_UNFIT = re.compile(r'[/:@\\*?"<>|]')
_PASSING = re.compile(
    r"(?i)(access_?)?token|sig(nature)?|expires?|policy|key-pair-id|googleaccessid|awsaccesskeyid|x-(amz|goog)-.*"
    r"|s[erptvk]|spr|sip|sk(oid|tid|t|e|s|v)"
)


class Reference(Struct, frozen=True):
    """A name in a registry, all of it.  Where there is a digest, it decides and the tag is for people."""

    registry: str
    repository: str
    tag: str = ""
    digest: str = ""

    def __str__(self) -> str:
        tag = f":{self.tag}" if self.tag else ""
        digest = f"@{self.digest}" if self.digest else ""
        return f"{self.registry}/{self.repository}{tag}{digest}"

    @property
    def wanted(self) -> str:
        """What the registry is asked for."""
        return self.digest or self.tag

    @property
    def local(self) -> bool:
        """Whether the registry is on this machine: only such a one is spoken to in plain HTTP."""
        return _LOCAL.fullmatch(self.registry) is not None


def parse(text: str) -> Reference | None:
    """A name in a registry as people write it; None where it is none.  `org/name` is Docker Hub's."""
    rest, _, digest = text.removeprefix("oci://").partition("@")
    if len(text) > LONGEST or ("@" in text and not _DIGEST.fullmatch(digest)):
        return None
    registry, path = _parted(rest)
    path, colon, tag = path.partition(":")
    if (colon and not _TAG.fullmatch(tag)) or not _NAME.fullmatch(path) or not _HOST.fullmatch(registry):
        return None
    if registry in ("index.docker.io", "registry-1.docker.io", "registry.hub.docker.com"):
        registry = HUB
    if registry == HUB and "/" not in path:
        path = f"library/{path}"
    return Reference(registry.lower(), path, tag or ("" if digest else "latest"), digest)


def _parted(name: str) -> tuple[str, str]:
    """The registry, and what it has under which name."""
    head, slash, tail = name.partition("/")
    elsewhere = slash and ("." in head or ":" in head or head == "localhost" or head != head.lower())
    return (head, tail) if elsewhere else (HUB, name)


def is_address(text: str) -> bool:
    """Whether it is an `http(s)` address."""
    return re.match(r"https?://", text, re.IGNORECASE) is not None


def is_external(text: str) -> bool:
    """Whether an agent file that names this means one from elsewhere.  A bare word is never that."""
    return is_address(text) or text.startswith("oci://") or ("/" in text and parse(text) is not None)


def source_id(reference: str) -> str:
    """The id under which what a registry's name leads to is served."""
    name = _UNFIT.sub("_", reference.removeprefix("oci://"))
    return name if name.endswith(".yaml") else f"{name}.yaml"


def canonical(reference: str) -> str:
    """One spelling for all that lead to the same: `org/a` and `docker.io/org/a:latest` are one."""
    if is_address(reference):
        return reference
    found = parse(reference)
    return str(found) if found is not None else reference


def lasting(address: str) -> str:
    """An address without what changes from one link to the next: signatures, tokens, times."""
    parts = urlsplit(address)
    kept = [pair for pair in parse_qsl(parts.query, keep_blank_values=True) if not _PASSING.fullmatch(pair[0])]
    return repr((parts.scheme, parts.netloc, parts.path, sorted(kept)))


def is_near(reference: str) -> bool:
    """Whether it is fetched from this machine."""
    if not is_address(reference):
        found = parse(reference)
        return found is not None and found.local
    netloc = urlsplit(reference).netloc.rpartition("@")[2]
    return _LOCAL.fullmatch(netloc.lower()) is not None
