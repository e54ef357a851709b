"""A turn's events as a person reads them on a terminal: the answer on `out`, all else on `err`."""

import json
from collections.abc import Mapping
from typing import Any, TextIO


class Telling:
    """Prints events of `/api`, one after the other.

    With `raw` every event goes to `out` instead, a line of JSON each.  What tools return is left out where it is
    `quiet`; what people say is shown, too, where it is `heard`.
    """

    def __init__(
        self, out: TextIO, err: TextIO, *, raw: bool = False, quiet: bool = False, heard: bool = False
    ) -> None:
        self.raw = raw
        self.quiet = quiet
        self.heard = heard
        self._out = out
        self._err = err
        self._open_line = False  # the answer's last line is not ended yet
        self._open_output = False  # nor that of a tool's output
        self._streamed: set[str] = set()  # calls whose output has been shown as it came
        self._called: set[str] = set()  # calls that have been shown
        self._speaker = ""  # the sub-session whose words stand on `err`, unfinished

    def called(self, call: Mapping[str, Any]) -> None:
        """This call has been shown by somebody else."""
        self._called.add(call.get("id", ""))

    def point(self, event: Mapping[str, Any], where: str) -> None:
        """Say what waits for a person, and where it is answered."""
        if (what := waiting(event)) is None:
            return
        if event["type"] == "tool_call_confirmation":
            self.called(event["tool_call"])
        self.say(f"? {what}: {where}")

    def show(self, event: Mapping[str, Any]) -> None:
        """What there is to see of it."""
        if self.raw:
            self._out.write(json.dumps(event, ensure_ascii=False) + "\n")
            self._out.flush()
            return
        match event.get("type"):
            case "user_message" if self.heard:
                self.say(f"> {short(event['message'], 500)}")
            case "agent_choice" if event.get("parent_session_id"):
                self._tell(event)
            case "agent_choice":
                self._print(event["content"])
            case "message_added" if not event.get("parent_session_id"):
                self.end_line()  # the next answer is another one
            case "tool_call":
                self._called.add(event["tool_call"].get("id", ""))
                self.say(f"· {call_line(event['tool_call'])}")
            case "tool_call_output" if not self.quiet:
                self._pass_on(event.get("tool_call_id", ""), event.get("output", ""))
            case "tool_call_response" if event.get("tool_call_id") not in self._streamed or _failed(event):
                if not self.quiet or _failed(event):
                    self._returned(event)
            case "agent_switching":
                self.say(f"· {'to' if event.get('switching') else 'back to'} {event.get('to_agent', '')}")
            case "warning":
                self.say(f"warning: {event['message']}")
            case "error":
                self.say(f"error: {event['error']}")
            case _:
                pass

    def _print(self, text: str) -> None:
        self._out.write(text)
        self._out.flush()
        if text:
            self._open_line = not text.endswith("\n")

    def _tell(self, event: Mapping[str, Any]) -> None:
        """Words of a sub-agent: they are no part of the answer."""
        before = ""
        if self._speaker != event["session_id"]:
            before = f"{event.get('agent_name', '')}: "
            self.end_line()
            self._close_output()
            self._speaker = event["session_id"]
        self._err.write(before + event["content"])
        self._err.flush()
        self._open_output = not event["content"].endswith("\n")

    def _returned(self, event: Mapping[str, Any]) -> None:
        called = event.get("tool_call") or {}
        if _name(called) == "transfer_task" and not _failed(event):
            return  # these words were shown as they were said
        if called.get("id") and called["id"] not in self._called:
            self.say(f"· {call_line(called)}")  # it never ran, and so was never shown
        self.say(f"  {_result_line(event)}")

    def _pass_on(self, call: str, output: str) -> None:
        self.end_line()
        self._err.write(output)
        self._err.flush()
        if output:
            self._streamed.add(call)
            self._open_output = not output.endswith("\n")

    def say(self, line: str) -> None:
        """A line on `err`, under whatever stands there unfinished."""
        self.end_line()
        self._close_output()
        self._speaker = ""
        self._err.write(line + "\n")
        self._err.flush()

    def _close_output(self) -> None:
        if self._open_output:
            self._open_output = False
            self._err.write("\n")

    def end_line(self) -> None:
        """Nothing more comes on the answer's last line."""
        if self._open_line:
            self._print("\n")


def waiting(event: Mapping[str, Any]) -> str | None:
    """What waits for a person, in a line; None for other events."""
    match event.get("type"):
        case "tool_call_confirmation":
            return call_line(event["tool_call"], None)
        case "max_iterations_reached":
            return f"{event['max_iterations']} iterations are done"
        case "budget_exceeded" | "elicitation_request":
            return str(event["message"])
    return None


def call_line(call: Mapping[str, Any], width: int | None = 100) -> str:
    """A call in a line, whole where there is no `width`."""
    function = call.get("function", call)
    return short(f"{function.get('name', '')} {function.get('arguments', '')}".strip(), width)


def _name(call: Mapping[str, Any]) -> str:
    return str(call.get("function", call).get("name", ""))


def _result_line(event: Mapping[str, Any]) -> str:
    return ("failed: " if _failed(event) else "") + short(str(event.get("response", "")))


def _failed(event: Mapping[str, Any]) -> bool:
    return bool((event.get("result") or {}).get("isError", False))


def short(text: str, width: int | None = 100) -> str:
    """One line of it, with nothing in it that a terminal would obey."""
    line = "".join(char if char.isprintable() else "\ufffd" for char in " ".join(text.split()))
    return line if width is None or len(line) <= width else line[: width - 1] + "…"
