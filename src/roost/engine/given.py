"""What a CLI was given to read, and how much of that its dialog has heard of."""

from collections import deque
from collections.abc import Callable, Iterable, Sequence

from roost.ports import Input


class Given:
    """Inputs of one run, each written once and told to the dialog once.

    Those of an earlier server are told where they were written: once the output up to there was fed.
    """

    def __init__(self, tell: Callable[[Input], None]) -> None:
        self.closed = False  # the end of the input was written
        self._tell = tell
        self._written: dict[str, int] = {}  # id -> bytes of stdout that had been dealt with then
        self._ahead: deque[Input] = deque()

    def recall(self, inputs: Iterable[Input]) -> None:
        """Those that were written before this server knew the run."""
        self._ahead = deque(sorted(inputs, key=lambda given: given.at))
        self._written |= {given.id: given.at for given in self._ahead}
        self.closed = any(given.close for given in self._ahead)

    @property
    def ahead(self) -> bool:
        """Whether some were written further on in the output than it was fed."""
        return bool(self._ahead)

    def reach(self, out: int) -> None:
        """The output was fed up to here."""
        while self._ahead and self._ahead[0].at <= out:
            self._tell(self._ahead.popleft())

    def end(self) -> None:
        """All of the output was fed."""
        while self._ahead:
            self._tell(self._ahead.popleft())

    def new(self, inputs: Sequence[Input]) -> list[Input]:
        """Those that were never written."""
        return [given for given in inputs if given.id not in self._written]

    def wrote(self, inputs: Iterable[Input]) -> None:
        """They were written just now."""
        for given in inputs:
            self._written[given.id] = given.at
            self.closed = self.closed or given.close
            self._tell(given)

    def unheard(self, out: int) -> list[tuple[int, int]]:
        """The messages that were written after the last of `out` bytes of output: each a seq and an index."""
        late = [name.removeprefix("say-").split("-")[0] for name, at in self._written.items() if at >= out]
        keys = [key.partition(".") for key in dict.fromkeys(late)]
        return [(int(seq), int(index)) for seq, dot, index in keys if dot and seq.isdigit() and index.isdigit()]

    def said(self, key: str) -> bool:
        """Whether the message with this key was written (`Dialog.say`)."""
        own = f"say-{key}"
        return any(name == own or name.startswith(f"{own}-") for name in self._written)
