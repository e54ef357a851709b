"""Is a shell command safe, destructive or unknown?  classify(cmd) -> Label."""

import re
from collections.abc import Collection, Iterable, Iterator, Sequence

from roost.core import programs
from roost.core.harm import harm
from roost.core.labels import Label, unknown
from roost.core.runs import Run, base, unwrapped
from roost.core.shellwords import Command, Line, ParseError, Word, parse

LONGEST = 64 * 1024
DEEPEST = 5
_RADIUS = ("", "low", "medium", "high")


_BOMB = re.compile(r"\(\)\s*\{\s*([^\s|&;(){}<>]{1,64})\s*\|\s*\1\s*&")
"""A function that calls itself twice; its name stands before."""


def classify(cmd: str) -> Label:
    """Judge a command line.

    Safe is only what consists of known programs that read, with nothing in it that writes, starts
    something else or is decided by the shell at run time.  What can't be read is unknown.
    """
    return _classify(cmd, 0)


def _classify(cmd: str, depth: int) -> Label:
    if len(cmd) > LONGEST or depth > DEEPEST:
        return unknown("too long or too deep to judge")
    if any(cmd[: found.start()].rstrip().endswith(found[1]) for found in _BOMB.finditer(cmd)):
        return Label("destructive", "high", "system", "a fork bomb")
    try:
        line = parse(cmd)
    except ParseError as error:
        return unknown(str(error))
    nested = [_classify(text, depth + 1) for text in (*line.substitutions, *_inner_texts(line))]
    found = [label for label in nested if label.label == "destructive"]
    found += harm(line)
    if found:
        return max(found, key=lambda label: _RADIUS.index(label.blast_radius))
    return _safe(line) or next((label for label in nested if label.label != "safe"), None) or _read_only()


def commands(cmd: str, depth: int = 0) -> Iterator[str]:
    """Each command that a command line runs, as plain words: those after `;` and in pipes, in `sh -c '…'` and in
    `$(…)`, and each also without wrappers such as `sudo` and without its program's folder.

    What can't be taken apart has none.  It is for prohibitions: more may run than what is found.
    """
    if len(cmd) > LONGEST or depth > DEEPEST:
        return
    try:
        line = parse(cmd)
    except ParseError:
        return
    for command in line.commands:
        yield " ".join(word.text for word in command.words)
        run = unwrapped(command)
        yield " ".join((run.name, *run.texts))
    for text in (*line.substitutions, *_inner_texts(line)):
        yield from commands(text, depth + 1)


def _read_only() -> Label:
    return Label("safe", category="read_only", reason="only programs that read")


# -- command lines in command lines ---------------------------------------------------------------


def _inner_texts(line: Line) -> Iterator[str]:
    """Command lines that stand in words: `sh -c '…'`, `eval …`, `env -S …`, and what is fed to a shell."""
    for run in map(unwrapped, line.commands):
        if run.name in programs.SHELLS:
            for flag, word in zip(run.words, run.words[1:], strict=False):
                if re.fullmatch(r"-[a-z]*c", flag.text):
                    yield word.text
            yield from (redirect.target.text for redirect in run.command.redirects if redirect.operator == "<<")
        if run.name == "eval":
            yield " ".join(run.texts)
        if run.name == "find" and (started := _found_command(run.texts)):
            yield started
        for path, own in run.wrappers:
            texts = [word.text for word in own]
            if base(path) == "env" and "-S" in texts[:-1]:
                yield texts[texts.index("-S") + 1]


def _found_command(texts: Sequence[str]) -> str:
    """What `find` starts for each file."""
    at = next((i for i, text in enumerate(texts) if text in ("-exec", "-execdir", "-ok", "-okdir")), -1)
    return " ".join(texts[at + 1 :]).rstrip(";+ ").replace("{}", "found") if at >= 0 else ""


# -- safe ---------------------------------------------------------------------------------------


def _safe(line: Line) -> Label | None:
    """Why it is not safe, or None."""
    if not line.commands:
        return unknown("no command")
    if line.substitutions:
        return unknown("contains a command substitution")
    for command in line.commands:
        if why := _writes_or_hides(command) or _not_reading(unwrapped(command)):
            return unknown(why)
    return None


def _writes_or_hides(command: Command) -> str:
    if command.structured or command.background:
        return "runs in the background, or in a group, a loop or a condition"
    for redirect in command.redirects:
        if redirect.writes:
            return "redirects its output"
        if redirect.operator == "<<" or redirect.target.dynamic or _is_network(redirect.target.text):
            return "reads from where it can't be told"
    for assignment in command.assignments:
        name, _, value = assignment.partition("=")
        if (name not in programs.QUIET_VARIABLES and not name.startswith("LC_")) or "$" in value or not command.words:
            return f"sets the variable {name}"
    if not command.words:
        return "no command"
    return ""


def _is_network(path: str) -> bool:
    return path.startswith(("/dev/tcp/", "/dev/udp/"))


def _not_reading(run: Run) -> str:
    """Why a command may do more than read, or ""."""
    for path, own in run.wrappers:
        if why := _is_strange(path) or _wraps_more(base(path), own, run):
            return why
    if not run.path:
        return _alone([base(path) for path, _ in run.wrappers])
    if any(base(path) == "command" and {"-v", "-V"} & {word.text for word in own} for path, own in run.wrappers):
        return ""
    return _hidden(run) or _does_more(run)


