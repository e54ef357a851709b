"""Which calls run, which are refused and which wait for a person."""

# ruff: noqa: E501  (tables of cases)

import json

import pytest

from roost.core import approvals, modes, patterns
from roost.core.approvals import Allow, Ask, Confirmation, Deny, Verdict, decide
from roost.core.errors import BadValue
from roost.core.events import Permissions
from roost.core.ids import CallId
from roost.core.labels import Label
from roost.core.messages import Annotations, Definition, ToolCall

NONE = Permissions()


def call(name: str = "shell", /, **arguments: object) -> ToolCall:
    return ToolCall(CallId("c1"), name, json.dumps(arguments))


SHELL = Definition("shell", "shell", parameters={"properties": {"cmd": {}}})
READER = Definition("read_file", "filesystem", annotations=Annotations(read_only=True))
WRITER = Definition("write_file", "filesystem")
WRECKER = Definition("wreck", "x", annotations=Annotations(destructive=True))


@pytest.mark.parametrize(
    ("pattern", "name", "arguments", "expected"),
    [
        ("shell", "shell", {}, True),
        ("Shell", "SHELL", {}, True),
        ("shell", "shell2", {}, False),
        ("read_*", "read_file", {}, True),
        ("read_*", "xread_file", {}, False),
        ("*", "anything", {}, True),
        ("*_file", "read_file", {}, True),
        ("r*d_f*e", "read_file", {}, True),
        ("r?ad_file", "read_file", {}, True),
        ("[rw]*_file", "write_file", {}, True),
        ("[!rw]*_file", "write_file", {}, False),
        ("[a-c]x", "bx", {}, True),
        ("[z-a]x", "[z-a]x", {}, True),
        ("[x", "[x", {}, True),
        ("a.c", "abc", {}, False),
        ("mcp:github:create_issue", "mcp:github:create_issue", {}, True),
        ("mcp:github:*", "mcp:github:create_issue", {"a": 1}, True),
        ("mcp:github:x:a=1", "mcp:github:x", {"a": 1}, True),
        ("shell:cmd=ls*", "shell", {"cmd": "ls -la /a/b"}, True),
        ("shell:cmd=ls*", "shell", {"cmd": "LS"}, True),
        ("shell:cmd=ls*", "shell", {}, False),
        ("shell:cmd=ls*", "shell", {"cwd": "ls"}, False),
        ("shell:cmd=*rm*", "shell", {"cmd": "cd /a/b && rm x/y\nz"}, True),
        ("shell:cmd=rm */x", "shell", {"cmd": "rm a/b/x"}, True),
        ("shell:cmd=ls:cwd=/tmp", "shell", {"cmd": "ls", "cwd": "/tmp"}, True),
        ("shell:cmd=ls:cwd=/tmp", "shell", {"cmd": "ls", "cwd": "/"}, False),
        ("fetch:url=https://a.b:80/*", "fetch", {"url": "https://a.b:80/x"}, True),
        ("fetch:url=https://a.b/?q=1:2", "fetch", {"url": "https://a.b/?q=1:2"}, True),
        ("f:a=1:a=2", "f", {"a": 2}, True),
        ("f:a=1:a=2", "f", {"a": 1}, False),
        ("f:a=true", "f", {"a": True}, True),
        ("f:a=3", "f", {"a": 3.0}, True),
        ("f:a=3.5", "f", {"a": 3.5}, True),
        ("f:a=null", "f", {"a": None}, True),
        (r"f:a=\*", "f", {"a": "*"}, True),
        (r"f:a=\*", "f", {"a": "x"}, False),
        (r"a\:b", "a:b", {}, True),
        (r"f:a=x\:b=y", "f", {"a": "x:b=y"}, True),
        (r"f:a=x\:b=y", "f", {"a": "x", "b": "y"}, False),
        ("f:a=", "f", {"a": ""}, True),
        ("f:a=b:", "f", {"a": "b:"}, True),
        ("f:=x", "f:=x", {}, True),
        ("", "f", {}, False),
    ],
)
def test_patterns(pattern: str, name: str, arguments: dict[str, object], expected: bool) -> None:
    assert approvals.matches(pattern, name, arguments) is expected


