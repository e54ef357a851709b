"""The dialog with `codex app-server`: JSON-RPC lines, one thread, a turn for each message."""

from collections.abc import Mapping, Sequence
from typing import Any

from roost.core import events as e
from roost.core.ids import Micros, WaitId
from roost.core.messages import Result
from roost.core.usage import Usage, minus, plus
from roost.drivers import codex_items as items
from roost.drivers import fields, limits
from roost.drivers.codex_exec import unheeded
from roost.drivers.fields import mapping, objects, text
from roost.drivers.record import Record
from roost.ports import Errand, Exit, Input, Step

INITIALIZE, INITIALIZED, THREAD = "initialize", "initialized", "thread"
_EARLY = "roost/said"  # a notification of ours that the server ignores: it keeps a message until there is a thread
_COMMAND, _CHANGE = "item/commandExecution/requestApproval", "item/fileChange/requestApproval"
_PERMISSIONS, _ELICIT = "item/permissions/requestApproval", "mcpServer/elicitation/request"
_INPUT = "item/tool/requestUserInput"


def request(id: str, method: str, **params: Any) -> Input:
    """A request under our own id, which is also the input's."""
    return Input(id, fields.encoded({"id": id, "method": method, "params": params}))


def notice(id: str, method: str, **params: Any) -> Input:
    """A notification."""
    return Input(id, fields.encoded({"method": method, "params": params} if params else {"method": method}))


