"""What must be seen of the host's file system for one program to run."""

import os
from pathlib import Path

from msgspec import Struct

from roost.core.errors import NoSandbox

DEPTH = 4  # interpreters of interpreters


class Mount(Struct, frozen=True):
    """A path of the host, seen inside."""

    source: str
    target: str
    writable: bool = False


class Closure(Struct, frozen=True):
    """A program and what it can't run without: `path` has no links, `name` is how it was found."""

    path: str
    name: str
    mounts: tuple[Mount, ...]


def of(program: str, search: str) -> Closure:
    """The closure of a program that is looked for on the path `search`.

    It follows the links that packages put on the path, the package behind them (`node_modules`, a
    virtual environment), and the interpreter that its first line names.

    Raises:
        NoSandbox: it is not there.
    """
    name = find(program, search)
    real = os.path.realpath(name)
    return Closure(real, name, tuple(_pieces(name, real, search, DEPTH)))


def find(program: str, search: str) -> str:
    """The absolute path of a program.

    Raises:
        NoSandbox: it is not there.
    """
    if os.sep in program:
        if os.access(program, os.X_OK):
            return os.path.abspath(program)  # noqa: PTH100  links stay as they are
        raise NoSandbox(f"{program} is no program that could run in a sandbox")
    for folder in search.split(os.pathsep):
        path = os.path.join(folder or ".", program)  # noqa: PTH118
        if os.path.isabs(path) and Path(path).is_file() and os.access(path, os.X_OK):  # noqa: PTH117
            return path
    raise NoSandbox(f"{program} is not on the path of the sandbox: {search}")


def _pieces(name: str, real: str, search: str, depth: int) -> list[Mount]:
    pieces = [Mount(root, root) for each in (name, real) if (root := _package(each))]
    pieces.append(Mount(real, real))
    if depth and (interpreter := _interpreter(real, search)):
        behind = os.path.realpath(interpreter)
        pieces += [Mount(behind, interpreter), *_pieces(interpreter, behind, search, depth - 1)]
    return pieces


def _package(path: str) -> str:
    """The folder that a program comes with, or "" where it is one file alone."""
    parts = Path(path).parts
    if "node_modules" in parts:
        return str(Path(*parts[: parts.index("node_modules") + 1]))
    around = Path(path).parent.parent
    if len(around.parts) > 2 and Path(path).parent.name == "bin" and _is_python(around, Path(path).name):
        return str(around)
    return ""


def _is_python(around: Path, name: str) -> bool:
    """Whether a folder is a virtual environment, or what an interpreter of this name was installed in."""
    return (around / "pyvenv.cfg").is_file() or (
        name.startswith("python") and any((around / "lib").glob("python3*/os.py"))
    )


def _interpreter(real: str, search: str) -> str:
    """The program that runs this one, or "" where it runs by itself."""
    try:
        with Path(real).open("rb") as file:
            first = file.readline(512)
    except OSError:
        return ""
    if not first.startswith(b"#!"):
        return ""
    words = first[2:].decode(errors="replace").split()
    if words and Path(words[0]).name == "env":
        words = [word for word in words[1:] if not word.startswith("-") and "=" not in word]
    if not words:
        return ""
    try:
        return find(words[0], search)
    except NoSandbox:
        return ""
