"""The server that commands of this machine go to, where one is: none is started."""

import os
from collections.abc import Mapping

from roost.client import connection, local
from roost.client.errors import Nowhere
from roost.client.server import Server, home

SESSION = ("ROOST_SESSION_ID", "ZAG_SESSION_ID")


def session(env: Mapping[str, str]) -> str:
    """The session that this process belongs to; "" for none."""
    return next((env[name] for name in SESSION if env.get(name)), "")


def find(env: Mapping[str, str] | None = None) -> Server:
    """Inside a session the server that started it, and no other; else the one that `roost connect` named; else the
    one that runs on this machine.

    Raises:
        Nowhere: there is none.
        BadValue: what `roost connect` has kept can't be read.
    """
    env = os.environ if env is None else env
    if session(env):
        found = local.of_session(home(env), env)
        if found is None:
            raise Nowhere("the server that started this session is not there any more, and a session talks to no other")
        return found
    found = connection.read(home(env)) or local.find(home(env))
    if found is None:
        raise Nowhere("no server runs here: `roost serve` starts one, and `roost connect URL` names one elsewhere")
    return found
