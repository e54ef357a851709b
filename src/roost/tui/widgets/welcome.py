"""What stands on an empty screen: who is there, and how to begin."""

from pathlib import Path

from textual.content import Content
from textual.widgets import Static


def tilde(folder: Path) -> str:
    """A folder of this machine, as people write it."""
    home = Path.home()
    return str(Path("~") / folder.relative_to(home)) if folder.is_relative_to(home) else str(folder)


class Welcome(Static):
    """Shown until something is said."""

    def show(self, agent: str, model: str, words: str, folder: str) -> None:
        """Who is there."""
        who = Content.assemble((agent or "Roost", "bold $primary"), (f"  {model}" if model else "", "$text-muted"))
        lines = [who]
        if words.strip():
            lines += [Content(""), Content(words.strip()[:600])]
        if folder:
            lines += [Content(""), Content.styled(folder, "$text-muted")]
        keys = (
            ("Enter", "send"),
            ("/", "commands"),
            ("@", "files"),
            ("!", "shell"),
            ("Ctrl+P", "everything"),
            ("F1", "help"),
        )
        lines += [
            Content(""),
            Content("  ").join(Content.assemble((key, "$accent"), (f" {what}", "$text-muted")) for key, what in keys),
        ]
        self.update(Content("\n").join(lines))
