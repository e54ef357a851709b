"""Many sessions at once: collect, wait, summary, retry, pipe, broadcast, import (3.13 to 3.19); dependencies (9.6)."""

import threading
import time
from pathlib import Path
from typing import Any

import pytest

from acceptance.zag.remote import Remote, Site, events_of, played, talk

NOBODY = "c0ffee00-0000-4000-8000-000000000000"
HANG = played(hang=True)
FAIL = played({"say": "half"}, fail="no way")


class Later:
    """A request whose answer is awaited elsewhere."""

    def __init__(self, op: Remote, path: str, body: Any) -> None:
        self.answer: Any = None
        own = op.as_(op.token)
        self._thread = threading.Thread(target=self._ask, args=(own, path, body), daemon=True)
        self._thread.start()

    def _ask(self, op: Remote, path: str, body: Any) -> None:
        self.answer = op.ask("POST", path, body)

    @property
    def waits(self) -> bool:
        return self._thread.is_alive()

    def get(self) -> Any:
        self._thread.join(30)
        assert not self.waits
        return Remote.good(self.answer)


# -- 3.13 -----------------------------------------------------------------------------------------


def test_collecting_never_waits(op: Remote) -> None:
    good, bad, busy = op.done(talk("fine"), name="good", tags=["c13"]), op.done(FAIL), op.spawn(HANG, tags=["c13"])
    items = op.post("/sessions/collect", {"session_ids": [bad, good], "tag": "C13"})
    by_id = {item["session_id"]: item for item in items}
    assert [item["session_id"] for item in items[:2]] == [bad, good]
    assert set(by_id) == {good, bad, busy}
    assert (by_id[good]["status"], by_id[good]["name"], by_id[good]["provider"]) == ("completed", "good", "mock")
    assert by_id[good]["result_text"] == by_id[good]["result"] == "fine"
    assert "error" not in by_id[good]
    assert (by_id[bad]["status"], by_id[bad]["error"], by_id[bad]["result_text"]) == ("failed", "no way", "half")
    assert "name" not in by_id[bad]
    assert by_id[busy]["status"] == "running"
    assert not {"result_text", "error"} & set(by_id[busy])
    assert op.post("/sessions/collect", {"session_ids": [NOBODY], "tag": None})[0]["status"] == "unknown"
    op.refused("POST", "/sessions/collect", 400, {"session_ids": []})
    op.refused("POST", "/sessions/collect", 400, {})
    op.refused("POST", "/sessions/collect", 404, {"tag": "nobody-has-it"})
    op.post(f"/sessions/{busy}/cancel")


# -- 3.14 -----------------------------------------------------------------------------------------


def test_waiting_for_all_in_the_order_of_their_ends(site: Site, op: Remote) -> None:
    first, second = site.barrier("w1"), site.barrier("w2")
    slow, quick = op.spawn(played(first.step), tags=["w14"]), op.spawn(played(second.step), tags=["w14"])
    over = op.done()
    waiting = Later(op, "/sessions/wait", {"session_ids": [slow, over, quick]})
    by_tag = Later(op, "/sessions/wait", {"tag": "W14"})
    second.lift("x")
    op.until(quick, "session_ended")
    assert waiting.waits
    first.lift("x")
    assert waiting.get() == [{"session_id": one, "success": True, "error": None} for one in (over, quick, slow)]
    assert [one["session_id"] for one in by_tag.get()] == [quick, slow]


def test_waiting_for_any(op: Remote) -> None:
    busy, bad = op.spawn(HANG), op.done(FAIL)
    assert op.post("/sessions/wait", {"session_ids": [busy, bad], "any": True}) == [
        {"session_id": bad, "success": False, "error": "no way"}
    ]
    waiting = Later(op, "/sessions/wait", {"session_ids": [busy], "any": True, "tag": None, "timeout": None})
    op.post(f"/sessions/{busy}/cancel")
    assert waiting.get()[0]["session_id"] == busy


def test_waiting_no_longer_than_said(op: Remote) -> None:
    busy, good = op.spawn(HANG), op.done()
    assert op.post("/sessions/wait", {"session_ids": [busy, good], "timeout": "1s"}) == [
        {"session_id": good, "success": True, "error": None},
        {"session_id": busy, "success": False, "error": "timeout"},
    ]
    op.post(f"/sessions/{busy}/cancel")
    for timeout in ("soon", "0", "1ms"):
        op.refused("POST", "/sessions/wait", 400, {"session_ids": [good], "timeout": timeout})


