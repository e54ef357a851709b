"""The page of `/api/v1`: its examples are pasted into a shell, and its tables list what there is."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import anyio
import pytest

from acceptance.front import Yard
from docs.pages import ROOT, blocks
from engine.fakes import Floor, open_world
from roost.doors.zag import events
from roost.doors.zag.routes import routes

PAGE = ROOT / "docs/api-v1.md"
FLAGS = ["--insecure-http", "--host", "127.0.0.1", "--enable-mock", "--token", "secret"]


def table(heading: str) -> str:
    return PAGE.read_text().partition(f"\n## {heading}\n")[2].partition("\n## ")[0]


def listed() -> Iterator[tuple[str, str, frozenset[str]]]:
    for method, path, query in re.findall(r"`(GET|POST|PATCH|DELETE) …([^`?]+)\??([^`]*)`", table("All endpoints")):
        yield method, f"/api/v1{path}", frozenset(re.findall(r"(\w+)=", query))


@pytest.mark.anyio
async def test_all_endpoints_are_listed_and_no_others(tmp_path: Path) -> None:
    async with open_world(Floor("memory", tmp_path)) as world:
        there = routes(world.service, closing=anyio.Event(), version="")
        assert set(listed()) == {(route.method, route.path, frozenset(route.query)) for route in there}


def test_the_types_of_events_are_those_that_are_made() -> None:
    rows = [row.partition("|")[0] for row in re.findall(r"^\| (`.*) \|$", table("Events"), re.MULTILINE)]
    named = set(re.findall(r"`(\w+)`", " ".join(rows[1:])))  # the first is the table's head
    assert named == events.TYPES


def test_the_examples_one_after_the_other(tmp_path: Path) -> None:
    given, *pasted = [block.text for block in blocks(PAGE, "bash")]
    assert given.split() == ["roost", "serve", *FLAGS]
    yard = Yard(tmp_path)
    try:
        port = yard.serve(*FLAGS).port
        script = "\necho ----\n".join(pasted).replace("127.0.0.1:2100", f"127.0.0.1:{port}")
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", f"python3() {{ '{sys.executable}' \"$@\"; }}\n{script}"],
            env={**os.environ, "NO_PROXY": "*"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
        )
    finally:
        for front in yard.fronts:
            front.kill()
    assert done.returncode == 0, done.stderr
    _, _, waited, status, output, again, waits, some, last, collected, piped, found, cancelled, deleted = map(
        json.loads, (part or "null" for part in map(str.strip, done.stdout.split("----")))
    )
    assert [one["success"] for one in waited] == [True]
    assert status["status"] == "completed"
    assert output == {"session_id": status["session_id"], "result": "Hello!"}
    assert "And again." in json.dumps(again)
    assert waits == []
    assert [(one["type"], one["content"]) for one in some] == [
        (kind, text) for text in ("Hello!", "And again.") for kind in ("user_message", "assistant_message")
    ]
    assert [one["type"] for one in last] == ["session_ended"]
    assert [one["result_text"] for one in collected] == ["And again."]
    assert "Make one text of these" in json.dumps(piped)
    assert found["matches"]
    assert (cancelled, deleted) == ({"status": "cancelled"}, {"deleted": status["session_id"]})