def _alone(wrappers: Sequence[str]) -> str:
    return "" if wrappers == ["env"] or (wrappers and wrappers[-1] in ("xargs", "command")) else "no command"


def _hidden(run: Run) -> str:
    """Why it can't be told which program runs, or ""."""
    if run.command.words[0].dynamic or (run.path != "[" and any(char in run.path for char in "*?[{~$")):
        return "its program is decided at run time"
    return _is_strange(run.path)


def _does_more(run: Run) -> str:
    """Why a program may do more than read with these words, or ""."""
    if any(_is_network(text) for text in run.texts):
        return "talks to the network"
    if run.texts in (("--version",), ("version",)) and run.name in programs.VERSIONED:
        return ""
    if run.name in programs.HARMLESS:
        return _harmless(run)
    if any(_uncertain(word) for word in run.words) or "xargs" in run.wrapped:
        return f"the options of {run.name} are decided at run time"
    check = _CHECKS.get(run.name, _guarded)
    return "" if check(run) else f"{run.name} is not known to only read here"


def _is_strange(path: str) -> str:
    folder, slash, _ = path.rpartition("/")
    return (
        f"{path} is no program of the system" if slash and folder not in ("/bin", "/usr/bin", "/usr/local/bin") else ""
    )


def _wraps_more(name: str, own: Sequence[Word], run: Run) -> str:
    texts = [word.text for word in own]
    if name == "env" and not texts and not run.path:
        return ""
    if name not in programs.SAFE_WRAPPERS or any(word.dynamic for word in own):
        return f"runs through {name}"
    allowed = {
        "command": r"-[vVp]",
        "nice": r"-n|--adjustment=.*|-?\d+",
        "time": r"-p",
        "timeout": r"-k|-s|--preserve-status|[\w.]+",
        "xargs": r"-[0rtx]+|-[nILPsdE].*|--null|--no-run-if-empty|--max-(args|procs)(=.*)?|[^-].*",
    }[name]
    return "" if all(re.fullmatch(allowed, text) for text in texts) else f"runs through {name} with options"


def _harmless(run: Run) -> str:
    if run.name in programs.EVALUATES and any("$(" in text or "`" in text or "[" in text[1:] for text in run.texts):
        return f"{run.name} may run what stands in a subscript"
    if any("${" in text and not re.search(r"\$\{\w+\}", text) for text in _dynamic_texts(run)):
        return "contains an expansion that does more than insert a value"
    return ""


def _dynamic_texts(run: Run) -> list[str]:
    return [word.text for word in run.words if word.dynamic]


def _uncertain(word: Word) -> bool:
    """Whether the shell may turn it into an option."""
    return word.dynamic or (word.pattern and word.bare[:1] in ("*", "?", "[", "{")) or "{" in word.bare


def _guarded(run: Run) -> bool:
    if run.name in programs.READS:
        reads = bool(run.texts) and run.texts[0] in programs.READS[run.name]
        return reads and not _has_option(run.texts, programs.READS_ELSEWHERE)
    if run.name in programs.AT_MOST:
        most, letters = programs.AT_MOST[run.name]
        operands = [text for text in run.texts if not text.startswith("-") or text == "-"]
        return len(operands) <= most and not _has_option(run.texts, ["-" + letter for letter in letters])
    if run.name not in programs.GUARDED:
        return False
    long, letters = programs.GUARDED[run.name]
    return not _has_option(run.texts, (*long, *("-" + letter for letter in letters)))


def _has_option(texts: Iterable[str], options: Collection[str]) -> bool:
    return any(_is_option(text, option) for text in texts for option in options)


def _is_option(text: str, option: str) -> bool:
    """Whether a word may stand for an option: abbreviated, with a value, or in a cluster of short ones."""
    name = text.split("=", 1)[0]
    if option.startswith("--"):
        return name.startswith("--") and len(name) > 2 and option.startswith(name)
    return text.startswith("-") and not text.startswith("--") and option[1:] in text[1:]


def _git(run: Run) -> bool:
    texts = list(run.texts)
    while texts and texts[0] in ("-C", "--no-pager", "-P", "--no-optional-locks", "--literal-pathspecs"):
        texts = texts[2 if texts[0] == "-C" else 1 :]
    if not texts:
        return False
    verb, *rest = texts
    if verb in programs.GIT_READS:
        letters = ("-O",) if verb == "grep" else ()
        return not _has_option(rest, (*programs.GIT_READS[verb], *letters))
    if verb == "config" and len(rest) == 2 and rest[0] in ("--get", "get"):
        return not rest[1].startswith("-")
    if verb in programs.GIT_LISTS and (rest or verb in programs.GIT_LISTS_ALONE):
        return all(text in programs.GIT_LISTS[verb] for text in rest)
    return verb == "--version" and not rest


def _find(run: Run) -> bool:
    return not any(text in programs.FIND_WRITES for text in run.texts)


def _sed(run: Run) -> bool:
    """Printing lines, and nothing else: its scripts can write files and start programs."""
    return (
        len(run.texts) >= 2
        and run.texts[0] == "-n"
        and bool(re.fullmatch(r"[\d,$;p ]*p", run.texts[1]) and not any(text.startswith("-") for text in run.texts[2:]))
    )


def _date(run: Run) -> bool:
    return _guarded(run) and not any(re.fullmatch(r"[\d.]+", text) for text in run.texts)


_CHECKS = {"git": _git, "find": _find, "sed": _sed, "date": _date}
