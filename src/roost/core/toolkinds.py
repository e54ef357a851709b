"""Which kind of work a tool does, by its name: for clients that show a symbol, and for what a crash may repeat."""

from roost.core.messages import Effect

_EXACT = {
    "task": "sub_agent",
    "delegate": "sub_agent",
    "insert": "file_edit",
    "replace": "file_edit",
    "str_replace": "file_edit",
    "exec": "shell",
    "view": "file_read",
    "cat": "file_read",
    "find": "search",
    "create": "file_write",
    "websearch": "web",
    "web_search": "web",
    "google_web_search": "web",
    "todowrite": "other",
    "todo_write": "other",
}
_CONTAINS = (
    ("notebook", "notebook"),
    ("bash", "shell"),
    ("shell", "shell"),
    ("exec_command", "shell"),
    ("read", "file_read"),
    ("write", "file_write"),
    ("edit", "file_edit"),
    ("patch", "file_edit"),
    ("grep", "search"),
    ("glob", "search"),
    ("search", "search"),
    ("agent", "sub_agent"),
    ("web", "web"),
    ("fetch", "web"),
    ("http", "web"),
)
_LOOKING = frozenset({"file_read", "search"})


def kind(name: str) -> str:
    """`shell`, `file_read`, `file_write`, `file_edit`, `search`, `sub_agent`, `web`, `notebook` or `other`."""
    lowered = name.lower()
    if lowered.startswith("mcp__"):  # a tool server's: the server's own name says nothing
        lowered = lowered.rpartition("__")[2]
    if lowered in _EXACT:
        return _EXACT[lowered]
    return next((kind for part, kind in _CONTAINS if part in lowered), "other")


def effect(name: str) -> Effect:
    """What running a CLI's tool twice would do: looking does nothing, all else is never repeated."""
    return "safe" if kind(name) in _LOOKING else "once"