def test_a_pattern_of_many_stars_takes_no_time() -> None:
    assert not patterns.matches("f:a=" + "*a" * 30 + "b", "f", {"a": "a" * 30_000})


@pytest.mark.parametrize(
    ("pattern", "command", "expected"),
    [
        ("shell:cmd=git status*", "git status", True),
        ("shell:cmd=git status*", "git status -s", True),
        ("shell:cmd=git status*", "git statusx", False),
        ("shell:cmd=git status *", "git status -s", True),
        ("shell:cmd=git * status*", "git -C x statusx status -s", True),
        ("shell:cmd=git * status*", "git -C x statusx", False),
        ("shell:cmd=git status*", "git status; rm -rf /", False),
        ("shell:cmd=git status*", "git status && rm x", False),
        ("shell:cmd=git status*", "git status $(rm x)", False),
        ("shell:cmd=git status*", "git status\nrm x", False),
        ("shell:cmd=git status*", "git status > x", False),
        ("shell:cmd=*", "ls", False),
        ("shell:cmd=* x", "ls x", True),
        ("shell:cmd=a; b", "a; b", True),
        (r"shell:cmd=echo \*", "echo *", True),
        ("shell", "a; b", True),
        ("shell:cmd=ls*:cwd=/x", "ls", False),
    ],
)
def test_grants_of_commands_end_with_a_word(pattern: str, command: str, expected: bool) -> None:
    assert patterns.grants(pattern, "shell", {"cmd": command}) is expected
    assert patterns.grants(pattern.replace("cmd=", "command="), "shell", {"command": command}) is expected


def test_a_grant_of_a_command_to_a_tool_that_is_not_our_shell_covers_one_command_too() -> None:
    mine, plain = Permissions(allow=("Bash:command=git status*",)), Definition("Bash")
    for command, word in (("git status -s", "allow"), ("git status; rm -rf /", None), ("git statusx", None)):
        asked = ToolCall(CallId("c"), "Bash", json.dumps({"command": command}))
        assert approvals.said(asked, plain, session=mine, team=NONE).session == word
        assert approvals.said(asked, plain, session=None, team=NONE, user=mine).user == word


@pytest.mark.parametrize(
    ("permissions", "expected"),
    [
        (None, None),
        (NONE, None),
        (Permissions(allow=("shell",), deny=("shell",)), "deny"),
        (Permissions(allow=("shell",), ask=("shell",)), "allow"),
        (Permissions(ask=("shell",)), "ask"),
        (Permissions(allow=("other",)), None),
    ],
)
def test_a_denial_outweighs_a_permission(permissions: Permissions | None, expected: str | None) -> None:
    assert approvals.rule(call(cmd="ls"), permissions) == expected


@pytest.mark.parametrize(
    "command",
    [
        "rm x",
        " rm x",
        "\nrm x",
        "RM x",
        "ls; rm x",
        "ls && rm x",
        "ls | rm x",
        "(rm x)",
        "if true; then rm x; fi",
        "/bin/rm x",
        "r\\m x",
        "r''m x",
        "sudo rm x",
        "env A=b rm x",
        "sh -c 'rm x'",
        "bash -c \"sh -c 'rm x'\"",
        "eval rm x",
        "echo $(rm x)",
        "echo `rm x`",
        "ls | xargs rm",
        "find . -exec rm {} +",
    ],
)
def test_a_denied_command_stays_denied_however_it_is_spelled(command: str) -> None:
    lists = Permissions(deny=("shell:cmd=rm*",))
    for session, team in ((lists, NONE), (None, lists)):
        for mode in ("", "balanced", "autonomous"):
            verdict = approvals.decide(call(cmd=command), SHELL, session=session, team=team, safety=mode)
            assert isinstance(verdict, Deny), mode
    asked = approvals.decide(
        call(cmd=command), SHELL, session=Permissions(ask=("shell:cmd=rm*",)), team=NONE, safety="autonomous"
    )
    assert isinstance(asked, Ask)


