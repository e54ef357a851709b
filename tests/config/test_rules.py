"""A user's own permissions and hooks: from the settings, then from the files of `hooks.d`."""

from pathlib import Path

import pytest

from roost.config import settings
from roost.config.rules import Hooks, user_rules
from roost.core.agents import Hook, Matcher
from roost.core.errors import BadValue
from roost.core.events import Permissions


def rules(home: Path, toml: str = "", env: dict[str, str] | None = None) -> tuple[Permissions, Hooks]:
    (home / "serve.toml").write_text(toml)
    return user_rules(home, settings.load({"home": str(home)}, env or {}))


def drop_in(home: Path, name: str, text: str | bytes) -> Path:
    (folder := home / "hooks.d").mkdir(exist_ok=True)
    (folder / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    return folder / name


def test_nothing_is_nothing(tmp_path: Path) -> None:
    assert rules(tmp_path) == (Permissions(), {})


def test_permissions_and_hooks_of_the_settings(tmp_path: Path) -> None:
    permissions, hooks = rules(
        tmp_path,
        """
        [permissions]
        allow = ["read_*"]
        deny = ["shell:cmd=sudo*"]

        [[hooks.pre_tool_use]]
        matcher = "shell"
        preempt_yolo = true
        hooks = [{type = "command", command = "./guard.py", timeout = 5}]

        [[hooks.session_start]]
        type = "builtin"
        command = "add_date"
        """,
    )
    assert permissions == Permissions(allow=("read_*",), deny=("shell:cmd=sudo*",))
    assert hooks == {
        "pre_tool_use": (Matcher((Hook("command", "./guard.py", timeout=5.0),), "shell", preempt=True),),
        "session_start": (Matcher((Hook("builtin", "add_date"),)),),
    }


def test_files_follow_the_settings_by_name(tmp_path: Path) -> None:
    drop_in(tmp_path, "20-b.yml", "hooks: {turn_end: {type: command, command: b}}")
    drop_in(tmp_path, "10-a.yaml", "turn_end: [{type: command, command: a}]")
    for ignored in (".hidden.yaml", "notes.txt", "a.yaml~"):
        drop_in(tmp_path, ignored, "}")
    drop_in(tmp_path, "30-empty.yaml", "")
    drop_in(tmp_path, "40-off.yaml", "# turn_end:\n\n  # [x]\n")
    drop_in(tmp_path, "50-none.yaml", "hooks:\n")
    _, hooks = rules(tmp_path, 'hooks.turn_end = [{type = "command", command = "first"}]')
    assert [matcher.hooks[0].command for matcher in hooks["turn_end"]] == ["first", "a", "b"]


def test_a_variable_holds_json(tmp_path: Path) -> None:
    permissions, _ = rules(tmp_path, env={"ROOST_PERMISSIONS": '{"ask": ["fetch"]}'})
    assert permissions == Permissions(ask=("fetch",))
    with pytest.raises(BadValue, match="ROOST_HOOKS: must be a table"):
        rules(tmp_path, env={"ROOST_HOOKS": "[]"})


def test_all_that_is_wrong_is_said_at_once(tmp_path: Path) -> None:
    bad = drop_in(tmp_path, "a.yaml", "pre_tool_use:\n  - {matcher: '(', hooks: [{type: command}]}\nnope: 1\n")
    broken = drop_in(tmp_path, "b.yaml", "a: [")
    binary = drop_in(tmp_path, "c.yaml", b"\xff\xfe\x00")
    with pytest.raises(BadValue) as raised:
        rules(
            tmp_path,
            'permissions = {allow = [":cmd=x"], dney = ["y"]}\nhooks.pre_tool_use = [{hooks = [{type = "model"}]}]',
        )
    told = str(raised.value)
    for part in (
        "settings: unknown key 'dney' in permissions",
        "settings: hooks.pre_tool_use[0].hooks[0]",
        f"{bad}:2:15: pre_tool_use[0].matcher: '(' is no regular expression",
        f"{bad}:2:28: pre_tool_use[0].hooks[0]: a hook of type 'command' needs command",
        f"{bad}:3:1: unknown key 'nope'",
        f"{broken}:",
        f"{binary}:1:1: not UTF-8",
    ):
        assert part in told


def test_a_pattern_that_names_no_tool(tmp_path: Path) -> None:
    with pytest.raises(BadValue, match="settings: permissions: invalid permission pattern"):
        rules(tmp_path, 'permissions.deny = [":cmd=x"]')


def test_what_cannot_be_read_is_not_passed_over(tmp_path: Path) -> None:
    (tmp_path / "hooks.d").mkdir()
    (tmp_path / "hooks.d" / "a.yaml").symlink_to("nowhere")
    with pytest.raises(BadValue, match=r"a\.yaml: No such file"):
        rules(tmp_path)
    (tmp_path / "hooks.d" / "a.yaml").unlink()
    (tmp_path / "hooks.d").rmdir()
    (tmp_path / "hooks.d").write_text("")
    with pytest.raises(BadValue, match=r"hooks\.d: Not a directory"):
        rules(tmp_path)


def test_what_is_not_built_and_guards_nothing_is_left_out_aloud(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    drop_in(tmp_path, "a.yaml", "turn_end: [{type: builtin, command: snapshot}, {type: command, command: a}]")
    _, hooks = rules(tmp_path)
    assert hooks == {"turn_end": (Matcher((Hook("command", "a"),)),)}
    assert "the builtin hook 'snapshot' is not supported yet" in caplog.text
