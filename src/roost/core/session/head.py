"""A session's head: all of it but its messages.

It has the same size for a log of any length, and is what the store keeps in the session's row.
"""

from collections.abc import Iterator
from typing import Literal

from msgspec import Struct

from roost.core import events as e
from roost.core.ids import AnswerId, CallId, Micros, RunId, SessionId, TurnId, WaitId
from roost.core.messages import Effect
from roost.core.usage import Usage


class OpenCall(Struct, frozen=True, omit_defaults=True):
    """A tool call of the newest answer that the history has no result of yet."""

    id: CallId
    name: str
    state: Literal["new", "called", "returned", "lost"] = "new"
    effect: Effect = "ask"
    attempt: int = 0
    changed: str = ""  # the arguments that hooks gave it


class OpenWait(Struct, frozen=True, omit_defaults=True):
    """Something that waits for a person: the fact has the details, at `seq`."""

    id: WaitId
    kind: e.Kind
    seq: int
    at: Micros
    call: CallId = CallId("")
    tool: str = ""
    durable: bool = True
    sub: SessionId = SessionId("")
    about: str = ""  # what kind of question it is, where it is one of ours


class Answered(Struct, frozen=True, omit_defaults=True):
    """A wait with its answer, until the turn has acted on it."""

    id: WaitId
    kind: e.Kind
    answer: e.Answer
    call: CallId = CallId("")
    sub: SessionId = SessionId("")
    about: str = ""


class Queued(Struct, frozen=True):
    """A message that waits; its text stands in the MessageQueued at `seq`, at `index`."""

    queue: e.Queue
    seq: int
    index: int


class Run(Struct, frozen=True, omit_defaults=True):
    """The process of an agent CLI that a turn has, and how much of its output is in the log."""

    id: RunId
    pid: int
    started: int
    boot_id: str
    at: Micros  # when it was started
    out: int = 0
    err: int = 0
    sandbox: str = ""
    resumed: str = ""


class Limit(Struct, frozen=True, omit_defaults=True):
    """A usage limit that a turn sleeps through."""

    incident: str
    resume_at: Micros


class Turn(Struct, frozen=True, omit_defaults=True):
    """The turn that a session is in."""

    id: TurnId
    opened: int  # the seq of TurnOpened
    source: str
    agent: str
    working_dir: str
    source_hash: str = ""
    model: str = ""
    principal: str = ""
    detached: bool = False
    max_iterations: int = 0
    iterations: int = 0
    started: bool = False
    canceled: bool = False
    resumes: int = 0  # since the last progress
    answer: AnswerId = AnswerId("")  # a request that is under way
    asked: int = 0  # the seq of its ModelAsked
    calls: tuple[OpenCall, ...] = ()
    answers: tuple[Answered, ...] = ()
    driver: str = ""
    interactive: bool = False
    confined: bool = False
    cancel_why: str = ""
    run: Run | None = None
    runs: int = 0  # started so far
    rounds: int = 0  # messages that the CLI is through with
    limit: Limit | None = None
    limits: int = 0  # hit so far
    unattended: bool = False
    tools: tuple[str, ...] = ()  # only these, when not empty
    toolsets: tuple[str, ...] = ()  # groups of the file, besides the agent's own
    at: Micros = Micros(0)  # when it was opened
    compacting: str = ""  # why the history is being summed up; "" where it is not
    under_way: bool = False  # a model has been asked: the beginning is behind it
    heir: str = ""  # the agent that has the conversation once the calls that are open have returned
    at_rest: bool = False  # a CLI is through with what it was told, and was told nothing since


class Share(Struct, frozen=True, omit_defaults=True):
    """What an agent of a file has used in a session, all in all."""

    source: str
    agent: str
    cost: float = 0.0
    tokens: int = 0
    seconds: float = 0.0  # in turns that have ended
    unpriced: bool = False  # something of it has no price that anybody knows


