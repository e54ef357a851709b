"""The control plane of a run at a terminal: who finds it, who may come in, and what is left when it ends."""

import json
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator

import pytest

from acceptance import runs
from acceptance.house import Client, House, until
from acceptance.runs import Listening
from roost.client import Blocking

Run = Callable[..., Listening]


@pytest.fixture
def run(house: House) -> Iterator[Run]:
    """`roost run my-agent.yaml --exec …`; whatever still runs at the end is killed."""
    agent = house.agent()
    started: list[Listening] = []

    def start(*words: str, listen: str = "127.0.0.1:0", fds: tuple[int, ...] = ()) -> Listening:
        flags = ["--listen", listen] if listen else []
        started.append(runs.run(house, str(agent), *words, "--exec", *flags, fds=fds))
        return started[-1]

    yield start
    for one in started:
        if one.process.poll() is None:
            one.signal(signal.SIGKILL)


def test_another_process_finds_it_and_takes_part(house: House, run: Run) -> None:
    path = house.folder / "run.sock"
    live = run(listen=f"unix://{path}").until_listening()
    assert f"Control plane listening on unix://{path}" in live.errors
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(live.record.stat().st_mode) == 0o600
    assert stat.S_IMODE(live.record.parent.stat().st_mode) == 0o700
    told = live.told()
    assert (told["pid"], told["addr"], told["agent"]) == (live.process.pid, f"unix://{path}", "my-agent")
    assert live.session in runs.roost(house, "runs")
    stream = live.events(live.session)
    assert live.session in runs.roost(house, "send", "hello there")
    stopped = stream.until(lambda f: f.type == "stream_stopped")[-1]
    assert stopped.event["reason"] == "normal"
    until(lambda: "fake reply to: hello there\n" in live.out)
    assert "> hello there" in live.errors
    assert live.signal(signal.SIGTERM) == 0
    stream.close()
    assert not live.record.exists()
    assert not path.exists()
    assert "no runs" in runs.roost(house, "runs")


def test_all_that_the_control_plane_answers_before_a_first_turn(run: Run) -> None:
    live = run().until_listening()
    session = live.session
    assert live.get("/api/ready?timeout=1s").json == {"status": "ready"}
    status = live.get(f"/api/sessions/{session}/status?wait=1s").json
    assert (status["id"], status["streaming"], status["agent"]) == (session, False, "root")
    assert live.snapshot(session)["last_event_seq"] == 1
    assert live.get(f"/api/sessions/{session}/models").json["agent"] == "root"
    assert live.get(f"/api/sessions/{session}/queue").json["followup"] == {"depth": 0, "capacity": 20}
    assert live.post(f"/api/sessions/{session}/steer", {"messages": [{"content": "x"}]}).status == 202
    assert live.patch(f"/api/sessions/{session}/title", {"title": "Mine"}).json["title"] == "Mine"
    followed = live.post(f"/api/sessions/{session}/followup", {"messages": [{"content": "hi"}]})
    assert (followed.status, followed.json) == (202, {"status": "queued_streaming", "duplicate": False})
    live.until_idle(session)
    assert live.post(f"/api/sessions/{session}/followup", {"messages": []}).status == 400
    assert live.post("/api/sessions", "x" * (1 << 20) + "y").status == 413
    stream = live.events(session)
    assert live.delete(f"/api/sessions/{session}").status == 200
    assert stream.until(lambda f: f.type == "session_exited")
    stream.close()


def test_a_follow_up_from_elsewhere_gets_a_title_and_an_approval_is_answered_there(house: House, run: Run) -> None:
    house.agent(extra="    toolsets:\n      - type: shell\n")
    live = run().until_listening()
    words = '[[tool shell {"cmd": "echo approved by hand"}]]'
    runs.roost(house, "send", words)
    until(lambda: "? shell" in live.errors)
    assert f"roost approve --run {live.process.pid}" in live.errors
    assert "shell" in runs.roost(house, "approvals", "--run", str(live.process.pid))
    assert "allowed" in runs.roost(house, "approve", "--run", live.session)
    until(lambda: "approved by hand" in live.out)
    until(lambda: live.get(f"/api/sessions/{live.session}/status").json["title"] == "A fake title")


