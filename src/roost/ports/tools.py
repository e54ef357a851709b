"""What an agent may use, and what a call may ask of the engine."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol, runtime_checkable

from msgspec import Struct

from roost.core.agents import Team, ToolsetSpec
from roost.core.events import Answer, Command, Fact
from roost.core.ids import CallId, SessionId
from roost.core.messages import Definition, Result
from roost.ports.office import Office, Task
from roost.ports.providers import Finished, ModelRequest, Provider


class Ask(Struct, frozen=True, omit_defaults=True):
    """A question to a person: a form by JSON schema, or an address to open."""

    message: str
    mode: str = "form"
    schema: dict[str, Any] | None = None
    url: str = ""
    server_id: str = ""
    meta: dict[str, Any] = {}
    durable: bool = True  # whether the answer can be used after a restart


class Use(Protocol):
    """What a running call may ask of the engine."""

    @property
    def call(self) -> CallId:
        """The call's id: the same when a lost call runs again."""
        ...

    @property
    def attempt(self) -> int:
        """1, or more when a lost call runs again."""
        ...

    async def output(self, text: str) -> None:
        """Show output while the tool is still running."""
        ...

    async def ask(self, question: Ask) -> Answer:
        """Ask a person, and wait.  A call that runs again gets the answer it was given before."""
        ...

    async def delegate(self, task: Task) -> Result:
        """Have an agent of the team do a task in a sub-session; the result is the last that it says.

        A call that runs again goes on with the sub-session that it had.
        """
        ...

    async def hand_over(self, agent: str) -> None:
        """From the next answer on, another agent of the team has this conversation.

        Raises:
            AgentNotFound: there is none of this name.
        """
        ...

    async def choose_model(self, ref: str) -> None:
        """The agent that calls uses this model from its next answer on; "" goes back to the file's.

        Raises:
            BadModel: it leads nowhere.
        """
        ...

    def spending(
        self, provider: Provider, request: ModelRequest
    ) -> AbstractAsyncContextManager[Callable[[Finished], None]]:
        """Leave to ask a model, for the block; give what it yields the end of the answer, so that it is counted.

        Raises (on entering):
            BudgetExceeded: a budget has no room for it.
        """
        ...

    def office(self) -> Office:
        """The sessions that this one may look at, and start."""
        ...


class Tool(Protocol):
    """Something that an agent may use."""

    @property
    def definition(self) -> Definition:
        """How models and clients see it."""
        ...

    async def run(self, arguments: dict[str, Any], use: Use) -> Result:
        """Do it.  A failure that the model should read is a Result with `is_error`.

        Cancellation ends whatever it started, processes included, before it returns.
        """
        ...


class Toolset(Protocol):
    """Tools that share a state, open for one session and agent."""

    @property
    def instructions(self) -> str:
        """Guidance for the system prompt, or ""."""
        ...

    @property
    def busy(self) -> bool:
        """Whether work goes on between calls (a background job), so that it must stay open."""
        ...

    async def tools(self) -> Sequence[Tool]:
        """The tools it has now."""
        ...


@runtime_checkable
class Speaker(Protocol):
    """What a toolset also is that has something to say for people: skills, prompts of a tool server."""

    @property
    def commands(self) -> Sequence[Command]:
        """What people may write as `/name rest`, as far as that is known now."""
        ...

    async def say(self, name: str, rest: str) -> str:
        """The text that stands for it.

        Raises:
            BadValue: something is missing in `rest`; the message says what.
            ToolsetFailed: whoever knows the text is not there, or refuses.
        """
        ...


class Place(Struct, frozen=True):
    """Where a toolset is opened.

    `recall` gives the `meta` of the newest result of a tool category in this session, so that a
    toolset whose state lives in memory finds it again after a restart.  `root` is the session at the
    root of its tree, where it is another one.  With `confined`, whatever it starts runs in a sandbox.
    `ask` puts a question to a person outside of any call (a login), and `tell` writes a fact into the
    session's log; both are None where there is no session (a count of tools).  `headers` are those of
    the request that opened the turn: they are secrets, and gone after a restart.
    """

    session: SessionId
    agent: str
    working_dir: str
    recall: Callable[[str], Mapping[str, Any] | None]
    root: SessionId = SessionId("")
    confined: bool = False
    team: Team | None = None
    owner: str = ""  # the account
    ask: Callable[[Ask], Awaitable[Answer]] | None = None
    tell: Callable[[Fact], Awaitable[None]] | None = None
    headers: Mapping[str, str] = {}


class Toolsets(Protocol):
    """Makes toolsets from their entry in an agent file."""

    def open(self, spec: ToolsetSpec, place: Place) -> AbstractAsyncContextManager[Toolset]:
        """Build and start it; leaving the block stops all that it started.

        Raises (on entering):
            ToolsetFailed: it can't be built or started.
        """
        ...

    async def end(self, call: CallId) -> None:
        """End the processes that a lost call left behind, if there are any."""
        ...


class Wrapped(Protocol):
    """A tool as a script sees it."""

    @property
    def definition(self) -> Definition:
        """How the script is told of it."""
        ...

    async def call(self, arguments: dict[str, Any]) -> Result:
        """Run it as a call of its own."""
        ...


class Scripts(Protocol):
    """Runs the scripts of code mode."""

    async def run(self, script: str, tools: Sequence[Wrapped]) -> Result:
        """Run JavaScript to which tools are functions; a bound in time and memory is kept."""
        ...


class Logins(Protocol):
    """The logins at tool servers that wait for a browser to come back."""

    def deliver(self, state: str, *, code: str = "", error: str = "", description: str = "") -> bool:
        """Hand over what a browser brought; False where no login waits for this state.  Each state is taken once."""
        ...
