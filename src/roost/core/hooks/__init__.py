"""What hooks are given, and what their answers mean: the moments, the matching, the merging."""

from roost.core.hooks.moments import (
    BUILTINS,
    EVENTS,
    NOT_BUILT,
    Moment,
    chosen,
    complaint,
    given,
    joined,
    title,
    tool_fields,
)
from roost.core.hooks.verdicts import BLOCKED, HEARD, SHOWN, Decision, Ended, Output, Verdict, merge, read

__all__ = [
    "BLOCKED",
    "BUILTINS",
    "EVENTS",
    "HEARD",
    "NOT_BUILT",
    "SHOWN",
    "Decision",
    "Ended",
    "Moment",
    "Output",
    "Verdict",
    "chosen",
    "complaint",
    "given",
    "joined",
    "merge",
    "read",
    "title",
    "tool_fields",
]
