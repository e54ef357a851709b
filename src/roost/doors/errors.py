"""How each error looks from outside: one table."""

from collections.abc import Mapping

from roost.core import errors
from roost.core.errors import RoostError

STATUS: Mapping[type[RoostError], int] = {
    errors.SessionNotFound: 404,
    errors.MessageNotFound: 404,
    errors.NotQueued: 404,
    errors.WaitNotFound: 404,
    errors.ProcessNotFound: 404,
    errors.NotKept: 404,
    errors.AgentNotFound: 404,
    errors.AccountNotFound: 404,
    errors.NoAccounts: 404,
    errors.LoginRefused: 401,
    errors.AccountExists: 409,
    errors.TooManyLogins: 429,
    errors.PairingRefused: 410,
    errors.DeviceNotFound: 404,
    errors.BadValue: 400,
    errors.BadModel: 422,
    errors.SessionBusy: 409,
    errors.SessionNotRunning: 409,
    errors.NothingWaits: 409,
    errors.AlreadyAnswered: 409,
    errors.AlreadyTaken: 409,
    errors.Duplicate: 409,
    errors.MessagesWait: 409,
    errors.NotOwner: 409,
    errors.BudgetExceeded: 402,
    errors.Denied: 403,
    errors.NoSandbox: 403,
    errors.Unfinished: 409,
    errors.DependencyFailed: 409,
    errors.QueueFull: 429,
    errors.TooManySessions: 429,
    errors.TooManyFollowed: 429,
    errors.AgentBroken: 500,
    errors.ToolsetFailed: 500,
    errors.StoreRefused: 500,
    errors.LaunchFailed: 500,
    errors.NotBuilt: 501,
    errors.ModelFailed: 502,
    errors.NotInForm: 502,
    errors.HookStopped: 403,
    errors.LoopDetected: 502,
    errors.AgentUnreachable: 502,
    errors.ServerFailed: 502,
    errors.ShuttingDown: 503,
    errors.TimedOut: 504,
    errors.StoreFull: 507,
}

WHOLE = (
    errors.BadValue,
    errors.SessionBusy,
    errors.SessionNotRunning,
    errors.NothingWaits,
    errors.AlreadyAnswered,
    errors.NotQueued,
    errors.AlreadyTaken,
    errors.QueueFull,
    errors.WaitNotFound,
    errors.ShuttingDown,
    errors.AccountNotFound,
    errors.AccountExists,
    errors.NoAccounts,
    errors.LoginRefused,
    errors.TooManyLogins,
    errors.PairingRefused,
    errors.DeviceNotFound,
)
"""Errors whose message stands alone; before that of any other goes what could not be done."""

INTERNAL = "internal server error"

CODE = "x-roost-code"


class Refused(Exception):
    """A request that the door itself turns away."""

    def __init__(self, status: int, message: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.headers = dict(headers or {})


def status(error: RoostError) -> int:
    """The HTTP status of an error; 500 for one that is in no table."""
    return next((STATUS[kind] for kind in type(error).__mro__ if kind in STATUS), 500)


def worded(error: RoostError, failed: str) -> str:
    """What a caller is told, with `failed` before it where that says more."""
    return error.message if isinstance(error, WHOLE) else failed + error.message


def headers(error: RoostError) -> dict[str, str]:
    """Which error it is, for whoever reads no prose, and when to ask again where that is known."""
    return {CODE: error.code} | _retry(error)


def _retry(error: RoostError) -> dict[str, str]:
    match error:
        case errors.QueueFull():
            return {"retry-after": "1"}
        case errors.TooManyLogins(retry_after=seconds):
            return {"retry-after": f"{seconds:.0f}"}
    return {}


def told(message: str, code: str = "") -> dict[str, str]:
    """The body of an error."""
    return {"code": code, "message": message} if code else {"message": message}
