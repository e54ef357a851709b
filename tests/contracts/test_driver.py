"""What every driver keeps, whatever its CLI prints: over all that was captured, and over what never should be."""

import json
import random
from collections import Counter
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from drivers.playback import DRIVERS, Case, Playback, Saying, cases, errand, perform, play, replay, spoken
from roost.core import events as e
from roost.core.errors import BadModel
from roost.core.ids import LogId, Micros, SessionId, TurnId
from roost.core.session import Head, apply
from roost.ports import Driver, Exit

ALL = [case for cli in DRIVERS for case in cases(cli)]

FAILS = {
    "claude/400": "fake 400",
    "claude/401": "401",
    "claude/maxturns": "as many turns as it may",
    "claude/nokey": "ANTHROPIC_API_KEY",
    "claude/refused": "ECONNREFUSED",
    "claude/resume-bad": "No conversation found",
    "claude/root": "root/sudo",
    "claude/sid-dup": "already in use",
    "claude/sigint": "without a result",
    "claude/sigint-tool": "interrupted",
    "claude/sigterm": "code 143",
    "claude/tool-sigint-group": "interrupted",
    "claude/tool-sigkill-group": "SIGKILL",
    "claude/tool-sigterm-group": "code 143",
    "codex/400": "fake 400",
    "codex/401": "codex login",
    "codex/500": "high demand",
    "codex/cut": "stream disconnected",
    "codex/nogit": "Not inside a trusted directory",
    "codex/nokey": "FAKE_API_KEY",
    "codex/resume-bad": "no rollout found",
    "codex/sandboxed-tool-sigint-group": "code 1",
    "codex/sandboxed-tool-sigkill-group": "SIGKILL",
    "codex/sandboxed-tool-sigterm-group": "SIGTERM",
    "codex/sigint": "code 1",
    "codex/sigint-tool": "code 1",
    "codex/sigterm": "SIGTERM",
    "codex/sigterm-tool": "SIGTERM",
    "codex/tool-sigint-group": "code 1",
    "codex/tool-sigkill-group": "SIGKILL",
    "codex/tool-sigterm-group": "SIGTERM",
    "copilot/401": "HTTP 401",
    "copilot/nokey": "No authentication information",
    "copilot/resume-bad": "No session, task, or name matched",
    "copilot/sigint-tool": "SIGINT",
    "copilot/tool-sigint-group": "SIGINT",
    "copilot/tool-sigkill-group": "SIGKILL",
    "copilot/tool-sigterm-group": "SIGTERM",
    "gemini/401": "fake 401 (UNAUTHENTICATED)",
    "gemini/500": "SIGKILL",
    "gemini/bwrap": "SIGKILL",
    "gemini/nokey": "is not logged in",
    "gemini/resume-bad": "Invalid session identifier",
    "gemini/sigint": "without a result",
    "gemini/sigint-tool": "without a result",
    "gemini/sigterm": "without a result",
    "gemini/tool-sigint-group": "without a result",
    "gemini/tool-sigkill-group": "SIGKILL",
    "gemini/tool-sigterm-group": "without a result",
    "gemini/untrusted": "does not trust this folder",
    "mock/bad-resume": "No conversation found",
    "mock/fail": "it broke",
    "mock/exit": "code 7",
}
"""What each captured run that failed is told to have failed of; all others have ended well."""


@pytest.fixture(params=sorted(DRIVERS))
def driver(request: pytest.FixtureRequest) -> Driver:
    made: Driver = DRIVERS[request.param]()
    return made


@pytest.fixture(params=ALL, ids=str)
def case(request: pytest.FixtureRequest) -> Case:
    captured: Case = request.param
    return captured


# -- captured runs ------------------------------------------------------------------------------


def test_a_run_ends_as_it_did(case: Case) -> None:
    facts = play(case).facts
    errors = [fact.message for fact in facts if isinstance(fact, e.ErrorMet)]
    assert len(errors) == (str(case) in FAILS), errors
    if errors:
        assert FAILS[str(case)] in errors[0]
        rounds = [fact for fact in facts if isinstance(fact, e.RoundResult)]
        assert not rounds or not rounds[-1].success or case.name == "exit"  # whose round went well