class Head(Struct, frozen=True, omit_defaults=True):
    """All of a session but its messages."""

    id: SessionId
    created_at: Micros = Micros(0)
    first_seq: int = 1
    last_seq: int = 0
    title: str = ""
    titled_by: str = ""  # user or model
    working_dir: str = ""
    safety: str = ""
    prior_safety: str = ""
    safety_proposed: bool = False  # by the agent file: nobody has chosen it
    permissions: e.Permissions | None = None
    hide_tool_results: bool = False
    starred: bool = False
    thinking: bool = False
    send_user_message: bool = True
    max_iterations: int = 0
    max_consecutive_tool_calls: int = 0
    max_old_tool_call_tokens: int = 0
    max_tool_result_tokens: int = 0
    attributes: dict[str, str] = {}
    model_overrides: dict[str, str] = {}
    custom_models: tuple[str, ...] = ()
    attached_files: tuple[str, ...] = ()
    owner: str = ""
    parent: SessionId = SessionId("")
    root: SessionId = SessionId("")
    forked_from: SessionId = SessionId("")
    input_tokens: int = 0
    output_tokens: int = 0
    cost: float = 0.0
    messages: int = 0  # without system ones, those of sub-sessions included
    items: int = 0  # of this session alone
    summary: int = 0  # the seq of the newest summary
    source: str = ""  # of the newest turn
    agent: str = ""  # of the newest turn
    turns: int = 0
    turn: Turn | None = None
    waits: tuple[OpenWait, ...] = ()
    queue: tuple[Queued, ...] = ()
    deleted: bool = False
    exited: bool = False
    provider: str = ""  # of a spawned session: an agent CLI's, or the id of an agent file
    model: str = ""  # as the spawn asked for it
    name: str = ""
    description: str = ""
    tags: tuple[str, ...] = ()
    depends_on: tuple[str, ...] = ()
    retried_from: str = ""
    interactive: bool = False
    confined: bool = False
    provider_session: str = ""  # the CLI's own id
    played_by: str = ""  # the CLI whose id that is
    used: Usage = Usage()  # all in all
    worktree: str = ""
    worktree_path: str = ""
    sandbox: str = ""  # kind and name of its newest run's
    outcome: str = ""  # of the newest turn that has ended
    error: str = ""  # of that turn, cut to 2000 characters
    ended_at: Micros = Micros(0)
    active_at: Micros = Micros(0)  # the newest fact that is no delta
    spoke: int = 0  # the seq of the newest answer that has a text
    result: int = 0  # the seq of the newest ResultSet
    call: CallId = CallId("")  # of a sub-session: the call of its parent that it is for
    subs: "tuple[Head, ...]" = ()  # sub-sessions whose call has not returned; waits and queues are the root's alone
    below: float = 0.0  # US dollars that sub-sessions have cost
    used_below: Usage = Usage()
    handed: str = ""  # the agent that the conversation was handed over to
    budget: e.Budget | None = None
    tree_budget: e.Budget | None = None
    raised: tuple[e.Budget, ...] = ()  # budgets that a person let go on
    active: float = 0.0  # seconds in turns that have ended
    started_by: SessionId = SessionId("")  # of a background agent: the session, or sub-session, whose call it was
    shares: tuple[Share, ...] = ()  # by agent
    shares_below: tuple[Share, ...] = ()  # likewise, of sub-sessions
    compaction: int = 0  # the seq of a CompactionAsked that waits
    shown: str = ""  # the model that clients were shown last, `provider/model`
    context_limit: int = 0  # tokens of its window; 0 where nobody knows

    @property
    def tools_approved(self) -> bool:
        """Whether every tool runs unasked."""
        return self.safety == "autonomous"

    @property
    def waiting(self) -> bool:
        """Whether the turn can't go on without a person."""
        return bool(self.waits)

    def sub(self, session: SessionId) -> "Head | None":
        """A sub-session, at any depth."""
        for head in self.subs:
            if found := head if head.id == session else head.sub(session):
                return found
        return None

    def below_all(self) -> "Iterator[Head]":
        """Its sub-sessions, and theirs."""
        for head in self.subs:
            yield head
            yield from head.below_all()

    def serving(self, call: CallId) -> "Head | None":
        """The sub-session that a call of this one has begun."""
        return next((head for head in self.subs if head.call == call), None)

    def depth(self, queue: e.Queue) -> int:
        """How many messages wait in a queue."""
        return sum(1 for queued in self.queue if queued.queue == queue)
