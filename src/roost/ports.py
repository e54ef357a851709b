"""What the engine asks of the world: the contracts, and only those."""

from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol

from msgspec import Struct

from roost.core.accounts import Account, SessionToken
from roost.core.agents import ModelSpec, Source, Team, ToolsetSpec
from roost.core.events import Answer, Event, Fact, WaitOpened
from roost.core.ids import CallId, Epoch, LogId, Micros, ServerId, SessionId, WaitId
from roost.core.messages import Definition, Message, Result
from roost.core.session import Head
from roost.core.usage import Price, Usage

# -- the log ------------------------------------------------------------------------------------

Condition = Callable[[Head], None]
"""What must hold for an append, looked at inside its transaction: it raises, and nothing is written, or not."""

Grown = Callable[[LogId, Sequence[Event]], None]
"""Called in the event loop after each commit, once a log, with what was committed: in order, none
twice.  An empty sequence says that the log grew elsewhere and is to be read."""


class Committed(Struct, frozen=True):
    """What a write has put into the log, and the head after it."""

    events: tuple[Event, ...]
    head: Head


class Owned(Struct, frozen=True):
    """A log that is this server's now."""

    epoch: Epoch
    events: tuple[Event, ...]
    head: Head


class Listing(Struct, frozen=True, omit_defaults=True):
    """A root session in a list."""

    id: SessionId
    created_at: Micros
    title: str
    messages: int
    input_tokens: int
    output_tokens: int
    cost: float
    working_dir: str
    starred: bool
    attributes: dict[str, str]
    owner: str = ""  # the account whose it is


class WaitRecord(Struct, frozen=True):
    """A wait, open or not.  `answer` is None while it is open and when it was voided."""

    id: WaitId
    log: LogId
    session: SessionId  # the (sub-)session that waits
    opened_at: Micros
    fact: WaitOpened
    open: bool
    answer: Answer | None = None
    owner: str = ""  # the account whose session it is


class EventStore(Protocol):
    """Where events live.  The log is the truth; all else is derived from it.

    A write ends in exactly one way, committed or refused: neither cancellation nor a timeout leaves
    the caller guessing.  Writes to one log are numbered in the order in which they were handed over.
    Any of them may raise `StoreFull` (nothing was written) and `SessionNotFound`.
    """

    @property
    def server(self) -> ServerId:
        """Who this server is to the others on the same store."""
        ...

    async def take(
        self, log: LogId, facts: Sequence[Fact] = (), *, only_if: Condition | None = None, force: bool = False
    ) -> Owned:
        """Make the log this server's, with a higher epoch, and append `facts` in the same step.

        Raises:
            SessionBusy: it is in a turn, and its owner is another server that lives (`force` takes
                it all the same).
            Exception: what `only_if` raised.
        """
        ...

    async def release(self, log: LogId, *, epoch: Epoch) -> None:
        """Let go of the log, so that any server may take it.  A stale epoch is no error."""
        ...

    async def post(self, log: LogId, facts: Sequence[Fact], *, epoch: Epoch) -> None:
        """Hand over deltas and go on.  Waits only while too much of this log is uncommitted.

        Neighbouring deltas of one answer may be joined.  What became of them is told by the next
        `append` of this log: it fails with `NotOwner` where the post did.
        """
        ...

    async def append(
        self, log: LogId, facts: Sequence[Fact], *, epoch: Epoch, only_if: Condition | None = None
    ) -> Committed:
        """Add `facts` to the log in one step, after all that was posted before, and return them numbered.

        Once this returns, they survive a crash.

        Raises:
            NotOwner: somebody else owns the log by now.  Nothing was written.
            Exception: what `only_if` raised.  Nothing was written.
        """
        ...

    async def put(self, log: LogId, facts: Sequence[Fact], *, only_if: Condition | None = None) -> Committed:
        """Add outside facts, whoever owns the log.  A first fact SessionCreated makes the log.

        Raises:
            Duplicate: a MessageQueued with a key that is among the newest 256 of this log.  This is
                looked at before `only_if`.
            Exception: what `only_if` raised.
        """
        ...

    async def page(self, log: LogId, *, after: int, limit: int) -> Sequence[Event]:
        """The events past `after`, in order, at most `limit`; empty at the end of the log as it is now.

        A deleted log can be read until it is swept away.
        """
        ...

    async def head(self, log: LogId) -> Head:
        """The session's head; `last_seq` counts every committed event.

        Raises:
            SessionNotFound: there is none.  A deleted one is still returned (`Head.deleted`) until it is swept.
        """
        ...

    async def listing(self) -> Sequence[Listing]:
        """All root sessions that are not deleted, newest first (ties: the later made first)."""
        ...

    async def messages(self, log: LogId, *, since: int = 0) -> Sequence[Event]:
        """The events past `since` that bear messages (`history.BEARS_MESSAGES`), in order."""
        ...

    async def definition(self, log: LogId, digest: str) -> Definition | None:
        """The tool definition that a ToolsShown of this log (or its SessionCreated) brought under `digest`."""
        ...

    async def waits(self) -> Sequence[WaitRecord]:
        """All open waits of sessions that are not deleted, oldest first."""
        ...

    async def wait(self, wait: WaitId) -> WaitRecord | None:
        """One wait, open or not."""
        ...

    async def adrift(self) -> Sequence[Head]:
        """The heads in a turn that no living server owns, and those deleted whose end is not written."""
        ...

    async def running(self) -> int:
        """How many sessions are in a turn."""
        ...

    async def sweep(self, *, slice: int = 1000) -> bool:
        """Remove rows of logs that have exited, at most `slice`; whether there are more.  Ids stay as tombstones."""
        ...

    async def probe(self) -> None:
        """Write and read a little.

        Raises:
            StoreFull: the store can't be written.
        """
        ...


