"""Servers of Docker's catalogue, by Docker's own gateway where it is installed."""

import json
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from roost import private, process
from roost.core.errors import ToolsetFailed
from roost.tools.mcp.entry import Gateway, Program
from roost.tools.mcp.mapping import FILE

ASKING = 5.0  # seconds in which `docker mcp` has to say that it is there


async def there(gateway: Gateway, home: Path, *, confined: bool) -> str:
    """The path of `docker`, once it is known to have the gateway.

    Raises:
        ToolsetFailed: it is not there; the message says what to do.
    """
    if confined:
        raise ToolsetFailed("docker mcp gateway not available: this session may run nothing outside of a sandbox")
    docker = shutil.which("docker", path=gateway.env.get("PATH"))
    if docker is not None:
        output = process.Output()
        ended = await process.run(
            (docker, "mcp", "gateway", "run", "--help"),
            cwd="/",
            env=gateway.env,
            mark=process.mark("docker", f"{secrets.token_hex(8)}/mcp"),
            output=output,
            timeout=ASKING,
        )
        if ended.code == 0 and "--servers" in output.text():
            return docker
    lacks = "docker is not installed" if docker is None else "this docker has no `mcp gateway`"
    raise ToolsetFailed(
        f"docker mcp gateway not available: {lacks}; install Docker's MCP Toolkit, "
        f"or say in {home / FILE} under [docker.{gateway.name}] which command or url stands for it"
    )


@contextmanager
def program(gateway: Gateway, docker: str, folder: Path) -> Iterator[Program]:
    """The gateway as a program; its files are private, and gone after the block."""
    args = ["mcp", "gateway", "run", "--servers", gateway.name]
    own = folder / secrets.token_hex(8)
    try:
        if gateway.config is not None:
            private.write(own / "config.yaml", json.dumps({gateway.name: gateway.config}).encode())
            args += ["--config", str(own / "config.yaml")]
        if gateway.secrets:
            lines = "".join(f"{name}={value}\n" for name, value in gateway.secrets.items())
            private.write(own / "secrets.env", lines.encode())
            args += ["--secrets", str(own / "secrets.env")]
        yield Program(docker, tuple(args), gateway.env, gateway.cwd)
    finally:
        shutil.rmtree(own, ignore_errors=True)
