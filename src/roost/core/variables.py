"""The variables that a command line names."""

import re
from collections.abc import Collection

_PIECE = re.compile(r"'[^']*'|\\.|\$(?:\{[!#]?(?P<braced>[A-Za-z_]\w*)|(?P<plain>[A-Za-z_]\w*))", re.DOTALL)
_QUOTED = re.compile(r"\"(?:[^\"\\]|\\.)*\"", re.DOTALL)
_SET = re.compile(r"(?<![\w$])(?P<set>[A-Za-z_]\w*)\+?=|\bfor\s+(?P<for>[A-Za-z_]\w*)|\bread(?P<read>(?:\s+-?\w+)+)")
_SHELLS = re.compile(
    "HOME|PATH|PWD|OLDPWD|SHELL|USER|LOGNAME|LANG|TERM|TMPDIR|IFS|PPID|UID|EUID|RANDOM|SECONDS|LINENO|HOSTNAME|OPTARG"
    "|OPTIND|REPLY|PIPESTATUS|FUNCNAME|SHLVL|EPOCHSECONDS|EPOCHREALTIME"
)


def undeclared(command: str, known: Collection[str]) -> list[str]:
    """The variables that a command line names and nobody sets: not `known`, the shell, nor the line itself.

    What stands in single quotes, or behind a backslash, is text.
    """
    own = {word for match in _SET.finditer(command) for group in match.groups() for word in (group or "").split()}
    named = dict.fromkeys(_names(command))
    return [name for name in named if name not in known and name not in own and not _SHELLS.fullmatch(name)]


def _names(command: str) -> list[str]:
    """All that are named; an apostrophe within double quotes quotes nothing."""
    inner = _QUOTED.sub(lambda quoted: quoted[0].replace("'", " "), command)
    return [match["braced"] or match["plain"] for match in _PIECE.finditer(inner) if match["braced"] or match["plain"]]