class ServerDialog:
    """One process of the app server.

    Messages become turns once the thread is there; one said while a turn runs steers it.
    """

    def __init__(self, errand: Errand, patterns: Sequence[str] = ()) -> None:
        self._errand = errand
        self._record = Record(errand, "codex", patterns=patterns)
        self._inputs: list[Input] = []
        self._thread = ""
        self._waiting = [("prompt", errand.prompt)] if errand.prompt else []
        self._owed: set[str] = set()  # turns asked for, not yet confirmed
        self._turn = ""
        self._questions: dict[str, tuple[str, Mapping[str, Any]]] = {}  # method and params
        self._thoughts: list[str] = []
        self._part = 0  # of the reasoning under way
        self._shown: dict[str, str] = {}  # output of commands that run
        self._total: Usage | None = None
        self._used: Usage | None = None  # in this turn
        self._context = 0
        self._window = 0
        self._warned: set[str] = set()
        self._failed = ""
        self._reset: limits.Limit | None = None
        self._broken = False
        self._closed = False
        self._stopping = False
        self._halted = False

    @property
    def ready(self) -> bool:
        """A thread, no turn in it, and none asked for."""
        return bool(self._thread) and not (self._turn or self._owed or self._waiting)

    @property
    def pending(self) -> Sequence[WaitId]:
        """Its questions."""
        return self._record.pending

    # -- lines ------------------------------------------------------------------------------

    def feed(self, line: bytes) -> Step:
        """A message of the server."""
        event = fields.parse(line)
        if event is None:
            return Step(tuple(self._record.skipped(line, "not a JSON-RPC message")))
        facts = self._facts(event)
        inputs, self._inputs = tuple(self._inputs), []
        return Step(tuple(facts), inputs)

    def _facts(self, event: dict[str, Any]) -> list[e.Fact]:
        method, params = text(event.get("method")), mapping(event.get("params"))
        if at := fields.count(event, "emittedAtMs"):
            self._record.now = Micros(at * 1000)
        if not method:
            return self._replied(text(event.get("id")), event)
        if "id" in event:
            return self._asked(fields.encoded(event["id"]), method, params)
        return self._told(method, params)

    def _told(self, method: str, params: Mapping[str, Any]) -> list[e.Fact]:
        match method:
            case "turn/started":
                self._turn = text(mapping(params.get("turn")).get("id")) or "turn"
                return []
            case "turn/completed":
                return self._completed(mapping(params.get("turn")))
            case "thread/tokenUsage/updated":
                self._use(params)
                return []
            case "account/rateLimits/updated":
                self._limits(mapping(params.get("rateLimits")))
                return []
            case "error":
                return self._complained(params)
            case "warning" | "configWarning" | "deprecationNotice":
                said = text(params.get("message")) or text(params.get("summary"))
                return self._warn(said)
            case "serverRequest/resolved":
                return self._resolved(fields.encoded(params.get("requestId")))
            case "turn/plan/updated":
                return self._plan(params)
            case _ if method.startswith("item/"):
                return self._item(method, params)
            case _:
                return []

    def _replied(self, name: str, event: Mapping[str, Any]) -> list[e.Fact]:
        error = event.get("error")
        result = mapping(event.get("result"))
        if name == THREAD and error is None:
            return self._opened(result)
        if name in (INITIALIZE, THREAD) and error is not None:
            self._broken, self._failed = True, f"codex can't start the thread: {items.complaint(error)}"
            self._inputs.append(Input("close", close=True))
            return []
        if name not in self._owed:
            return []
        self._owed.discard(name)
        if error is None:
            turn = mapping(result.get("turn"))
            running = text(turn.get("status")) in ("", "inProgress")
            self._turn = self._turn or (text(turn.get("id")) if running else "")
            return []
        self._failed = items.complaint(error)
        return self._record.round(success=False, reason="failed", message=self._failed) if not self._turn else []

    def _opened(self, result: Mapping[str, Any]) -> list[e.Fact]:
        """The thread is there: what waited for it is said."""
        thread = mapping(result.get("thread"))
        self._thread = text(thread.get("id"))
        told = {
            "version": text(thread.get("cliVersion")),
            "approval_policy": fields.data(result.get("approvalPolicy")),
            "sandbox": text(mapping(result.get("sandbox")).get("type")),
        }
        facts = self._record.introduced(
            self._thread, model=text(result.get("model")), working_dir=text(result.get("cwd")), data=told
        )
        for warning in unheeded(self._errand):
            facts += self._warn(warning)
        self._inputs += [self._begin(name, said) for name, said in self._waiting]
        return facts

    def _begin(self, name: str, said: str) -> Input:
        asked = {"outputSchema": self._errand.json_schema, "effort": self._errand.effort or None}
        more = {name: given for name, given in asked.items() if given is not None}
        said_so = [{"type": "text", "text": said}]
        return request(name, "turn/start", threadId=self._thread, input=said_so, **more)

    def _warn(self, message: str) -> list[e.Fact]:
        if not message or message in self._warned:
            return []
        self._warned.add(message)
        return [e.Warned(message, "codex")]

    def _plan(self, params: Mapping[str, Any]) -> list[e.Fact]:
        marks = {"completed": "x", "inProgress": ">"}
        steps = [
            f"[{marks.get(text(step.get('status')), ' ')}] {text(step.get('step'))}"
            for step in objects(params.get("plan"))
        ]
        return [e.StatusShown("plan:\n" + "\n".join(steps), fields.data(params.get("plan")))]

    # -- items ------------------------------------------------------------------------------

    def _item(self, method: str, params: Mapping[str, Any]) -> list[e.Fact]:
        record, key, delta = self._record, text(params.get("itemId")), text(params.get("delta"))
        match method:
            case "item/started":
                return self._begun(mapping(params.get("item")))
            case "item/completed":
                return self._ended(mapping(params.get("item")))
            case "item/agentMessage/delta":
                return record.text(delta)
            case "item/reasoning/summaryTextDelta" | "item/reasoning/textDelta":
                part = fields.count(params, "summaryIndex", "contentIndex")
                gap = "\n\n" if part > self._part else ""
                self._part = max(part, self._part)
                return record.reasoning(gap + delta)
            case "item/commandExecution/outputDelta" | "item/fileChange/outputDelta":
                self._shown[key] = (self._shown.get(key, "") + delta)[-65_536:]
                return [*record.started(key), *record.output(key, delta)]
            case "item/mcpToolCall/progress":
                return [*record.started(key), *record.output(key, text(params.get("message")) + "\n")]
            case _:
                return []

    def _begun(self, item: Mapping[str, Any]) -> list[e.Fact]:
        key, asked = text(item.get("id")), items.call(item)
        if items.kind(item) == "reasoning":
            self._part = 0
            return self._record.reasoning("\n\n") if self._thoughts else []
        if asked is None or self._record.call(key) is not None:
            return []
        facts = self._record.message("", self._thought(), [(key, *asked)])
        asks = items.kind(item) in ("command_execution", "file_change") and not self._errand.auto_approve
        return facts if asks else facts + self._record.started(key)

    def _ended(self, item: Mapping[str, Any]) -> list[e.Fact]:
        match items.kind(item):
            case "agent_message" | "plan":
                return self._record.message(text(item.get("text")), self._thought())
            case "reasoning":
                self._thoughts.append(items.reasoning(item))
                return []
            case "context_compaction":
                return [e.StatusShown("the conversation was summed up")]
        if items.call(item) is None:
            return []
        key = text(item.get("id"))
        facts = self._begun(item)
        result, ran = items.result(item, self._shown.pop(key, ""))
        return facts + self._record.returned(key, result, ran=ran)

    def _thought(self) -> str | None:
        thoughts, self._thoughts = self._thoughts, []
        return "\n\n".join(thoughts) if thoughts else None

    # -- questions --------------------------------------------------------------------------

    def _asked(self, question: str, method: str, params: Mapping[str, Any]) -> list[e.Fact]:
        if method not in (_COMMAND, _CHANGE, _PERMISSIONS, _ELICIT):
            answer = {"result": {"answers": {}}} if method == _INPUT else {"error": {"code": -32601, "message": "no"}}
            self._inputs.append(_reply(question, answer))
            return []
        self._questions[question] = (method, params)
        if self._errand.auto_approve:
            self._inputs.append(_reply(question, {"result": _decided(method, params, True, None)}))
            return []
        key = text(params.get("itemId"))
        call = self._record.call(key)
        if call is None:
            name, arguments = _wanted(method, params)
            call = self._record.stranger(key or f"question-{question}", name, arguments)
        reason = text(params.get("reason")) or text(params.get("message"))
        return self._record.ask(question, call.call, reason)

    def _resolved(self, question: str) -> list[e.Fact]:
        """It has its answer, or needs none any more."""
        method, params = self._questions.pop(question, ("", {}))
        facts = self._record.withdrawn(question, "codex no longer asks")
        if method in (_PERMISSIONS, _ELICIT):
            key = text(params.get("itemId")) or f"question-{question}"
            facts += self._record.returned(key, Result("answered"), ran=False)
        return facts

    # -- the end of a turn ------------------------------------------------------------------

    def _use(self, params: Mapping[str, Any]) -> None:
        """Counts go on over the whole thread; the first after a resume tells where they stood."""
        told = mapping(params.get("tokenUsage"))
        total, last = items.usage(told.get("total")) or Usage(), items.usage(told.get("last")) or Usage()
        self._window = fields.count(told, "modelContextWindow")
        if not self._turn:
            self._total = total
            return
        grown = last if self._total is None else minus(total, self._total)
        self._total, self._context = total, last.context
        self._used = plus(self._used or Usage(), grown)

    def _limits(self, told: Mapping[str, Any]) -> None:
        """How much of a plan is used; kept for when the limit is hit."""
        for name in ("primary", "secondary"):
            window = mapping(told.get(name))
            if fields.count(window, "usedPercent") >= 100 and (at := fields.count(window, "resetsAt")):
                long = fields.count(window, "windowDurationMins") > 24 * 60
                self._reset = limits.Limit("weekly" if long else "session", limits.epoch(str(at)))

    def _complained(self, params: Mapping[str, Any]) -> list[e.Fact]:
        said = items.complaint(params.get("error"))
        if params.get("willRetry") is True:
            return [*self._record.drop("the request is tried again"), e.StatusShown(said)]
        self._failed = said
        return []

    def _completed(self, turn: Mapping[str, Any]) -> list[e.Fact]:
        status, error = text(turn.get("status")), turn.get("error")
        failed, interrupted = status == "failed", status == "interrupted"
        said = (items.complaint(error) or self._failed or "the turn failed") if failed else ""
        facts: list[e.Fact] = []
        if thought := self._thought():
            facts += self._record.message(None, thought)
        if failed:
            facts += self._record.limit(said)
            if items.info(error) == "usageLimitExceeded":
                facts += self._record.hit(said, self._reset or limits.Limit())
        self._halted = interrupted and self._stopping
        self._failed = "codex was interrupted" if interrupted and not self._stopping else said
        used, self._used, self._turn, self._stopping = self._used, None, "", False
        self._shown = {}
        return facts + self._record.round(
            success=not (failed or interrupted),
            reason=status or "completed",
            message=said or ("interrupted" if interrupted else ""),
            usage=used,
            context=self._context,
            window=self._window,
            duration_ms=fields.count(turn, "durationMs"),
        )

    # -- the host's side --------------------------------------------------------------------

    def complain(self, line: bytes) -> Step:
        """A line of stderr."""
        return Step(tuple(self._record.complained(line)))

    def sent(self, given: Input) -> None:
        """Keep count of what it was told."""
        self._closed = self._closed or given.close
        line = fields.parse(given.line.encode()) or {}
        match text(line.get("method")):
            case "turn/start":
                self._waiting = [(name, said) for name, said in self._waiting if name != given.id]
                self._owed.add(given.id)
            case "turn/interrupt":
                self._stopping = True
            case method if method == _EARLY:
                self._waiting.append((given.id.removesuffix("-early"), text(mapping(line.get("params")).get("text"))))
            case "" if "result" in line:
                self._settle(fields.encoded(line.get("id")), mapping(line["result"]))

    def _settle(self, question: str, result: Mapping[str, Any]) -> None:
        self._record.answered(question)
        _, params = self._questions.get(question, ("", {}))
        if result.get("decision") == "accept":
            self._record.started(text(params.get("itemId")))

    def say(self, key: str, text: str) -> Step | None:
        """A turn of its own, or part of the one that runs."""
        if self._closed or self._broken:
            return None
        if not self._thread:
            return Step(inputs=(notice(f"say-{key}-early", _EARLY, text=text),))
        return Step(inputs=(self._begin(f"say-{key}", text),))

    def answer(self, wait: WaitId, answer: e.Answer) -> Step:
        """Accept or decline; the turn goes on either way."""
        question = self._record.question(wait)
        if question not in self._questions:
            return Step()
        method, params = self._questions[question]
        allow = answer.action == "approve"
        call = self._record.call(text(params.get("itemId")))
        starts = allow and method in (_COMMAND, _CHANGE) and call is not None and not call.started
        facts = (self._record.starting(call),) if starts and call is not None else ()
        return Step(facts, (_reply(question, {"result": _decided(method, params, allow, answer.content)}),))

    def interrupt(self, key: str) -> Step | None:
        """End the turn; the process lives on.  Nothing where there is no turn."""
        if not self._turn:
            return Step()
        return Step(inputs=(request(f"interrupt-{key}", "turn/interrupt", threadId=self._thread, turnId=self._turn),))

    def close(self) -> Step:
        """The end of its input ends it at once."""
        return Step(inputs=(Input("close", close=True),))

    def end(self, exit: Exit) -> Step:
        """It exits with 0 whatever has become of its turns."""
        facts: list[e.Fact] = []
        if thought := self._thought():
            facts += self._record.message(None, thought)
        unfinished = bool(self._turn or self._owed or self._waiting)
        facts += self._record.close()
        trouble = self._failed or ("" if self._halted else self._record.trouble(exit))
        if not trouble and unfinished:
            trouble = "codex ended without a result"
        if trouble and not exit.killed and not self._record.limited:
            facts.append(self._record.failed(trouble))
        return Step(tuple(facts))