# -- accounts -----------------------------------------------------------------------------------


class Login(Struct, frozen=True):
    """A token that is good, and whose it is."""

    account: Account
    token: SessionToken


class Accounts(Protocol):
    """Who may log in.

    A change is one step, survives a crash once it returns, and is seen by the next read of every
    server on the same store.  It may raise `StoreFull` (nothing was written).
    """

    async def all(self) -> Sequence[Account]:
        """Every account, by name."""
        ...

    async def find(self, name: str) -> Account | None:
        """The account of this name."""
        ...

    async def add(self, account: Account) -> None:
        """A new account.

        Raises:
            AccountExists: the name is taken.
        """
        ...

    async def change(self, name: str, edit: Callable[[Account], Account], *, revoke: bool = False) -> Account:
        """What `edit` makes of an account, as it is at that moment; with `revoke`, its tokens go in the same step.

        Raises:
            AccountNotFound: there is none.
            RoostError: what `edit` raised.  Nothing was written.
        """
        ...

    async def remove(self, name: str) -> None:
        """Remove an account and its tokens.

        Raises:
            AccountNotFound: there is none.
        """
        ...

    async def take_in(self, listed: Sequence[Account]) -> Sequence[str]:
        """Import a list, as `core.accounts.imported` has it; the names that are not as before.  Their tokens go."""
        ...

    async def admit(self, token: SessionToken, *, only_if: Callable[[Account], None]) -> None:
        """Keep a new token, if its account is still there and `only_if` raises nothing.

        Raises:
            AccountNotFound: it is not.
            RoostError: what `only_if` raised.  Nothing was written.
        """
        ...

    async def login(self, digest: str, *, at: Micros) -> Login | None:
        """The token of this digest and its account, if it has not expired by `at`."""
        ...

    async def revoke(self, digest: str) -> None:
        """Forget a token.  One that is not there is no error."""
        ...

    async def purge(self, *, at: Micros) -> int:
        """Forget the tokens that have expired by `at`; how many there were."""
        ...

    async def version(self) -> int:
        """A number that rises whenever an account changes or a token goes."""
        ...


# -- models -------------------------------------------------------------------------------------


class TextPiece(Struct, frozen=True):
    """A delta of text."""

    text: str


class ReasoningPiece(Struct, frozen=True):
    """A delta of reasoning."""

    text: str


class CallPiece(Struct, frozen=True):
    """A delta of a tool call; `id` and `name` come with a call's first piece, `index` tells calls apart."""

    index: int
    id: str = ""
    name: str = ""
    arguments: str = ""


class Finished(Struct, frozen=True):
    """The last piece: why it stopped, what it used, and what the provider wants back next time."""

    reason: str = "stop"  # stop, length, tool_calls, content_filter, refusal
    usage: Usage | None = None
    model: str = ""  # as the provider names it
    thinking_signature: str = ""
    thought_signature: str = ""
    replay: tuple[Any, ...] = ()