def test_d7_an_unknown_session_is_404_at_once(op: Remote) -> None:
    busy = op.spawn(HANG)
    assert NOBODY in op.refused("POST", "/sessions/wait", 404, {"session_ids": [busy, NOBODY]})
    op.refused("POST", "/sessions/wait", 404, {"tag": "nobody-has-it"})
    op.refused("POST", "/sessions/wait", 400, {"session_ids": []})
    op.post(f"/sessions/{busy}/cancel")


def test_a_session_that_was_resumed_is_waited_for_again(site: Site, op: Remote) -> None:
    session, barrier = op.done(), site.barrier("resumed-wait")
    resumed = Later(op, f"/sessions/{session}/input", {"message": played(barrier.step)})
    op.until(session, "session_started", 2)
    waiting = Later(op, "/sessions/wait", {"session_ids": [session]})
    assert op.status(session) == "running"
    assert waiting.waits
    barrier.lift("again")
    assert waiting.get()[0]["success"] is True
    assert resumed.get()["result"] == "again"


def test_d7_a_waiter_that_leaves_is_let_go(site: Site, op: Remote) -> None:
    """Many clients that gave up hold nobody up."""
    busy = op.spawn(HANG)
    before = threads(site)
    for _ in range(30):
        own = op.as_(op.token)
        with pytest.raises(Exception, match="timed out"):
            own.ask("POST", "/sessions/wait", {"session_ids": [busy]}, timeout=0.05)
        own.http.close()
    assert op.ask("GET", "/health").status_code == 200
    assert threads(site) <= before + 2
    op.post(f"/sessions/{busy}/cancel")


def threads(site: Site) -> int:
    return len(list(Path(f"/proc/{site.front.process.pid}/task").iterdir()))


# -- 3.15 -----------------------------------------------------------------------------------------


def test_d26_summary(op: Remote) -> None:
    session = op.done(
        played(
            {"say": "one"},
            {"tool": "Bash", "input": {"command": "ls"}},
            {"tool_ok": "a"},
            {"tool": "Read", "input": {"file_path": "/srv/read.py"}},
            {"tool_ok": "a"},
            {"tool": "Write", "input": {"file_path": "/srv/written.py"}},
            {"tool_ok": "a"},
            {"tool": "Bash", "input": {"command": "ls"}},
            {"tool_ok": "a"},
            {"usage": {"input": 10, "output": 4, "cost": 0.5}},
            {"say": "x" * 600},
        ),
        name="sum",
    )
    [item] = op.post("/sessions/summary", {"session_ids": [session, NOBODY], "tag": None, "stats": True})
    assert (item["session_id"], item["name"], item["provider"], item["status"]) == (session, "sum", "mock", "completed")
    assert (item["turns"], item["total_tool_calls"]) == (2, 4)
    assert item["tool_calls"] == {"Bash": 2, "Read": 1, "Write": 1}
    assert item["files_modified"] == ["/srv/written.py"]
    assert item["result"] == "x" * 500
    assert item["event_count"] == len(op.events(session))
    assert (item["input_tokens"], item["output_tokens"]) == (10, 4)
    assert item["duration_secs"] >= 0
    assert "error" not in item
    [bare] = op.post("/sessions/summary", {"session_ids": [op.done(played(fail="no"))]})
    assert bare["error"] == "no"
    assert not {"name", "files_modified", "result", "input_tokens", "total_cost_usd"} & set(bare)
    op.refused("POST", "/sessions/summary", 400, {"session_ids": []})
    op.refused("POST", "/sessions/summary", 404, {"tag": "nobody-has-it"})


# -- 3.16 -----------------------------------------------------------------------------------------


def test_d16_retrying_asks_the_same_again(site: Site, op: Remote) -> None:
    (root := site.folder / "retried").mkdir()
    told = {"root": str(root), "name": "try", "tags": ["r16"], "system_prompt": "Be brief.", "timeout": "5m"}
    bad = op.done(FAIL, **told)
    good = op.done(talk("fine"), tags=["r16"])
    items = op.post("/sessions/retry", {"session_ids": [good], "tag": "r16", "failed": True, "model": "small"})
    assert [(item["original_session_id"], item["retried"]) for item in items] == [(bad, True)]
    again = items[0]["new_session_id"]
    assert op.ended(again)[0]["error"] == "no way"
    entry = op.get(f"/sessions/{again}")
    assert (entry["retried_from"], entry["name"], entry["tags"], entry["model"]) == (bad, "try", ["r16"], "small")
    assert entry["worktree_path"] == str(root)
    assert op.events(again, type="user_message")[0]["content"] == FAIL
    items = op.post("/sessions/retry", {"session_ids": [good, NOBODY], "tag": None, "failed": False, "model": None})
    assert (items[0]["retried"], "error" in items[0]) == (True, False)
    assert (items[1]["original_session_id"], items[1]["new_session_id"], items[1]["retried"]) == (NOBODY, None, False)
    assert items[1]["error"]
    op.ended(items[0]["new_session_id"])
    op.refused("POST", "/sessions/retry", 400, {"session_ids": []})


