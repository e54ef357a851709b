"""Language servers: a real one for Python, and a scripted one for what can go wrong."""

import json
import os
import shutil
import sys
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest

from fakes import languageserver
from fakes.calls import Session, find, names
from roost.core.errors import ToolsetFailed
from roost.ports import Toolset

pytestmark = pytest.mark.anyio

JEDI = shutil.which("jedi-language-server", path=str(Path(sys.executable).parent)) or ""
real = pytest.mark.skipif(not JEDI, reason="needs `pip install jedi-language-server`")

SHAPES = '''\
class Shape:
    """Something with an area."""

    def area(self) -> float:
        return 0.0


def double(shape: Shape) -> float:
    return 2 * shape.area()
'''
USES = "from shapes import Shape, double\n\nprint('äöü 🐦', double(Shape()))\n"


@pytest.fixture
def work(session: Session) -> Path:
    (session.folder / "shapes.py").write_text(SHAPES)
    (session.folder / "uses.py").write_text(USES)
    return session.folder


def jedi(session: Session) -> AbstractAsyncContextManager[Toolset]:
    return session.open("lsp", command=JEDI, file_types=[".py"])


def scripted(
    session: Session, mode: str = "good", table: dict[str, Any] | None = None, **more: Any
) -> AbstractAsyncContextManager[Toolset]:
    script = session.folder.parent / f"{session.id}.json"
    script.write_text(json.dumps(table or {}))
    args = [languageserver.__file__, mode, str(script)]
    return session.open("lsp", servers=[{"command": sys.executable, "args": args, **more}])


def told(session: Session) -> list[Any]:
    """What the scripted server was told."""
    log = session.folder.parent / f"{session.id}.json.log"
    return [json.loads(line) for line in log.read_text().splitlines()]


def span(line: int, start: int, end: int, *, last: int | None = None) -> dict[str, Any]:
    return {
        "start": {"line": line, "character": start},
        "end": {"line": line if last is None else last, "character": end},
    }


# -- a real one ---------------------------------------------------------------------------------


async def test_the_tools_and_what_they_say_of_themselves(session: Session) -> None:
    async with scripted(session) as toolset:
        assert {name.removeprefix("lsp_") for name in await names(toolset)} == {
            "workspace", "hover", "definition", "implementations", "signature_help", "references", "document_symbols",
            "diagnostics", "workspace_symbols", "code_actions", "call_hierarchy", "type_hierarchy", "inlay_hints",
            "rename", "format",
        }  # fmt: skip
        writers = {t.definition.name for t in await toolset.tools() if not t.definition.annotations.read_only}
        assert writers == {"lsp_rename", "lsp_format"}
        assert (await find(toolset, "lsp_rename")).definition.effect == "once"


@real
async def test_a_real_server_answers(session: Session, work: Path) -> None:
    async with jedi(session) as toolset:
        place = {"file": "uses.py", "line": 3, "character": 24}
        hover = await session.call(toolset, "lsp_hover", file="uses.py", line=3, character=17)
        assert "double(shape: Shape)" in hover.output
        shape = await session.call(toolset, "lsp_hover", **place)
        assert "Something with an area." in shape.output
        defined = await session.call(toolset, "lsp_definition", **place)
        assert defined.output == "shapes.py:1:7: class Shape:"
        uses = await session.call(toolset, "lsp_references", file=str(work / "shapes.py"), line=1, character=7)
        assert "uses.py:3:23: print" in uses.output and "shapes.py:8:19" in uses.output
        symbols = await session.call(toolset, "lsp_document_symbols", file="shapes.py")
        assert "class Shape (1:7)" in symbols.output and "  method area (4:9)" in symbols.output
        found = await session.call(toolset, "lsp_workspace_symbols", query="double")
        assert "function double" in found.output
        workspace = await session.call(toolset, "lsp_workspace")
        assert "State: ready" in workspace.output and "hover" in workspace.output
        signature = await session.call(toolset, "lsp_signature_help", file="uses.py", line=3, character=24)
        assert "double(shape: Shape)" in signature.output


@real
async def test_a_real_server_sees_what_lies_on_the_disk_now(session: Session, work: Path) -> None:
    async with jedi(session) as toolset:
        fine = await session.call(toolset, "lsp_diagnostics", file="shapes.py")
        assert fine.output == "No diagnostics found."
        (work / "shapes.py").write_text("def broken(:\n    pass\n")
        broken = await session.call(toolset, "lsp_diagnostics", file="shapes.py")
        assert broken.output.startswith("1:12: error: ")