def test_the_same_lines_make_the_same_facts(case: Case) -> None:
    assert play(case).facts == play(case).facts


def test_a_run_is_adopted_at_any_line(case: Case) -> None:
    played = play(case)
    heard = [number for number, act in enumerate(played.acts) if act != b""]
    played.acts = [played.acts[number] for number in heard]
    played.made = [played.made[number] for number in heard]
    for cut in range(len(played.acts) - 1):
        uncut = [fact for made in played.made[cut:-1] for fact in made]
        assert replay(played, cut)[: len(uncut)] == uncut


def test_all_that_is_opened_is_closed(case: Case) -> None:
    check_closed(play(case))


def test_facts_survive_the_log(case: Case) -> None:
    for fact in play(case).facts:
        assert e.decode(e.encode(fact)) == fact


def test_every_message_has_its_round(case: Case) -> None:
    facts = play(case).facts
    rounds = [fact.index for fact in facts if isinstance(fact, e.RoundEnded)]
    assert rounds == list(range(len(rounds)))
    assert len([fact for fact in facts if isinstance(fact, e.RoundResult)]) == len(rounds)
    if str(case) not in FAILS:
        assert rounds


def test_a_killed_run_needs_no_excuse(case: Case) -> None:
    played = Playback(DRIVERS[case.cli](), case.errand)
    played.do(*case.lines[: len(case.lines) // 2], Exit(signal=9, killed=True))
    assert not [fact for fact in played.facts if isinstance(fact, e.ErrorMet)]
    check_closed(played)


def check_closed(played: Playback) -> None:
    """Every call has one result and one message, every answer its message, every question its end."""
    facts = played.facts
    assert not played.dialog.pending
    asked = [
        call.id for fact in facts if isinstance(fact, e.MessageAdded) and fact.message for call in fact.message.calls
    ]
    assert len(asked) == len(set(asked))
    results = Counter(fact.call.id for fact in facts if isinstance(fact, e.ToolReturned))
    messages = Counter(fact.call for fact in facts if isinstance(fact, e.MessageAdded) and fact.call)
    assert messages == Counter(asked)
    assert all(results[call] == 1 for call in asked)
    assert all(count == 1 for count in results.values())
    starts = Counter(fact.call.id for fact in facts if isinstance(fact, e.ToolCalled))
    assert all(count == 1 for count in starts.values())
    opened = [fact.wait for fact in facts if isinstance(fact, e.WaitOpened)]
    assert len(opened) == len(set(opened))
    check_answers(facts)
    check_head(facts)


def check_answers(facts: list[e.Fact]) -> None:
    """Deltas add up to their message."""
    answers = [fact.answer for fact in facts if isinstance(fact, e.ModelAsked)]
    assert len(answers) == len(set(answers))
    for answer in answers:
        mine = [fact for fact in facts if getattr(fact, "answer", None) == answer]
        assert isinstance(mine[0], e.ModelAsked)
        assert isinstance(mine[-1], e.MessageAdded | e.AnswerDropped)
        if isinstance(mine[-1], e.MessageAdded):
            message = mine[-1].message
            assert message is not None
            text = "".join(fact.text for fact in mine if isinstance(fact, e.TextAdded))
            thought = "".join(fact.text for fact in mine if isinstance(fact, e.ReasoningAdded))
            assert text in ("", message.content)
            assert thought in ("", message.reasoning)


def check_head(facts: list[e.Fact]) -> None:
    """The session's head can take them in, and has nothing open in the end."""
    turn = e.TurnOpened(TurnId("t"), source="claude", agent="claude", working_dir="/", driver="claude")
    head = Head(SessionId("s"))
    for number, fact in enumerate([turn, *facts], 1):
        head = apply(head, e.Event(LogId("s"), number, Micros(number), fact))
    assert head.turn is not None
    assert not head.waits
    assert not head.turn.answer
    assert not [call for call in head.turn.calls if call.state != "returned"]


# -- what no CLI should print -------------------------------------------------------------------

PLAIN = {"ollama"}  # what they print is text, and none of it is wrong
WAIT = {"codex", "copilot", "gemini", "opencode", "qwen"}  # for their session, before they are told a prompt
READ = {"codex", "copilot", "gemini", "ollama"}  # all of stdin as one prompt

LINES = {cli: [line for case in cases(cli) for line in case.lines] + spoken(cli) or [b"text"] for cli in DRIVERS}
_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=8,
)


def mangled(line: bytes, rng: random.Random) -> bytes:
    """A line of a CLI with one value replaced by another type's."""
    try:
        value = json.loads(line)
    except ValueError:
        return line
    at = value
    while isinstance(at, dict | list) and at:
        key = rng.choice(list(at) if isinstance(at, dict) else list(range(len(at))))
        if not isinstance(at[key], dict | list) or not at[key] or rng.random() < 0.3:
            at[key] = rng.choice([None, 7, -1.5, "", "x\ud800", [], {}, [[]], {"type": 3}, True, 10**30])
            break
        at = at[key]
    return json.dumps(value).encode()


@pytest.mark.parametrize("cli", sorted(DRIVERS))
@pytest.mark.parametrize("auto", [False, True])
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    seed=st.integers(0, 2**32),
    garbage=st.lists(st.binary(max_size=40) | _json.map(lambda v: json.dumps(v).encode()), max_size=6),
)
def test_nothing_that_is_printed_raises(cli: str, auto: bool, seed: int, garbage: list[bytes]) -> None:
    rng = random.Random(seed)
    lines = [mangled(line, rng) for line in rng.choices(LINES[cli], k=25)]
    lines += [line[: rng.randrange(len(line) + 1)] for line in rng.choices(LINES[cli], k=5)] + garbage
    rng.shuffle(lines)
    played = Playback(DRIVERS[cli](), errand(auto_approve=auto))
    for number, line in enumerate(lines):
        played.do(line)
        played.made.append(played.dialog.complain(line).facts)
        played.acts.append(b"")
        for wait in list(played.dialog.pending):
            answer = e.Answer(rng.choice(["approve", "reject"]))
            step = played.dialog.answer(wait, answer)
            played.made.append((e.WaitAnswered(wait, answer), *step.facts))
            for given_input in step.inputs:
                played.dialog.sent(given_input)
        if number == 20 and played.dialog.say("k", "more") is not None:
            played.do(Saying("k", "more"))
    played.do(Exit(code=rng.choice([None, 0, 1])))
    assert not played.dialog.pending
    for fact in played.facts:
        assert e.decode(e.encode(fact)) == fact
    check_head(played.facts)


