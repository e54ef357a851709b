"""Which commands destroy something, what, and how much of it."""

# ruff: noqa: SIM905  (tables of words read as words)

import re
from collections.abc import Sequence

from roost.core import programs
from roost.core.labels import Label, destructive
from roost.core.runs import Run, unwrapped
from roost.core.shellwords import Line, ParseError, Redirect, parse

_CODE = re.compile(
    r"rmtree|os\.(remove|unlink|rmdir|removedirs|truncate)\b|\.unlink\(|(rm|unlink|rmdir)(Sync)?\(|FileUtils\.rm|rm\s+-rf?"
)
_SQL = re.compile(
    r"\b(drop\s+(table|database|schema|view|index|user|role|collection)|truncate\s+\w|delete\s+from)\b|dropDatabase\(",
    re.I,
)
_DATABASES = frozenset("psql mysql mariadb sqlite3 sqlcmd sqlplus duckdb clickhouse-client mongo mongosh bq".split())
_DISKS = re.compile(r"/dev/(sd|hd|vd|xvd|nvme|mmcblk|disk|mapper|md|loop|dm-)")
_SYSTEM = re.compile(r"/(etc|boot|usr|bin|sbin|lib|lib64|sys|proc|root|var/lib)(/|$)")
_EVERYTHING = re.compile(r"(~|\$HOME|\$\{HOME\}|\.{1,2})?/?\*?|/[^/]+/?\*?|~/?\*?")


def harm(line: Line) -> list[Label]:
    """All that a line destroys, as far as its own commands show."""
    found: list[Label] = []
    downloading = False
    for command in line.commands:
        run = unwrapped(command)
        downloading = (downloading and command.piped) or run.name in programs.DOWNLOADERS
        if command.piped and downloading and run.name in programs.INTERPRETERS:
            found.append(destructive("remote_code", "high", "runs what it downloads"))
        if (run.name in programs.INTERPRETERS or run.name in ("eval", "source", ".")) and _downloads(
            line.substitutions
        ):
            found.append(destructive("remote_code", "high", "runs what it downloads"))
        found += _by_program(run)
        found += [label for redirect in command.redirects if (label := _overwrites(redirect, run))]
    return found


def _downloads(substitutions: Sequence[str]) -> bool:
    for text in substitutions:
        try:
            inner = parse(text)
        except ParseError:
            continue
        if any(unwrapped(command).name in programs.DOWNLOADERS for command in inner.commands):
            return True
    return False


def _by_program(run: Run) -> list[Label]:
    found = []
    if escalates := next((n for n in (*run.wrapped, run.name) if n in programs.ESCALATES), ""):
        found.append(destructive("privilege", "high", f"{escalates} runs with the rights of another user"))
    if run.name in programs.DESTROYS:
        category, radius, reason = programs.DESTROYS[run.name]
        found.append(destructive(category, radius, reason))
    if run.name.startswith("mkfs"):
        found.append(destructive("disk", "high", "formats a disk"))
    if judge := _JUDGES.get(run.name):
        found += judge(run)
    if run.name in programs.INTERPRETERS - programs.SHELLS and any(_CODE.search(text) for text in run.texts):
        found.append(destructive("deletion", "medium", "its code removes files"))
    if run.name in _DATABASES:
        texts = (*run.texts, *(redirect.target.text for redirect in run.command.redirects))
        found += [destructive("database", "high", "removes data of a database")] if any(map(_SQL.search, texts)) else []
    found += _by_words(run)
    return found


def _by_words(run: Run) -> list[Label]:
    plain = [text.lower() for text in run.texts if not text.startswith("-")]
    name = "docker" if run.name in ("podman", "nerdctl") else run.name
    starts = range(max(min(3, len(plain)), 1) if run.texts[:1] and run.texts[0].startswith("-") else 1)
    found = []
    for words, options, category, radius, reason in programs.DESTROYS_WITH:
        program, *verbs = words.split()
        if program != name or not any(plain[start : start + len(verbs)] == verbs for start in starts):
            continue
        if not options or any(_names(text, option) for text in run.texts for option in options):
            found.append(destructive(category, radius, reason))
    return found