def _reply(question: str, answer: Mapping[str, Any]) -> Input:
    return Input(f"answer-{question}", f'{{"id":{question},{fields.encoded(answer)[1:]}')


def _wanted(method: str, params: Mapping[str, Any]) -> tuple[str, str]:
    """What a question asks for that belongs to no item."""
    match method:
        case "item/commandExecution/requestApproval":
            return "shell", fields.encoded({"command": text(params.get("command")), "cwd": text(params.get("cwd"))})
        case "item/fileChange/requestApproval":
            return "apply_patch", fields.encoded({"grant_root": text(params.get("grantRoot"))})
        case "mcpServer/elicitation/request":
            asked = {"message": text(params.get("message")), "schema": fields.data(params.get("requestedSchema"))}
            return f"mcp__{text(params.get('serverName'))}__elicitation", fields.encoded(asked)
        case _:
            return "request_permissions", fields.encoded(params.get("permissions"))


def _decided(method: str, params: Mapping[str, Any], allow: bool, content: Any) -> dict[str, Any]:
    match method:
        case "item/permissions/requestApproval":
            return {"permissions": params.get("permissions") if allow else {}, "scope": "turn"}
        case "mcpServer/elicitation/request":
            return {"action": "accept" if allow else "decline", "content": (content or {}) if allow else None}
        case _:
            return {"decision": "accept" if allow else "decline"}