@pytest.mark.parametrize(
    "line", [b"", b" ", b"null", b"[]", b"3", b"{", b"\xff\xfe", b"[" * 200_000, b'{"type":', b"{}"]
)
def test_a_line_that_is_no_event_is_passed_over(driver: Driver, line: bytes) -> None:
    played = Playback(driver, errand())
    played.do(line, Exit(code=0))
    assert driver.capability.provider in PLAIN or all(
        isinstance(fact, e.LineSkipped | e.ErrorMet) for fact in played.facts
    )


def test_a_line_of_many_megabytes_is_taken(driver: Driver) -> None:
    played = Playback(driver, errand())
    played.do(b"x" * 8_000_000, b'{"type": "' + b"y" * 8_000_000, Exit(code=0))
    assert driver.capability.provider in PLAIN or sum(len(e.encode(fact)) for fact in played.facts) < 20_000


def test_complaints_are_shown_up_to_a_bound(driver: Driver) -> None:
    dialog = driver.open(errand())
    facts = [fact for _ in range(3000) for fact in dialog.complain(b"\x1b[31m" + b"e" * 100 + b"\x1b[0m").facts]
    texts = [fact.text for fact in facts if isinstance(fact, e.StderrAdded)]
    assert texts[0] == "e" * 100
    assert sum(map(len, texts)) < 70_000


def test_a_run_that_prints_nothing_has_failed(driver: Driver) -> None:
    (error,) = perform(driver.open(errand()), Exit(code=0), ())[0]
    assert isinstance(error, e.ErrorMet)
    assert "without a result" in error.message


def test_a_run_that_was_told_nothing_has_not(driver: Driver) -> None:
    if driver.capability.provider != "codex":  # it opens a thread before it can be told anything
        assert perform(driver.open(errand(prompt="", interactive=True)), Exit(code=0), ())[0] == ()


