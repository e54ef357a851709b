"""Who is calling, as the door found out."""

from msgspec import Struct


class Principal(Struct, frozen=True):
    """A caller.  `client` tells one program from another: token, address and `User-Agent`, digested."""

    name: str = ""
    client: str = ""
    headers: dict[str, str] = {}  # of the request, lower case: placeholders of remote toolsets read them
