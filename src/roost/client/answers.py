"""What an agent answered: the last of its own words, and how the turn went, as a fold of what happens."""

from msgspec import Struct

from roost.client import happenings as h
from roost.client.happenings import Happening, Usage


class Answer(Struct, frozen=True):
    """What came of a turn; `reason` is normal, error or canceled, and `error` says why."""

    session: str
    text: str
    reason: str = "normal"
    error: str = ""
    usage: Usage = Usage()
    agent: str = ""

    @property
    def ok(self) -> bool:
        """Whether the turn ended well."""
        return self.reason == "normal"

    def __str__(self) -> str:
        return self.text


class Turn:
    """A turn of one session as it goes on.  Feed it what happens there; what sub-agents do counts for nothing."""

    def __init__(self, session: str) -> None:
        self.begun = False
        self.over = False
        self._session = session
        self._pieces: list[tuple[int, str]] = []
        self._whole = False  # the next piece begins another answer
        self._agent = ""
        self._usage = Usage()
        self._reason = "normal"
        self._error = ""

    def take(self, happening: Happening) -> None:
        """One more thing that happened."""
        if happening.parent_session_id:
            return
        match happening:
            case h.TurnOpened() | h.StreamStarted() | h.UserMessage():
                self.begun = True
            case h.AgentChoice(content=content):
                self._add(happening.seq, content, happening.agent_name)
            case h.MessageAdded(tool_call_id=""):
                self._whole = True
            case h.Warned(discard_since=int(since)):
                self._pieces = [(seq, text) for seq, text in self._pieces if seq < since]
            case h.TokenUsage(usage=usage):
                self._usage = usage
            case h.Failed(error=error):
                self._error = error
            case h.StreamStopped(reason=reason) if self.begun:
                self.over, self._reason = True, reason or "normal"
            case h.SessionExited():
                self.over, self._reason = True, "canceled"
            case _:
                pass

    def answer(self) -> Answer:
        """What has come of it."""
        text = "".join(piece for _, piece in self._pieces)
        return Answer(self._session, text, self._reason, self._error, self._usage, self._agent)

    def _add(self, seq: int, content: str, agent: str) -> None:
        if self._whole:
            self._pieces, self._whole = [], False
        self._pieces.append((seq, content))
        self._agent = agent
