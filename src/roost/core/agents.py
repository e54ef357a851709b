"""What an agent is once its YAML has been read: model, prompt, tools, team."""

from typing import Any

from msgspec import Struct

from roost.core.events import Command, Permissions
from roost.core.usage import Price


class ModelSpec(Struct, frozen=True, omit_defaults=True):
    """How to reach a model, with all inheritance done.

    `provider` is what the file says (a native type, an alias or a name of `providers`); `dialect`
    the wire format that speaks to it: `openai-chat`, `openai-responses`, `anthropic`, `local`,
    `scripted`, or `auto`, which is decided when it is used.
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

    @property
    def ref(self) -> str:
        """`provider/model`, as clients are shown it."""
        return f"{self.provider}/{self.model}" if self.model else self.provider


class ToolsetSpec(Struct, frozen=True, omit_defaults=True):
    """One entry of an agent's `toolsets`, checked but not yet built."""

    type: str
    tools: tuple[str, ...] = ()  # only these, when not empty
    instruction: str = ""
    name: str = ""
    options: dict[str, Any] = {}  # the fields that only this type has


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


class Team(Struct, frozen=True, omit_defaults=True):
    """What one agent file holds.  `config` is the file as data, after defaults, for whoever asks to see it."""

    source: str  # the id of the file
    hash: str  # of its bytes
    agents: tuple[Agent, ...]
    models: dict[str, ModelSpec] = {}
    providers: dict[str, ModelSpec] = {}  # the file's own, as what an inline `provider/model` starts from
    permissions: Permissions = Permissions()
    safety: str = ""
    warnings: tuple[str, ...] = ()
    config: dict[str, Any] = {}

    @property
    def default(self) -> Agent:
        """The agent called `root`, else the first one."""
        return self.agent("root") or self.agents[0]

    def agent(self, name: str) -> Agent | None:
        """The agent of this name."""
        return next((agent for agent in self.agents if agent.name == name), None)


class Source(Struct, frozen=True, omit_defaults=True):
    """An agent file that is served, loaded or not."""

    id: str
    team: Team | None = None
    error: str = ""  # why it does not load
