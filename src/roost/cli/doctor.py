"""`roost doctor`: what works on this machine, and what is missing."""

import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import anyio
import click
import msgspec

from roost.cli import checks, options
from roost.config.secrets import Secrets
from roost.core.ids import Micros, ServerId, fresh
from roost.stores.sqlite import open_sqlite

_MARKS = {"ok": ("ok", "green"), "warn": ("--", "yellow"), "fail": ("!!", "red")}


@click.command(short_help="Say what works on this machine, and what is missing.")
@click.argument("agents", required=False)
@click.option("-l", "--listen", metavar="ADDR", default="127.0.0.1:8080", help="The address to look at.")
@options.database("session.db")
@click.option("--rebuild", is_flag=True, help="Make the database's tables anew from the logs.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
def doctor(
    ctx: click.Context,
    /,
    *,
    agents: str | None,
    listen: str,
    session_db: Path | None,
    rebuild: bool,
    as_json: bool,
) -> None:
    """Say what works on this machine, and what is missing.

    With AGENTS (an agent file, a folder of them, an http(s) address, an agent of a registry,
    or `default`) it also says which of them do not load, and why. The exit code is 1 if something is broken.
    """
    path = (session_db or Path("session.db")).expanduser().absolute()
    findings = list(look(agents, listen, path, given=session_db is not None))
    if rebuild:
        findings.append(_rebuild(path))
    if as_json:
        click.echo(msgspec.json.encode(findings).decode())
    else:
        for finding in findings:
            mark, color = _MARKS[finding.state]
            click.echo(f"{click.style(mark, fg=color)} {finding.check:12} {_indented(finding.text)}")
    if any(finding.state == "fail" for finding in findings):
        ctx.exit(1)


def look(agents: str | None, listen: str, database: Path, *, given: bool = False) -> Iterator[checks.Finding]:
    """All checks, one after the other."""
    known = Secrets(os.environ)
    loaded = checks.load_all(agents, known) if agents else []
    yield checks.python()
    yield checks.keys(known, checks.own_keys(loaded))
    yield checks.local_model()
    yield from checks.agents(loaded, known)
    yield checks.disk(Path(os.environ.get("ROOST_HOME") or "~/.roost").expanduser())
    yield checks.disk(database.parent)
    yield checks.database(database, given=given)
    yield checks.port(listen)
    yield checks.shell(os.environ)
    yield checks.sandbox(os.environ)
    yield checks.clis(os.environ)


def _indented(text: str) -> str:
    return text.replace("\n", "\n" + " " * 16)


def _rebuild(path: Path) -> checks.Finding:
    if not path.exists():
        return checks.Finding("rebuild", "fail", f"{path} is not there")
    click.echo(f"rebuilding {path} …", err=True)
    wrong = anyio.run(_made_anew, path)
    text = f"{len(wrong)} sessions were not as their logs say, and are now" if wrong else "all was as the logs say"
    return checks.Finding("rebuild", "ok", text)


async def _made_anew(path: Path) -> list[str]:
    async with open_sqlite(path, server=ServerId(fresh()), now=_now, grown=lambda *_: None, fatal=_fatal) as store:
        return list(await store.rebuild())


def _now() -> Micros:
    return Micros(time.time_ns() // 1000)


def _fatal(error: BaseException) -> None:
    click.echo(f"roost: the database fails: {error}", err=True)
    sys.exit(1)
