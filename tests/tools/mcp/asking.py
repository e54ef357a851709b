"""A call whose questions get one answer after the other."""

from collections.abc import Sequence

import anyio

from fakes.calls import Using
from roost.core.errors import NothingWaits
from roost.core.events import Answer
from roost.ports import Ask


class Asked(Using):
    """`answers` are given in order; where there is none left, nobody is there.  An event is waited for first."""

    def __init__(self, *answers: Answer | anyio.Event) -> None:
        super().__init__()
        self.answers: Sequence[Answer | anyio.Event] = list(answers)
        self.open = 0
        self.most = 0

    async def ask(self, question: Ask) -> Answer:
        self.asked.append(question)
        self.open += 1
        self.most = max(self.most, self.open)
        try:
            while self.answers:
                answer, *self.answers = self.answers
                if isinstance(answer, Answer):
                    await anyio.sleep(0)
                    return answer
                await answer.wait()
            raise NothingWaits("nobody is there")
        finally:
            self.open -= 1
