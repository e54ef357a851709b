"""What an agent is once its YAML has been read: model, prompt, tools, team."""

from collections.abc import Sequence
from typing import Any

from msgspec import Struct

from roost.core.events import Budget, Command, Permissions
from roost.core.usage import Price


class ModelSpec(Struct, frozen=True, omit_defaults=True):
    """How to reach a model, with all inheritance done.

    `provider` is what the file says (a native type, an alias or a name of `providers`); `dialect`
    the wire format that speaks to it: `openai-chat`, `openai-responses`, `anthropic`, `google`,
    `bedrock`, `azure`, `dmr`, `local`, `scripted`, or `auto`, which is decided when it is used.
    """

    name: str  # the key in the file, or the reference itself
    provider: str
    model: str
    dialect: str
    base_url: str = ""
    token_key: str = ""  # the environment variable that holds the key; "" sends none
    headers: dict[str, str] = {}
    temperature: float | None = None
    max_tokens: int | None = None
    top_p: float | None = None
    frequency_penalty: float | None = None
    presence_penalty: float | None = None
    parallel_tool_calls: bool | None = None
    track_usage: bool = True
    thinking_budget: str | int | None = None
    options: dict[str, Any] = {}  # provider_opts
    price: Price | None = None  # from the file; None asks the catalogue
    context_limit: int = 0
    images: bool | None = None  # capabilities of the file; None asks the catalogue
    pdf: bool | None = None  # likewise
    routing: "tuple[Route, ...]" = ()  # decided anew for each request, by the newest words of a person
    candidates: tuple[str, ...] = ()  # first_available: the first whose credentials are there takes its place
    title_model: str = ""
    compaction_model: str = ""
    compaction_threshold: float = 0.0
    task_budget: int = 0  # tokens
    bypass_gateway: bool = False
    auth: dict[str, Any] = {}  # workload identity federation, as the file has it

    @property
    def ref(self) -> str:
        """`provider/model`, as clients are shown it."""
        return f"{self.provider}/{self.model}" if self.model else self.provider


class ToolsetSpec(Struct, frozen=True, omit_defaults=True):
    """One entry of an agent's `toolsets`, checked but not yet built.

    Entries that a file does not spell out stand beside those that it does: `transfer_task`, `handoff`
    and `skills` come of the agent's own keys.
    """

    type: str
    tools: tuple[str, ...] = ()  # only these, when not empty
    instruction: str = ""
    name: str = ""
    options: dict[str, Any] = {}  # the fields that only this type has
    toon: tuple[str, ...] = ()  # patterns of tools whose results are written as TOON
    defer: bool | tuple[str, ...] = False  # all of its tools, or these, are offered only once they are looked for
    model: str = ""  # for the answer after a result of its tools


class Hook(Struct, frozen=True, omit_defaults=True):
    """Something to run at a moment of an agent's life."""

    type: str  # command, builtin or model
    command: str = ""  # a shell's command line, or the name of a builtin
    args: tuple[str, ...] = ()
    timeout: float = 60.0  # seconds
    name: str = ""
    env: dict[str, str] = {}
    working_dir: str = ""  # where it is relative: to the session's
    on_error: str = "warn"  # warn, ignore or block
    model: str = ""  # of type model: who judges
    prompt: str = ""
    schema: str = ""


class Matcher(Struct, frozen=True, omit_defaults=True):
    """Hooks for the tools whose name a regular expression matches whole; "" and `*` are all of them."""

    hooks: tuple[Hook, ...]
    matcher: str = ""
    preempt: bool = False  # before the permissions, whatever the safety mode


class Fallback(Struct, frozen=True, omit_defaults=True):
    """What to do when the model of an agent fails."""

    models: tuple[str, ...] = ()
    retries: int = 2  # of each model, after its first try; -1 is none
    cooldown: float = 60.0  # seconds for which the model that helped stays


class Schema(Struct, frozen=True, omit_defaults=True):
    """The form that an agent's last answer must have."""

    name: str
    schema: dict[str, Any]
    description: str = ""
    strict: bool = False
    mode: str = "native"  # native or tool


class Cache(Struct, frozen=True, omit_defaults=True):
    """Answers that are kept, and given again to the same words."""

    case_sensitive: bool = False
    trim_spaces: bool = True
    path: str = ""


