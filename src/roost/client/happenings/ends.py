"""Trouble, and the end."""

from roost.client.happenings.base import Base


class Warned(Base, frozen=True, tag="warning"):
    """Something is not as it should be.  With `discard_since`, the answer's pieces from there on do not count; with
    `provider`, it is a usage limit of that.
    """

    message: str = ""
    discard_since: int | None = None
    answer: str = ""
    provider: str = ""
    scope: str = ""
    reset_at: str = ""
    resume_at: str = ""


class Failed(Base, frozen=True, tag="error"):
    """The turn ends with this."""

    error: str = ""
    code: str = ""


class DeleteAsked(Base, frozen=True, tag="delete_asked"):
    """Somebody wants the session gone."""

    by: str = ""


class SessionExited(Base, frozen=True, tag="session_exited"):
    """The session is no more: the last of all."""

    reason: str = ""


class Gap(Base, frozen=True, tag="gap"):
    """What was asked for can't be had any more: take a snapshot.  What follows begins where the log does."""


class StreamEnd(Base, frozen=True, tag="stream_end"):
    """The end of a run's stream, for the oldest clients."""


Ends = Warned | Failed | DeleteAsked | SessionExited | Gap | StreamEnd
