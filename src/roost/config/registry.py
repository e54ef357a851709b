"""A registry: manifests and blobs, asked for and handed in, with whatever login it wants."""

import json
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote, urljoin, urlsplit

from roost.config import artifact, credentials
from roost.config.artifact import Packed
from roost.config.credentials import Login
from roost.config.references import HUB, Reference
from roost.config.transfer import Reply, Told, ask, unheard
from roost.config.yaml import LARGEST
from roost.core.errors import AgentUnreachable

if TYPE_CHECKING:
    import httpx2

MANIFESTS: Final = 4 * 1024 * 1024  # bytes, as large as registries take them
WORDS: Final = 256 * 1024  # bytes of any other answer

_PART = re.compile(r'(\w+)="([^"]*)"')


class Registry:
    """The registry of one reference, for a few requests."""

    def __init__(self, client: "httpx2.AsyncClient", reference: Reference, env: Mapping[str, str]) -> None:
        self._client = client
        self._env = env
        self.reference = reference
        host = "registry-1.docker.io" if reference.registry == HUB else reference.registry
        self._root = f"{'http' if reference.local else 'https'}://{host}"
        self._base = f"{self._root}/v2/{reference.repository}"
        self._header = ""

    async def digest(self) -> str:
        """What the reference stands for now; "" where the registry does not say.

        Raises:
            AgentUnreachable
        """
        reply = await self._ask("HEAD", self._manifest_url(), most=MANIFESTS, headers=_ACCEPT)
        found = reply.headers.get("docker-content-digest", "")
        return found if reply.status == 200 and artifact.DIGEST.fullmatch(found) else ""

    async def manifest(self) -> bytes:
        """The manifest, as it is signed for by its digest.

        Raises:
            AgentUnreachable: it is not there, or something else came.
        """
        reply = await self._ask("GET", self._manifest_url(), most=MANIFESTS, headers=_ACCEPT)
        if reply.status != 200:
            raise self._refused(reply)
        promised = self.reference.digest or reply.headers.get("docker-content-digest", "")
        if promised and promised != artifact.digest(reply.body):
            raise AgentUnreachable(f"{self.reference}: the registry sent something else than {promised}")
        return reply.body

    async def blob(self, digest: str, size: int, told: Told) -> bytes:
        """A content by its digest; `told` hears of the bytes as they come.

        Raises:
            AgentUnreachable: it is not there, too large, or something else came.
        """
        if not 0 <= size <= LARGEST:
            raise AgentUnreachable(f"{self.reference}: the agent file is larger than {LARGEST} bytes")
        reply = await self._ask("GET", f"{self._base}/blobs/{digest}", most=LARGEST, told=told)
        if reply.status != 200:
            raise self._refused(reply)
        if artifact.digest(reply.body) != digest:
            raise AgentUnreachable(f"{self.reference}: the registry sent something else than {digest}")
        return reply.body

    async def push(self, packed: Packed) -> str:
        """Hand in all of it, the manifest last; the digest by which it can be asked for.

        Raises:
            AgentUnreachable: the registry does not take it.
        """
        for content in (packed.config, packed.layer):
            await self._upload(content)
        url, kind = self._manifest_url(), {"content-type": artifact.MANIFEST}
        reply = await self._ask("PUT", url, most=WORDS, headers=kind, body=packed.manifest)
        if reply.status not in (200, 201):
            raise self._refused(reply, "pushed")
        return packed.digest

    async def _upload(self, content: bytes) -> None:
        digest = artifact.digest(content)
        if (await self._ask("HEAD", f"{self._base}/blobs/{digest}", most=WORDS)).status == 200:
            return
        reply = await self._ask("POST", f"{self._base}/blobs/uploads/", most=WORDS)
        if reply.status != 202 or not reply.headers.get("location"):
            raise self._refused(reply, "pushed")
        there = urljoin(f"{self._base}/blobs/uploads/", reply.headers["location"])
        there += f"{'&' if '?' in there else '?'}digest={quote(digest, safe='')}"
        kind = {"content-type": "application/octet-stream"}
        reply = await self._ask("PUT", there, most=WORDS, headers=kind, body=content)
        if reply.status not in (200, 201):
            raise self._refused(reply, "pushed")

    def _manifest_url(self) -> str:
        return f"{self._base}/manifests/{self.reference.wanted}"

    def _refused(self, reply: Reply, done: str = "fetched") -> AgentUnreachable:
        told = {
            401: f"there is no such agent, or the registry wants a login (`docker login {self.reference.registry}`)",
            403: "the registry does not allow it",
            404: "the registry has no such agent",
        }
        return AgentUnreachable(f"{self.reference} can't be {done}: {told.get(reply.status, reply.told)}")

    # -- login ----------------------------------------------------------------------------------

    async def _ask(
        self,
        method: str,
        url: str,
        *,
        most: int,
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
        told: Told = unheard,
    ) -> Reply:
        """A request; where the registry wants to know who we are, once more with that."""
        for attempt in (1, 2):
            reply = await ask(
                self._client, method, url, most=most, headers=headers, authorize=self._authorize, body=body, told=told
            )
            if reply.status != 401 or attempt == 2:
                break
            self._header = await self._login(reply.headers.get("www-authenticate", ""))
            if not self._header:
                break
        return reply

    def _authorize(self, url: "httpx2.URL") -> Mapping[str, str]:
        """Only the registry itself is told who we are: not the storage that it sends us to."""
        ours = str(url).startswith(f"{self._root}/")
        return {"authorization": self._header} if self._header and ours else {}

    async def _login(self, challenge: str) -> str:
        """The header that a challenge asks for; "" where there is none."""
        known = await credentials.login(self.reference.registry, self._env)
        kind, _, rest = challenge.partition(" ")
        parts = dict(_PART.findall(rest))
        if kind.lower() == "basic" and known is not None and known.name:
            return known.basic
        if kind.lower() == "bearer" and parts.get("realm"):
            return f"Bearer {await self._token(parts, known)}"
        return ""

    async def _token(self, parts: Mapping[str, str], known: Login | None) -> str:
        """A token of the server that the registry names: with our login where there is one, else as anybody."""
        realm = parts["realm"]
        if urlsplit(realm).scheme != "https" and not self.reference.local:
            raise AgentUnreachable(f"{self.reference.registry} wants a login without TLS, which is not given")
        asked = {key: parts[key] for key in ("service", "scope") if parts.get(key)}
        if known is not None and known.identity:
            form = {**asked, "grant_type": "refresh_token", "client_id": "roost"}
            form["refresh_token"] = known.identity.reveal()
            kind = {"content-type": "application/x-www-form-urlencoded"}
            reply = await ask(self._client, "POST", realm, most=WORDS, headers=kind, body=_form(form))
        else:
            header = {"authorization": known.basic} if known is not None and known.name else {}
            url = f"{realm}{'&' if '?' in realm else '?'}{_form(asked).decode()}"
            reply = await ask(
                self._client, "GET", url, most=WORDS, authorize=lambda at: header if _same(at, url) else {}
            )
        return self._read_token(reply)

    def _read_token(self, reply: Reply) -> str:
        if reply.status in (400, 401, 403):
            raise AgentUnreachable(f"{self.reference.registry} refuses the login for {self.reference}")
        try:
            data: Any = json.loads(reply.body)
            token = data.get("token") or data.get("access_token") if reply.status == 200 else ""
        except (ValueError, AttributeError, RecursionError):
            token = ""
        if not isinstance(token, str) or not re.fullmatch(r"[\x21-\x7e]+", token):
            raise AgentUnreachable(f"the login of {self.reference.registry} sent no token (HTTP {reply.status})")
        return token


_ACCEPT = {"accept": f"{artifact.MANIFEST}, {artifact.DOCKER}"}


def _form(values: Mapping[str, str]) -> bytes:
    return "&".join(f"{quote(key)}={quote(value, safe='')}" for key, value in values.items()).encode()


def _same(at: "httpx2.URL", url: str) -> bool:
    """Whether a redirect has stayed with the server that it came from."""
    parts = urlsplit(url)
    return (at.scheme, at.netloc.decode()) == (parts.scheme, parts.netloc)