class Compaction(Struct, frozen=True, omit_defaults=True):
    """When a long conversation is summed up, and by whom."""

    automatic: bool = True
    threshold: float = 0.0  # share of the context window; 0 asks the model, then takes 0.9
    model: str = ""  # "" asks the model, then takes the agent's


class Route(Struct, frozen=True):
    """A model for requests that resemble the examples."""

    model: str
    examples: tuple[str, ...]


class Harness(Struct, frozen=True, omit_defaults=True):
    """The agent CLI that plays an agent, in place of a model and tools."""

    driver: str  # its name as a provider: `claude` for the file's `claude-code`
    model: str = ""
    effort: str = ""
    agent: str = ""  # one of the CLI's own
    env: dict[str, str] = {}  # with placeholders
    add_dirs: tuple[str, ...] = ()
    roost_tools: bool = False  # it may start agents of its own


class Agent(Struct, frozen=True, omit_defaults=True):
    """One agent of a file."""

    name: str
    model: str = "auto"  # a name of Team.models, an inline `provider/model`, or `auto`
    description: str = ""
    instruction: str = ""
    welcome: str = ""
    toolsets: tuple[ToolsetSpec, ...] = ()
    commands: tuple[Command, ...] = ()
    add_date: bool = False
    add_environment_info: bool = False
    add_description_parameter: bool = False
    add_prompt_files: tuple[str, ...] = ()
    max_iterations: int = 0
    num_history_items: int = 0
    safety: str = ""
    harness: Harness | None = None
    sub_agents: tuple[str, ...] = ()  # names of the team's agents, as are the next two
    handoffs: tuple[str, ...] = ()
    force_handoff: str = ""
    fallback: Fallback = Fallback()
    structured_output: Schema | None = None
    code_mode: bool = False
    hooks: "dict[str, tuple[Matcher, ...]]" = {}  # by event
    budgets: tuple[str, ...] = ()  # names of the team's
    cache: Cache | None = None
    compaction: Compaction = Compaction()
    max_consecutive_tool_calls: int = 0  # 0 is the usual 5
    max_old_tool_call_tokens: int = 0  # 0 is the usual 40 000, -1 no limit
    max_tool_result_tokens: int = 0  # 0 and less is no limit
    redact_secrets: bool = True
    add_prompt_files_depth: int = 0


class Team(Struct, frozen=True, omit_defaults=True):
    """What one agent file holds.  `config` is the file as data, after defaults, for whoever asks to see it."""

    source: str  # the id of the file
    hash: str  # of its bytes
    agents: tuple[Agent, ...]
    models: dict[str, ModelSpec] = {}
    providers: dict[str, ModelSpec] = {}  # the file's own, as what an inline `provider/model` starts from
    permissions: Permissions = Permissions()
    safety: str = ""
    budgets: dict[str, Budget] = {}  # by name; the one called "" holds for every agent
    groups: dict[str, tuple[ToolsetSpec, ...]] = {}  # toolsets that skills run with, by name
    needs: tuple[str, ...] = ()  # environment variables without which no agent of it runs, whatever its model
    warnings: tuple[str, ...] = ()
    raw: bytes = b""  # the file, as it was read
    externals: dict[str, str] = {}  # agents of other files that are yet to join: name -> where the file is
    files: tuple[str, ...] = ()  # others that were read for it: absolute paths
    config: dict[str, Any] = {}

    @property
    def default(self) -> Agent:
        """The agent called `root`, else the first one."""
        return self.agent("root") or self.agents[0]

    def agent(self, name: str) -> Agent | None:
        """The agent of this name."""
        return next((agent for agent in self.agents if agent.name == name), None)


def reached(team: Team, agent: Agent) -> Sequence[Agent]:
    """The agent, and those that its work may come to, one by way of another; CLIs that play agents are left out."""
    found = {agent.name: agent}
    for name in (names := [agent.name]):
        for other in (*found[name].sub_agents, *found[name].handoffs, found[name].force_handoff):
            if other not in found and (one := team.agent(other)) is not None:
                found[other] = one
                names.append(other)
    return [one for one in found.values() if one.harness is None]


class Source(Struct, frozen=True, omit_defaults=True):
    """An agent file that is served, loaded or not."""

    id: str
    team: Team | None = None
    error: str = ""  # why it does not load
