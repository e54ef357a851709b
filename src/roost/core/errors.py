"""Every error a caller can meet, each with a stable code.

An error carries its data and words its own message.  The door knows the status codes.
"""

from typing import Any


class RoostError(Exception):
    """The root of all errors that callers can meet; another process gets them as they are."""

    code = "internal"

    def __reduce__(self) -> tuple[Any, ...]:
        return _again, (type(self), self.args, self.__dict__)

    @property
    def message(self) -> str:
        """What to tell the caller."""
        return str(self)


def _again(kind: type[RoostError], args: tuple[Any, ...], state: dict[str, Any]) -> RoostError:
    error = kind.__new__(kind, *args)
    error.__dict__.update(state)
    return error


class SessionNotFound(RoostError):
    """No session has this id, or it was deleted."""

    code = "unknown_session"

    def __init__(self, session: str) -> None:
        super().__init__("session not found")
        self.session = session


class MessageNotFound(RoostError):
    """The session has no message with this id."""

    code = "unknown_message"

    def __init__(self, message_id: int) -> None:
        super().__init__(f"invalid message ID: no message {message_id} in this session")


class SessionBusy(RoostError):
    """The session is in a turn already."""

    code = "session_busy"

    def __init__(self, session: str) -> None:
        super().__init__("session is already processing a request")
        self.session = session


class SessionNotRunning(RoostError):
    """What was asked needs a turn, or at least a session that has had one."""

    code = "session_not_running"

    def __init__(self, message: str = "session not found or not running") -> None:
        super().__init__(message)


class NotOwner(RoostError):
    """Somebody else owns the log by now.  Nothing was written."""

    code = "not_owner"

    def __init__(self, log: str) -> None:
        super().__init__(f"session {log!r} is owned by another server")
        self.log = log


class StoreFull(RoostError):
    """There is no room, or the store can't be written.  Nothing was written."""

    code = "store_full"

    def __init__(self, detail: str) -> None:
        super().__init__(f"the session store can't be written: {detail}")


class StoreRefused(RoostError):
    """The database can't be used as it is: another program's file, or a newer version's."""

    code = "store_refused"


class QueueFull(RoostError):
    """No more messages can wait."""

    code = "queue_full"

    def __init__(self, queue: str) -> None:
        super().__init__(f"{queue} queue full")
        self.queue = queue


class Duplicate(RoostError):
    """This idempotency key has been used in this session.  Nothing was written."""

    code = "duplicate"

    def __init__(self, key: str) -> None:
        super().__init__("duplicate")
        self.key = key


class MessagesWait(RoostError):
    """The turn can't end: somebody has sent a message meanwhile.  Nothing was written."""

    code = "messages_wait"

    def __init__(self) -> None:
        super().__init__("messages wait")


class NotQueued(RoostError):
    """No message with this number waits: it never did, or was withdrawn or dropped."""

    code = "not_queued"

    def __init__(self, seq: int) -> None:
        super().__init__(f"no message {seq} waits in this session")
        self.seq = seq


class AlreadyTaken(RoostError):
    """The message waits no more: a turn has taken it."""

    code = "already_taken"

    def __init__(self, seq: int) -> None:
        super().__init__(f"message {seq} was taken already: it can't be withdrawn any more")
        self.seq = seq


class WaitNotFound(RoostError):
    """No wait has this id."""

    code = "unknown_wait"

    def __init__(self, wait: str) -> None:
        super().__init__("wait not found")
        self.wait = wait


class NothingWaits(RoostError):
    """Nobody waits for this answer (or for this call's)."""

    code = "nothing_waits"

    def __init__(self, message: str = "no confirmation pending") -> None:
        super().__init__(message)


class AlreadyAnswered(RoostError):
    """Somebody has answered otherwise, and the first answer wins."""

    code = "already_answered"

    def __init__(self) -> None:
        super().__init__("already answered differently")


class BadValue(RoostError):
    """A value the caller sent can't be used; the message says which and why."""

    code = "bad_value"


class BadModel(RoostError):
    """A model reference that leads nowhere."""

    code = "bad_model"


class AgentNotFound(RoostError):
    """No agent source, or no agent inside it, has this name."""

    code = "agent_not_found"

    def __init__(self, name: str, known: tuple[str, ...] = ()) -> None:
        hint = f" (known: {', '.join(known)})" if known else ""
        super().__init__(f"agent not found: {name}{hint}")
        self.name = name


class AgentUnreachable(RoostError):
    """A remote agent source can't be fetched."""

    code = "agent_unreachable"


class AgentBroken(RoostError):
    """An agent file does not load; the message lists all that is wrong with it."""

    code = "agent_broken"


class ToolsetFailed(RoostError):
    """A toolset can't be built or started."""

    code = "toolset_failed"


class Denied(RoostError):
    """The policy forbids it."""

    code = "denied"


