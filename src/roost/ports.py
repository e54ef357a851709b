"""What the engine asks of the world: the contracts, and only those."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, Literal, Protocol, runtime_checkable

from msgspec import Struct

from roost.core.accounts import Account, SessionToken
from roost.core.agents import Hook, ModelSpec, Schema, Source, Team, ToolsetSpec
from roost.core.browsers import Browser, PairingCode, Subscription
from roost.core.capabilities import Capability
from roost.core.events import Answer, Command, Event, Fact, RunEnded, RunStarted, WaitOpened
from roost.core.ids import CallId, Epoch, LogId, Micros, RunId, ServerId, SessionId, WaitId
from roost.core.messages import Definition, Message, Result
from roost.core.notices import Notice
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


class RunRecord(Struct, frozen=True):
    """A process of an agent CLI, under way or not: what `/api/v1/processes` shows."""

    id: RunId
    log: LogId
    session: SessionId
    owner: str  # the account
    parent: SessionId  # the session that spawned this one, or ""
    started_at: Micros
    fact: RunStarted
    ended_at: Micros | None = None
    ended: RunEnded | None = None


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

    async def heads(self) -> Sequence[Head]:
        """The heads of all sessions that are not deleted, newest first (ties: the later made first)."""
        ...

    async def runs(self, *, log: LogId | None = None) -> Sequence[RunRecord]:
        """The runs of one log, or of all that are not deleted, newest first."""
        ...

    async def run(self, run: RunId) -> RunRecord | None:
        """One run."""
        ...

    async def forget_runs(self, runs: Sequence[RunId]) -> None:
        """Drop runs that have ended from the list; their facts stay in the log."""
        ...

    async def messages(self, log: LogId, *, since: int = 0) -> Sequence[Event]:
        """The events past `since` that bear messages (`history.BEARS_MESSAGES`), in order."""
        ...

    async def latest(self, log: LogId, *, before: int, limit: int) -> Sequence[Event]:
        """The newest of the events before `before` that bear messages, at most `limit`, in order."""
        ...

    async def remarks(self, log: LogId, *, after: int, before: int, limit: int) -> Sequence[Event]:
        """The newest of the events between two seqs that are remarks (`remarks.REMARKS`), at most `limit`, in order."""
        ...

    async def said(self, log: LogId, *, before: int) -> int:
        """How many messages with the role `user` were written or taken before a seq, sub-sessions' included."""
        ...

    async def newest(self, log: LogId, kind: type[Fact], *, before: int) -> Event | None:
        """The newest event of a kind that stands before a seq."""
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

    async def sweep(self, *, slice: int = 1000, age: int = 0) -> bool:
        """Remove rows of logs that exited at least `age` µs ago, at most `slice`; whether there are more.

        Ids stay as tombstones.
        """
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
        """A number that rises whenever an account changes, or a token or a browser goes."""
        ...


# -- browsers -----------------------------------------------------------------------------------


class Visit(Struct, frozen=True):
    """A browser that is known, and its account; None for the operator's."""

    browser: Browser
    account: Account | None


class Browsers(Protocol):
    """Who comes in by a browser.

    What `Accounts` promises of changes holds here too.  An account's browsers, codes and subscriptions go in the
    same step in which its tokens go, and with a browser goes where it can be told something.
    """

    async def keep(self, browser: Browser, *, only_if: Callable[[Account], None]) -> None:
        """Keep a new browser, if its account (where it has one) is still there and `only_if` raises nothing.

        Raises:
            AccountNotFound: it is not.
            RoostError: what `only_if` raised.  Nothing was written.
        """
        ...

    async def find(self, digest: str, *, at: Micros) -> Visit | None:
        """The browser whose cookie has this digest, if it has not expired by `at`."""
        ...

    async def all(self) -> Sequence[Browser]:
        """Every browser, the oldest first."""
        ...

    async def seen(self, id: str, *, at: Micros, expires_at: Micros) -> None:
        """It was here, and may come back until then."""
        ...

    async def forget(self, id: str) -> None:
        """Forget a browser.  One that is not there is no error."""
        ...

    async def offer(self, code: PairingCode) -> None:
        """Keep a code."""
        ...

    async def use(self, digest: str, *, at: Micros) -> PairingCode | None:
        """Take a code, so that nobody else gets it; None for one that is not there, or has expired by `at`."""
        ...

    async def subscribe(self, subscription: Subscription) -> None:
        """Keep where a browser can be told something; what was kept for the same endpoint is replaced."""
        ...

    async def unsubscribe(self, endpoint: str) -> None:
        """Forget it.  One that is not there is no error."""
        ...

    async def subscriptions(self) -> Sequence[Subscription]:
        """All of them, the oldest first."""
        ...

    async def purge(self, *, at: Micros) -> None:
        """Forget browsers and codes that have expired by `at`."""
        ...


