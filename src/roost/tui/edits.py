"""Changes to files, as lines that were there and lines that are: of edits, of patches, of whole new files."""

import difflib
from collections.abc import Iterator, Sequence
from typing import Any, Literal, NamedTuple

from roost.core.toolkinds import kind
from roost.tui.gist import Arguments, arguments
from roost.tui.rows import Call

Sign = Literal["+", "-", " ", "@"]
AROUND = 2  # lines around a change
MOST = 20_000  # pairs of lines that are compared
PAIRS = (
    ("oldText", "newText"),
    ("old_string", "new_string"),
    ("old_str", "new_str"),
    ("old", "new"),
    ("search", "replace"),
)


class Changed(NamedTuple):
    """A line of a diff; "@" is a heading between two places."""

    sign: Sign
    text: str


def diff(call: Call) -> list[Changed]:
    """What a call changes, or would; nothing where it changes no file, or nobody can tell."""
    given = arguments(call.arguments)
    patch = next((given[name] for name in ("patch", "diff", "input") if _is_patch(given.get(name))), None)
    if patch is None and call.meta and _is_patch(call.meta.get("diff")):
        patch = call.meta["diff"]
    if patch is not None:
        return list(_patched(str(patch)))
    if kind(call.name) not in ("file_edit", "file_write"):
        return []
    found = list(_pairs(given))
    if found:
        return [line for number, pair in enumerate(found) for line in _between(*pair, apart=number > 0)]
    whole = next((given[name] for name in ("content", "contents", "file_text") if isinstance(given.get(name), str)), "")
    return [Changed("+", line) for line in str(whole).splitlines()]


def counts(lines: Sequence[Changed]) -> tuple[int, int]:
    """How many lines are new, and how many are gone."""
    return sum(line.sign == "+" for line in lines), sum(line.sign == "-" for line in lines)


def _is_patch(value: Any) -> bool:
    return isinstance(value, str) and (
        value.startswith(("*** Begin Patch", "--- ", "diff --git", "Index: "))
        or "\n@@" in value
        or value.startswith("@@")
    )


def _patched(text: str) -> Iterator[Changed]:
    for line in text.splitlines():
        if line.startswith(("+++ ", "--- ", "diff ", "index ", "*** Begin", "*** End", "\\ No newline")):
            continue
        if line.startswith("@@"):
            yield Changed("@", line.strip("@ ").partition("@@")[2].strip() or line)
        elif line.startswith("*** "):
            yield Changed("@", line.removeprefix("*** "))
        else:
            sign: Sign = "+" if line[:1] == "+" else "-" if line[:1] == "-" else " "
            yield Changed(sign, line[1:])


def _pairs(given: Arguments) -> Iterator[tuple[str, str]]:
    edits = given.get("edits")
    for edit in [given, *(edits if isinstance(edits, list) else [])]:
        if not isinstance(edit, dict):
            continue
        for old, new in PAIRS:
            if isinstance(edit.get(old), str) and isinstance(edit.get(new), str):
                yield edit[old], edit[new]
                break


def _between(old: str, new: str, *, apart: bool) -> Iterator[Changed]:
    """What is the same at both ends is left out but for a little; the rest is compared line by line if it is short."""
    if apart:
        yield Changed("@", "")
    before, after = old.splitlines(), new.splitlines()
    same = _same(before, after)
    tail = _same(before[same:][::-1], after[same:][::-1])
    yield from (Changed(" ", line) for line in before[max(0, same - AROUND) : same])
    yield from _compared(before[same : len(before) - tail], after[same : len(after) - tail])
    yield from (Changed(" ", line) for line in before[len(before) - tail :][:AROUND])


def _same(before: Sequence[str], after: Sequence[str]) -> int:
    """How many lines at the beginning are the same."""
    pairs = zip(before, after, strict=False)
    return next((at for at, (old, new) in enumerate(pairs) if old != new), min(len(before), len(after)))


def _compared(before: Sequence[str], after: Sequence[str]) -> Iterator[Changed]:
    if len(before) * len(after) > MOST:
        yield from (Changed("-", line) for line in before)
        yield from (Changed("+", line) for line in after)
        return
    for number, group in enumerate(difflib.SequenceMatcher(None, before, after).get_grouped_opcodes(AROUND)):
        if number:
            yield Changed("@", "")
        for what, start, end, begin, stop in group:
            if what == "equal":
                yield from (Changed(" ", line) for line in before[start:end])
                continue
            yield from (Changed("-", line) for line in before[start:end])
            yield from (Changed("+", line) for line in after[begin:stop])
