"""Questions to whoever sits at the terminal, without holding up the loop."""

import asyncio
import os
import sys

from roost.cli import show


class Terminal:
    """Asks on stderr and reads a line from stdin."""

    @property
    def there(self) -> bool:
        """Whether both ends are a terminal."""
        return sys.stdin.isatty() and sys.stderr.isatty()

    async def ask(self, question: str) -> str:
        """The line that was typed; "" at the end of input."""
        sys.stderr.write(show.tame(question))  # some of it is an agent's, or a tool server's
        sys.stderr.flush()
        loop = asyncio.get_running_loop()
        line: asyncio.Future[str] = loop.create_future()
        number = sys.stdin.fileno()

        def read() -> None:
            if not line.done():
                line.set_result(os.read(number, 65536).decode("utf-8", "replace"))

        loop.add_reader(number, read)
        try:
            return await line
        finally:
            loop.remove_reader(number)