class Telling(Struct, frozen=True):
    """Which server tells somebody of a wait, and until when it has that to itself; or that he has been `told`."""

    server: str
    until: Micros
    told: bool = False


class Tellings(Protocol):
    """Who tells whom, so that of several servers on one store one does; `way` is where the message goes.

    What `Accounts` promises of changes holds here too.
    """

    async def claim(self, wait: WaitId, way: str, *, server: str, at: Micros, until: Micros) -> Telling:
        """Take it upon a server, unless he has been told, or another server has that to itself; how it is now."""
        ...

    async def told(self, wait: WaitId, way: str) -> None:
        """He has been told, or never will be."""
        ...


# -- couriers -----------------------------------------------------------------------------------


class Delivery(Struct, frozen=True):
    """What became of a message: it arrived, may arrive `again` (after so many seconds), its reader is `gone`."""

    outcome: Literal["done", "again", "gone", "refused"]
    why: str = ""
    after: float = 0.0


class Couriers(Protocol):
    """Ways to somebody who has no page open.  What goes wrong on the way is a delivery, and no error."""

    @property
    def key(self) -> str:
        """The key by which browsers know whose messages they are to take; "" where none are pushed."""
        ...

    @property
    def webhook(self) -> str:
        """Where messages are posted; "" for nowhere."""
        ...

    def check(self, subscription: Subscription) -> None:
        """Whether it can be used.

        Raises:
            BadValue: its address or a key of it can't be.
        """
        ...

    async def push(self, to: Subscription, notice: Notice) -> Delivery:
        """Tell a browser."""
        ...

    async def hook(self, notice: Notice) -> Delivery:
        """Tell the webhook."""
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
    schema: Schema | None = None  # the form of the answer, where the provider is to see to it


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
    def output_limit(self) -> int:
        """Tokens that one answer may have at most; 0 where nobody knows."""
        ...

    @property
    def price(self) -> Price | None:
        """What it costs, where that is known."""
        ...

    def route(self, text: str) -> "Provider":
        """The model for one request: another one where rules or chance choose, by the newest words of a person."""
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


class Embedder(Protocol):
    """A model that turns texts into vectors."""

    async def embed(self, texts: Sequence[str]) -> Sequence[Sequence[float]]:
        """A vector for each text.

        Raises:
            ModelFailed
        """
        ...


