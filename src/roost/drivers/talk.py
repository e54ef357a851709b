"""A run of an agent that speaks the Agent Client Protocol: its half in, our half out."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from msgspec.structs import replace

from roost import __version__
from roost.core import events as e
from roost.core.ids import WaitId
from roost.core.usage import Usage, minus
from roost.drivers import fields, limits, questions, setup
from roost.drivers.opening import opening, unheard
from roost.drivers.questions import Questions, replying
from roost.drivers.record import Record
from roost.drivers.updates import Manners, Updates, tokens
from roost.drivers.wording import failing
from roost.ports import Errand, Exit, Input, Step
from roost.wire import jsonrpc
from roost.wire.jsonrpc import AUTH_REQUIRED, METHOD_NOT_FOUND, Failure, Malformed, Notification, Reply, Request

VERSION = 1
INTERRUPTED = "interrupted"

_HISTORY = ("user_message_chunk", "agent_message_chunk", "agent_thought_chunk", "tool_call", "tool_call_update", "plan")
_STOPS = {
    "max_tokens": "the answer was cut off: the model came to its limit of tokens",
    "max_turn_requests": "the agent stopped: it has asked its model as often as it may in one turn",
    "refusal": "the model refused to go on",
}
_NEWS = re.compile(r"(?:Info|Warning): (?=\S)")
_QUIET = 2  # barriers without history between them


def hello() -> Input:
    """The first line of every run."""
    params = {
        "protocolVersion": VERSION,
        "clientCapabilities": {"fs": {"readTextFile": False, "writeTextFile": False}, "terminal": False},
        "clientInfo": {"name": "roost", "title": "Roost", "version": __version__},
    }
    return _said("initialize", Request(1, "initialize", params))


def _said(id: str, message: jsonrpc.Message) -> Input:
    return Input(id, jsonrpc.line(message))


class Talk:
    """Sets a session up, then prompts it, as often as there is something to say.

    Whatever `say`, `answer` and `interrupt` bring about is learnt in `sent`, which a later server is
    told of as well.
    """

    def __init__(
        self, errand: Errand, agent: str, manners: Manners, *, choose: str = "", patterns: Sequence[str] = ()
    ) -> None:
        self._errand = errand
        self._manners = manners
        self._choose = choose  # a model that is yet to be chosen
        self._patterns = patterns
        self._record = Record(errand, agent, patterns=patterns)
        self._updates = Updates(self._record, manners, asks=not errand.auto_approve)
        self._questions = Questions(self._record, self._updates, auto=errand.auto_approve, lasting=manners.lasting)
        self._agent = agent
        self._made = 1  # the newest id of our requests
        self._requests: dict[int, str] = {1: "initialize"}  # without a reply, with their method
        self._capable: Mapping[str, Any] = {}
        self._info: Mapping[str, Any] = {}
        self._logins: Sequence[Mapping[str, Any]] = ()
        self._session = ""
        self._opened = False
        self._prompted = not errand.prompt
        self._greeted = bool(errand.resume)
        self._told = 0  # pieces of history since the last barrier
        self._quiet = 0
        self._before = errand.used if errand.resume and manners.counts == "session" else Usage()
        self._spent = errand.spent if errand.resume else 0.0
        self._canceled = False
        self._overrun = False
        self._failure = ""
        self._closed = False

    @property
    def ready(self) -> bool:
        """Whether the session is open and no prompt is under way."""
        return self._opened and not self._requests and not self._closed

    @property
    def pending(self) -> Sequence[WaitId]:
        """Its open questions."""
        return self._record.pending

    @property
    def _busy(self) -> bool:
        return "session/prompt" in self._requests.values()

    # -- what comes -------------------------------------------------------------------------

    def feed(self, line: bytes) -> Step:
        """A message of the agent; anything else on its stdout is skipped."""
        if not line.strip():
            return Step()
        try:
            message = jsonrpc.message(fields.parse(line))
        except Malformed:
            return Step(tuple(self._record.skipped(line, "not a message of the protocol")))
        match message:
            case Request():
                return self._asked(message)
            case Notification(method="session/update", params=params):
                return self._updated(fields.mapping(fields.mapping(params).get("update")))
            case Reply(id=int(id), result=result) if method := self._requests.pop(id, ""):
                return self._replied(method, fields.mapping(result))
            case Failure(id=int(id)) if method := self._requests.pop(id, ""):
                return self._failed(method, message)
            case _:
                return Step()

    def _replied(self, method: str, result: Mapping[str, Any]) -> Step:
        match method:
            case "initialize":
                return self._initialized(result)
            case "session/prompt":
                return self._rounded(result)
            case "session/new" | "session/load" | "session/resume":
                return self._begun(result)
            case _:
                return self._onward()

    def _updated(self, update: Mapping[str, Any]) -> Step:
        kind = update.get("sessionUpdate")
        if not self._opened:
            return self._remembered(update)
        if self._manners.notices and self._updates.between and kind == "agent_message_chunk":
            text = fields.text(fields.mapping(update.get("content")).get("text"))
            if news := _NEWS.match(text):
                return Step((e.StatusShown(text[news.end() :]),))
        begins = kind in ("agent_message_chunk", "agent_thought_chunk", "tool_call") and self._updates.between
        facts = tuple(self._updates.take(update))
        most = self._errand.max_turns
        if not facts or not begins or not most or self._overrun or self._updates.messages < most:
            return Step(facts)
        self._overrun = True
        stopping = self._stopping("turns")
        return Step((*facts, *stopping.facts), stopping.inputs)

    def _remembered(self, update: Mapping[str, Any]) -> Step:
        """Before the first prompt it tells of the past: our log has it, but for what it has cost."""
        self._told += update.get("sessionUpdate") in _HISTORY
        if update.get("sessionUpdate") == "usage_update":
            self._updates.take(update)
            self._spent = max(self._spent, self._updates.cost)
        return Step()

    # -- setting up -------------------------------------------------------------------------

    def _request(self, id: str, method: str, params: dict[str, Any]) -> Input:
        self._made += 1
        self._requests[self._made] = method
        return _said(id, Request(self._made, method, params))

    def _initialized(self, result: Mapping[str, Any]) -> Step:
        if (version := result.get("protocolVersion")) != VERSION:
            return self._give_up(f"{self._agent} speaks version {version!r} of the protocol, and we speak {VERSION}")
        self._capable = fields.mapping(result.get("agentCapabilities"))
        self._logins = fields.objects(result.get("authMethods"))
        self._info = fields.mapping(result.get("agentInfo"))
        try:
            method, params = setup.session(self._errand, self._capable)
        except setup.Impossible as error:
            return self._give_up(f"{self._agent} {error}")
        return Step(inputs=(self._request("session", method, params),))

    def _begun(self, result: Mapping[str, Any]) -> Step:
        self._session = fields.text(result.get("sessionId")) or self._errand.resume
        if not self._session:
            return self._give_up(f"{self._agent} gave its session no id")
        model = self._choose or self._errand.model or setup.current(result)
        data: dict[str, object] = {"agent": dict(self._info)} if self._info else {}
        facts = self._record.introduced(self._session, model=model, working_dir=self._errand.working_dir, data=data)
        facts += unheard(self._errand, self._agent, *self._manners.deaf)
        onward = self._chosen(result) if self._choose else self._onward()
        return Step((*facts, *onward.facts), onward.inputs)

    def _chosen(self, result: Mapping[str, Any]) -> Step:
        choice = setup.choice(self._choose, result)
        if choice is None:
            return self._give_up(f"{self._agent} lets nobody choose its model, and {self._choose!r} was asked for")
        method, params = choice
        return Step(inputs=(self._request("model", method, {"sessionId": self._session, **params}),))

    def _onward(self) -> Step:
        """The next thing to say once the session is there: wait for its history to end, then the prompt."""
        if self._errand.resume and self._manners.late_history and self._quiet < _QUIET:
            self._quiet = 0 if self._told else self._quiet + 1
            self._told = 0
            if self._quiet < _QUIET:
                mode = {"sessionId": self._session, "modeId": self._manners.mode}
                return Step(inputs=(self._request(f"barrier-{self._made}", "session/set_mode", mode),))
        self._opened = True
        if self._prompted:
            return Step()
        self._prompted = True
        return Step(inputs=(self._request("prompt", "session/prompt", self._prompt(self._errand.prompt)),))

    def _prompt(self, text: str) -> dict[str, Any]:
        said = text if self._greeted else opening(self._errand, text)
        return {"sessionId": self._session, "prompt": [{"type": "text", "text": said}]}

    # -- rounds -----------------------------------------------------------------------------

    def _rounded(self, result: Mapping[str, Any]) -> Step:
        reason = fields.text(result.get("stopReason")) or "end_turn"
        facts: list[e.Fact] = []
        usage, cost = self._used(result), self._costs()
        if reason == "cancelled":
            self._failure = self._stopped()
            said = self._failure or INTERRUPTED
        else:
            facts += self._updates.finished()
            self._failure = said = _STOPS.get(reason, "") or self._confessed()
        facts += self._record.round(success=not said, reason=reason, message=said, usage=usage, cost=cost)
        return self._after([self._measured(fact) for fact in facts])

    def _measured(self, fact: e.Fact) -> e.Fact:
        window = self._updates.window
        return replace(fact, context_limit=window) if isinstance(fact, e.UsageAdded) and window else fact

    def _stopped(self) -> str:
        """Why a cancelled round is an error; "" where somebody wanted it."""
        if self._overrun:
            return f"stopped after {self._errand.max_turns} turns"
        return "" if self._canceled else f"{self._agent} gave up the message"

    def _confessed(self) -> str:
        """The error that the agent has put into the mouth of its model."""
        last = self._updates.last
        return last.removeprefix("Error: ") if self._manners.notices and last.startswith("Error: ") else ""

    def _used(self, result: Mapping[str, Any]) -> Usage | None:
        counted, self._updates.usage = self._updates.usage, None
        quota = fields.mapping(fields.mapping(result.get("_meta")).get("quota")).get("token_count")
        if isinstance(quota, dict):
            return Usage(fields.count(quota, "input_tokens"), fields.count(quota, "output_tokens"))
        if not isinstance(result.get("usage"), dict):
            return counted
        total, before = tokens(result["usage"]), self._before
        self._before = total
        spent = total if self._manners.counts == "prompt" else minus(total, before)
        return None if spent == Usage() else spent

    def _costs(self) -> float:
        new = self._updates.cost - self._spent
        self._spent = max(self._updates.cost, self._spent)
        return max(new, 0.0)

    def _after(self, facts: list[e.Fact]) -> Step:
        """Between rounds.  A usage limit ends the run: another one goes on when it has passed."""
        self._canceled = self._overrun = False
        limit = limits.found(self._agent, self._failure, self._record.now, self._patterns)
        return Step(tuple(facts), self.close().inputs if limit else ())

    # -- what goes wrong --------------------------------------------------------------------

    def _failed(self, method: str, failure: Failure) -> Step:
        said = failing(failure)
        if method == "session/prompt":
            if self._canceled:
                return self._rounded({"stopReason": "cancelled"})
            self._failure = f"{self._agent}: {said}" if said else f"{self._agent} could not answer"
            usage = self._used({})
            facts = self._record.round(success=False, reason="error", message=self._failure, usage=usage)
            return self._after(facts)
        if failure.code == AUTH_REQUIRED:
            return self._give_up(f"{self._agent} is not logged in: {self._remedies() or said}")
        if method == "session/set_mode":
            return self._onward()
        doing = {"session/new": "begin a session", "initialize": "begin"}.get(method, "go on with the conversation")
        if method in ("session/set_model", "session/set_config_option"):
            doing = f"use the model {self._choose!r}"
        return self._give_up(f"{self._agent} can't {doing}: {said}")

    def _remedies(self) -> str:
        ways = (fields.text(way.get("description")) or fields.text(way.get("name")) for way in self._logins)
        return "; ".join(way for way in ways if way)

    def _give_up(self, why: str) -> Step:
        """Nothing can come of this run: end it, and say why at its end."""
        self._failure = why
        return self.close()

    # -- questions --------------------------------------------------------------------------

    def _asked(self, request: Request) -> Step:
        if request.method == questions.METHOD:
            return self._questions.ask(request)
        offered = request.method.startswith(("fs/", "terminal/"))
        why = "this client has neither files nor terminals to offer" if offered else "method not found"
        return Step(inputs=(_said(replying(request.id), Failure(request.id, METHOD_NOT_FOUND, why)),))

    def answer(self, wait: WaitId, answer: e.Answer) -> Step:
        """Pick the option that says so."""
        return self._questions.answer(wait, answer)

    # -- what was said ----------------------------------------------------------------------

    def sent(self, given: Input) -> None:
        """Learn what is under way, and which questions are answered."""
        self._closed = self._closed or given.close
        if not given.line:
            return
        match jsonrpc.parse(given.line.encode()):
            case Request(id=int(id), method=method):
                if id > self._made or method == "session/prompt":
                    self._begin(id, method)
            case Notification(method="session/cancel"):
                self._canceled = True
            case Reply(id=reply, result=result):
                self._questions.answered(reply, result)
            case _:
                pass

    def _begin(self, id: int, method: str) -> None:
        if id > self._made:
            self._made = id
            self._requests[id] = method
        if method == "session/prompt":
            self._greeted = True
            self._failure = ""

    def say(self, key: str, text: str) -> Step | None:
        """Another prompt; not while one is under way."""
        if not self.ready:
            return None
        request = Request(self._made + 1, "session/prompt", self._prompt(text))
        return Step(inputs=(_said(f"say-{key}", request),))

    def interrupt(self, key: str) -> Step | None:
        """Cancel the prompt; its open questions are called off, as the protocol wants."""
        if not self._opened:
            return None
        return self._stopping(key) if self._busy else Step()

    def _stopping(self, key: str) -> Step:
        cancel = Notification("session/cancel", {"sessionId": self._session})
        facts = tuple(e.WaitVoided(wait, INTERRUPTED) for wait in self._record.pending)
        return Step(facts, (_said(f"cancel-{key}", cancel), *self._questions.off()))

    def close(self) -> Step:
        """The end of its input."""
        return Step(inputs=(Input("close", close=True),))

    # -- the end ----------------------------------------------------------------------------

    def complain(self, line: bytes) -> Step:
        """A line of stderr."""
        return Step(tuple(self._record.complained(line)))

    def end(self, exit: Exit) -> Step:
        """Close what is open, and say what went wrong."""
        cut = self._busy or (not self._opened and bool(self._errand.prompt))
        facts = self._record.close()
        trouble = self._failure or ("" if self._closed and not cut else self._record.trouble(exit))
        if not trouble and cut and not exit.killed:
            when = "in the middle of a message" if self._opened else "before it was ready"
            trouble = f"{self._agent} ended without a result, {when}"
        if trouble:
            facts += [*self._record.limit(trouble), self._record.failed(trouble)]
        return Step(tuple(facts))
