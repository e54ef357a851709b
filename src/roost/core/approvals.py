"""May this call run?  decide(call, definition, …) -> Allow | Deny | Ask."""

import json
from collections.abc import Collection, Mapping
from typing import Any, Literal

from msgspec import Struct
from msgspec.structs import replace

from roost.core import hooks, patterns
from roost.core.errors import BadValue
from roost.core.events import Permissions
from roost.core.labels import Label
from roost.core.messages import Definition, ToolCall
from roost.core.shell import classify, commands

Source = Literal[
    "yolo",
    "session_permissions_allow",
    "session_permissions_ask",
    "session_permissions_deny",
    "team_permissions_allow",
    "team_permissions_ask",
    "team_permissions_deny",
    "user_permissions_allow",
    "user_permissions_ask",
    "user_permissions_deny",
    "tool_guard_hook_ask",
    "tool_guard_hook_deny",
    "pre_tool_use_hook_allow",
    "pre_tool_use_hook_ask",
    "pre_tool_use_hook_deny",
    "permission_request_hook_allow",
    "permission_request_hook_deny",
    "readonly_hint",
    "mode_strict",
    "mode_balanced",
    "mode_restricted",
    "mode_legacy",
    "user_approved",
    "user_approved_tool",
    "user_approved_balanced",
    "user_approved_autonomous",
    "user_rejected",
    "context_canceled",
    "non_interactive_deny",
    "lost",
    "lost_safe",
]
"""Who decided about a call.  The last two are of calls that a restart cut off."""

_BY_MODE: Mapping[str, Mapping[str, Literal["allow", "ask", "deny"]]] = {
    "strict": {"safe": "ask", "destructive": "ask", "unknown": "ask"},
    "balanced": {"safe": "allow", "destructive": "ask", "unknown": "ask"},
    "restricted": {"safe": "allow", "destructive": "deny", "unknown": "deny"},
    "autonomous": {"safe": "allow", "destructive": "allow", "unknown": "allow"},
}

_MODES: Mapping[str, Source] = {
    "strict": "mode_strict",
    "balanced": "mode_balanced",
    "restricted": "mode_restricted",
    "autonomous": "yolo",
}

_NO_RULES = Permissions()

DEEPEST = 100  # levels of arguments

REJECTED = "The user rejected the tool call."
CANCELED = "The tool call was canceled by the user."
CANCELED_WITH_BATCH = "The tool call was canceled because another tool call in the same batch was canceled by the user."


class Allow(Struct, frozen=True):
    """It runs; `source` says by whose leave."""

    source: Source


class Deny(Struct, frozen=True):
    """It does not; `message` is what the model reads."""

    message: str
    source: Source


class Ask(Struct, frozen=True):
    """A person decides; `metadata` stands beside the question."""

    source: Source
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


# -- the steps of a decision --------------------------------------------------------------------
#
# What hooks say comes between them: the runtime specification, 3.5.3, has the order.

Word = Literal["deny", "allow", "ask"] | None


class Said(Struct, frozen=True):
    """What the rules of each level say to a call."""

    session: Word = None
    team: Word = None
    user: Word = None


def said(
    call: ToolCall,
    definition: Definition,
    *,
    session: Permissions | None,
    team: Permissions,
    user: Permissions = _NO_RULES,
) -> Said:
    """What the rules of each level say.  Only an agent file's permissions of commands are taken by the letter."""
    shell = is_shell(definition)
    runs = _runs(call) if shell and any(lists.deny or lists.ask for lists in (session, team, user) if lists) else ()
    return Said(
        rule(call, session, careful=True, runs=runs),
        rule(call, team, runs=runs),
        rule(call, user, careful=True, runs=runs),
    )


def wished(tools: Collection[str], *levels: Permissions | None) -> Said:
    """Which of the levels (session, team, user) want to be asked about some calls of these tools.

    For a script, of which nobody knows beforehand what it will call them with.
    """

    def asks(lists: Permissions | None) -> Word:
        return "ask" if lists is not None and any(_wished(tool, lists) for tool in tools) else None

    return Said(*map(asks, levels))


def _wished(tool: str, lists: Permissions) -> bool:
    allowed = any(patterns.matches(pattern, tool, {}) for pattern in lists.allow)
    return not allowed and any(patterns.names(pattern, tool) for pattern in lists.ask)


def denied(call: ToolCall, said: Said) -> Deny | None:
    """A denial of any level, which nothing outweighs."""
    if said.session == "deny":
        return Deny(f"Tool '{call.name}' is denied by session permissions.", "session_permissions_deny")
    if said.team == "deny":
        return Deny(f"Tool '{call.name}' is denied by permissions configuration.", "team_permissions_deny")
    if said.user == "deny":
        return Deny(f"Tool '{call.name}' is denied by user settings.", "user_permissions_deny")
    return None


def ruled(said: Said, *, safety: str, chosen: bool = True) -> Allow | Ask | None:
    """What the first level says that allows or asks: the session, the team, the user.

    The agent file's wish to be asked yields to a mode that a person has `chosen`, unless that is `strict`.
    """
    if said.session == "allow":
        return Allow("session_permissions_allow")
    if said.session == "ask":
        return Ask("session_permissions_ask", {})
    if said.team == "allow":
        return Allow("team_permissions_allow")
    if said.team == "ask" and not (chosen and safety in ("balanced", "restricted", "autonomous")):
        return Ask("team_permissions_ask", {})
    if said.user == "allow":
        return Allow("user_permissions_allow")
    return Ask("user_permissions_ask", {}) if said.user == "ask" else None


