"""A session as the fold of its events: `apply(head, event)`.

The head is all of a session but its messages (`history.py`).  What a kind of fact changes in it stands in one small
function, in a table for each of its sides: `settings`, `items`, `costs`, `course` (turns as the session remembers
them), `turns` (the one that it is in), `waits`, and `below` (sub-sessions).
"""

from roost.core.session.head import Answered, Head, Limit, OpenCall, OpenWait, Queued, Run, Share, Turn
from roost.core.session.log import apply, fold

__all__ = ["Answered", "Head", "Limit", "OpenCall", "OpenWait", "Queued", "Run", "Share", "Turn", "apply", "fold"]
