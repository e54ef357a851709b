"""The toolset `openapi`: each operation of an OpenAPI document as a tool."""

import json
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Any

from roost.core.agents import ToolsetSpec
from roost.core.errors import ToolsetFailed
from roost.core.messages import Annotations, Result
from roost.ports import Place, Use
from roost.tools.api import answered
from roost.tools.house import House
from roost.tools.operations import LOOKING, Broken, Document, Operation
from roost.tools.tool import Kit, Native, Refused, in_thread
from roost.tools.veil import Veil
from roost.tools.web import Request, Web, web

CATEGORY = "openapi"
DEEPEST = 200  # levels of a YAML document
_INSTRUCTIONS = """\
Some tools are operations of an HTTP API. Their arguments that begin with `body_` are the fields of the request's body.
"""
MOST = 10 * 1024 * 1024  # bytes of a document


@asynccontextmanager
async def open_openapi(spec: ToolsetSpec, place: Place, house: House) -> AsyncIterator[Kit]:
    """The document is read anew at each start; its order is the tools' order."""
    veil = Veil(house.env, place)
    asking = web(spec, place, house, veil)
    url = veil.fill(spec.options.get("url", ""))
    try:
        reply = await asking.ask(Request(url), most=MOST)
        if not reply.good or reply.cut:
            raise Refused(f"HTTP {reply.words}" if not reply.good else f"it is longer than {MOST} bytes")
        document = await in_thread(lambda _: Document(_read(reply.body), reply.url))
        base, operations = document.base(), list(document.operations())
    except (Refused, Broken) as refused:
        where = veil.cover(spec.options.get("url", ""))
        raise ToolsetFailed(f"the OpenAPI document {where} can't be used: {veil.cover(str(refused))}") from None
    wanted = [operation for operation in operations if not spec.tools or operation.name in spec.tools]
    yield Kit(tuple(_tool(operation, base, asking, veil) for operation in wanted), _INSTRUCTIONS)


def _read(body: bytes) -> Any:
    """A document as data: JSON, else YAML with what JSON has no word for as text."""
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        pass
    import yaml  # only where a document is not JSON

    class Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
        """Dates stay text."""

    Loader.yaml_implicit_resolvers = {
        first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }
    text = body.decode("utf-8-sig", errors="replace")
    try:
        _flat(yaml.parse(text, Loader))
        return yaml.load(text, Loader)  # noqa: S506  it is a safe one
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        what = str(getattr(error, "problem", "") or type(error).__name__)
        raise Broken(f"it is neither JSON nor YAML ({what[:200]})") from None


def _flat(events: Iterable[Any]) -> None:
    """See that nothing is nested too deeply: the loader is C, and would end the process."""
    depth = 0
    for event in events:
        name = type(event).__name__
        depth += name.endswith("StartEvent") - name.endswith("EndEvent")
        if depth > DEEPEST:
            raise Broken(f"it is nested more than {DEEPEST} levels deep")


def _tool(operation: Operation, base: str, web: Web, veil: Veil) -> Native:
    async def call(arguments: dict[str, Any], use: Use) -> Result:
        return answered(await web.ask(operation.request(base, arguments)), veil)

    looking = operation.method in LOOKING
    title = operation.name
    return Native(
        operation.name,
        CATEGORY,
        operation.description,
        operation.parameters,
        call,
        annotations=Annotations(
            title=title,
            read_only=looking,
            destructive=True if operation.method == "DELETE" else None,
            idempotent=operation.method in ("PUT", "DELETE") or None,
            open_world=True,
        ),
        effect="safe" if looking else "ask",
    )
