"""The work of the `lsp` tools: a question to the server that is for the file, its answer as text."""

import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from typing import Any

import anyio
from msgspec import Struct

from roost.core.messages import Result
from roost.ports import Place, Use
from roost.tools.house import House
from roost.tools.lsp import changes
from roost.tools.lsp.documents import Document, Documents
from roost.tools.lsp.server import Server
from roost.tools.lsp.shown import Shown, listed
from roost.tools.lsp.talk import Ended
from roost.tools.paths import Paths
from roost.tools.tool import Refused, in_thread

SAID = 5.0  # seconds that a server which speaks by itself has for a file's diagnostics
MOST_ITEMS = 20  # of a hierarchy that are followed


class View(Struct, frozen=True):
    """A file, open in the server that is for it."""

    server: Server
    documents: Documents
    document: Document

    async def ask(self, method: str, capability: str, **params: Any) -> Any:
        """Ask about the file.

        Raises:
            Refused: the server can't do that, or it went wrong.
        """
        _able(self.server, self.documents, capability, method)
        named = {"textDocument": {"uri": self.document.uri}, **params}
        return await self.server.request(self.documents, method, named)

    def position(self, arguments: dict[str, Any]) -> dict[str, int]:
        """Where the arguments point to."""
        return self.document.text.position(arguments["line"], arguments["character"])

    def lines(self, arguments: dict[str, Any], *, else_all: bool = False) -> dict[str, Any]:
        """The range of `start_line` and `end_line`."""
        count = self.document.text.count
        first = arguments.get("start_line", 1)
        last = arguments.get("end_line", count if else_all else first)
        if first > count or last < first:
            raise Refused(f"there are no lines {first} to {last}: the file has {count} lines")
        return self.document.text.whole(first, last)


