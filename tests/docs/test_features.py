"""The page of features tells the truth: what works has a test that runs, what does not says so when it is asked for."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import features
from docs.pages import ROOT
from features import Row, rows
from roost.config.agentfile import load
from roost.core.errors import AgentBroken

ROWS = rows()
LOOK = """
import sys, pytest, features
class Look:
    def pytest_collection_finish(self, session):
        found = features.collected(session.items)
        print("\\n".join(f"found {name} {int(skipped)}" for name, skipped in found.items()))
sys.exit(pytest.main(["--collect-only", "-q", "-n", "0", "-p", "no:cacheprovider", *sys.argv[1:]], plugins=[Look()]))
"""


@pytest.fixture(scope="module")
def collected(request: pytest.FixtureRequest) -> dict[str, bool]:
    """What pytest finds in the files that the page names, and whether it is always skipped."""
    files = {test.partition("::")[0] for test in features.named()}
    here = features.collected(request.session.items)
    if files <= {name.partition("::")[0] for name in here}:
        return here
    there = sorted(file for file in files if (ROOT / file).exists())
    env = {"PYTHONPATH": f"{ROOT / 'src'}:{ROOT / 'tests'}", "PATH": "/usr/bin:/bin", "HOME": str(Path.home())}
    done = subprocess.run(
        [sys.executable, "-c", LOOK, *there], cwd=ROOT, env=env, capture_output=True, text=True, timeout=110
    )
    lines = [line.split() for line in done.stdout.splitlines() if line.startswith("found ")]
    assert lines, done.stdout + done.stderr
    return {name: skipped == "1" for _, name, skipped in lines}


def test_every_row_has_one_of_two_states() -> None:
    assert [row for row in ROWS if row.state not in ("works", "not yet")] == []
    assert [row for row in ROWS if row.state == "works" and not row.test] == []
    assert [row for row in ROWS if row.state == "not yet" and (row.test or len(row.more) < 10)] == []
    assert [row for row in ROWS if not row.name] == []


def test_every_section_has_rows() -> None:
    sections = [row.section for row in ROWS]
    counts = {1: 24, 2: 20, 3: 17, 4: 7, 5: 7}
    wanted = [f"{chapter}.{n}" for chapter, most in counts.items() for n in range(1, most + 1)]
    assert [name for name in dict.fromkeys(sections) if name not in ("2", "6")] == wanted
    assert {"2", "6"} <= set(sections)


def test_every_named_test_is_there_and_can_run(collected: dict[str, bool]) -> None:
    assert sorted(features.named() - set(collected)) == []
    assert sorted(test for test in features.named() if collected[test]) == []


# -- what does not work yet ---------------------------------------------------------------------

ROOTED = "agents: {root: {model: auto%s}}"
TOOLSET = ROOTED % ", toolsets: [{type: %s}]"
MODEL = "{models: {m: {provider: openai, model: x, %s}}, agents: {root: {model: m}}}"
DOCUMENTS = "{rag: {r: {docs: [x], %s}}, agents: {root: {model: auto, toolsets: [{type: rag, ref: r}]}}}"
HOOK = ROOTED % ", hooks: {%s}"

WARNS = "loads with a warning"
LEFT_OUT = "left out with a warning"
REFUSED = "refused"
SILENT = "loads without a word"
BESIDE = "no key of agent files"

ASKED: dict[str, list[tuple[str, str]]] = {
    "`runtime.sandbox`": [("{runtime: {sandbox: true}, agents: {root: {}}}", REFUSED)],
    "`runtime.network_allowlist`": [("{runtime: {network_allowlist: [x.example]}, agents: {root: {}}}", WARNS)],
    "`flavors`": [("{flavors: {fast: {agents: {}}}, agents: {root: {}}}", WARNS)],
    "keys with `+` and `-` of flavors": [("{flavors: {f: {agents+: {}}}, agents: {root: {}}}", WARNS)],
    "`evaluators`": [
        ("{evaluators: {e: {provider: openai, model: m}}, agents: {root: {}}}", SILENT),
        (HOOK % "stop: {type: evaluator, evaluator: e}", LEFT_OUT),
        (HOOK % "tool_guard: {hooks: {type: evaluator, evaluator: e}}", REFUSED),
    ],
    "`inject_memories`, `max_inject_memories`, `inject_memories_strategy`": [
        (ROOTED % ", inject_memories: true, max_inject_memories: 3, inject_memories_strategy: x", WARNS)
    ],
    "`output_capabilities`": [(MODEL % "output_capabilities: {image: true}", WARNS)],
    "`transport: websocket`": [(MODEL % "provider_opts: {transport: websocket}", SILENT)],
    "`rerank_prompt`": [(MODEL % "provider_opts: {rerank_prompt: x}", SILENT)],
    "`unload_api`": [("{providers: {p: {base_url: http://x, unload_api: /u}}, agents: {root: {model: p/m}}}", SILENT)],
    "`sudo_askpass`, `safer` of shell": [
        (TOOLSET % "shell, sudo_askpass: true", WARNS),
        (TOOLSET % "shell, safer: true", WARNS),
    ],
    "`version` of mcp and lsp": [
        (TOOLSET % "mcp, command: x, version: a/b@1", WARNS),
        (TOOLSET % "lsp, command: x, version: a/b@1", WARNS),
    ],
    "`mcp_catalog` with `allowed_servers`, `blocked_servers`": [
        (TOOLSET % "mcp_catalog, allowed_servers: [a], blocked_servers: [b]", LEFT_OUT)
    ],
    "`webhook` with `webhook_config`": [
        (TOOLSET % "webhook, webhook_config: {provider: slack, url: https://x.example}", LEFT_OUT)
    ],
    "`open_url`, `scheduler`, `environment`": [
        (TOOLSET % "open_url, url: https://x.example", LEFT_OUT),
        (TOOLSET % "scheduler", LEFT_OUT),
        (TOOLSET % "environment", LEFT_OUT),
    ],
    "`scheduler`, `webhook`, `open_url`, `environment`, `mcp_catalog`": [(TOOLSET % "mcp_catalog", LEFT_OUT)],
    "`type: semantic-embeddings`": [
        (DOCUMENTS % "strategies: [{type: semantic-embeddings, embedding_model: auto, chat_model: auto}]", LEFT_OUT)
    ],
    "`chunking.code_aware`": [(DOCUMENTS % "strategies: [{type: bm25, chunking: {code_aware: true}}]", WARNS)],
    "`results.reranking`": [(DOCUMENTS % "results: {reranking: {model: auto}}", WARNS)],
    "`results.prefetch`": [(DOCUMENTS % "results: {prefetch: {enabled: true}}", SILENT)],
    "reranking, judges of hooks": [(DOCUMENTS % "results: {reranking: {model: auto}}", WARNS)],
    "`type: model`": [
        (HOOK % "stop: {type: model, model: auto, prompt: x}", LEFT_OUT),
        (HOOK % "pre_tool_use: {hooks: {type: model, model: auto, prompt: x}}", REFUSED),
    ],
    "`type: evaluator`": [
        (HOOK % "stop: {type: evaluator, evaluator: x}", LEFT_OUT),
        (HOOK % "pre_tool_use: {hooks: {type: evaluator, evaluator: x}}", REFUSED),
    ],
    "`model`, `prompt`, `schema`": [(HOOK % "stop: {type: model, model: auto, prompt: x, schema: y}", LEFT_OUT)],
    "`before_agent_run`": [(HOOK % "before_agent_run: {type: command, command: x}", LEFT_OUT)],
    "`snapshot`, `unload`, `cache_response`, `inject_memories`, `strip_unsupported_media`": [
        case
        for name in ("snapshot", "unload", "cache_response", "inject_memories", "strip_unsupported_media")
        for case in (
            (HOOK % f"turn_start: {{type: builtin, command: {name}}}", LEFT_OUT),
            (HOOK % f"pre_tool_use: {{hooks: {{type: builtin, command: {name}}}}}", REFUSED),
        )
    ],
    "`chatgpt`, `orcarouter`, `daoxe`": [
        (f"agents: {{root: {{model: {name}/m}}}}", WARNS) for name in ("chatgpt", "orcarouter", "daoxe")
    ],
    "files in HCL": [("", BESIDE)],
    "other keepers of secrets": [("", BESIDE)],
    "the other program's settings": [("", BESIDE)],
    "import of the original's sessions": [("", BESIDE)],
    "installing what is missing": [("", BESIDE)],
    "managed, with a browser on this machine": [("", BESIDE)],
    "signatures and encryption": [("", BESIDE)],
}  # fmt: skip


def test_every_row_that_does_not_work_is_asked_for_here() -> None:
    assert {row.name for row in ROWS if row.state == "not yet"} == set(ASKED)


def cases() -> Iterator[tuple[Row, str, str]]:
    for row in ROWS:
        for text, becomes in ASKED.get(row.name, ()) if row.state == "not yet" else ():
            if becomes != BESIDE:
                yield row, text, becomes


@pytest.mark.parametrize(
    ("row", "text", "becomes"), list(cases()), ids=lambda value: getattr(value, "name", None) or ""
)
def test_what_does_not_work_says_so(row: Row, text: str, becomes: str) -> None:
    if becomes == REFUSED:
        with pytest.raises(AgentBroken, match="so the file is refused"):
            load("x", text.encode(), name="x.yaml")
        assert REFUSED in row.more
        return
    warnings = load("x", text.encode(), name="x.yaml").warnings
    assert len(warnings) == (0 if becomes == SILENT else 1)
    if becomes != SILENT:
        assert "not supported yet" in warnings[0]
        assert "with a warning" in row.more


# -- whether the named tests have run -------------------------------------------------------------


@pytest.mark.parametrize(
    ("without", "skipping", "whole", "status"),
    [("", "", True, 0), ("x", "", True, 1), ("x", "x", True, 0), ("x", "", False, 0)],
    ids=["all ran", "one did not", "one was skipped", "part of the suite"],
)
def test_a_suite_fails_in_which_a_named_test_did_not_run(without: str, skipping: str, whole: bool, status: int) -> None:
    source = pytest.Config.ArgsSource.TESTPATHS if whole else pytest.Config.ArgsSource.ARGS
    told: list[str] = []
    reporter = SimpleNamespace(write_line=told.append)
    option = SimpleNamespace(keyword="", markexpr="", deselect=None, ignore=None, collectonly=False, maxfail=0)
    plugins = SimpleNamespace(get_plugin=lambda _: reporter)
    ledger = features.Ledger(SimpleNamespace(option=option, args_source=source, pluginmanager=plugins))
    first, *rest = sorted(features.named())
    for name in rest if without else [first, *rest]:
        ledger.pytest_runtest_logreport(report(f"{name}[some-case]@group", "call", "passed"))
    if skipping:
        ledger.pytest_runtest_logreport(report(first, "setup", "skipped"))
    session = SimpleNamespace(exitstatus=0)
    ledger.pytest_sessionfinish(session)
    assert session.exitstatus == status
    assert any(first in text for text in told) == bool(without and whole)


def report(name: str, when: str, outcome: str) -> Any:
    return pytest.TestReport(name, (name, 0, name), {}, outcome, None, when)  # type: ignore[arg-type]
