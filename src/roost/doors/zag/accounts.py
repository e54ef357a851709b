"""Logins, and the accounts that a server's keeper looks after."""

from roost.doors import cookies
from roost.doors.routes import Answer, Call
from roost.doors.zag import bodies, shapes
from roost.doors.zag.manners import said
from roost.doors.zag.times import moment
from roost.service.service import Service


class Accounts:
    """In, out, and who there is."""

    def __init__(self, service: Service) -> None:
        self._accounts = service.accounts
        self._browsers = service.browsers

    async def login(self, call: Call, body: bodies.Login) -> Answer:
        """POST /login."""
        login = await self._accounts.login(body.username, body.password, address=call.address)
        return said(shapes.LoggedIn(login.token, login.account.name, login.account.home))

    async def logout(self, call: Call) -> Answer:
        """POST /logout."""
        if call.caller.by == "cookie":
            await self._browsers.leave(cookies.found(call.scope, call.headers))
            return said(shapes.Message("Logged out"))
        token = call.headers.get("authorization", "").strip().partition(" ")[2].strip()
        gone = await self._accounts.logout(token)
        return said(shapes.Message("Logged out" if gone else "There was no login to end"))

    async def listing(self, call: Call) -> Answer:
        """GET /users."""
        accounts = await self._accounts.listing(call.principal)
        return said(
            [
                shapes.User(one.name, one.home, one.enabled, moment(one.created_at), one.force_sandbox)
                for one in accounts
            ]
        )

    async def add(self, call: Call, body: bodies.NewUser) -> Answer:
        """POST /users/add."""
        await self._accounts.add(
            call.principal, body.username, body.password, body.home_dir, force_sandbox=bool(body.force_sandbox)
        )
        return said(shapes.Message(f"User '{body.username}' was added"), 201)

    async def remove(self, call: Call, body: bodies.OldUser) -> Answer:
        """POST /users/remove."""
        await self._accounts.remove(call.principal, body.username)
        return said(shapes.Message(f"User '{body.username}' was removed"))

    async def passwd(self, call: Call, body: bodies.Passwd) -> Answer:
        """POST /users/passwd."""
        await self._accounts.set_password(call.principal, body.username, body.password)
        return said(shapes.Message(f"The password of '{body.username}' was changed"))