class Models(Protocol):
    """Model references to providers."""

    def provider(self, team: Team, ref: str) -> Provider:
        """The provider for a name of the team's models, an inline `provider/model`, `auto`, or a comma list.

        Raises:
            BadModel: the reference leads nowhere, or its key is missing; the message says which variable.
        """
        ...

    def embedder(self, team: Team, ref: str) -> Embedder:
        """The embedding model of a reference; `auto` is the first whose key is there.

        Raises:
            BadModel: the reference leads nowhere, its key is missing, or its provider has no embeddings.
        """
        ...

    def missing(self, team: Team, agents: Sequence[str]) -> Sequence[str]:
        """The environment variables that the models of these agents need and that are not set, sorted."""
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

    async def team(self, source: str, hash: str = "") -> Team:
        """The team behind an id.  Local files are read anew when they have changed.

        Ids match exactly first, then with or without `.yaml`/`.yml`, then (with a single source) by
        the name of an agent inside it.  With the `hash` of a team that was given earlier it is that
        team, also after a restart, where it is still known; else the one of now.

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


class Task(Struct, frozen=True, omit_defaults=True):
    """Work for an agent of the team in a conversation of its own."""

    agent: str  # "" is the one that calls
    brief: str  # the conversation's first, a system message
    say: str = "Please proceed."  # an implicit message of the user
    title: str = "Transferred task"
    model: str = ""  # in place of the agent's
    tools: tuple[str, ...] = ()  # only these, when not empty
    toolsets: tuple[str, ...] = ()  # of the team's groups, besides the agent's own


class Errant(Struct, frozen=True, omit_defaults=True):
    """A session that works in the background, as it stands."""

    session: SessionId
    agent: str
    status: str  # running, completed, failed or stopped
    started_at: Micros
    ended_at: Micros | None = None
    output: str = ""  # the last that it has said, or what went wrong


class Office(Protocol):
    """Other sessions, as far as the one that calls may deal with them."""

    async def start(self, task: Task) -> SessionId:
        """Have an agent do a task in the background: in a session of its own, with nobody to ask.

        Raises:
            AgentNotFound: there is no such agent.
            TooManySessions: 20 of this session's are under way.
        """
        ...

    async def errants(self) -> Sequence[Errant]:
        """Those that this session has started, the oldest first; of those that have ended, the newest 100."""
        ...

    async def wait(self, sessions: Collection[SessionId], timeout: float) -> Sequence[Errant]:
        """The same, of these, once all have ended or so many seconds have gone."""
        ...

    async def stop(self, session: SessionId) -> None:
        """Cancel one of them.

        Raises:
            SessionNotFound: this session has started none of this id.
        """
        ...

    async def listing(self) -> Sequence[Listing]:
        """The root sessions of the same account, newest first."""
        ...

    async def messages(self, session: SessionId) -> Sequence[Message]:
        """What was said in one of them.

        Raises:
            SessionNotFound: there is none that this account may see.
        """
        ...


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


class Ran(Struct, frozen=True, omit_defaults=True):
    """What became of a hook's command."""

    code: int | None = None  # None: it did not end by itself, `error` says why
    stdout: str = ""
    stderr: str = ""
    error: str = ""
    duration: float = 0.0  # seconds


class HookRunner(Protocol):
    """Runs the commands of hooks."""

    async def run(self, hook: Hook, given: Mapping[str, Any], place: Place) -> Ran:
        """Run one with `given` as JSON on its stdin, in `place`; its whole tree ends with its time.

        Builtins answer as commands do.
        """
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


class Surroundings(Protocol):
    """What an agent may be told of the place where it works."""

    async def exists(self, working_dir: str) -> bool:
        """Whether the directory is there."""
        ...

    async def describe(self, working_dir: str) -> str:
        """The block of `add_environment_info`: directory, git or not, system, architecture."""
        ...

    async def prompt_files(
        self, working_dir: str, names: Sequence[str], *, firm: bool = False, depth: int = 0
    ) -> Sequence[str]:
        """The texts of the files so named: the nearest of the directory and its parents, then home.

        With `depth`, those in directories below, down to so many levels, too.  With `firm` no link is
        followed that leads out of the working directory.
        """
        ...


# -- agent CLIs ---------------------------------------------------------------------------------


class Input(Struct, frozen=True, omit_defaults=True):
    """A line for the stdin of a program.  One with an id that was written before is not written again."""

    id: str
    line: str = ""  # without its newline; "" writes nothing
    close: bool = False  # the end of the input comes after it
    at: int = 0  # bytes of stdout that had been dealt with when it was written


class Launch(Struct, frozen=True, kw_only=True):
    """A program to start: everything about it, and nothing inherited.

    `env` is the whole environment.  `files` are written into the run's private folder (0600) before
    the start.  `beside` are programs that run along with it, outside of its sandbox (a proxy), are
    started first, and end with it; `after` are run once it has ended (the removal of a container).
    """

    argv: tuple[str, ...]
    cwd: str
    env: dict[str, str]
    inputs: tuple[Input, ...] = ()
    files: dict[str, str] = {}
    beside: tuple[tuple[str, ...], ...] = ()
    after: tuple[tuple[str, ...], ...] = ()
    sandbox: str = ""  # kind and name, where it is in one
    note: str = ""  # kept with the run, and given back by `Process.note`
    spool: int = 1 << 30  # bytes of output that are kept; a program that writes more is ended


