"""The processes of agent CLIs."""

from roost.core.errors import BadValue
from roost.doors.routes import Answer, Call
from roost.doors.zag import bodies, shapes
from roost.doors.zag.manners import said
from roost.service.processes import Known
from roost.service.service import Service


class Processes:
    """Lists, shows, stops."""

    def __init__(self, service: Service) -> None:
        self._processes = service.processes

    async def listing(self, call: Call) -> Answer:
        """GET /processes."""
        known = await self._processes.listing(
            call.principal,
            running=bool(call.flag("running")),
            provider=call.query.get("provider", ""),
            limit=call.natural("limit"),
        )
        return said([_shape(one) for one in known])

    async def show(self, call: Call) -> Answer:
        """GET /processes/{id}."""
        return said(_shape(await self._processes.show(call.principal, call.path["id"])))

    async def stop(self, call: Call) -> Answer:
        """POST /processes/{id}/stop."""
        await self._processes.stop(call.principal, call.path["id"])
        return said(shapes.Done("stopped"))

    async def kill(self, call: Call, body: bodies.Kill) -> Answer:
        """POST /processes/{id}/kill."""
        if body.file is not None:
            raise BadValue("file names a path on the client's machine: send its text as result")
        await self._processes.kill(call.principal, call.path["id"], result=body.result)
        return said(shapes.Done("killed"))


def _shape(known: Known) -> shapes.ProcessEntry:
    return shapes.process_entry(known.record, status=known.status, live=known.live)