class AccountNotFound(RoostError):
    """No account has this name."""

    code = "account_not_found"

    def __init__(self, name: str) -> None:
        super().__init__(f"no account is called {name!r}")
        self.name = name


class AccountExists(RoostError):
    """An account has this name already.  Nothing was written."""

    code = "account_exists"

    def __init__(self, name: str) -> None:
        super().__init__(f"there is an account called {name!r} already")
        self.name = name


class NoAccounts(RoostError):
    """Nobody can log in: this server has no accounts."""

    code = "no_accounts"

    def __init__(self) -> None:
        super().__init__("accounts are not enabled on this server")


class LoginRefused(RoostError):
    """Wrong name, wrong password, or an account that is disabled: which of them is not told."""

    code = "login_refused"

    def __init__(self, message: str = "wrong user name or password") -> None:
        super().__init__(message)


class TooManyLogins(RoostError):
    """Too many logins have failed; `retry_after` is in how many seconds another one may be tried."""

    code = "too_many_logins"

    def __init__(self, retry_after: float) -> None:
        super().__init__("too many failed logins; try again later")
        self.retry_after = retry_after


class PairingRefused(RoostError):
    """A pairing code that opens nothing: it was used, it has expired, or there never was one."""

    code = "pairing_refused"

    def __init__(self) -> None:
        super().__init__("this pairing code was used already, or has expired: `roost pair` makes another")


class DeviceNotFound(RoostError):
    """No browser that the caller may see has this id."""

    code = "device_not_found"

    def __init__(self, device: str) -> None:
        super().__init__(f"no device has the id {device[:100]!r}")
        self.device = device


class ModelFailed(RoostError):
    """A model request came to nothing.

    `status` is the HTTP status, or 0 where there was none (a cut line, a timeout); `retry_after`
    the seconds the provider asked for; `kind` one of `retryable`, `rate_limit`, `overflow`,
    `client`, `auth`, `missing`.
    """

    code = "model_error"

    def __init__(
        self, message: str, *, kind: str, status: int = 0, retry_after: float | None = None, provider_code: str = ""
    ) -> None:
        super().__init__(message)
        self.kind = kind
        self.status = status
        self.retry_after = retry_after
        self.provider_code = provider_code


class HookStopped(RoostError):
    """A hook has ended a run, or refused what it was asked for."""

    code = "hook_blocked"


class LoopDetected(RoostError):
    """A model calls the same tools again and again."""

    code = "loop_detected"


class BudgetExceeded(RoostError):
    """A budget is used up, and nobody has let it go on."""

    code = "budget_exceeded"


class NotInForm(RoostError):
    """A model has ended without an answer of the form that its agent must give."""

    code = "structured_output_failed"

    def __init__(self, reminders: int) -> None:
        super().__init__(f"the model gave no answer of the form that is asked for, after {reminders} reminders")


class LaunchFailed(RoostError):
    """A program can't be started; the message says why, and what would help."""

    code = "launch_failed"


class NoSandbox(RoostError):
    """A run has to be confined, and there is nothing on this machine that could."""

    code = "no_sandbox"


class TooManySessions(RoostError):
    """As many sessions run as may."""

    code = "too_many_sessions"

    def __init__(self, limit: int) -> None:
        super().__init__(f"{limit} sessions run already, and no more may; try again when one has ended")


class TooManyFollowed(RoostError):
    """A screen follows as many sessions as it may."""

    code = "too_many_followed"

    def __init__(self, limit: int) -> None:
        super().__init__(f"{limit} sessions are followed already, and no more may; unfollow one of them first")


class ProcessNotFound(RoostError):
    """No process has this id."""

    code = "unknown_process"

    def __init__(self, process: str) -> None:
        super().__init__("process not found")
        self.process = process


class NotKept(RoostError):
    """Nothing of this kind is kept under this name."""

    code = "not_kept"

    def __init__(self, kind: str, name: str) -> None:
        super().__init__(f"there is no {kind} {name!r}")
        self.name = name


class DependencyFailed(RoostError):
    """A session that this one waits for has not ended well."""

    code = "dependency_failed"

    def __init__(self, session: str) -> None:
        super().__init__(f"dependency {session} failed")
        self.session = session


class TimedOut(RoostError):
    """A turn has taken longer than it was given."""

    code = "timeout"

    def __init__(self, given: str) -> None:
        super().__init__(f"Agent timed out after {given}")


class Unfinished(RoostError):
    """What was asked needs a session that has ended, or has come to a result."""

    code = "unfinished"


class NotBuilt(RoostError):
    """A part of the API that this version does not have yet."""

    code = "not_built"


class ShuttingDown(RoostError):
    """The server is stopping and starts nothing new."""

    code = "shutting_down"

    def __init__(self) -> None:
        super().__init__("the server is shutting down")


class ServerFailed(RoostError):
    """Another server that was asked did not answer as it should."""

    code = "server_failed"