class Exit(Struct, frozen=True, omit_defaults=True):
    """How a program ended.

    `code` is None where its keeper went without a word, and after a signal 128 and its number, as
    shells have it.
    """

    code: int | None = None
    signal: int = 0
    killed: bool = False  # by us
    flooded: bool = False  # it wrote more than the spool takes


class Output(Struct, frozen=True):
    """What a program has written since the last look: whole lines, without their newlines.

    A last line without a newline comes once the program has ended.  `out` and `err` are the offsets
    after these lines.  `cut` is whether a line was longer than 16 MiB and lost its rest.  `exit` is
    there once it has ended and all of its output is in this or an earlier `Output`.
    """

    lines: tuple[bytes, ...]
    errors: tuple[bytes, ...]
    out: int
    err: int
    exit: Exit | None = None
    cut: bool = False


class Process(Protocol):
    """A program that runs under a keeper: it outlives this server, and no line of it is lost."""

    @property
    def pid(self) -> int:
        """The keeper's."""
        ...

    @property
    def started(self) -> int:
        """When the keeper was started, in clock ticks since boot."""
        ...

    @property
    def boot_id(self) -> str:
        """The boot that `started` counts from."""
        ...

    @property
    def note(self) -> str:
        """What its launch noted."""
        ...

    async def read(self, out: int, err: int) -> Output:
        """What stands behind these offsets, at most about a MiB; waits until there is something or it has ended."""
        ...

    def sent(self) -> Sequence[Input]:
        """All that was ever given to its stdin, the launch's own inputs included, in order."""
        ...

    async def send(self, *inputs: Input) -> None:
        """Append to its stdin; those whose id was written before are left out."""
        ...

    async def signal(self, number: int) -> None:
        """Signal the program, its process group and all of its descendants."""
        ...

    async def stop(self, *, grace: float = 5.0) -> None:
        """SIGINT, after `grace` SIGTERM, after that again SIGKILL, to the whole tree; returns when it is gone."""
        ...

    async def clear(self) -> None:
        """Remove its folder, private files included; the output stays as the session's spawn log."""
        ...


class Runs(Protocol):
    """Starts programs under keepers, and finds them again."""

    def folder(self, run: RunId) -> Path:
        """The run's private folder, mode 0700; it need not exist yet."""
        ...

    def spawn_log(self, session: SessionId) -> Path:
        """Where the output of a session's runs can be read as it came."""
        ...

    async def start(self, run: RunId, session: SessionId, launch: Launch) -> Process:
        """Start a program.

        Raises:
            LaunchFailed: it can't be started; the message says why, and nothing is left behind.
        """
        ...

    async def adopt(self, run: RunId, *, pid: int, started: int, boot_id: str) -> Process:
        """A program that an earlier server started, whether it still runs or not: its output is there either way.

        Raises:
            LaunchFailed: nothing is left of it.
        """
        ...

    async def sweep(self, living: Sequence[RunId]) -> int:
        """End and remove what is left of runs that no session knows any more; how many there were."""
        ...


class Errand(Struct, frozen=True, kw_only=True):
    """What one run of an agent CLI is for."""

    run: RunId
    session: SessionId
    program: str  # the CLI's path
    prompt: str  # "" where the run only waits for messages
    model: str  # as the CLI knows it; "" is its own default
    working_dir: str
    folder: str  # the run's private folder, where `Launch.files` come to lie
    env: dict[str, str]  # scrubbed; the driver adds its own
    resume: str = ""  # the CLI's own session to go on with
    fresh_session: str = ""  # a UUID that a new session of the CLI may be given
    system_prompt: str = ""
    add_dirs: tuple[str, ...] = ()
    auto_approve: bool = False
    interactive: bool = False
    max_turns: int = 0
    size: str = ""
    mcp: dict[str, Any] = {}  # tool servers in the shape of `mcpServers`
    json_schema: dict[str, Any] | None = None
    effort: str = ""  # how hard to think, in the CLI's own words
    agent: str = ""  # one of the CLI's own
    confined: bool = False  # it runs in a sandbox
    review: dict[str, str] | None = None  # uncommitted, base, commit, title: where the CLI reviews by itself
    started_at: Micros = Micros(0)
    used: Usage = Usage()  # by the CLI's own session, before this run: some CLIs count it as a whole
    spent: float = 0.0  # US dollars, likewise


