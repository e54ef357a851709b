"""Agent CLIs behind one contract."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from msgspec import Struct

from roost.core.capabilities import Capability
from roost.core.events import Answer, Fact
from roost.core.ids import Micros, RunId, SessionId, WaitId
from roost.core.usage import Usage
from roost.ports.runs import Exit, Input, Launch


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
