"""Agents that are played by an agent CLI (`harness`): what their files may ask of it."""

from typing import Any, Final

from roost.config.complaints import did_you_mean, quoted
from roost.config.hooks import GUARDS
from roost.config.shapes import BAD, Notes, where
from roost.config.yaml import Path
from roost.core.agents import Harness

Data = dict[str, Any]

OTHERWISE: Final = {"claude-code": "claude"}
"""Types that have another name as a provider."""

KNOWN: Final = ("claude-code", "codex", "gemini", "copilot", "ollama", "opencode", "qwen")
ABLE: Final = {"effort": ("claude", "codex"), "agent": ("claude",)}
"""Which CLIs can be told such a thing."""
HEARD: Final = ("worktree_create",)
"""Events that come about also where a CLI plays."""


_OURS = ("sub_agents", "handoffs", "force_handoff", "skills", "use_skills", "structured_output", "code_mode_tools")


def harness(entry: Data) -> Harness | None:
    """The CLI that an agent wants, if it does."""
    given = entry.get("harness")
    if not given:
        return None
    driver = OTHERWISE.get(given["type"], given["type"])
    return Harness(
        driver=driver,
        model=given.get("model", ""),
        effort=given.get("effort", "") if driver in ABLE["effort"] else "",
        agent=given.get("agent", "") if driver in ABLE["agent"] else "",
        env=given.get("env", {}),
        add_dirs=tuple(given.get("add_dirs", ())),
        roost_tools=given.get("roost_tools", False),
    )


def check(name: str, entry: Data, notes: Notes) -> None:
    """Say what of an agent with a harness has no effect."""
    given = entry.get("harness")
    if not isinstance(given, dict) or given.get("type") in (None, BAD):
        return
    path: Path = ("agents", name, "harness")
    kind = given["type"]
    driver = OTHERWISE.get(kind, kind)
    if kind not in (*KNOWN, *OTHERWISE.values(), "mock"):
        hint = did_you_mean(kind, KNOWN) or f" (known: {', '.join(KNOWN)})"
        says = f"{quoted(kind)} is no agent CLI that Roost knows; it runs only where the settings add it{hint}"
        notes.warn((*path, "type"), f"{where((*path, 'type'))}: {says}")
    vain: dict[Path, str] = {
        (*path, key): f"can't be told to {kind} and is ignored"
        for key, able in ABLE.items()
        if given.get(key) and driver not in able
    }
    for key in ("toolsets", "use_toolsets"):
        if entry.get(key):
            vain["agents", name, key] = f"are ignored: {kind} has tools of its own"
    vain |= _unheard(name, kind, entry, notes)
    for key in _OURS:
        if entry.get(key):
            vain["agents", name, key] = f"is ignored: {kind} plays this agent"
    if entry.get("model"):
        vain["agents", name, "model"] = f"is ignored: {kind} plays this agent, and its model stands under `harness`"
    for key_at, why in vain.items():
        notes.warn(key_at, f"{where(key_at)} {why}")


def _unheard(name: str, kind: str, entry: Data, notes: Notes) -> dict[Path, str]:
    """Hooks that never run there; one that was to guard something is an error."""
    vain: dict[Path, str] = {}
    for event in entry.get("hooks") or {}:
        at: Path = ("agents", name, "hooks", event)
        if event in GUARDS:
            notes.bad_key(at, f"{where(at)} would guard nothing: {kind} runs its own tools; `permissions` hold there")
        elif event not in HEARD:
            vain[at] = f"is ignored: {kind} plays this agent, and has hooks of its own"
    return vain
