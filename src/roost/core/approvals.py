"""May this call run?  decide(call, definition, …) -> Allow | Deny | Ask."""

import json
from collections.abc import Collection, Mapping
from typing import Any, Literal

from msgspec import Struct
from msgspec.structs import replace

from roost.core import patterns
from roost.core.errors import BadValue
from roost.core.events import Permissions
from roost.core.labels import Label
from roost.core.messages import Definition, ToolCall
from roost.core.shell import classify, commands

SAFETY: Mapping[str, str] = {
    "": "",
    "strict": "strict",
    "balanced": "balanced",
    "safer": "balanced",
    "safe-auto": "balanced",
    "restricted": "restricted",
    "autonomous": "autonomous",
    "unsafe": "autonomous",
}

_BY_MODE: Mapping[str, Mapping[str, Literal["allow", "ask", "deny"]]] = {
    "strict": {"safe": "ask", "destructive": "ask", "unknown": "ask"},
    "balanced": {"safe": "allow", "destructive": "ask", "unknown": "ask"},
    "restricted": {"safe": "allow", "destructive": "deny", "unknown": "deny"},
    "autonomous": {"safe": "allow", "destructive": "allow", "unknown": "allow"},
}

REJECTED = "The user rejected the tool call."
CANCELED = "The tool call was canceled by the user."
CANCELED_WITH_BATCH = "The tool call was canceled because another tool call in the same batch was canceled by the user."


class Allow(Struct, frozen=True):
    """It runs; `source` says by whose leave."""

    source: str


class Deny(Struct, frozen=True):
    """It does not; `message` is what the model reads."""

    message: str
    source: str


class Ask(Struct, frozen=True):
    """A person decides; `metadata` stands beside the question."""

    source: str
    metadata: dict[str, str]


Verdict = Allow | Deny | Ask


class Confirmation(Struct, frozen=True, omit_defaults=True):
    """What a word of confirmation means.

    `safety` is the session's mode from now on, `remember` says that calls like this run unasked
    from now on.
    """

    action: Literal["approve", "reject"]
    safety: str | None = None
    remember: bool = False


CONFIRMATIONS: Mapping[str, Confirmation] = {
    "approve": Confirmation("approve"),
    "approve-session": Confirmation("approve", safety="autonomous"),
    "approve-autonomous": Confirmation("approve", safety="autonomous"),
    "approve-balanced": Confirmation("approve", safety="balanced"),
    "approve-safe": Confirmation("approve", safety="balanced"),
    "approve-safer": Confirmation("approve", safety="balanced"),
    "approve-tool": Confirmation("approve", remember=True),
    "reject": Confirmation("reject"),
}


def safety(name: str) -> str:
    """The canonical name of a safety mode.

    Raises:
        BadValue: there is none of this name.
    """
    if name not in SAFETY:
        raise BadValue(f"invalid safety_policy: {json.dumps(name, ensure_ascii=False)}")
    return SAFETY[name]


def confirmation(word: str) -> Confirmation:
    """What this word of a person means.

    Raises:
        BadValue: nothing.
    """
    if word not in CONFIRMATIONS:
        known = ", ".join(CONFIRMATIONS)
        raise BadValue(f"invalid confirmation: {json.dumps(word, ensure_ascii=False)} (known: {known})")
    return CONFIRMATIONS[word]


def rejected(reason: str = "") -> str:
    """What the model reads when a person rejects a call."""
    return f"{REJECTED} Reason: {reason.strip()}" if reason.strip() else REJECTED


def granted(permissions: Permissions | None, call: ToolCall, pattern: str = "") -> Permissions:
    """A session's permissions after `approve-tool`; without a pattern the tool itself is granted.

    Raises:
        BadValue: the pattern names no tool.
    """
    permissions = permissions or Permissions()
    grant = patterns.check(pattern) if pattern else patterns.literal(call.name)
    return permissions if grant in permissions.allow else replace(permissions, allow=(*permissions.allow, grant))


def matches(pattern: str, call_name: str, arguments: Mapping[str, Any]) -> bool:
    """Whether a pattern of permissions means this call."""
    return patterns.matches(pattern, call_name, arguments)


def rule(
    call: ToolCall, permissions: Permissions | None, *, careful: bool = False, runs: Collection[str] = ()
) -> Literal["deny", "allow", "ask"] | None:
    """What one set of lists says: a denial outweighs a permission, a permission a wish to be asked.

    Where the arguments can't be read, a denial of some calls of this tool is one of this call, and a
    permission of some none.  `careful` reads permissions of shell commands as `patterns.grants` does.
    `runs` are the commands in a shell's command line: a denial, or a wish to be asked, of one of them is one of the
    whole, however it is spelled.
    """
    if permissions is None:
        return None
    arguments = _arguments(call)
    forms = [arguments, *({**(arguments or {}), "cmd": run} for run in runs)]
    if any(_hits(pattern, call.name, form) for pattern in permissions.deny for form in forms):
        return "deny"
    covers = patterns.grants if careful else patterns.matches
    if any(covers(pattern, call.name, arguments or {}) for pattern in permissions.allow):
        return "allow"
    asked = any(_hits(pattern, call.name, form) for pattern in permissions.ask for form in forms)
    return "ask" if asked else None