def moded(call: ToolCall, safety: str, judged: Label) -> Verdict | None:
    """What the session's mode says to a call that is judged so; None where it has no mode."""
    if not safety:
        return None
    match _BY_MODE[safety][judged.label]:
        case "allow":
            return Allow(_MODES[safety])
        case "deny":
            message = f"Tool '{call.name}' is denied by the safety policy '{safety}': it is judged {judged.label}"
            return Deny(f"{message} ({judged.reason})." if judged.reason else f"{message}.", _MODES[safety])
        case "ask":
            return Ask(_MODES[safety], {})


def hinted(definition: Definition) -> Allow | None:
    """What a tool's own word is worth where there is no mode: one that only reads runs."""
    return Allow("readonly_hint") if definition.annotations.read_only else None


def unattended(call: ToolCall) -> Deny:
    """What becomes of a question where nobody is there to be asked."""
    message = f"Tool '{call.name}' requires user confirmation but the session is non-interactive"
    return Deny(message, "non_interactive_deny")


def guarded(verdict: hooks.Verdict) -> Deny | Ask | None:
    """What `tool_guard` hooks say; both are final."""
    if verdict.blocked is not None:
        return Deny(hooks.BLOCKED.format(verdict.blocked), "tool_guard_hook_deny")
    return Ask("tool_guard_hook_ask", _why(verdict)) if verdict.decision == "ask" else None


def preempted(verdict: hooks.Verdict, said: Said) -> Deny | Ask | None:
    """What `pre_tool_use` hooks say before the rules.  A session's grant outweighs their wish to ask, not a denial."""
    found = hooked(verdict)
    if isinstance(found, Allow) or (isinstance(found, Ask) and said.session == "allow"):
        return None
    return found


def hooked(verdict: hooks.Verdict) -> Verdict | None:
    """What `pre_tool_use` hooks say to a call that the mode would ask about."""
    if verdict.blocked is not None:
        return Deny(hooks.BLOCKED.format(verdict.blocked), "pre_tool_use_hook_deny")
    if verdict.decision == "ask":
        return Ask("pre_tool_use_hook_ask", _why(verdict))
    return Allow("pre_tool_use_hook_allow") if verdict.decision == "allow" else None


def requested(verdict: hooks.Verdict) -> Allow | Deny | None:
    """What `permission_request` hooks say in a person's place."""
    if verdict.blocked is not None:
        return Deny(hooks.BLOCKED.format(verdict.blocked), "permission_request_hook_deny")
    return Allow("permission_request_hook_allow") if verdict.decision == "allow" else None


def _why(verdict: hooks.Verdict) -> dict[str, str]:
    return {"reason": verdict.reason} if verdict.reason else {}


def beside(ask: Ask, definition: Definition, judged: Label) -> Ask:
    """The question with what a person should know of the call."""
    return Ask(ask.source, {**judged.metadata, **ask.metadata}) if is_shell(definition) else ask


def decide(
    call: ToolCall,
    definition: Definition,
    *,
    session: Permissions | None,
    team: Permissions,
    safety: str,
    user: Permissions = _NO_RULES,
    interactive: bool = True,
    chosen: bool = True,
    label: Label | None = None,
    read_only_hint: bool = True,
) -> Verdict:
    """Weigh one call without hooks: the steps above, one after the other.

    `safety` is a canonical mode or ""; `chosen` says that a person chose it, not the agent file.  Without
    a `label` the call is judged here.  Without `read_only_hint` a tool's own word counts for nothing
    where there is no mode.
    """
    judged = label or _label(call, definition)
    words = said(call, definition, session=session, team=team, user=user)
    verdict = (
        denied(call, words)
        or ruled(words, safety=safety, chosen=chosen)
        or moded(call, safety, judged)
        or (hinted(definition) if read_only_hint else None)
        or Ask("mode_legacy", {})
    )
    if not isinstance(verdict, Ask):
        return verdict
    return beside(verdict, definition, judged) if interactive else unattended(call)


_label = label  # `decide` has an argument of this name


def _runs(call: ToolCall) -> Collection[str]:
    """The commands that a shell call's command line runs."""
    command = (_arguments(call) or {}).get("cmd")
    return frozenset(commands(command)) if isinstance(command, str) else ()


def _arguments(call: ToolCall) -> dict[str, Any] | None:
    """The arguments, or None where they can't be read."""
    try:
        arguments = json.loads(call.arguments or "{}")
    except (ValueError, RecursionError):
        return None
    return arguments if isinstance(arguments, dict) and not _too_deep(arguments) else None


def _too_deep(data: Any) -> bool:
    """Whether there are so many levels that nobody could read them out."""
    level = [data]
    for _ in range(DEEPEST):
        below = [value.values() if isinstance(value, dict) else value for value in level]
        level = [value for values in below for value in values if isinstance(value, dict | list)]
        if not level:
            return False
    return True


def _hits(pattern: str, name: str, arguments: dict[str, Any] | None) -> bool:
    if arguments is None:
        return patterns.names(pattern, name)
    return patterns.matches(pattern, name, arguments)
