"""What Claude Code prints and is told: stream-json lines and control requests, as facts and back."""

import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from roost.core import events as e
from roost.core.ids import WaitId
from roost.core.messages import Media, Result
from roost.drivers import fields, limits
from roost.drivers.claude_message import Messages, usage
from roost.drivers.fields import mapping, objects, text
from roost.drivers.record import Record
from roost.ports import Errand, Exit, Input, Step

INITIALIZE = fields.encoded(
    {"type": "control_request", "request_id": "initialize", "request": {"subtype": "initialize", "hooks": None}}
)
NOBODY = "Nobody is there to answer; choose what seems best to you, and go on."
_LOGIN = "log in with `claude` (/login) on the server's machine, or set ANTHROPIC_API_KEY"
_LONGEST_SHOWN = 4000


def said(errand: Errand, id: str, words: str) -> Input:
    """A message for the CLI, with an id by which it says that it has taken it."""
    line = {
        "type": "user",
        "message": {"role": "user", "content": words},
        "parent_tool_use_id": None,
        "session_id": "default",
        "uuid": str(uuid.uuid5(uuid.NAMESPACE_URL, f"{errand.run}/{id}")),
    }
    return Input(id, fields.encoded(line))


class ClaudeDialog:
    """One process of Claude Code.

    A message is written when it is whole.  What belongs after it (a tool's result, a question about
    one of its calls) may be printed before its end, and is held back until then.
    """

    def __init__(self, errand: Errand, patterns: Sequence[str] = ()) -> None:
        self._errand = errand
        self._record = Record(errand, "claude", patterns=patterns)
        self._messages = Messages(self._record, runs_unasked=errand.auto_approve)
        self._held: list[dict[str, Any]] = []
        self._inputs: list[Input] = []
        self._untaken = [_uuid_of(said(errand, "prompt", ""))] if errand.prompt else []
        self._took = False  # a message, since the last result
        self._running = False
        self._tasks = 0  # in the background
        self._denied: set[str] = set()
        self._questions: dict[str, Mapping[str, Any]] = {}
        self._spent = errand.spent if errand.resume else 0.0
        self._failed = ""
        self._code = ""
        self._stopping = False  # we have asked it to
        self._halted = False  # and it did, in the newest round
        self._closed = False
        self._reset: limits.Limit | None = None
        self._strange: set[str] = set()

    @property
    def ready(self) -> bool:
        """No round, no message that it has yet to take, nothing in the background."""
        return not (self._running or self._untaken or self._tasks)

    @property
    def pending(self) -> Sequence[WaitId]:
        """Its questions."""
        return self._record.pending

    # -- lines ------------------------------------------------------------------------------

    def feed(self, line: bytes) -> Step:
        """A line of stdout."""
        event = fields.parse(line)
        if event is None:
            return Step(tuple(self._record.skipped(line, "not a line of stream-json")))
        facts = self._facts(event)
        inputs, self._inputs = tuple(self._inputs), []
        return Step(tuple(facts), inputs)

    def _facts(self, event: dict[str, Any]) -> list[e.Fact]:
        match event.get("type"):
            case "system":
                return self._system(event)
            case "assistant" | "user" | "stream_event" if text(event.get("parent_tool_use_id")):
                return self._of_sub(event)
            case "stream_event":
                return self._streamed(mapping(event.get("event")))
            case "assistant":
                return self._assistant(event)
            case "user":
                return self._user(event)
            case "result":
                return self._result(event)
            case "control_request":
                return self._asked(event)
            case "control_cancel_request":
                return self._withdrawn(text(event.get("request_id")))
            case "command_lifecycle":
                if event.get("state") in ("started", "completed"):
                    self._taken(text(event.get("command_uuid")), known=True)
                return []
            case "rate_limit_event":
                return self._rate_limit(mapping(event.get("rate_limit_info")))
            case "control_response" | "keep_alive":
                return []
            case other:
                return self._unknown(text(other))

    def _unknown(self, kind: str) -> list[e.Fact]:
        if kind in self._strange or len(self._strange) > 20:
            return []
        self._strange.add(kind)
        return [e.LineSkipped(f"claude prints lines of an unknown type: {fields.shorter(kind, 100) or 'none'}")]

    def _system(self, event: dict[str, Any]) -> list[e.Fact]:
        match event.get("subtype"):
            case "init":
                return self._init(event)
            case "api_retry":
                return self._retry(event)
            case "permission_denied":
                self._denied.add(text(event.get("tool_use_id")))
                return []
            case "background_tasks_changed":
                self._tasks = len(fields.items(event.get("tasks")))
                return []
            case "task_started":
                return self._status(f"background task started: {text(event.get('description'))}")
            case "task_notification":
                said = text(event.get("summary")) or text(event.get("status"))
                return self._status(f"background task {text(event.get('status'))}: {said}")
            case "compact_boundary":
                return self._status("the conversation was summed up")
            case _:
                return []

    def _status(self, message: str, data: Any = None) -> list[e.Fact]:
        return [e.StatusShown(fields.shorter(message, _LONGEST_SHOWN), data)]

    def _init(self, event: dict[str, Any]) -> list[e.Fact]:
        facts = self._whole()
        self._running = True
        told = {
            "version": text(event.get("claude_code_version")),
            "permission_mode": text(event.get("permissionMode")),
            "api_key_source": text(event.get("apiKeySource")),
            "mcp_servers": fields.data(event.get("mcp_servers")),
        }
        return facts + self._record.introduced(
            text(event.get("session_id")),
            model=text(event.get("model")),
            tools=fields.strings(event.get("tools")),
            working_dir=text(event.get("cwd")),
            data=told,
        )

    def _retry(self, event: dict[str, Any]) -> list[e.Fact]:
        why = text(event.get("error")) or "unknown"
        status = event.get("error_status")
        shown = f"{status} {why}" if isinstance(status, int) else why
        attempt, most = fields.count(event, "attempt"), fields.count(event, "max_retries")
        message = f"the request to the model failed ({shown}); attempt {attempt} of {most} follows"
        return [*self._messages.drop(), *self._status(message)]

    def _rate_limit(self, info: Mapping[str, Any]) -> list[e.Fact]:
        """How near a limit is; kept for when it is hit."""
        if info.get("status") != "rejected":
            return []
        named = text(info.get("rateLimitType"))
        reset = fields.count(info, "resetsAt")
        scope: limits.Scope = "weekly" if "seven_day" in named else "session"
        self._reset = limits.Limit(scope, limits.epoch(str(reset)) if reset else None)
        return []

    # -- messages ---------------------------------------------------------------------------

    def _streamed(self, event: Mapping[str, Any]) -> list[e.Fact]:
        """A piece of the API's stream."""
        self._running = True
        if event.get("type") == "message_stop":
            return self._whole()
        if event.get("type") == "message_start":
            return self._whole() + self._messages.begin(mapping(event.get("message")))
        return self._messages.piece(event)

    def _assistant(self, event: dict[str, Any]) -> list[e.Fact]:
        """A block of a message, or an error of the API in the guise of one."""
        message = mapping(event.get("message"))
        self._running = True
        if text(event.get("error")) or event.get("isApiErrorMessage") is True:
            return self._whole() + self._trouble(text(event.get("error")), message)
        facts = [] if self._messages.goes_on(message) else self._whole()
        self._messages.block(message)
        return facts

    def _trouble(self, kind: str, message: Mapping[str, Any]) -> list[e.Fact]:
        said = "\n".join(text(block.get("text")) for block in objects(message.get("content")))
        self._failed, self._code = said, kind
        if kind == "rate_limit":
            return self._record.limit(said) or self._record.hit(said, self._reset or limits.Limit())
        return self._record.limit(said)

    def _whole(self) -> list[e.Fact]:
        """The message under way is whole: write it, and go on with what was held back for it."""
        held, self._held = self._held, []
        facts = self._messages.whole()
        for event in held:
            facts += self._facts(event)
        return facts

    def _holds(self, event: dict[str, Any]) -> bool:
        """Whether a line has to wait for the end of the message that is being streamed."""
        if not self._messages.streaming:
            return False
        self._held.append(event)
        return True

    def _user(self, event: dict[str, Any]) -> list[e.Fact]:
        """Results of tools, or a message of ours that it has taken."""
        if event.get("isReplay") is True:
            self._taken(text(event.get("uuid")))
            return []
        content = mapping(event.get("message")).get("content")
        results = [block for block in objects(content) if block.get("type") == "tool_result"]
        if not results:
            return [] if self._messages.streaming else self._whole()
        if self._holds(event):
            return []
        facts = self._whole()
        for block in results:
            facts += self._returned(block, event, alone=len(results) == 1)
        return facts

    def _returned(self, block: Mapping[str, Any], event: dict[str, Any], *, alone: bool) -> list[e.Fact]:
        key = text(block.get("tool_use_id"))
        output, images = _content(block.get("content"))
        structured = event.get("tool_use_result") if alone else None
        result = Result(
            output,
            is_error=block.get("is_error") is True,
            images=images,
            structured=fields.data(structured) if isinstance(structured, dict | list) else None,
        )
        meta = [told for told in objects(event.get("tool_result_meta")) if told.get("id") == key]
        ran = key not in self._denied and not any(told.get("non_execution_kind") for told in meta)
        return self._record.returned(key, result, ran=ran)

    def _taken(self, name: str, *, known: bool = False) -> None:
        """It has taken a message of ours: the one named, else (unless it must be `known`) the oldest."""
        if name in self._untaken:
            self._untaken.remove(name)
        elif known or self._took or not self._untaken:
            return
        else:
            self._untaken.pop(0)
        self._took = self._running = True

    # -- sub-agents -------------------------------------------------------------------------

    def _of_sub(self, event: dict[str, Any]) -> list[e.Fact]:
        """What a sub-agent says and does is output of the call that started it, never the answer."""
        parent, kind = text(event.get("parent_tool_use_id")), event.get("type")
        content = mapping(event.get("message")).get("content")
        facts: list[e.Fact] = []
        for block in objects(content) if kind != "stream_event" else ():
            match block.get("type"):
                case "text" if kind == "assistant":
                    facts += self._sub_said(parent, event, text(block.get("text")))
                case "tool_use":
                    call = f"{text(block.get('name'))} {fields.encoded(block.get('input'))}"
                    facts += self._sub_said(parent, event, fields.shorter(call, 500))
                case "tool_result":
                    facts += self._returned(block, event, alone=False)
        return facts

    def _sub_said(self, parent: str, event: dict[str, Any], said: str) -> list[e.Fact]:
        if not said.strip():
            return []
        call = self._record.call(parent)
        if call is not None:
            return [*self._record.started(parent), *self._record.output(parent, said + "\n")]
        name = text(event.get("subagent_type")) or "sub-agent"
        return self._status(f"{name}: {said}")

    # -- questions --------------------------------------------------------------------------

    def _asked(self, event: dict[str, Any]) -> list[e.Fact]:
        question, request = text(event.get("request_id")), mapping(event.get("request"))
        if request.get("subtype") != "can_use_tool":
            error = f"this host does not know {text(request.get('subtype'))}"
            self._inputs.append(_answer(question, {"subtype": "error", "request_id": question, "error": error}))
            return []
        if self._holds(event):
            return []
        facts = self._whole()
        self._questions[question] = request
        if self._errand.auto_approve:
            self._inputs.append(_decided(question, _unasked(request)))
            return facts
        key, name = text(request.get("tool_use_id")), text(request.get("tool_name"))
        call = self._record.call(key) or self._record.stranger(
            key or question, name, fields.encoded(request.get("input"))
        )
        why = text(request.get("decision_reason"))
        return facts + self._record.ask(
            question, call.call, text(request.get("description")), {"reason": why} if why else None
        )

    def _withdrawn(self, id: str) -> list[e.Fact]:
        self._held = [event for event in self._held if event.get("request_id") != id]
        return self._record.withdrawn(id, "claude no longer asks")

    # -- the end of a round -----------------------------------------------------------------

    def _result(self, event: dict[str, Any]) -> list[e.Fact]:
        facts = self._whole()
        self._running = False
        if not self._took and self._untaken:
            self._untaken.pop(0)
        self._took = False
        failed = event.get("is_error") is True
        interrupted = text(event.get("terminal_reason")).startswith("aborted")
        if not failed:
            facts += self._outcome(event)
        told = self._told(event) if failed else ""
        if failed and not interrupted:
            facts += self._record.limit(told)
        reason = "interrupted" if interrupted else text(event.get("stop_reason")) or text(event.get("subtype"))
        self._halted = self._stopping and interrupted
        self._failed = "" if self._halted else told
        self._code = self._code if failed else ""
        self._stopping, self._reset = False, None
        context = self._messages.closed()
        return facts + self._record.round(
            success=not failed,
            reason=reason,
            message=told,
            usage=usage(event.get("usage")),
            cost=self._cost(event),
            context=context,
            window=max((fields.count(m, "contextWindow") for m in _models(event)), default=0),
            duration_ms=fields.count(event, "duration_ms"),
            turns=fields.count(event, "num_turns"),
        )

    def _outcome(self, event: dict[str, Any]) -> list[e.Fact]:
        """What a result says that no message has said: structured output, or a command's answer."""
        structured = event.get("structured_output")
        final = text(event.get("result")) or ("" if structured is None else fields.encoded(structured))
        known = self._messages.said == final.strip() or (self._messages.spoke and structured is None)
        return [] if known or not final.strip() else self._record.message(final)

    def _told(self, event: dict[str, Any]) -> str:
        """Why a round has failed, worded for people."""
        if text(event.get("terminal_reason")).startswith("aborted"):
            return "claude was interrupted"
        if event.get("subtype") == "error_max_turns":
            return f"claude stopped: it has had as many turns as it may ({fields.count(event, 'num_turns')})"
        errors = [said for said in fields.strings(event.get("errors")) if not said.startswith("[ede_diagnostic]")]
        told = text(event.get("result")) or "\n".join(errors) or self._failed
        told = told or f"claude reports {text(event.get('subtype')) or 'an error'}"
        login = self._code == "authentication_failed" or "Please run /login" in told
        return f"{told} ({_LOGIN})" if login else told

    def _cost(self, event: dict[str, Any]) -> float:
        """Of this round; `total_cost_usd` counts the whole session, resumed ones included."""
        total = fields.money(event.get("total_cost_usd"))
        before, self._spent = self._spent, total
        return total - before if total >= before else total

    # -- the host's side --------------------------------------------------------------------

    def complain(self, line: bytes) -> Step:
        """A line of stderr."""
        return Step(tuple(self._record.complained(line)))

    def sent(self, given: Input) -> None:
        """Keep count of what it was told."""
        self._closed = self._closed or given.close
        line = fields.parse(given.line.encode()) or {}
        match line.get("type"):
            case "user" if given.id != "prompt":
                self._untaken.append(text(line.get("uuid")))
            case "control_response":
                self._settle(mapping(line.get("response")))
            case "control_request" if mapping(line.get("request")).get("subtype") == "interrupt":
                self._stopping = True

    def _settle(self, response: Mapping[str, Any]) -> None:
        question = text(response.get("request_id"))
        self._record.answered(question)
        key = text(self._questions.pop(question, {}).get("tool_use_id")) or question
        decision = text(mapping(response.get("response")).get("behavior"))
        if decision == "allow":
            self._record.started(key)
        elif decision == "deny":
            self._denied.add(key)

    def say(self, key: str, text: str) -> Step | None:
        """It takes messages at any time; while it works, it reads them between two steps."""
        return None if self._closed else Step(inputs=(said(self._errand, f"say-{key}", text),))

    def answer(self, wait: WaitId, answer: e.Answer) -> Step:
        """Allow or deny; `content` answers the questions of AskUserQuestion."""
        question = self._record.question(wait)
        request = self._questions.get(question)
        if request is None:
            return Step()
        if answer.action != "approve":
            denied = {"behavior": "deny", "message": answer.reason or "The user does not want this."}
            return Step(inputs=(_decided(question, denied),))
        wanted = dict(mapping(request.get("input")))
        if answer.content:
            wanted["answers"] = answer.content.get("answers", answer.content)
        call = self._record.call(text(request.get("tool_use_id")) or question)
        facts = (self._record.starting(call),) if call is not None and not call.started else ()
        return Step(facts, (_decided(question, {"behavior": "allow", "updatedInput": wanted}),))

    def interrupt(self, key: str) -> Step | None:
        """End the round; the process lives on."""
        name = f"interrupt-{key}"
        line = {"type": "control_request", "request_id": name, "request": {"subtype": "interrupt"}}
        return Step(inputs=(Input(name, fields.encoded(line)),))

    def close(self) -> Step:
        """The end of its input; it finishes what it has."""
        return Step(inputs=(Input("close", close=True),))

    def end(self, exit: Exit) -> Step:
        """Judged by the last result, and by whether there is one: it exits with 0 when it is interrupted."""
        unfinished = self._running or bool(self._untaken)
        facts = self._whole() + self._record.close()
        trouble = self._failed or ("" if self._halted else self._record.trouble(exit))
        if not trouble and unfinished:
            trouble = "claude ended without a result"
        if trouble and not exit.killed and not self._record.limited:
            facts.append(self._record.failed(trouble, self._code))
        return Step(tuple(facts))