@pytest.mark.parametrize("command", ["ls", "echo rm", "grep rm x", "npm test", "charm x", "ls # rm x"])
def test_a_word_in_a_command_is_no_command(command: str) -> None:
    lists = Permissions(allow=("shell",), deny=("shell:cmd=rm*",))
    assert isinstance(approvals.decide(call(cmd=command), SHELL, session=lists, team=NONE, safety=""), Allow)


def test_arguments_that_cannot_be_read_are_denied_rather_than_allowed() -> None:
    broken = ToolCall(CallId("c1"), "shell", '{"cmd": "rm')
    assert approvals.rule(broken, Permissions(deny=("shell:cmd=rm*",))) == "deny"
    assert approvals.rule(broken, Permissions(allow=("shell:cmd=rm*",))) is None
    assert approvals.rule(broken, Permissions(deny=("fetch:url=x",))) is None


ALLOW, ASK, DENY = (Permissions(**{field: ("*",)}) for field in ("allow", "ask", "deny"))


@pytest.mark.parametrize(
    ("session", "team", "mode", "definition", "expected"),
    [
        # a denial of any level comes first, whatever the mode
        (DENY, NONE, "autonomous", READER, Deny("Tool 't' is denied by session permissions.", "session_permissions_deny")),
        (ALLOW, DENY, "autonomous", READER, Deny("Tool 't' is denied by permissions configuration.", "team_permissions_deny")),
        (None, DENY, "", READER, Deny("Tool 't' is denied by permissions configuration.", "team_permissions_deny")),
        # then the session, then the team
        (ALLOW, ASK, "strict", WRITER, Allow("session_permissions_allow")),
        (ASK, ALLOW, "autonomous", READER, Ask("session_permissions_ask", {})),
        (None, ALLOW, "strict", WRITER, Allow("team_permissions_allow")),
        (None, ALLOW, "restricted", WRITER, Allow("team_permissions_allow")),
        (None, ASK, "", READER, Ask("team_permissions_ask", {})),
        (None, ASK, "strict", READER, Ask("team_permissions_ask", {})),
        # the file's wish to be asked yields to a mode that a person chose
        (None, ASK, "balanced", READER, Allow("mode_balanced")),
        (None, ASK, "autonomous", WRITER, Allow("yolo")),
        # then the mode
        (None, NONE, "autonomous", WRECKER, Allow("yolo")),
        (None, NONE, "strict", READER, Ask("mode_strict", {})),
        (None, NONE, "balanced", READER, Allow("mode_balanced")),
        (None, NONE, "balanced", WRITER, Ask("mode_balanced", {})),
        (None, NONE, "balanced", WRECKER, Ask("mode_balanced", {})),
        (None, NONE, "restricted", READER, Allow("mode_restricted")),
        (None, NONE, "restricted", WRITER,
         Deny("Tool 't' is denied by the safety policy 'restricted': it is judged unknown.", "mode_restricted")),
        # and without a mode the tool's own word
        (None, NONE, "", READER, Allow("readonly_hint")),
        (None, NONE, "", WRITER, Ask("mode_legacy", {})),
    ],
)  # fmt: skip
def test_decisions(
    session: Permissions | None, team: Permissions, mode: str, definition: Definition, expected: Verdict
) -> None:
    assert decide(call("t"), definition, session=session, team=team, safety=mode) == expected


@pytest.mark.parametrize(
    ("mode", "command", "expected"),
    [
        ("balanced", "ls", Allow("mode_balanced")),
        ("balanced", "rm x",
         Ask("mode_balanced", {"safety_label": "destructive", "blast_radius": "low", "category": "deletion", "reason": "removes files"})),
        ("restricted", "rm x",
         Deny("Tool 'shell' is denied by the safety policy 'restricted': it is judged destructive (removes files).",
              "mode_restricted")),
        ("restricted", "ls", Allow("mode_restricted")),
        ("autonomous", "rm x", Allow("yolo")),
        ("", "ls", Ask("mode_legacy", {"safety_label": "safe", "category": "read_only", "reason": "only programs that read"})),
    ],
)  # fmt: skip
def test_a_shell_is_judged_by_its_command(mode: str, command: str, expected: Verdict) -> None:
    assert decide(call(cmd=command), SHELL, session=None, team=NONE, safety=mode) == expected


