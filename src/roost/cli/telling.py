"""What happens in a turn, told on a terminal: the answer on one stream, all else on the other."""

from typing import TextIO

from roost.cli.tame import Tame
from roost.client import happenings as h
from roost.client.happenings import Happening
from roost.client.shapes import Call

_COMPACTED = {"applied": "summed up", "skipped": "left as it is", "failed": "not summed up: that failed"}


class Telling:
    """Prints the answer to `out`, and to `err` what tools and sub-agents do.

    What tools return is left out where it is `quiet`; what people say is told, too, where it is `heard`.
    """

    def __init__(self, out: TextIO, err: TextIO, *, quiet: bool = False, heard: bool = False) -> None:
        self.quiet = quiet
        self.heard = heard
        self._out = Tame(out)
        self._err = Tame(err)
        self._open_line = False  # the answer's last line is not ended yet
        self._open_output = False  # nor that of a tool's output
        self._streamed: set[str] = set()  # calls whose output has been shown as it came
        self._called: set[str] = set()  # calls that have been shown
        self._speaker = ""  # the sub-session whose words stand on `err`, unfinished

    def show(self, happening: Happening) -> None:
        """Tell of one thing."""
        match happening:
            case h.AgentChoice() if happening.parent_session_id:
                self._tell(happening)
            case h.AgentChoice(content=content):
                self._print(content)
            case h.MessageAdded() if not happening.parent_session_id:
                self.end_line()  # the next answer is another one
            case h.ToolCall(tool_call=call):
                self.called(call)
                self.say(f"· {call_line(call)}")
            case h.UserMessage(message=text):
                if self.heard:
                    self.say(f"> {short(text, 500)}")
            case h.ToolCallOutput():
                self._pass_on(happening.tool_call_id, happening.output)
            case h.ToolCallResponse() if self.quiet and not happening.failed:
                pass
            case h.ToolCallResponse() if happening.tool_call_id not in self._streamed or happening.failed:
                self._returned(happening)
            case _:
                if line := _line(happening):
                    self.say(line)

    def point(self, happening: Happening, where: str) -> None:
        """Say what waits for a person, and where it is answered."""
        match happening:
            case h.ToolCallConfirmation(tool_call=call):
                self.called(call)
                self.say(f"? {call_line(call, None)}: {where}")
            case h.MaxIterationsReached(max_iterations=limit):
                self.say(f"? {limit} iterations are done: {where}")
            case h.BudgetExceeded(message=message) | h.ElicitationRequest(message=message):
                self.say(f"? {short(message, 500)}: {where}")
            case _:
                pass

    def called(self, call: Call) -> None:
        """This call has been shown."""
        self._called.add(call.id)

    def say(self, line: str) -> None:
        """A line on `err`, under whatever stands there unfinished."""
        self.end_line()
        self._close_output()
        self._speaker = ""
        self._err.end()
        self._err.write(line + "\n")
        self._err.flush()

    def end_line(self) -> None:
        """The answer's line has ended."""
        self._out.end()
        if self._open_line:
            self._print("\n")

    def _print(self, text: str) -> None:
        self._out.write(text)
        self._out.flush()
        if text:
            self._open_line = not text.endswith("\n")

    def _tell(self, said: h.AgentChoice) -> None:
        """Words of a sub-agent: they are no part of the answer."""
        before = ""
        if self._speaker != said.session_id:
            before = f"{said.agent_name}: "
            self.end_line()
            self._close_output()
            self._speaker = said.session_id
        self._err.write(before + said.content)
        self._err.flush()
        self._open_output = not said.content.endswith("\n")

    def _returned(self, returned: h.ToolCallResponse) -> None:
        call = returned.tool_call
        if call.name == "transfer_task" and not returned.failed:
            return  # these words were shown as they were said
        if call.id and call.id not in self._called:
            self.say(f"· {call_line(call)}")  # it never ran, and so was never shown
        self.say("  " + ("failed: " if returned.failed else "") + short(returned.response))

    def _pass_on(self, call: str, output: str) -> None:
        if self.quiet:
            return
        self.end_line()
        self._err.write(output)
        self._err.flush()
        if output:
            self._streamed.add(call)
            self._open_output = not output.endswith("\n")

    def _close_output(self) -> None:
        if self._open_output:
            self._open_output = False
            self._err.write("\n")


def _line(happening: Happening) -> str:
    """A line about what is told in one; "" for what is not told."""
    match happening:
        case h.AgentSwitching(switching=switching, to_agent=agent):
            return f"· {'to' if switching else 'back to'} {agent}"
        case h.HandedOver(to_agent=agent):
            return f"· {agent} goes on"
        case h.ModelFallback(fallback_model=model, failed_model=failed):
            return f"· {failed} does not answer: {model} is asked"
        case h.SessionCompaction(status="started"):
            return "· the history is being summed up"
        case h.SessionCompaction(outcome=outcome):
            return f"· the history is {_COMPACTED.get(outcome, outcome)}"
        case h.Warned(message=message):
            return f"warning: {message}"
        case h.Failed(error=error):
            return f"error: {error}"
    return ""


def call_line(call: Call, width: int | None = 100) -> str:
    """A call in a line."""
    return short(f"{call.name} {call.arguments}".strip(), width)


def short(text: str, width: int | None = 100) -> str:
    """One line of it, with nothing in it that a terminal would obey."""
    line = "".join(char if char.isprintable() else "\ufffd" for char in " ".join(text.split()))
    return line if width is None or len(line) <= width else line[: width - 1] + "…"