# -- 3.17 -----------------------------------------------------------------------------------------


def test_d3_piping_results_into_a_new_session(op: Remote) -> None:
    one, two = op.done(talk("result one")), op.done(talk("result two"))
    empty = op.done(played(fail="no"))
    output = op.post(
        "/sessions/pipe",
        {
            **{"session_ids": [one, two, empty], "tag": None, "prompt": "put together", "provider": "mock"},
            **{"model": None, "root": None, "auto_approve": False, "system_prompt": None, "add_dirs": None},
            **{"size": None, "max_turns": None, "mcp_config": None, "env_vars": ["A=1", "B=2=3"], "files": None},
            **{"name": "piped", "description": None, "timeout": "1m", "worktree": None, "sandbox": None},
            **{"context": None},
        },
    )
    assert (output["agent"], output["is_error"]) == ("mock", False)
    prompt = output["result"]  # the mock repeats what it is told
    assert f'<session-result session="{one[:8]}" index="1">\nresult one\n</session-result>' in prompt
    assert f'<session-result session="{two[:8]}" index="2">\nresult two\n</session-result>' in prompt
    assert empty[:8] not in prompt
    assert prompt.endswith("put together")
    assert {"user_message", "assistant_message", "result"} <= set(events_of(output["events"]))
    entry = op.get(f"/sessions/{output['session_id']}")
    assert (entry["name"], entry["status"]) == ("piped", "completed")
    assert output["log_path"] == entry["log_path"]
    assert op.get(f"/sessions/{output['session_id']}/output")["result"] == prompt


def test_d19_variables_of_a_pipe_in_each_form(op: Remote) -> None:
    source = op.done(talk("x"))
    for given in (["PIPED=yes"], [["PIPED", "yes"]], {"PIPED": "yes"}):
        body = {"session_ids": [source], "prompt": played({"env": "PIPED"}), "provider": "mock", "env_vars": given}
        assert op.post("/sessions/pipe", body)["result"] == "yes"
    for given in (["PIPED"], [["a", "b", "c"]], "PIPED=yes", [1]):
        op.refused("POST", "/sessions/pipe", 422, {**body, "env_vars": given})
    op.refused("POST", "/sessions/pipe", 400, {**body, "env_vars": ["ZAG_SESSION_ID=x"]})


def test_context_comes_first_in_a_pipe(op: Remote) -> None:
    source, context = op.done(talk("the source")), op.done(talk("the context"))
    body = {"session_ids": [source], "prompt": "go", "provider": "mock", "context": context}
    text = op.post("/sessions/pipe", body)["result"]
    assert text.index("the context") < text.index("the source") < text.index("go")


def test_pipes_that_can_not_be(op: Remote) -> None:
    source, empty = op.done(talk("x")), op.done(played(fail="no"))
    op.refused("POST", "/sessions/pipe", 409, {"session_ids": [empty], "prompt": "x", "provider": "mock"})
    op.refused("POST", "/sessions/pipe", 404, {"session_ids": [NOBODY], "prompt": "x", "provider": "mock"})
    op.refused("POST", "/sessions/pipe", 400, {"session_ids": [], "prompt": "x", "provider": "mock"})
    op.refused("POST", "/sessions/pipe", 400, {"session_ids": [source], "provider": "mock"})
    op.refused("POST", "/sessions/pipe", 400, {"session_ids": [source], "prompt": "x", "provider": "nobody"})
    output = op.post("/sessions/pipe", {"session_ids": [source], "prompt": FAIL, "provider": "mock"})
    assert (output["is_error"], output["error_message"]) == (True, "no way")


# -- 3.18 -----------------------------------------------------------------------------------------


