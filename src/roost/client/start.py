"""Whether a turn that was asked for is there, where the server's yes did not arrive."""

from roost.client.happenings import Happening, TurnOpened

CHECKS = (0.0, 0.3, 1.0)  # seconds before each look: the request may still be under way


class Start:
    """A turn that was asked for when the session's log ended at `before`."""

    def __init__(self, session: str, before: int) -> None:
        self.session = session
        self.before = before

    def found(self, happening: Happening) -> bool:
        """Whether this is it."""
        return isinstance(happening, TurnOpened) and happening.seq > self.before and not happening.parent_session_id