def label(call: ToolCall, definition: Definition) -> Label:
    """How dangerous the call is: a shell's by its command, any other's by what its tool says of itself."""
    if is_shell(definition):
        command = (_arguments(call) or {}).get("cmd")
        return classify(command) if isinstance(command, str) else Label("unknown", reason="no command")
    if definition.annotations.read_only:
        return Label("safe", reason="the tool only reads")
    if definition.annotations.destructive:
        return Label("destructive", reason="the tool says that it destroys")
    return Label("unknown")


def is_shell(definition: Definition) -> bool:
    """Whether the tool runs what its argument `cmd` says."""
    return definition.category == "shell" and "cmd" in (definition.parameters or {}).get("properties", {})


def decide(
    call: ToolCall,
    definition: Definition,
    *,
    session: Permissions | None,
    team: Permissions,
    safety: str,
    interactive: bool = True,
    chosen: bool = True,
    label: Label | None = None,
) -> Verdict:
    """Weigh one call: denials of any level, then the session's rules, the team's, the mode, the tool's own word.

    `safety` is a canonical mode or ""; `chosen` says that a person chose it, not the agent file: only
    then it overrides the file's wish to be asked.  Without a `label` the call is judged here.
    """
    judged = label or _label(call, definition)
    shell = is_shell(definition)
    runs = _runs(call) if shell and any(lists.deny or lists.ask for lists in (session, team) if lists) else ()
    by_session = rule(call, session, careful=shell, runs=runs)
    by_team = rule(call, team, runs=runs)
    verdict = (
        _denied(call, by_session, by_team)
        or _ruled(by_session, by_team, yields=chosen and safety in ("balanced", "restricted", "autonomous"))
        or _by_mode(call, definition, safety, judged)
    )
    if not isinstance(verdict, Ask):
        return verdict
    if not interactive:
        return Deny(
            f"Tool '{call.name}' requires user confirmation but the session is non-interactive", "non_interactive_deny"
        )
    return Ask(verdict.source, judged.metadata if shell else {})


_label = label  # `decide` has an argument of this name


def _denied(call: ToolCall, by_session: str | None, by_team: str | None) -> Deny | None:
    if by_session == "deny":
        return Deny(f"Tool '{call.name}' is denied by session permissions.", "session_permissions_deny")
    if by_team == "deny":
        return Deny(f"Tool '{call.name}' is denied by permissions configuration.", "team_permissions_deny")
    return None


def _ruled(by_session: str | None, by_team: str | None, *, yields: bool) -> Allow | Ask | None:
    if by_session == "allow":
        return Allow("session_permissions_allow")
    if by_session == "ask":
        return Ask("session_permissions_ask", {})
    if by_team == "allow":
        return Allow("team_permissions_allow")
    if by_team == "ask" and not yields:
        return Ask("team_permissions_ask", {})
    return None


def _by_mode(call: ToolCall, definition: Definition, mode: str, judged: Label) -> Verdict:
    if not mode:
        return Allow("readonly_hint") if definition.annotations.read_only else Ask("mode_legacy", {})
    match _BY_MODE[mode][judged.label]:
        case "allow":
            return Allow("yolo" if mode == "autonomous" else f"mode_{mode}")
        case "deny":
            message = f"Tool '{call.name}' is denied by the safety policy '{mode}': it is judged {judged.label}"
            return Deny(f"{message} ({judged.reason})." if judged.reason else f"{message}.", f"mode_{mode}")
        case "ask":
            return Ask(f"mode_{mode}", {})


def _runs(call: ToolCall) -> Collection[str]:
    """The commands that a shell call's command line runs."""
    command = (_arguments(call) or {}).get("cmd")
    return frozenset(commands(command)) if isinstance(command, str) else ()


def _arguments(call: ToolCall) -> dict[str, Any] | None:
    """The arguments, or None where they can't be read."""
    try:
        arguments = json.loads(call.arguments or "{}")
    except ValueError:
        return None
    return arguments if isinstance(arguments, dict) else None


def _hits(pattern: str, name: str, arguments: dict[str, Any] | None) -> bool:
    if arguments is None:
        return patterns.names(pattern, name)
    return patterns.matches(pattern, name, arguments)