class Step(Struct, frozen=True):
    """What a dialog makes of something: facts for the log first, then lines for the CLI."""

    facts: tuple[Fact, ...] = ()
    inputs: tuple[Input, ...] = ()


class Dialog(Protocol):
    """One run of a CLI as its driver understands it: deterministic, without clock, chance or I/O.

    After a restart the same lines and inputs are fed again from the start, and what comes of them up
    to the committed offset is thrown away; so ids (answers, calls, waits) are made from `Errand.run`
    and counters alone.  Facts leave open what only the present knows: `Message.at`, and the totals of
    a `UsageAdded` (it says what the round cost); the engine completes them.  A question to a person
    is a `WaitOpened(kind="approval")`, whose answer comes back through `answer`.
    """

    @property
    def ready(self) -> bool:
        """Whether nothing is under way, so that the CLI would take the next message at once."""
        ...

    @property
    def pending(self) -> Sequence[WaitId]:
        """The questions of the CLI that have not been answered to it."""
        ...

    def feed(self, line: bytes) -> Step:
        """A line of stdout.  Nothing that a CLI can print raises."""
        ...

    def complain(self, line: bytes) -> Step:
        """A line of stderr."""
        ...

    def sent(self, given: Input) -> None:
        """An input of ours was written, just now or before the server's restart."""
        ...

    def say(self, key: str, text: str) -> Step | None:
        """A message for the CLI; the id of its input is `say-` and `key`, or goes on from there with a dash.

        None: it takes none now.  Where it is `ready` all the same, it never will: a new run resumes it.
        """
        ...

    def answer(self, wait: WaitId, answer: Answer) -> Step:
        """What a person, or the session's policy, answered."""
        ...

    def interrupt(self, key: str) -> Step | None:
        """End what is under way, but not the CLI.  None: only a signal does that."""
        ...

    def close(self) -> Step:
        """No message will come any more: let it end."""
        ...

    def end(self, exit: Exit) -> Step:
        """It has ended, and every line was fed: whatever is still open is closed.

        Where it did not end well an `ErrorMet` is among the facts, worded for people; a usage limit
        is a `LimitHit` without `resume_at`, which the engine adds.
        """
        ...


class Driver(Protocol):
    """A coding-agent CLI behind one contract: its flags, its output, its way of asking."""

    @property
    def capability(self) -> Capability:
        """What it can do; `capability.provider` is its name."""
        ...

    @property
    def program(self) -> str:
        """The program to look for on the PATH; "" where there is none (`mock`)."""
        ...

    @property
    def hint(self) -> str:
        """How a person installs it, for an error message."""
        ...

    @property
    def keeps(self) -> Sequence[str]:
        """Paths below HOME with its own credential, settings and history: all that a sandbox shows of a home."""
        ...

    @property
    def needs(self) -> Sequence[str]:
        """Environment variables that it may be given where they are set: keys, addresses, settings of its own."""
        ...

    def endpoints(self, env: Mapping[str, str]) -> Sequence[str]:
        """`host:port` of what it must reach, loopback ones included."""
        ...

    def model(self, name: str, size: str = "") -> str:
        """The model that a name or a size alias (`small`, `s`, `medium`, `large`, `max` ...) means.

        Raises:
            BadModel: it knows no such model; the message lists those that it knows.
        """
        ...

    def launch(self, errand: Errand) -> Launch:
        """How to start it."""
        ...

    def open(self, errand: Errand) -> Dialog:
        """A dialog, before the first line."""
        ...