def test_a_label_from_elsewhere_counts() -> None:
    verdict = decide(call(cmd="x"), SHELL, session=None, team=NONE, safety="balanced", label=Label("safe"))
    assert verdict == Allow("mode_balanced")


def test_a_session_grant_of_the_shell_is_read_carefully_and_a_files_as_written() -> None:
    rules, sneaky = Permissions(allow=("shell:cmd=ls*",)), call(cmd="ls; rm x")
    assert isinstance(decide(sneaky, SHELL, session=rules, team=NONE, safety=""), Ask)
    assert decide(sneaky, SHELL, session=None, team=rules, safety="") == Allow("team_permissions_allow")


def test_the_files_wish_to_be_asked_stands_against_a_mode_that_the_file_proposed() -> None:
    verdict = decide(call("t"), READER, session=None, team=ASK, safety="balanced", chosen=False)
    assert verdict == Ask("team_permissions_ask", {})


@pytest.mark.parametrize("session", [None, ASK])
def test_nobody_to_ask_is_a_denial(session: Permissions | None) -> None:
    assert decide(call("t"), WRITER, session=session, team=NONE, safety="", interactive=False) == Deny(
        "Tool 't' requires user confirmation but the session is non-interactive", "non_interactive_deny"
    )


@pytest.mark.parametrize(
    ("name", "canonical"),
    [("", ""), ("strict", "strict"), ("safer", "balanced"), ("safe-auto", "balanced"), ("balanced", "balanced"),
     ("unsafe", "autonomous"), ("autonomous", "autonomous"), ("restricted", "restricted")],
)  # fmt: skip
def test_names_of_modes(name: str, canonical: str) -> None:
    assert modes.safety(name) == canonical


def test_an_unknown_mode_is_refused() -> None:
    with pytest.raises(BadValue, match=r'^invalid safety_policy: "yolo"$'):
        modes.safety("yolo")


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("approve", Confirmation("approve")),
        ("approve-session", Confirmation("approve", "autonomous")),
        ("approve-autonomous", Confirmation("approve", "autonomous")),
        ("approve-balanced", Confirmation("approve", "balanced")),
        ("approve-safe", Confirmation("approve", "balanced")),
        ("approve-safer", Confirmation("approve", "balanced")),
        ("approve-tool", Confirmation("approve", remember=True)),
        ("reject", Confirmation("reject")),
    ],
)
def test_words_of_confirmation(word: str, expected: Confirmation) -> None:
    assert approvals.confirmation(word) == expected


@pytest.mark.parametrize("word", ["", "yes", "Approve", "approve_tool"])
def test_an_unknown_word_is_refused(word: str) -> None:
    with pytest.raises(BadValue, match="invalid confirmation"):
        approvals.confirmation(word)


def test_a_grant_is_added_once() -> None:
    once = approvals.granted(None, call("write_file"))
    assert once == Permissions(allow=("write_file",))
    assert approvals.granted(once, call("write_file")) == once
    assert approvals.granted(once, call(), "shell:cmd=ls*").allow == ("write_file", "shell:cmd=ls*")
    odd = approvals.granted(None, call("mcp:a=b*"))
    assert approvals.rule(call("mcp:a=b*"), odd) == "allow"
    assert approvals.rule(call("mcp:a=bc"), odd) is None
    with pytest.raises(BadValue):
        approvals.granted(None, call(), ":cmd=x")


def test_a_rejection_carries_its_reason() -> None:
    assert approvals.rejected() == "The user rejected the tool call."
    assert approvals.rejected("  too late ") == "The user rejected the tool call. Reason: too late"
