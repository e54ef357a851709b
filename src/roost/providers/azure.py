"""OpenAI's models as Azure serves them: the same formats, at other addresses and with another header for the key."""

import re
from urllib.parse import quote, urlsplit

from roost.core.agents import ModelSpec
from roost.core.vendors import API_TYPES
from roost.ports import ModelRequest
from roost.providers.openai import Chat
from roost.providers.responses import Responses

_DATED = re.compile(r"\d{4}-\d{2}-\d{2}")


class AzureChat(Chat):
    """Chat Completions at Azure."""

    def __init__(self, spec: ModelSpec) -> None:
        super().__init__(spec, genuine=True)
        self.path = path(spec, "/chat/completions", deployed=True)

    def headers(self, request: ModelRequest, key: str) -> dict[str, str]:
        """The headers that this dialect needs."""
        return {"api-key": key} if key else {}


class AzureResponses(Responses):
    """The Responses API at Azure."""

    def __init__(self, spec: ModelSpec) -> None:
        super().__init__(spec, genuine=True)
        self.path = path(spec, "/responses", deployed=False)

    def headers(self, request: ModelRequest, key: str) -> dict[str, str]:
        """The headers that this dialect needs."""
        return {"api-key": key} if key else {}


def dialect(spec: ModelSpec) -> AzureChat | AzureResponses:
    """The dialect that the options name; else Chat Completions."""
    wish = API_TYPES.get(str(spec.options.get("api_type")))
    return AzureResponses(spec) if wish == "openai-responses" else AzureChat(spec)


def path(spec: ModelSpec, end: str, *, deployed: bool) -> str:
    """What follows the file's `base_url`.

    A bare resource (`https://name.openai.azure.com`) gets the rest of its path: with a dated `api_version`
    that of the deployment, else that of the newer API, which needs no version.  A longer one is taken as it is.
    """
    version = str(spec.options.get("api_version") or "")
    query = f"?api-version={quote(version)}" if version else ""
    base = urlsplit(spec.base_url).path.rstrip("/")
    if base not in ("", "/openai"):
        return end + query
    start = "" if base else "/openai"
    if not _DATED.match(version):
        return f"{start}/v1{end}{query}"
    return f"{start}/deployments/{quote(spec.model, safe='')}{end}{query}" if deployed else f"{start}{end}{query}"