class Confinement(Struct, frozen=True, kw_only=True):
    """What a program in a sandbox may see and reach."""

    name: str  # unique, not to be guessed, with the session's id in it
    home: str  # a folder of ours that is HOME inside; `Sandbox.furnish` makes it
    writable: tuple[str, ...]  # the working directory, added ones
    readable: tuple[str, ...] = ()  # more to read; what the program itself needs is found
    endpoints: tuple[str, ...] = ()  # host:port, or unix:/path; none is no network at all
    folder: str = ""  # the run's, where `Launch.files` come to lie: read-only inside


class Sandbox(Protocol):
    """A command line and a confinement in, a confined command line out."""

    @property
    def kind(self) -> str:
        """`docker` or `bubblewrap`."""
        ...

    async def trouble(self) -> str:
        """Why it can't be used on this machine, or ""."""
        ...

    def confine(self, launch: Launch, confinement: Confinement) -> Launch:
        """The same program, inside; `trouble` is asked before.

        Raises:
            NoSandbox: it can't be: a folder that it needs must not be seen from inside, or it is not there.
        """
        ...

    async def furnish(self, home: str, keeps: Sequence[str]) -> None:
        """Make the folder that is HOME inside, and copy into it what of ours `keeps` names and is newer.

        A session's is kept between its runs, so that a CLI finds its history again.
        """
        ...

    async def tidy(self, homes: str, living: Collection[str]) -> None:
        """Remove the folders in `homes` that are named after no session of `living`."""
        ...

    async def names(self) -> Sequence[str]:
        """The sandboxes of ours that are there, running or not, where they have names."""
        ...

    async def remove(self, name: str) -> None:
        """Make sure that nothing is left of it.  One that is not there is no error."""
        ...


class Worktree(Struct, frozen=True):
    """A working copy beside a repository's own."""

    name: str
    path: str
    repository: str


class Worktrees(Protocol):
    """Makes working copies for sessions."""

    async def make(self, directory: str, name: str = "") -> Worktree:
        """A new one of the repository that `directory` lies in; without a name it gets one that can't be guessed.

        Raises:
            LaunchFailed: there is no repository, no commit, or something of this name already.
        """
        ...

    async def leave(self, path: str, directory: str) -> bool:
        """Remove it, unless there is work in it that is nowhere else; whether it is gone."""
        ...


class Outfit(Struct, frozen=True):
    """What a run is given so that its CLI can start agents by itself."""

    server: dict[str, Any]  # a tool server, as `mcpServers` describes one
    files: dict[str, str]  # for the run's private folder
    endpoint: str  # what that server must reach


class Hatch(Protocol):
    """A private way into this server, for the CLIs that it runs."""

    def outfit(self, run: RunId, folder: str) -> Outfit:
        """What opens it to one run, for as long as that lasts."""
        ...

    def whose(self, token: str) -> RunId | None:
        """The run that a token was made for."""
        ...


# -- what takes long ----------------------------------------------------------------------------


class Effort(Protocol):
    """Work under way, as whoever does it tells of it.  For the event loop's own thread."""

    def step(self, done: int = 1) -> None:
        """So much more is done."""
        ...

    def expect(self, more: int) -> None:
        """So much more is there to do than was known."""
        ...


class Progress(Protocol):
    """Where work that may take long is told of, so that people see how far it is.  Nothing waits for it."""

    def job(
        self, what: str, title: str, *, total: int = 0, unit: str = "", owner: str = ""
    ) -> AbstractContextManager[Effort]:
        """Work of a kind (pull, tools, recover, import, gc …), under way while the block lasts.

        How it ends, the block tells: an error that leaves it is the job's, too.  `total` is 0 where nobody knows;
        `owner` the account that it is for, "" for the server itself.
        """
        ...


class Untold:
    """Progress that nobody looks at."""

    @contextmanager
    def job(self, what: str, title: str, *, total: int = 0, unit: str = "", owner: str = "") -> Iterator[Effort]:
        """See `Progress`."""
        yield self

    def step(self, done: int = 1) -> None:
        """See `Effort`."""

    def expect(self, more: int) -> None:
        """See `Effort`."""


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