@real
async def test_a_real_server_renames(session: Session, work: Path) -> None:
    async with jedi(session) as toolset:
        result = await session.call(toolset, "lsp_rename", file="shapes.py", line=8, character=5, new_name="twice")
        assert not result.is_error and "shapes.py: 1 edits" in result.output and "uses.py: 2 edits" in result.output
        assert (work / "uses.py").read_text() == USES.replace("double", "twice")
        assert "def twice(shape" in (work / "shapes.py").read_text()
        again = await session.call(toolset, "lsp_hover", file="uses.py", line=3, character=17)
        assert "twice(shape: Shape)" in again.output
        nothing = await session.call(toolset, "lsp_format", file="uses.py")
        assert nothing.is_error and "does not offer formatting" in nothing.output


# -- a scripted one -----------------------------------------------------------------------------


async def test_hierarchies_hints_and_actions(session: Session, work: Path) -> None:
    uri = (work / "shapes.py").as_uri()
    item = {"name": "Shape", "kind": 5, "uri": uri, "range": span(0, 0, 5), "selectionRange": span(0, 6, 11)}
    other = {**item, "name": "Base", "detail": "abc"}
    table = {
        "capabilities": {
            f"{name}Provider": name != "x"
            for name in ("typeHierarchy", "callHierarchy", "inlayHint", "codeAction", "implementation", "x")
        },
        "diagnostics": {
            "diagnostics": [{"range": span(3, 8, 12), "message": "odd", "severity": 2, "source": "x", "code": 7}]
        },
        "textDocument/prepareTypeHierarchy": [item],
        "typeHierarchy/supertypes": [other],
        "typeHierarchy/subtypes": [],
        "textDocument/prepareCallHierarchy": [item],
        "callHierarchy/incomingCalls": [{"from": other, "fromRanges": []}],
        "textDocument/inlayHint": [{"position": span(0, 5, 5)["start"], "label": [{"value": ": "}, {"value": "int"}]}],
        "textDocument/codeAction": [{"title": "Fix it", "kind": "quickfix"}, {"title": "Run", "command": "run"}],
        "textDocument/implementation": {"uri": uri, "range": span(7, 4, 10)},
    }  # fmt: skip
    place = {"file": "shapes.py", "line": 1, "character": 7}
    async with scripted(session, table=table) as toolset:
        above = await session.call(toolset, "lsp_type_hierarchy", **place, direction="supertypes")
        assert above.output == "Supertypes of class Shape (shapes.py:1:7):\nclass Base - abc (shapes.py:1:7)"
        below = await session.call(toolset, "lsp_type_hierarchy", **place, direction="subtypes")
        assert below.output.endswith("No subtypes found.")
        callers = await session.call(toolset, "lsp_call_hierarchy", **place, direction="incoming")
        assert callers.output.startswith("Callers of class Shape") and "Base" in callers.output
        hints = await session.call(toolset, "lsp_inlay_hints", file="shapes.py")
        assert hints.output == "1:6: : int"
        said = await session.call(toolset, "lsp_diagnostics", file="shapes.py")
        assert said.output == "4:9: warning: odd [x 7]"
        actions = await session.call(toolset, "lsp_code_actions", file="shapes.py", start_line=4)
        assert actions.output == "Fix it [quickfix]\nRun [command]"
        made = await session.call(toolset, "lsp_implementations", **place)
        assert made.output == "shapes.py:8:5: def double(shape: Shape) -> float:"
        wrong = await session.call(toolset, "lsp_call_hierarchy", **place, direction="sideways")
        assert wrong.is_error and "direction" in wrong.output
    asked = next(m for m in told(session) if m.get("method") == "textDocument/codeAction")
    assert asked["params"]["context"]["diagnostics"][0]["message"] == "odd"
    assert {"jsonrpc": "2.0", "id": 1000, "result": [None, None]} in told(session)


async def test_characters_are_those_of_people(session: Session, work: Path) -> None:
    (work / "bird.py").write_text("'🐦'; bird = 1\n")
    uri = (work / "bird.py").as_uri()
    answer = {"uri": uri, "range": span(0, 6, 10)}
    table = {"capabilities": {"definitionProvider": True}, "textDocument/definition": [answer]}
    async with scripted(session, table=table) as toolset:
        found = await session.call(toolset, "lsp_definition", file="bird.py", line=1, character=6)
        assert found.output.startswith("bird.py:1:6: ")
    asked = next(m for m in told(session) if m.get("method") == "textDocument/definition")
    assert asked["params"]["position"] == {"line": 0, "character": 6}  # UTF-16, since the server names nothing else


