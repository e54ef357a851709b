"""What a spawn asks for, whole: kept with the session, so that a retry or a resume can ask the same again."""

from typing import Any

from msgspec import Struct


class Order(Struct, frozen=True, omit_defaults=True):
    """One spawned session, as it was asked for.  Paths are absolute, and inside what the caller may name."""

    provider: str  # an agent CLI's, or the id of an agent file
    prompt: str = ""
    model: str = ""
    size: str = ""  # Ollama's parameter size
    working_dir: str = ""
    add_dirs: tuple[str, ...] = ()
    system_prompt: str = ""
    auto_approve: bool = False
    max_turns: int = 0
    timeout: str = ""  # a duration as it was written; "" is none
    time_limit: float = 0.0  # the same in seconds
    name: str = ""
    description: str = ""
    tags: tuple[str, ...] = ()
    depends_on: tuple[str, ...] = ()
    inject_context: bool = False
    interactive: bool = False
    env: dict[str, str] = {}
    files: tuple[str, ...] = ()  # put before the prompt
    context: str = ""  # a session whose result is put before the prompt
    mcp: dict[str, Any] = {}  # tool servers in the shape of `mcpServers`
    json_schema: dict[str, Any] | None = None
    worktree: str | None = None  # its name; "" lets us find one
    sandbox: str | None = None  # its name; "" lets us find one
    confined: bool = False  # whoever asked may not run anything outside of a sandbox
    retried_from: str = ""
    command: str = "exec"  # or review, pipe ...
    effort: str = ""  # how hard to think, in the CLI's own words
    agent: str = ""  # one of the CLI's own
    roost_tools: bool = False  # it may start agents of its own