def test_a_flood_is_an_error(driver: Driver) -> None:
    facts = perform(driver.open(errand()), Exit(signal=9, flooded=True), ())[0]
    assert "printed more" in next(fact.message for fact in facts if isinstance(fact, e.ErrorMet))


# -- starting -----------------------------------------------------------------------------------


def test_no_prompt_and_no_secret_stands_on_the_command_line(driver: Driver) -> None:
    """D14, D31: stdin and private files carry what others on the machine may not see."""
    for auto in (True, False):
        for interactive in (True, False):
            secret = errand(
                prompt="SECRET-PROMPT",
                system_prompt="SECRET-SYSTEM",
                mcp={"tools": {"command": "x", "env": {"TOKEN": "SECRET-TOKEN"}}},
                auto_approve=auto,
                interactive=interactive,
            )
            launch = driver.launch(secret)
            assert "SECRET" not in " ".join(launch.argv)
            assert "SECRET" not in json.dumps(launch.env)
            told = "".join(given.line for given in launch.inputs) + json.dumps(launch.files)
            assert "SECRET-PROMPT" in told or driver.capability.provider in WAIT


def test_a_launch_writes_nothing_into_the_project(driver: Driver) -> None:
    """D27: files are for the run's own folder, named without a path."""
    launch = driver.launch(errand(system_prompt="be brief", json_schema={"type": "object"}))
    assert all("/" not in name for name in launch.files)


def test_shell_characters_stay_what_they_are(driver: Driver) -> None:
    odd = errand(prompt="$(touch x) `y` \n-v", add_dirs=("/tmp/$(z)",), model="m", auto_approve=True)
    launch = driver.launch(odd)
    assert launch.cwd == "/tmp/demo"
    assert not any("touch" in word for word in launch.argv)
    assert all("\n" not in given.line for given in launch.inputs) or driver.capability.provider in READ


def test_models_are_known_by_name_size_and_nothing_else(driver: Driver) -> None:
    sizes = driver.capability.size_mappings
    if driver.capability.provider in PLAIN:
        return  # its sizes are of one model, and its models anybody's
    assert driver.model("") == driver.capability.default_model
    assert driver.model("S") == driver.model("small") == driver.model("", "s") == sizes["small"]
    assert driver.model("default") == driver.model("Medium") == sizes["medium"]
    assert driver.model("max") == driver.model("large") == sizes["large"]
    for name in driver.capability.available_models:
        if name != "default":
            assert driver.model(name.upper()) == name
    if not driver.capability.open_models:
        with pytest.raises(BadModel, match="or small, medium, large"):
            driver.model("no-such-model")


@pytest.mark.parametrize("cli", sorted(DRIVERS))
def test_unknown_models_may_be_let_through(cli: str) -> None:
    open_driver = DRIVERS[cli]()
    if not open_driver.capability.open_models:
        open_driver = type(open_driver)(open_models=True)  # type: ignore[call-arg]
    assert open_driver.capability.open_models
    assert open_driver.model("tomorrow-1") == "tomorrow-1"
    with pytest.raises(BadModel):
        open_driver.model("--evil")


def test_a_capability_says_all_that_clients_ask(driver: Driver) -> None:
    wanted = (
        "interactive non_interactive resume resume_with_prompt session_logs json_output stream_json input_format "
        "json_schema streaming_input worktree sandbox system_prompt auto_approve review add_dirs max_turns"
    )
    assert set(driver.capability.features) == set(wanted.split())
    assert set(driver.capability.size_mappings) == {"small", "medium", "large"}


def test_a_resumed_run_names_the_session_it_goes_on_with(driver: Driver) -> None:
    if driver.capability.features["resume"].supported:
        for auto in (True, False):
            assert "abc-1" in first_words(driver, resume="abc-1", auto_approve=auto)
            assert "abc-1" not in first_words(driver, auto_approve=auto)


def first_words(driver: Driver, **more: Any) -> str:
    """All that a run is told before it has said who it is, and right after."""
    asked = errand(**more)
    launch, dialog = driver.launch(asked), driver.open(asked)
    capable = {"protocolVersion": 1, "agentCapabilities": {"loadSession": True}}
    step = dialog.feed(json.dumps({"id": 1, "result": capable}).encode())
    return " ".join([*launch.argv, *(given.line for given in (*launch.inputs, *step.inputs))])