def test_d16_broadcasting(site: Site, op: Remote) -> None:
    (root := site.folder / "told").mkdir()
    rests = op.done(talk("x"), tags=["b18"], root=str(root))
    lives = op.spawn("", interactive=True, tags=["B18"])
    items = op.post(
        "/sessions/broadcast", {"message": played({"write": {"path": "told"}}), "tag": "b18", "global": False}
    )
    by_id = {item["session_id"]: item for item in items}
    assert set(by_id) == {rests, lives}
    assert by_id[lives] == {"session_id": lives, "status": "sent", "output": None}
    assert (by_id[rests]["status"], by_id[rests]["output"]["result"]) == ("sent", "wrote told")
    assert (root / "told").is_file()
    op.until(lives, "assistant_message")
    op.post(f"/sessions/{lives}/cancel")
    op.refused("POST", "/sessions/broadcast", 404, {"message": "x", "tag": "nobody-has-it"})
    op.refused("POST", "/sessions/broadcast", 400, {"message": "", "tag": "b18"})
    op.refused("POST", "/sessions/broadcast", 422, {})


def test_a_broadcast_tells_of_each_failure(op: Remote) -> None:
    session = op.done(tags=["b18b"])
    bad = op.post("/sessions/spawn", {"provider": "ollama", "prompt": "x", "tags": ["b18b"]}, 201)["session_id"]
    op.ended(bad)
    items = {one["session_id"]: one for one in op.post("/sessions/broadcast", {"message": "hi", "tag": "b18b"})}
    assert items[session]["output"]["result"] == "hi"
    assert items[bad]["status"] == "error"
    assert items[bad]["error"]


# -- 3.19 -----------------------------------------------------------------------------------------


def test_importing_what_the_clis_have_kept(op: Remote) -> None:
    for body in ({}, None):
        answer = op.good(op.ask("POST", "/sessions/import", body))
        assert answer == {"imported": 0}


# -- 9.6 ------------------------------------------------------------------------------------------


def test_d6_dependencies_with_their_results_before_the_prompt(site: Site, op: Remote) -> None:
    barrier = site.barrier("dep")
    one, two = op.spawn(played(barrier.step)), op.done(talk("result two"))
    session = op.spawn("my own prompt", depends_on=[two, one], inject_context=True)
    status = op.get(f"/sessions/{session}/status")
    assert (status["status"], status["waiting_on"]) == ("running", [one])
    entry = op.get(f"/sessions/{session}")
    assert (entry["dependencies"], entry["waiting_on"]) == ([two, one], [one])
    assert events_of(op.events(session)) == ["session_started", "user_message"]
    barrier.lift("result one")
    assert op.ended(session)[0]["success"] is True
    told = op.get(f"/sessions/{session}/output")["result"]
    places = [told.index(part) for part in (two, "result two", one, "result one", "my own prompt")]
    assert places == sorted(places)
    assert [one["content"] for one in op.events(session, type="user_message")] == ["my own prompt"]
    entry = op.get(f"/sessions/{session}")
    assert (entry["dependencies"], "waiting_on" in entry) == ([two, one], False)


@pytest.mark.parametrize("how", ["fails", "cancelled"])
def test_a_dependency_that_does_not_succeed_ends_the_whole_chain(op: Remote, how: str) -> None:
    first = op.spawn(HANG if how == "cancelled" else FAIL)
    second = op.spawn("never", depends_on=[first])
    third = op.spawn("never", depends_on=[second])
    if how == "cancelled":
        op.post(f"/sessions/{first}/cancel")
    ends = {one["session_id"]: one for one in op.ended(first, second, third)}
    assert ends[second] == {"session_id": second, "success": False, "error": f"dependency {first} failed"}
    assert ends[third] == {"session_id": third, "success": False, "error": f"dependency {second} failed"}
    assert "assistant_message" not in events_of(op.events(second))
    assert not [one for one in op.get("/processes") if one["session_id"] in (second, third)]


def test_a_session_that_waits_for_others_can_be_cancelled(site: Site, op: Remote) -> None:
    first = op.spawn(HANG)
    second = op.spawn("never", depends_on=[first])
    answer = op.ask("POST", "/sessions/spawn", {"provider": "mock", "prompt": "x", "depends_on": [first]}).json()
    assert answer["pid"] == site.front.process.pid
    op.post(f"/sessions/{second}/cancel", {"reason": "not needed"})
    assert op.ended(second)[0]["error"] == "cancelled: not needed"
    op.post(f"/sessions/{first}/cancel")
    assert op.ended(answer["session_id"])[0]["error"] == f"dependency {first} failed"


def test_a_long_chain_ends_in_order(op: Remote) -> None:
    chain = [op.spawn(talk("0"))]
    for number in range(1, 5):
        chain.append(op.spawn(talk(str(number)), depends_on=[chain[-1]]))
    began = time.monotonic()
    assert [one["session_id"] for one in op.ended(*reversed(chain))] == chain
    assert time.monotonic() - began < 20
