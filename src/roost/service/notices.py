"""Notices: something waits for a person, and nobody may be looking."""


class Notices:
    """Tells those who asked to be told."""

    def push_state(self) -> tuple[bool, str]:
        """Whether browsers can subscribe, and the key that they need for it."""
        return False, ""