def _uuid_of(given: Input) -> str:
    return text((fields.parse(given.line.encode()) or {}).get("uuid"))


def _answer(id: str, response: dict[str, Any]) -> Input:
    return Input(f"answer-{id}", fields.encoded({"type": "control_response", "response": response}))


def _decided(question: str, decision: dict[str, Any]) -> Input:
    return _answer(question, {"subtype": "success", "request_id": question, "response": decision})


def _unasked(request: Mapping[str, Any]) -> dict[str, Any]:
    """Our own yes: to everything but a question that only a person could answer."""
    if request.get("tool_name") == "AskUserQuestion":
        return {"behavior": "deny", "message": NOBODY}
    return {"behavior": "allow", "updatedInput": request.get("input")}


def _models(event: Mapping[str, Any]) -> Sequence[Any]:
    return list(mapping(event.get("modelUsage")).values())


def _content(given: Any) -> tuple[str, tuple[Media, ...]]:
    """The text and the pictures of a tool's result."""
    if isinstance(given, str):
        return given, ()
    blocks = objects(given)
    images = [mapping(block.get("source")) for block in blocks if block.get("type") == "image"]
    words = "\n".join(text(block.get("text")) for block in blocks if block.get("type") == "text")
    shown = tuple(
        Media(text(image.get("data")), text(image.get("media_type"))) for image in images if text(image.get("data"))
    )
    return words, shown