def _names(text: str, option: str) -> bool:
    """Whether a word is this option, abbreviated, with a value, or in a cluster of letters."""
    if text == option:
        return True
    if option.startswith("--"):
        name = text.split("=", 1)[0]
        return len(name) > 4 and name.startswith("--") and option.startswith(name)
    return (
        len(option) == 2 and option[0] == "-" and bool(re.fullmatch(r"-[A-Za-z]+(\..*)?", text)) and option[1] in text
    )


def _rm(run: Run) -> list[Label]:
    recursive = any(_names(text, option) for text in run.texts for option in ("-r", "-R", "--recursive"))
    targets = [word for word in run.words if not word.text.startswith("-")]
    everything = any(word.dynamic or _EVERYTHING.fullmatch(word.text) for word in targets)
    if "--no-preserve-root" in run.texts or (recursive and (everything or not targets)):
        return [destructive("deletion", "high", "removes whole trees of files")]
    if recursive or everything or any(word.pattern for word in targets):
        return [destructive("deletion", "medium", "removes many files")]
    return [destructive("deletion", "low", "removes files")]


def _find_deletes(run: Run) -> list[Label]:
    return [destructive("deletion", "medium", "removes all files it finds")] if "-delete" in run.texts else []


def _dd(run: Run) -> list[Label]:
    target = next((text[3:] for text in run.texts if text.startswith("of=")), "")
    if not target or target == "/dev/null":
        return []
    disk = _DISKS.match(target)
    return [destructive("disk" if disk else "overwrite", "high" if disk else "medium", "overwrites its target")]


def _tee(run: Run) -> list[Label]:
    return [label for word in run.words if (label := _overwrites(Redirect(">", word), run))]


def _kill(run: Run) -> list[Label]:
    if run.texts[:1] in (("-l",), ("-L",), ("-0",)):
        return []
    all_of_them = "-1" in run.texts[1:]
    return [destructive("process", "high" if all_of_them else "low", "ends processes")]


def _git_push(run: Run) -> list[Label]:
    if "push" in run.texts and any(text.startswith(("+", ":")) and len(text) > 1 for text in run.texts):
        return [destructive("history", "high", "rewrites or deletes what others have pulled")]
    return []


def _chmod(run: Run) -> list[Label]:
    if any(re.fullmatch(r"[ugoa]*\+[rwx]*s.*|[2467]\d{3}|0?777", text) for text in run.texts):
        return [destructive("permissions", "medium", "gives rights to everybody, or another user's rights")]
    return []


def _cloud(run: Run) -> list[Label]:
    if any(re.match(r"(delete|terminate|remove|purge|destroy)(-|$)", text) for text in run.texts):
        return [destructive("cloud", "high", "deletes resources of a cloud")]
    return []


_JUDGES = {
    "rm": _rm, "find": _find_deletes, "dd": _dd, "tee": _tee, "kill": _kill, "git": _git_push, "chmod": _chmod,
    "aws": _cloud, "gcloud": _cloud, "az": _cloud, "doctl": _cloud,
}  # fmt: skip


def _overwrites(redirect: Redirect, run: Run) -> Label | None:
    if not redirect.writes:
        return None
    target = redirect.target.text
    if _DISKS.match(target):
        return destructive("disk", "high", "writes to a disk")
    if _SYSTEM.match(target):
        return destructive("overwrite", "high", "writes to a file of the system")
    empty = (
        not run.path or (run.name in (":", "true") and not run.words) or (run.name, *run.texts) == ("cat", "/dev/null")
    )
    if empty and not redirect.operator.endswith(">>"):
        return destructive("overwrite", "medium", "empties a file")
    return None