Piece = TextPiece | ReasoningPiece | CallPiece | Finished


class ModelRequest(Struct, frozen=True, omit_defaults=True):
    """One request: system messages first, then the conversation.

    `cache_marks` are indexes of system messages after which a provider may end a cached prefix.
    """

    messages: tuple[Message, ...]
    tools: tuple[Definition, ...] = ()
    max_tokens: int | None = None
    thinking: bool = True
    cache_marks: tuple[int, ...] = ()


class Provider(Protocol):
    """A model behind an LLM API."""

    @property
    def spec(self) -> ModelSpec:
        """What it was made from."""
        ...

    @property
    def takes_tools(self) -> bool:
        """Whether it can use tools at all."""
        ...

    @property
    def titles(self) -> bool:
        """Whether it is worth asking for a title."""
        ...

    @property
    def context_limit(self) -> int:
        """Tokens of its window; 0 where nobody knows."""
        ...

    @property
    def price(self) -> Price | None:
        """What it costs, where that is known."""
        ...

    def stream(self, request: ModelRequest) -> AsyncGenerator[Piece, None]:
        """Ask, and yield what comes; the last piece is `Finished`.

        Close it (`contextlib.aclosing`) to drop the request.

        Raises:
            ModelFailed: with the kind of failure; also where the stream ends before `Finished`.
        """
        ...


class ModelInfo(Struct, frozen=True, omit_defaults=True):
    """A model that a session can switch to."""

    name: str
    ref: str
    provider: str = ""
    model: str = ""
    catalog: bool = False
    family: str = ""
    input_cost: float | None = None  # US dollars per million tokens, as are the other three
    output_cost: float | None = None
    cache_read_cost: float | None = None
    cache_write_cost: float | None = None
    context_limit: int = 0
    output_limit: int = 0
    input_modalities: tuple[str, ...] = ()
    output_modalities: tuple[str, ...] = ()


class Models(Protocol):
    """Model references to providers."""

    def provider(self, team: Team, ref: str) -> Provider:
        """The provider for a name of the team's models, an inline `provider/model`, `auto`, or a comma list.

        Raises:
            BadModel: the reference leads nowhere, or its key is missing; the message says which variable.
        """
        ...

    def listing(self, team: Team) -> Sequence[ModelInfo]:
        """The team's models first, then those of the catalogue whose provider has a key."""
        ...


# -- agents -------------------------------------------------------------------------------------


class Agents(Protocol):
    """The agent files that are served."""

    async def sources(self) -> Sequence[Source]:
        """All of them, sorted by id; those that do not load carry their error."""
        ...

    async def team(self, source: str) -> Team:
        """The team behind an id.  Local files are read anew when they have changed.

        Ids match exactly first, then with or without `.yaml`/`.yml`, then (with a single source) by
        the name of an agent inside it.

        Raises:
            AgentNotFound: no source has this id.
            AgentBroken: it does not load.
            AgentUnreachable: it is remote and can't be fetched.
        """
        ...


# -- tools --------------------------------------------------------------------------------------


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


class Place(Struct, frozen=True):
    """Where a toolset is opened.

    `recall` gives the `meta` of the newest result of a tool category in this session, so that a
    toolset whose state lives in memory finds it again after a restart.  `root` is the session at the
    root of its tree, where it is another one.
    """

    session: SessionId
    agent: str
    working_dir: str
    recall: Callable[[str], Mapping[str, Any] | None]
    root: SessionId = SessionId("")


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


class Surroundings(Protocol):
    """What an agent may be told of the place where it works."""

    async def exists(self, working_dir: str) -> bool:
        """Whether the directory is there."""
        ...

    async def describe(self, working_dir: str) -> str:
        """The block of `add_environment_info`: directory, git or not, system, architecture."""
        ...

    async def prompt_files(self, working_dir: str, names: Sequence[str]) -> Sequence[str]:
        """The texts of the files so named: the nearest of the directory and its parents, then home."""
        ...


# -- time ---------------------------------------------------------------------------------------


class Clock(Protocol):
    """The time, so that tests can wind it."""

    def now(self) -> Micros:
        """The moment, in microseconds since 1970 (UTC)."""
        ...

    def monotonic(self) -> float:
        """Seconds that never run backwards."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        ...