class Code:
    """All language servers of an agent."""

    def __init__(self, servers: Sequence[Server], place: Place, house: House) -> None:
        self._servers = servers
        self._locks = house.locks
        root = os.path.realpath(place.working_dir)
        self._within = Paths(root, house.env, confined=True)
        self._around = Paths(root, house.env, confined=place.confined)

    # -- of a place -----------------------------------------------------------------------------

    async def hover(self, arguments: dict[str, Any], use: Use) -> Result:
        """lsp_hover."""
        return await self._at(arguments, use, "textDocument/hover", "hoverProvider", Shown.hover)

    async def definition(self, arguments: dict[str, Any], use: Use) -> Result:
        """lsp_definition."""
        show = _places("definition")
        return await self._at(arguments, use, "textDocument/definition", "definitionProvider", show)

    async def implementations(self, arguments: dict[str, Any], use: Use) -> Result:
        """lsp_implementations."""
        show = _places("implementations")
        return await self._at(arguments, use, "textDocument/implementation", "implementationProvider", show)

    async def references(self, arguments: dict[str, Any], use: Use) -> Result:
        """lsp_references."""
        more = {"context": {"includeDeclaration": arguments.get("include_declaration", True)}}
        show = _places("references")
        return await self._at(arguments, use, "textDocument/references", "referencesProvider", show, **more)

    async def signature_help(self, arguments: dict[str, Any], use: Use) -> Result:
        """lsp_signature_help."""
        return await self._at(arguments, use, "textDocument/signatureHelp", "signatureHelpProvider", Shown.signatures)

    async def _at(
        self,
        arguments: dict[str, Any],
        use: Use,
        method: str,
        capability: str,
        show: Callable[[Shown, Any], str],
        **more: Any,
    ) -> Result:
        view = await self._view(arguments, use)
        answer = await view.ask(method, capability, position=view.position(arguments), **more)
        return await self._shown(view, lambda shown: show(shown, answer))

    async def call_hierarchy(self, arguments: dict[str, Any], use: Use) -> Result:
        """lsp_call_hierarchy."""
        incoming = arguments["direction"] == "incoming"
        method = "callHierarchy/incomingCalls" if incoming else "callHierarchy/outgoingCalls"
        what = ("Callers" if incoming else "Calls", "from" if incoming else "to")
        return await self._hierarchy(arguments, use, "callHierarchy", method, what)

    async def type_hierarchy(self, arguments: dict[str, Any], use: Use) -> Result:
        """lsp_type_hierarchy."""
        direction = arguments["direction"]
        return await self._hierarchy(
            arguments, use, "typeHierarchy", f"typeHierarchy/{direction}", (direction.capitalize(), "")
        )

    async def _hierarchy(
        self, arguments: dict[str, Any], use: Use, kind: str, method: str, what: tuple[str, str]
    ) -> Result:
        view, (word, member) = await self._view(arguments, use), what
        prepare = f"textDocument/prepare{kind[0].upper()}{kind[1:]}"
        roots = await view.ask(prepare, f"{kind}Provider", position=view.position(arguments))
        blocks: list[tuple[Mapping[str, Any], list[Any]]] = []
        for root in (roots if isinstance(roots, list) else [])[:MOST_ITEMS]:
            answer = await view.server.request(view.documents, method, {"item": root})
            found = [one.get(member) if member and isinstance(one, Mapping) else one for one in answer or ()]
            blocks.append((root, [one for one in found if isinstance(one, Mapping)]))

        def show(shown: Shown) -> str:
            parts = [
                f"{word} of {shown.item(root)}:\n{listed([shown.item(one) for one in found], word.lower())}"
                for root, found in blocks
            ]
            return "\n\n".join(parts) or "There is nothing at this place that has a hierarchy."

        return await self._shown(view, show)

    # -- of a file ------------------------------------------------------------------------------

    async def document_symbols(self, arguments: dict[str, Any], use: Use) -> Result:
        """lsp_document_symbols."""
        view = await self._view(arguments, use)
        answer = await view.ask("textDocument/documentSymbol", "documentSymbolProvider")
        return await self._shown(view, lambda shown: shown.symbols(view.document.uri, answer))

    async def diagnostics(self, arguments: dict[str, Any], use: Use) -> Result:
        """lsp_diagnostics: asked for where the server can be asked, else waited for a moment."""
        view = await self._view(arguments, use)
        if view.documents.talk.capabilities.get("diagnosticProvider"):
            answer = await view.ask("textDocument/diagnostic", "diagnosticProvider")
            found = answer.get("items") if isinstance(answer, Mapping) else None
        else:
            found = await _said(view)
            if found is None:
                return Result(
                    f"{view.server.name} has said nothing about {arguments['file']} within {SAID:g} s: "
                    "it found nothing, or is still at work."
                )
        items = found if isinstance(found, list) else []
        return await self._shown(view, lambda shown: shown.diagnostics(view.document.uri, items))

    async def code_actions(self, arguments: dict[str, Any], use: Use) -> Result:
        """lsp_code_actions."""
        view = await self._view(arguments, use)
        known = view.documents.talk.diagnosed.of(view.document.uri, view.document.version) or []
        bounds = view.lines(arguments)
        near = [one for one in known if _meets(one, bounds)]
        answer = await view.ask(
            "textDocument/codeAction", "codeActionProvider", range=bounds, context={"diagnostics": near}
        )
        return await self._shown(view, lambda shown: shown.actions(answer))

    async def inlay_hints(self, arguments: dict[str, Any], use: Use) -> Result:
        """lsp_inlay_hints."""
        view = await self._view(arguments, use)
        bounds = view.lines(arguments, else_all=True)
        answer = await view.ask("textDocument/inlayHint", "inlayHintProvider", range=bounds)
        return await self._shown(view, lambda shown: shown.hints(view.document.uri, answer))

    # -- of the workspace -----------------------------------------------------------------------

    async def workspace(self, arguments: dict[str, Any], use: Use) -> Result:
        """lsp_workspace."""
        blocks = []
        for server in self._servers:
            try:
                documents = await server.documents(use.call)
                able = ", ".join(sorted(n.removesuffix("Provider") for n in _provided(documents))) or "nothing"
            except Refused as refusal:
                able = f"unknown ({refusal})"
            kinds = " ".join(server.entry.file_types) or "all files"
            blocks.append(
                f"Server: {' '.join((server.name, *server.entry.args))}\nState: {server.state}\n"
                f"Files: {kinds}\nFolder: {server.entry.folder}\nCan: {able}"
            )
        return Result("\n\n".join(blocks))

    async def workspace_symbols(self, arguments: dict[str, Any], use: Use) -> Result:
        """lsp_workspace_symbols, over all servers."""
        lines: list[str] = []
        troubles: list[str] = []
        for server in self._servers:
            try:
                documents = await server.documents(use.call)
                await documents.refresh(self._within)
                _able(server, documents, "workspaceSymbolProvider", "workspace/symbol")
                answer = await server.request(documents, "workspace/symbol", {"query": arguments["query"]})
            except (Refused, Ended) as refusal:
                troubles.append(str(refusal))
                continue
            shown = Shown(self._around, documents.encoding)
            lines += await in_thread(lambda _, shown=shown, answer=answer: shown.found(answer))  # type: ignore[misc]
        if len(troubles) == len(self._servers):
            raise Refused("\n".join(troubles))
        return Result("\n".join([listed(lines, "symbols"), *troubles]))

    # -- changes --------------------------------------------------------------------------------

    async def rename(self, arguments: dict[str, Any], use: Use) -> Result:
        """lsp_rename."""
        view = await self._view(arguments, use)
        edit = await view.ask(
            "textDocument/rename",
            "renameProvider",
            position=view.position(arguments),
            newName=arguments["new_name"],
        )
        if not edit:
            raise Refused("there is nothing at this place that can be renamed")
        return await self._apply(view, edit)

    async def format(self, arguments: dict[str, Any], use: Use) -> Result:
        """lsp_format."""
        view = await self._view(arguments, use)
        options = {"tabSize": 4, "insertSpaces": True}
        edits = await view.ask("textDocument/formatting", "documentFormattingProvider", options=options)
        return await self._apply(view, {"changes": {view.document.uri: edits or []}})

    async def _apply(self, view: View, edit: Any) -> Result:
        wanted = changes.files(edit, self._within)
        known = view.documents.texts()
        async with AsyncExitStack() as stack:
            for real in sorted(wanted):  # in one order, so that two changes do not wait for each other
                await stack.enter_async_context(self._lock(real))

            def apply() -> str:
                found = changes.planned(wanted, self._within, known, view.documents.encoding)
                changes.apply(found, self._within)
                return changes.told(found)

            told = await in_thread(lambda _: apply())
        await view.documents.refresh(self._within)
        return Result(told)

    def _lock(self, real: str) -> anyio.Lock:
        lock = self._locks.get(real)
        if lock is None:
            lock = self._locks[real] = anyio.Lock()
        return lock

    # -- the way to a server --------------------------------------------------------------------

    async def _view(self, arguments: dict[str, Any], use: Use) -> View:
        spot = self._within.find(arguments["file"])
        suffix = os.path.splitext(spot.real)[1]  # noqa: PTH122
        # Those that say which files they are for come first.
        fitting = sorted((one for one in self._servers if one.takes(suffix)), key=lambda one: not one.entry.file_types)
        if not fitting:
            kinds = " ".join(kind for server in self._servers for kind in server.entry.file_types)
            raise Refused(f"no language server is for {suffix or 'such'} files (there are some for: {kinds})")
        documents = await fitting[0].documents(use.call)
        try:
            return View(fitting[0], documents, await documents.open(self._within, spot))
        except Ended as error:
            raise Refused(f"the language server {fitting[0].name}: {error}") from None

    async def _shown(self, view: View, show: Callable[[Shown], str]) -> Result:
        shown = Shown(self._around, view.documents.encoding)
        return Result(await in_thread(lambda _: show(shown)))


def _places(what: str) -> Callable[[Shown, Any], str]:
    return lambda shown, answer: shown.places(answer, what)


def _able(server: Server, documents: Documents, capability: str, method: str) -> None:
    if not documents.talk.capabilities.get(capability):
        raise Refused(f"the language server {server.name} does not offer {method.rpartition('/')[2]}")


def _provided(documents: Documents) -> list[str]:
    return [name for name, value in documents.talk.capabilities.items() if name.endswith("Provider") and value]


async def _said(view: View) -> list[Any] | None:
    """What the server says by itself of the file as it is now; None where it says nothing in time."""
    talk, uri = view.documents.talk, view.document.uri
    with anyio.move_on_after(SAID):
        while (found := talk.diagnosed.of(uri, view.document.version)) is None and not talk.over.is_set():
            await talk.diagnosed.bell.wait()
        return found
    return None


def _meets(diagnostic: Any, bounds: Mapping[str, Any]) -> bool:
    try:
        found = diagnostic["range"]
        return bool(found["start"]["line"] <= bounds["end"]["line"] and found["end"]["line"] >= bounds["start"]["line"])
    except (KeyError, TypeError):
        return False
