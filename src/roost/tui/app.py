"""The terminal UI: its screen, its keys, and what they ask of the client."""

from pathlib import Path
from typing import Any

from textual.app import App


class RoostApp(App[int]):
    """One session on one screen.

    `session` is the one to open, "" for a new one of `agent` (`agent_name` is who of its team begins).  `prompt` is sent
    at once.  `attached` says that the server is another process, which goes on when this one ends; `local`, that the
    session's files and commands are this machine's.  `home` is where what a person chose is kept.
    """

    CSS_PATH = "app.tcss"
    ENABLE_COMMAND_PALETTE = False

    def __init__(
        self,
        client: Any,
        session: str,
        agent: str,
        *,
        agent_name: str = "",
        model: str = "",
        prompt: str = "",
        theme: str = "",
        attached: bool = False,
        local: bool = True,
        working_dir: str = "",
        listening: str = "",
        home: Path | None = None,
    ) -> None:
        super().__init__()
        self.client = client
        self.session = session
        self.source = agent
        self.agent_name = agent_name
        self.model = model
        self.first = prompt
        self.wanted_theme = theme
        self.attached = attached
        self.local = local
        self.working_dir = working_dir
        self.listening = listening
        self.home = home
