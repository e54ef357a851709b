"""What a run of a CLI has come to: its answers, calls and questions, as facts in a turn's order."""

import re
import signal
from collections.abc import Iterable, Sequence

from msgspec import Struct

from roost.core import events as e
from roost.core import toolkinds
from roost.core.ids import AnswerId, CallId, WaitId
from roost.core.messages import Message, Result, ToolCall
from roost.core.usage import Usage
from roost.drivers import fields, limits
from roost.ports import Errand, Exit

INTERRUPTED = "The tool call was interrupted; whether it did its work is not known."
NOT_RUN = "The tool call was not run: the agent ended before its time."
LONGEST_RESULT = 1 << 20
_STDERR_KEPT = 65_536
_TAIL = 12
_COLOURS = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


class Call(Struct):
    """A call that the CLI has spoken of; `key` is its own name for it."""

    key: str
    call: ToolCall
    listed: bool = False  # in a message, or asked about; until then it is but a draft
    stranger: bool = False  # a sub-agent's, in no message of ours
    started: bool = False
    returned: bool = False


class Record:
    """Keeps what is open, and makes the facts that open and close it.

    A driver names calls by the CLI's own ids; those that facts carry are made from the run and a
    counter, so they are the same when the output is read again.  No method raises for what a CLI says.
    """

    def __init__(self, errand: Errand, agent: str, *, patterns: Sequence[str] = ()) -> None:
        self.agent = agent
        self.model = errand.model
        self.now = errand.started_at  # the newest moment that the output has named
        self.rounds = 0
        self.tail: list[str] = []  # the newest lines of stderr
        self._run = errand.run
        self._patterns = patterns
        self._answers = 0
        self._made = 0  # calls
        self._asked = 0  # waits
        self._hits = 0
        self._limit_said = ""
        self.limited = False  # whether the newest round ended at a usage limit
        self._answer: AnswerId | None = None
        self._text: list[str] = []
        self._reasoning: list[str] = []
        self._calls: dict[str, Call] = {}
        self._waits: dict[WaitId, str] = {}  # what the CLI calls its question
        self._heard = 0
        self._provider_session = ""

    # -- who it is --------------------------------------------------------------------------

    def introduced(
        self,
        session: str,
        *,
        model: str = "",
        tools: tuple[str, ...] = (),
        working_dir: str = "",
        data: dict[str, object] | None = None,
    ) -> list[e.Fact]:
        """The CLI has named itself; nothing where it says the same again."""
        self.model = model or self.model
        said = fields.encoded([session, model, tools, working_dir])
        if said == self._provider_session:
            return []
        self._provider_session = said
        return [e.Introduced(session, self.model, tools, working_dir, data or {})]

    # -- answers ----------------------------------------------------------------------------

    @property
    def answering(self) -> bool:
        """Whether deltas of a message have come, but not the message."""
        return self._answer is not None

    def text(self, delta: str) -> list[e.Fact]:
        """A delta of text."""
        if not delta:
            return []
        facts, answer = self._opened()
        self._text.append(delta)
        return [*facts, e.TextAdded(answer, delta, self.agent)]

    def reasoning(self, delta: str) -> list[e.Fact]:
        """A delta of reasoning."""
        if not delta:
            return []
        facts, answer = self._opened()
        self._reasoning.append(delta)
        return [*facts, e.ReasoningAdded(answer, delta, self.agent)]

    def draft(self, key: str, name: str = "", delta: str = "") -> list[e.Fact]:
        """A delta of a call's arguments; `name` comes with the first."""
        facts, answer = self._opened()
        call = self._known(key, name, "")
        return [*facts, e.CallDrafted(answer, call.call.id, name, delta, self.agent)]

    def message(
        self,
        content: str | None = None,
        reasoning: str | None = None,
        calls: Iterable[tuple[str, str, str]] = (),
        *,
        usage: Usage | None = None,
        finish: str = "",
    ) -> list[e.Fact]:
        """A whole message: `calls` are (key, name, arguments); without content, what was streamed.

        What the message has beyond its deltas is streamed first, so that they add up.
        """
        asked = [self._known(key, name, arguments) for key, name, arguments in calls]
        for call in asked:
            call.listed = True
        facts = self._rest(content, reasoning)
        said, thought = _longer(content, self._text), _longer(reasoning, self._reasoning)
        if not (said or thought or asked):
            return facts + self._dropped("nothing came of it")
        opened, answer = self._opened()
        message = Message(
            role="assistant",
            content=said,
            agent=self.agent,
            calls=tuple(call.call for call in asked),
            reasoning=thought,
            usage=usage,
            model=self.model,
            finish=finish or ("tool_calls" if asked else "stop"),
        )
        self._shut()
        return [*facts, *opened, e.MessageAdded(message, answer=answer, agent=self.agent)]

    def _rest(self, content: str | None, reasoning: str | None) -> list[e.Fact]:
        """What of a message its deltas have left out, or all of it: clients show an answer by its deltas."""
        facts: list[e.Fact] = []
        for whole, pieces, add in ((reasoning, self._reasoning, self.reasoning), (content, self._text, self.text)):
            shown = "".join(pieces)
            if whole and len(whole) > len(shown) and whole.startswith(shown):
                facts += add(whole[len(shown) :])
        return facts

    def _opened(self) -> tuple[list[e.Fact], AnswerId]:
        if self._answer is not None:
            return [], self._answer
        self._answers += 1
        self._answer = AnswerId(f"{self._run}-a{self._answers}")
        return [e.ModelAsked(self._answer, self.agent, self.model)], self._answer

    def _dropped(self, why: str) -> list[e.Fact]:
        if self._answer is None:
            return []
        fact = e.AnswerDropped(self._answer, 0, why, self.agent)
        self._shut()
        return [fact]

    def drop(self, why: str) -> list[e.Fact]:
        """The message under way will be said anew (a retry), or never."""
        return self._dropped(why)

    def _shut(self) -> None:
        self._answer = None
        self._text, self._reasoning = [], []

    # -- calls ------------------------------------------------------------------------------

    def call(self, key: str) -> Call | None:
        """The call that the CLI names so, if it has not returned."""
        call = self._calls.get(key)
        return None if call is None or call.returned or not call.listed else call

    @property
    def open_calls(self) -> list[Call]:
        """Those of messages that have not returned."""
        return [call for call in self._calls.values() if call.listed and not call.returned]

    def _known(self, key: str, name: str, arguments: str) -> Call:
        """The call under this key; a key used again after its call has returned is another call."""
        call = self._calls.get(key)
        if call is None or call.returned:
            self._made += 1
            made = ToolCall(CallId(f"{self._run}-c{self._made}"), name or "tool", arguments)
            call = self._calls[key] = Call(key, made)
        elif name or arguments:
            known = call.call
            call.call = ToolCall(known.id, name or known.name, arguments or known.arguments)
        return call

    def stranger(self, key: str, name: str, arguments: str) -> Call:
        """A call that is in no message (a sub-agent's): it starts and returns, but leaves no message."""
        call = self._known(key, name, arguments)
        if not call.listed:
            call.listed = call.stranger = True
        return call

    def started(self, key: str) -> list[e.Fact]:
        """It runs; said once."""
        call = self.call(key)
        if call is None or call.started:
            return []
        call.started = True
        return [self.starting(call)]

    def starting(self, call: Call) -> e.Fact:
        """The fact that a call starts, for an answer that has yet to be sent (`Dialog.answer` changes nothing)."""
        return e.ToolCalled(call.call, toolkinds.effect(call.call.name), self.agent)

    def output(self, key: str, text: str) -> list[e.Fact]:
        """Output of a call that runs."""
        call = self.call(key)
        return [] if call is None or not text else [e.OutputAdded(call.call.id, text, self.agent)]

    def returned(self, key: str, result: Result, *, ran: bool = True) -> list[e.Fact]:
        """It is done, or (`ran` false) never ran; nothing where no such call is open."""
        call = self.call(key)
        if call is None:
            return []
        facts = self.started(key) if ran else []
        call.returned = True
        if len(result.output) > LONGEST_RESULT:
            result = Result(fields.shorter(result.output, LONGEST_RESULT), result.is_error, result.meta)
        facts.append(e.ToolReturned(call.call, result, self.agent))
        return facts if call.stranger else [*facts, e.MessageAdded(call=call.call.id, agent=self.agent)]

    # -- questions --------------------------------------------------------------------------

    @property
    def pending(self) -> tuple[WaitId, ...]:
        """The questions that the CLI has no answer to."""
        return tuple(self._waits)

    def question(self, wait: WaitId) -> str:
        """What the CLI calls a pending question; "" where it is not pending."""
        return self._waits.get(wait, "")

    def ask(
        self, question: str, call: ToolCall, message: str = "", metadata: dict[str, str] | None = None
    ) -> list[e.Fact]:
        """The CLI asks whether a call may run."""
        self._asked += 1
        wait = WaitId(f"{self._run}-w{self._asked}")
        self._waits[wait] = question
        return [e.WaitOpened(wait, "approval", self.agent, call=call, message=message, metadata=metadata or {})]

    def answered(self, question: str) -> None:
        """The answer to the CLI's question was written."""
        self._waits = {wait: asked for wait, asked in self._waits.items() if asked != question}

    def withdrawn(self, question: str, why: str) -> list[e.Fact]:
        """The CLI no longer asks."""
        gone = [wait for wait, asked in self._waits.items() if asked == question]
        self.answered(question)
        return [e.WaitVoided(wait, why) for wait in gone]

    # -- rounds -----------------------------------------------------------------------------

    def round(
        self,
        *,
        success: bool,
        reason: str = "",
        message: str = "",
        usage: Usage | None = None,
        cost: float = 0.0,
        context: int = 0,
        window: int = 0,
        duration_ms: int | None = None,
        turns: int | None = None,
    ) -> list[e.Fact]:
        """The CLI is through with a message; what it still held open is closed first."""
        facts = self.close(INTERRUPTED)
        if usage is not None or cost:
            facts.append(self.used(usage or Usage(), cost, finish=reason, context=context, window=window))
        facts.append(e.RoundEnded(self.rounds, reason, usage))
        facts.append(e.RoundResult(success, message, duration_ms, turns))
        self.rounds += 1
        self.limited, self._limit_said = bool(self._limit_said), ""
        return facts

    def used(
        self, usage: Usage, cost: float = 0.0, *, finish: str = "", context: int = 0, window: int = 0
    ) -> e.UsageAdded:
        """What it cost; the session's total is the engine's to fill in.

        `context` is what the newest request read, and `window` what could be, where that is known.
        """
        return e.UsageAdded(
            usage=usage,
            model=self.model,
            agent=self.agent,
            cost=cost,
            total_cost=cost,
            input_tokens=context or usage.context,
            output_tokens=usage.output,
            context_limit=window,
            finish=finish,
        )

    def limit(self, text: str) -> list[e.Fact]:
        """The usage limit that a message of the CLI speaks of, once a round; nothing where it speaks of none."""
        limit = limits.found(self.agent, text, self.now, self._patterns)
        return [] if limit is None else self.hit(text, limit)

    def hit(self, text: str, limit: limits.Limit) -> list[e.Fact]:
        """A usage limit, once a round."""
        if self._limit_said or not text:
            return []
        self._hits += 1
        self._limit_said = text
        raw = fields.shorter(text, 2000)
        incident = f"{self._run}-l{self._hits}"
        return [e.LimitHit(incident, self.agent, limit.scope, limit.reset_at, raw=raw)]

    # -- the rest ---------------------------------------------------------------------------

    def skipped(self, line: bytes, why: str) -> list[e.Fact]:
        """A line that could not be understood."""
        raw = _COLOURS.sub("", line[:2000].decode("utf-8", "replace"))
        return [e.LineSkipped(why, raw)] if raw.strip() else []

    def complained(self, line: bytes) -> list[e.Fact]:
        """A line of stderr: kept for an error message, and shown as long as there are not too many."""
        text = _COLOURS.sub("", line[:4000].decode("utf-8", "replace")).rstrip()
        if not text:
            return []
        self.tail = [*self.tail[1 - _TAIL :], text]
        before, self._heard = self._heard, self._heard + len(text)
        if before > _STDERR_KEPT:
            return []
        return [e.StderrAdded(text if self._heard <= _STDERR_KEPT else "[…]")]

    def close(self, why: str = NOT_RUN) -> list[e.Fact]:
        """Close what is open: a message under way stays as far as it came, calls and questions end."""
        facts: list[e.Fact] = [e.WaitVoided(wait, e.TURN_ENDED) for wait in self._waits]
        self._waits = {}
        facts += self._cut()
        for call in self.open_calls:
            said = INTERRUPTED if call.started else why
            facts += self.returned(call.key, Result(said, is_error=True), ran=False)
        return facts

    def _cut(self) -> list[e.Fact]:
        text, thought = "".join(self._text), "".join(self._reasoning)
        if self._answer is None:
            return []
        self._calls = {key: call for key, call in self._calls.items() if call.listed}
        if not text.strip():
            return self._dropped("the answer was cut off")
        message = Message(role="assistant", content=text, agent=self.agent, reasoning=thought, model=self.model)
        fact = e.MessageAdded(message, answer=self._answer, agent=self.agent, partial=True)
        self._shut()
        return [fact]

    def failed(self, message: str, code: str = "") -> e.Fact:
        """What ended the run before its time."""
        return e.ErrorMet(fields.shorter(message, 4000), code, self.agent)

    def trouble(self, exit: Exit) -> str:
        """Why an exit is not a good one, with the newest of stderr; "" where it is, or where we ended it."""
        if exit.flooded:
            return f"{self.agent} printed more than is kept of a run's output, and was ended"
        if exit.killed:
            return ""
        heard = "\n".join(self.tail)
        if exit.signal:
            return _joined(f"{self.agent} was killed by {_signal(exit.signal)}", heard)
        if exit.code is None:
            return _joined(f"{self.agent} ended, and nobody knows how", heard)
        return _joined(f"{self.agent} exited with code {exit.code}", heard) if exit.code else ""


def _longer(whole: str | None, pieces: Sequence[str]) -> str:
    """A text as it was given, or as it was streamed where that goes on beyond it."""
    shown = "".join(pieces)
    return shown if whole is None or shown.startswith(whole) else whole


def _joined(first: str, rest: str) -> str:
    return f"{first}: {rest}" if rest else first


def _signal(number: int) -> str:
    try:
        return f"signal {number} ({signal.Signals(number).name})"
    except ValueError:
        return f"signal {number}"
