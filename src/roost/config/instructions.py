"""Instructions that stand in files of their own (`instruction_file`)."""

from pathlib import Path as File
from typing import Any, Final

from msgspec import Struct

from roost.config.complaints import quoted
from roost.config.shapes import Notes, where
from roost.config.yaml import Path

Data = dict[str, Any]

LARGEST: Final = 1024 * 1024  # bytes of one file


class Told(Struct, frozen=True):
    """A file whose agents have their instructions, what was read for that, and from where."""

    data: Data
    bytes: bytes = b""
    files: tuple[str, ...] = ()


def read(data: Data, folder: File | None, notes: Notes) -> Told:
    """Put the texts of `instruction_file` where the instructions are; several are joined by an empty line.

    The files lie in `folder` or below it, also once links are followed.  Complains of those that do not, and
    of those that can't be read.
    """
    files: dict[str, bytes] = {}
    agents: Data = {}
    for name, agent in data["agents"].items():
        given = agent.get("instruction_file")
        path: Path = ("agents", name, "instruction_file")
        if not given:
            agents[name] = agent
        elif folder is None:
            notes.bad_key(path, f"{where(path)}: only an agent file that lies on this machine can have one")
        else:
            listed = [(given, path)] if isinstance(given, str) else [(g, (*path, i)) for i, g in enumerate(given)]
            texts = [_text(folder, word, at, files, notes) for word, at in listed]
            agents[name] = agent | {"instruction": "\n\n".join(texts)}
    return Told(data | {"agents": agents}, b"".join(b"\0" + raw for raw in files.values()), tuple(files))


def _text(folder: File, word: str, path: Path, files: dict[str, bytes], notes: Notes) -> str:
    try:
        file = (folder / word).resolve()
        raw = _bytes(file, folder.resolve())
        files[str(file)] = raw
        return raw.decode().removeprefix("\ufeff").rstrip()
    except UnicodeDecodeError:
        problem = "is not UTF-8"
    except _Unfit as unfit:
        problem = str(unfit)
    except (OSError, RuntimeError, ValueError) as error:  # a loop of links; a name that can't be one
        problem = f"can't be read: {getattr(error, 'strerror', None) or error}"
    notes.bad(path, f"{where(path)}: {quoted(word)} {problem}")
    return ""


class _Unfit(Exception):
    """A file that does not do; the text says why."""


def _bytes(file: File, folder: File) -> bytes:
    if not file.is_relative_to(folder):
        raise _Unfit("lies outside of the folder of the agent file")
    if not file.is_file():
        raise _Unfit("is no file" if file.exists() else "is not there")
    with file.open("rb") as opened:
        raw = opened.read(LARGEST + 1)
    if len(raw) > LARGEST:
        raise _Unfit(f"is larger than {LARGEST // 1024} KiB")
    return raw