def test_a_watcher_sees_what_happens_and_ends_with_the_run(house: House, run: Run) -> None:
    live = run().until_listening()
    runs.roost(house, "send", "one")
    live.until_idle(live.session)
    command = [sys.executable, "-m", "roost", "watch", live.session[:8], "--json"]
    watcher = subprocess.Popen(
        command, cwd=house.folder, env=house.env(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert watcher.stdout is not None
    seen = []
    for line in watcher.stdout:
        seen.append(json.loads(line))
        if seen[-1]["type"] == "stream_stopped":
            break
    assert [event["message"] for event in seen if event["type"] == "user_message"] == ["one"]
    assert live.signal(signal.SIGHUP) == 0
    rest, said = watcher.communicate(timeout=20)
    assert "session_exited" not in rest
    assert f"the run with pid {live.process.pid} has ended" in said
    assert watcher.returncode == 0


def test_a_prompt_is_played_to_its_end_while_others_look_on(house: House, run: Run) -> None:
    live = run("[[sleep 1]] [[say done]]").until_listening()
    assert live.get("/api/ready?timeout=5s").status == 200
    assert live.process.wait(20) == 0
    assert live.out == "done\n"
    assert not live.record.exists()


def test_without_an_address_there_is_no_record(house: House, run: Run) -> None:
    alone = run("hello", listen="")
    assert alone.process.wait(30) == 0, alone.errors
    assert alone.out == "fake reply to: hello\n"
    assert not alone.record.parent.exists()


def test_what_a_kill_cut_off_goes_on_when_the_session_is_opened_again(house: House, run: Run) -> None:
    path = house.folder / "run.sock"
    live = run(listen=f"unix://{path}").until_listening()
    session = live.session
    runs.roost(house, "send", "[[drip 0.3]] [[say one two three four five six seven eight nine ten eleven twelve]]")
    stream = live.events(session)
    stream.until(lambda f: f.type == "agent_choice")
    live.signal(signal.SIGKILL)
    stream.close()
    assert live.record.exists()  # what a kill leaves, the next reader sweeps
    assert "no runs" in runs.roost(house, "runs")
    assert not live.record.exists()
    again = run("--session", session[:13], listen=f"unix://{path}").until_listening()
    assert again.session == session
    assert "1 turn" in again.errors
    done = again.until_idle(session)
    assert done["messages"][-1]["message"]["content"].endswith("eleven twelve")
    assert sum(1 for one in done["messages"] if one["message"]["role"] == "user") == 1
    assert again.signal(signal.SIGTERM) == 0


def test_a_polite_stop_lets_the_turn_go_and_says_how_it_goes_on(house: House, run: Run) -> None:
    live = run().until_listening()
    session = live.session
    runs.roost(house, "send", "[[hang]]")
    until(lambda: live.snapshot(session)["streaming"])
    assert live.signal(signal.SIGTERM) == 0
    assert f"--session {session}" in live.errors
    house.model.reset()
    other = run("hello", listen="")  # a run of the same agent lets it go on, too
    assert other.process.wait(30) == 0, other.errors
    assert "1 turn" in other.errors


def test_another_agent_leaves_it_alone(house: House, run: Run) -> None:
    live = run().until_listening()
    session = live.session
    runs.roost(house, "send", "[[drip 0.2]] [[say one " + "and so on " * 10 + "six seven]]")
    until(lambda: "one" in live.out)
    live.signal(signal.SIGKILL)
    database = house.folder / "home" / ".roost" / "roost.db"
    stranger = house.serve(agents=house.agent("stranger").rename(house.folder / "stranger.yaml"), db=database)
    assert stranger.snapshot(session)["streaming"]
    assert "Settled" not in stranger.stderr()
    again = run("--session", session).until_listening()
    assert again.until_idle(session)["messages"][-1]["message"]["content"].endswith("six seven")


def test_a_session_that_nobody_used_is_not_kept(house: House, run: Run) -> None:
    live = run().until_listening()
    session = live.session
    assert live.signal(signal.SIGTERM) == 0
    again = run().until_listening()
    assert again.get(f"/api/sessions/{session}").status == 404


def test_the_last_session_of_the_agent_goes_on(house: House, run: Run) -> None:
    first = run("one", listen="")
    assert first.process.wait(30) == 0
    second = run("two [[sleep 5]]", "--continue").until_listening()
    texts = [one["message"]["content"] for one in second.snapshot(second.session)["messages"]]
    assert "one" in texts
    second.process.wait(20)
    refused = runs.roost(house, "run", str(house.agent("other")), "x", "--exec", "--session", "last", code=1)
    assert "no session of" in refused


def test_beyond_this_machine_only_with_a_token_or_a_word(house: House, run: Run) -> None:
    refused = run(listen="0.0.0.0:0")
    assert refused.process.wait(30) == 1
    assert "--allow-unauthenticated" in refused.errors
    guarded = run("--auth-token", "secret", listen="0.0.0.0:0").until_listening()
    assert "WARNING" in guarded.errors
    near = f"127.0.0.1:{guarded.address.rpartition(':')[2]}"
    assert Client(near).get("/api/ping").status == 401
    assert Client(near, token="secret").get("/api/ping").status == 200
    assert "secret" in guarded.record.read_text()
    assert guarded.session in runs.roost(house, "send", "hello")  # whoever may read the record may come in
    opened = run("--allow-unauthenticated", listen="0.0.0.0:0").until_listening()
    assert Client(f"127.0.0.1:{opened.address.rpartition(':')[2]}").get("/api/ping").status == 200


def test_the_other_api_needs_a_token_but_for_our_own_user(house: House, run: Run) -> None:
    near = run().until_listening()
    assert near.get("/api/v1/sessions").status == 401
    assert near.get("/api/sessions", headers={"Host": "evil.example"}).status == 403
    ours = run(listen=f"unix://{house.folder / 'run.sock'}").until_listening()
    assert ours.get("/api/v1/sessions").status == 200


def test_accounts_ask_for_their_tokens(house: House, run: Run) -> None:
    database = house.folder / "home" / ".roost" / "roost.db"
    database.parent.mkdir()
    server = house.serve("--auth-token", "t", db=database)
    with Blocking(f"http://{server.address}", token="t") as client:
        client.add_user("ann", "secret-of-ann", str(house.folder))
    live = run().until_listening()
    assert live.get("/api/sessions").status == 401


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["--listen", "npipe://x"], "named pipes"),
        (["--listen", "nonsense"], "host:port"),
        (["--auth-token", "t"], "--listen"),
        (["--yolo", "--safety", "strict"], "exclude each other"),
        (["--session", "x", "--continue"], "exclude each other"),
        (["--session", "nobody"], "nobody"),
    ],
)
def test_what_makes_no_sense_is_said(house: House, words: list[str], complaint: str) -> None:
    agent = str(house.agent())
    code = 2 if complaint in ("--listen", "exclude each other") else 1
    assert complaint in runs.roost(house, "run", agent, "hi", "--exec", *words, code=code)


def test_an_inherited_socket(house: House, run: Run) -> None:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        sock.listen()
        port = sock.getsockname()[1]
        live = run(listen=f"fd://{sock.fileno()}", fds=(sock.fileno(),)).until_listening()
    assert live.told()["addr"] == f"http://127.0.0.1:{port}"
    assert live.get("/api/ping").status == 200
