"""`roost agents`: agents in registries."""

import sys
from pathlib import Path
from typing import Any

import click

from roost.cli import asking, lazy, show
from roost.cli.columns import Column
from roost.core.errors import BadValue

_STORE = (
    click.option("--home", type=click.Path(path_type=Path), metavar="DIR", help="Roost's folder.  [default: ~/.roost]"),
    click.option("--data-dir", type=click.Path(path_type=Path), metavar="DIR", help="Where pulled agents are kept."),
)


def _stored(command: Any) -> Any:
    for option in reversed(_STORE):
        command = option(command)
    return command


@click.group(short_help="Push, pull and list agents of registries.")
def agents() -> None:
    """Push, pull and list agents of registries.

    REFERENCE is `org/name`, `org/name:tag`, `registry.example/name:tag` or any of these with
    `@sha256:…`; without a registry it is Docker Hub. Logins are those of `docker login`.
    """


@agents.command(short_help="Put an agent file into a registry.")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.argument("reference")
@_stored
@asking.as_json
def push(file: Path, reference: str, as_json: bool, **flags: Any) -> None:
    """Put an agent file into a registry, and print its digest.

    The file goes there as it is; one without a `version` gets a line that says it.

    \b
    roost agents push reviewer.yaml registry.example/team/reviewer:stable
    """
    named = lazy.registry.named(reference)
    if named.digest:
        raise BadValue(f"{reference}: a digest is known only after the push: name a tag")
    digest, versioned = lazy.registry.push(file, named, flags)
    _print({"reference": str(named), "digest": digest}, digest, as_json)
    added = f"; {file.name} has no `version`, what was pushed has one" if versioned else ""
    show.note(f"pushed {named}{added}")


@agents.command(short_help="Fetch an agent from a registry.")
@click.argument("reference")
@click.option("-o", "--output", type=click.Path(path_type=Path), metavar="FILE", help="Write it there; `-` is stdout.")
@click.option("--force", is_flag=True, help="Write over FILE.")
@_stored
@asking.as_json
def pull(reference: str, output: Path | None, force: bool, as_json: bool, **flags: Any) -> None:
    """Fetch an agent from a registry, keep it on this machine, and print its digest.

    What is kept is used when the registry can't be reached.

    \b
    roost agents pull agentcatalog/coder
    roost agents pull agentcatalog/coder -o coder.yaml
    """
    named = lazy.registry.named(reference)
    if output is not None and str(output) != "-" and output.exists() and not force:
        raise BadValue(f"{output} is there already: --force writes over it")
    kept = lazy.registry.pull(named, flags)
    if output is not None and str(output) == "-":
        sys.stdout.buffer.write(kept.raw)
        return
    if output is not None:
        try:
            output.write_bytes(kept.raw)
        except OSError as error:
            raise BadValue(f"{output} can't be written: {error.strerror}") from None
    _print({"reference": str(named), "digest": kept.digest, "file": str(output or "")}, kept.digest, as_json)
    show.note(f"pulled {named}" + (f" into {output}" if output else ""))


@agents.command("list", short_help="List what has been pulled.")
@_stored
@asking.as_json
def list_(as_json: bool, **flags: Any) -> None:
    """List what has been pulled, and is kept on this machine."""
    found = lazy.registry.kept(flags)
    rows = [{"reference": one.reference, "digest": one.digest, "size": len(one.raw)} for one in found]
    if as_json:
        _print(rows, "", as_json)
    elif rows:
        columns = (Column("reference"), Column("digest", 19), Column("size", right=True))
        show.table(columns, [tuple(row.values()) for row in rows])
    else:
        show.nothing("agents")


def _print(found: Any, text: str, as_json: bool) -> None:
    if as_json:
        show.document(found)
    else:
        show.text(text)
