"""Who is calling, as the door found out."""

from typing import Literal

from msgspec import Struct

Kind = Literal["anyone", "account", "super", "session"]


class Principal(Struct, frozen=True):
    """A caller.  `client` tells one program from another: token, address and `User-Agent`, digested.

    `anyone` came in where no account exists: all callers are one person.  An `account` sees its own
    sessions and works in its `home`.  `super` has the server's own token, and no bounds.  A `session` is
    a CLI that calls from inside its own: it sees the sessions that it has started, and works where it does.
    """

    name: str = ""
    client: str = ""
    headers: dict[str, str] = {}  # of the request, lower case: placeholders of remote toolsets read them
    kind: Kind = "anyone"
    home: str = ""  # of an account, or where the session works; absolute
    must_sandbox: bool = False  # nothing runs for this caller outside of a sandbox
    session: str = ""  # that a CLI calls from

    @property
    def confined(self) -> bool:
        """Whether it has its own sessions and its own folder, and nothing else."""
        return self.kind in ("account", "session")
