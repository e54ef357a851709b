"""What somebody is told who has no page open: that something waits, and where."""

from msgspec import Struct

from roost.core.ids import Micros


class Notice(Struct, frozen=True):
    """Something waits for a person.  What is to be run is secret: it is told where that is wanted, and nowhere else."""

    wait: str
    kind: str  # approval, question, limit, budget
    session: str
    title: str  # of the session
    agent: str
    tool: str
    text: str  # all of it in a sentence
    opened_at: Micros
    url: str = ""  # of the inbox; "" where nobody knows how others reach this server
    message: str = ""
    arguments: str = ""