async def test_format_writes_the_file(session: Session, work: Path) -> None:
    (work / "a.py").write_bytes(b"x  =  1\r\ny=2\r\n")
    edits = [{"range": span(1, 1, 2), "newText": " = "}, {"range": span(0, 1, 6), "newText": " = "}]
    table = {
        "capabilities": {"documentFormattingProvider": True, "hoverProvider": True},
        "textDocument/formatting": edits,
    }
    async with scripted(session, table=table) as toolset:
        result = await session.call(toolset, "lsp_format", file="a.py")
        assert result.output == "2 edits in 1 files:\na.py: 2 edits"
        assert (work / "a.py").read_bytes() == b"x = 1\r\ny = 2\r\n"
        await session.call(toolset, "lsp_hover", file="a.py", line=1, character=1)  # it has read all that came before
    changed = next(m for m in told(session) if m.get("method") == "textDocument/didChange")
    assert changed["params"]["contentChanges"] == [{"text": "x = 1\r\ny = 2\r\n"}]


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        ({"changes": {"file:///etc/passwd": [{"range": span(0, 0, 0), "newText": "x"}]}}, "outside of the working dir"),
        ({"changes": {"HERE/link.py": [{"range": span(0, 0, 0), "newText": "x"}]}}, "outside of the working directory"),
        ({"documentChanges": [{"kind": "rename", "oldUri": "a", "newUri": "b"}]}, "wants to rename a file"),
        ({"changes": {"HERE/uses.py": [{"range": span(0, 0, 3)}]}}, "without its text"),
        ({"changes": {"HERE/uses.py": [{"range": span(0, 0, 3, last=99), "newText": ""}]}}, "line 100"),
        ({"changes": {"HERE/uses.py": [{"range": span(0, 0, 3), "newText": ""}] * 2}}, "overlap"),
        ({"changes": {"https://x/": [{"range": span(0, 0, 0), "newText": "x"}]}}, "which is no file"),
        (None, "nothing at this place"),
    ],
)
async def test_an_edit_that_is_refused_changes_nothing(
    session: Session, work: Path, edit: dict[str, Any] | None, words: str
) -> None:
    outside = session.folder.parent / f"{session.id}.outside"
    outside.write_text("outside\n")
    (work / "link.py").symlink_to(outside)
    fine = {"range": span(0, 0, 5), "newText": "CLASS"}
    whole = json.loads(json.dumps(edit).replace("HERE", work.as_uri()))
    if edit and "changes" in edit:
        whole["changes"] = {(work / "shapes.py").as_uri(): [fine], **whole["changes"]}
    table = {"capabilities": {"renameProvider": True}, "textDocument/rename": whole}
    async with scripted(session, table=table) as toolset:
        result = await session.call(toolset, "lsp_rename", file="shapes.py", line=1, character=7, new_name="n")
    assert result.is_error and words in result.output
    assert (work / "shapes.py").read_text() == SHAPES and (work / "uses.py").read_text() == USES
    assert outside.read_text() == "outside\n"


async def test_files_go_to_the_server_that_is_for_them(session: Session, work: Path) -> None:
    (work / "a.go").write_text("package a\n")
    tables = []
    for number, word in enumerate(("python", "go")):
        table = session.folder.parent / f"{session.id}.{number}.json"
        symbols = [{"name": word, "kind": 12, "location": {"uri": (work / "a.go").as_uri(), "range": span(0, 0, 1)}}]
        able = {"hoverProvider": True, "workspaceSymbolProvider": True}
        table.write_text(
            json.dumps({"capabilities": able, "textDocument/hover": {"contents": word}, "workspace/symbol": symbols})
        )
        tables.append(str(table))
    common = {"command": sys.executable}
    servers = [
        {**common, "args": [languageserver.__file__, "good", tables[0]], "file_types": [".py"]},
        {**common, "args": [languageserver.__file__, "good", tables[1]], "file_types": ["go"]},
    ]
    async with session.open("lsp", servers=servers) as toolset:
        for file, word in (("shapes.py", "python"), ("a.go", "go")):
            assert (await session.call(toolset, "lsp_hover", file=file, line=1, character=1)).output == word
        both = await session.call(toolset, "lsp_workspace_symbols", query="o")
        assert both.output == "function python (a.go:1:1)\nfunction go (a.go:1:1)"
        (work / "a.rs").write_text("")
        none = await session.call(toolset, "lsp_hover", file="a.rs", line=1, character=1)
        assert none.is_error and "no language server is for .rs files" in none.output


@pytest.mark.parametrize(
    ("file", "words"),
    [("../out.py", "not allowed"), ("/etc/passwd", "not allowed"), ("none.py", "not found"), ("", "empty"),
     ("binary.py", "not UTF-8"), (".", "is a directory")],
)  # fmt: skip
async def test_a_file_that_can_not_be_asked_about(session: Session, work: Path, file: str, words: str) -> None:
    (work / "binary.py").write_bytes(b"\xff\xfe\0")
    async with scripted(session) as toolset:
        result = await session.call(toolset, "lsp_hover", file=file, line=1, character=1)
    assert result.is_error and words in result.output


async def test_a_line_that_is_not_there(session: Session, work: Path) -> None:
    async with scripted(session) as toolset:
        result = await session.call(toolset, "lsp_hover", file="uses.py", line=99, character=1)
    assert result.is_error and result.output == "there is no line 99: the file has 4 lines"


# -- what can go wrong --------------------------------------------------------------------------


async def test_a_program_that_is_not_there_is_named(session: Session) -> None:
    with pytest.raises(ToolsetFailed, match=r"'no-such-server' is not installed"):
        async with session.open("lsp", command="no-such-server"):
            pass
    with pytest.raises(ToolsetFailed, match="startup_timeout"):
        async with session.open("lsp", command=sys.executable, lifecycle={"startup_timeout": "soon"}):
            pass


async def test_a_server_that_never_answers(session: Session, work: Path) -> None:
    life = {"startup_timeout": "300ms", "backoff": {"initial": "1ms"}, "max_restarts": 1}
    async with scripted(session, "mute", lifecycle=life) as toolset:
        place = {"file": "uses.py", "line": 1, "character": 1}
        for _ in range(2):
            result = await session.call(toolset, "lsp_hover", **place)
            assert result.is_error and "initialize was not answered within 0.3 s" in result.output
        last = await session.call(toolset, "lsp_hover", **place)
        assert last.is_error and "is not started again" in last.output
        shown = await session.call(toolset, "lsp_workspace")
        assert "State: failed" in shown.output
    assert not left(session)


async def test_an_answer_that_does_not_come(session: Session, work: Path) -> None:
    table = {"capabilities": {"hoverProvider": True}}
    async with scripted(session, "unread", table, lifecycle={"call_timeout": "300ms"}) as toolset:
        result = await session.call(toolset, "lsp_hover", file="uses.py", line=1, character=1)
        assert result.is_error and "hover was not answered within 0.3 s" in result.output
    assert not left(session)


async def test_a_server_that_floods_its_errors(session: Session, work: Path) -> None:
    async with scripted(
        session, "flood", {"textDocument/hover": {"contents": ["a", {"language": "b", "value": "c"}]}}
    ) as t:
        result = await session.call(t, "lsp_hover", file="uses.py", line=1, character=1)
        assert result.output == "a\n\n```b\nc\n```"


async def test_a_server_that_dies_is_started_again(session: Session, work: Path) -> None:
    table = {
        "capabilities": {"hoverProvider": True, "documentSymbolProvider": True},
        "textDocument/documentSymbol": [
            {"name": "a", "kind": 99, "range": span(0, 0, 1), "selectionRange": span(0, 0, 1)}
        ],
    }
    async with scripted(session, "dies", table, lifecycle={"backoff": {"initial": "1ms"}}) as toolset:
        result = await session.call(toolset, "lsp_hover", file="uses.py", line=1, character=1)
        assert result.is_error and "it has ended with status 3" in result.output
        again = await session.call(toolset, "lsp_document_symbols", file="uses.py")
        assert again.output == "symbol a (1:1)"
    opened = [m for m in told(session) if m.get("method") == "textDocument/didOpen"]
    assert len(opened) == 2  # the new run was told of the file, too


async def test_a_server_that_is_never_started_again(session: Session, work: Path) -> None:
    async with scripted(session, "once", lifecycle={"profile": "strict"}) as toolset:
        first = await session.call(toolset, "lsp_hover", file="uses.py", line=1, character=1)
        assert first.is_error and "can't find my own feet" in first.output
        second = await session.call(toolset, "lsp_hover", file="uses.py", line=1, character=1)
        assert second.is_error and "is not started again" in second.output


async def test_a_server_that_can_not_be_understood(session: Session, work: Path) -> None:
    async with scripted(session, "garbage") as toolset:
        result = await session.call(toolset, "lsp_hover", file="uses.py", line=1, character=1)
        assert result.is_error and "it can't be understood: a header without Content-Length" in result.output


async def test_what_a_server_refuses(session: Session, work: Path) -> None:
    async with scripted(session, table={"refused": {"textDocument/hover": "not today"}}) as toolset:
        result = await session.call(toolset, "lsp_hover", file="uses.py", line=1, character=1)
        assert result.is_error and result.output.endswith(": not today")
        other = await session.call(toolset, "lsp_rename", file="uses.py", line=1, character=1, new_name="x")
        assert other.is_error and "does not offer rename" in other.output


def left(session: Session) -> list[str]:
    """The processes of a session that still run."""
    found = []
    for place in Path("/proc").iterdir():
        if place.name.isdigit():
            try:
                environ = (place / "environ").read_bytes()
            except OSError:
                continue
            if f"ROOST_CALL={session.id}/".encode() in environ and place.name != str(os.getpid()):
                found.append(place.name)
    return found


async def test_leaving_ends_the_servers(session: Session, work: Path) -> None:
    async with scripted(session) as toolset:
        await session.call(toolset, "lsp_hover", file="uses.py", line=1, character=1)
        assert left(session)
    assert not left(session)
