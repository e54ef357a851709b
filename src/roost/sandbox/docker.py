"""The sandbox of machines with a Docker engine: a container that is locked down, named, and removed."""

import hashlib
import io
import os
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import anyio
from anyio import to_thread
from msgspec.structs import replace

from roost.core.errors import NoSandbox
from roost.ports import Confinement, Launch
from roost.sandbox import homes as furnished
from roost.sandbox.closure import Mount
from roost.sandbox.view import Kept, View, behold, links

LABEL = "roost.sandbox"
"""The label of every container of ours; its value is the container's name."""

PATIENCE = 20  # seconds for an answer of the engine
_FOLDERS = ("dev", "etc", "proc", "run", "sys", "tmp", "usr")

LOCKED = (
    "--network", "none", "--hostname", "sandbox", "--read-only", "--cap-drop", "ALL",
    "--security-opt", "no-new-privileges", "--pids-limit", "4096", "--ulimit", "core=0",
    "--tmpfs", "/tmp:rw,exec,nosuid,nodev,mode=1777,size=2g",  # noqa: S108
)  # fmt: skip


class Docker:
    """Makes containers with the `docker` program, on the engine that `env` (the server's own) names.

    `image` is one that the engine has already; "" is the host's own system, seen through a nearly empty
    image that is made once.  What is kept from programs is as with bubblewrap.
    """

    kind = "docker"

    def __init__(self, env: Mapping[str, str], kept: Kept, *, image: str = "", memory: str = "8g") -> None:
        self._kept = kept
        self._env = {name: value for name, value in env.items() if name.startswith("DOCKER_")}
        self._env |= {"PATH": env.get("PATH") or os.defpath, "HOME": env.get("HOME") or kept.home}
        self._given = image
        self._memory = memory
        self._user = (os.geteuid(), os.getegid())

    async def trouble(self) -> str:
        """Why it can't be used on this machine, or ""."""
        return await to_thread.run_sync(self._trouble)

    def confine(self, launch: Launch, confinement: Confinement) -> Launch:
        """The same program, inside."""
        view = behold(launch, confinement, user=self._user, kept=self._kept, host=not self._given, forward=True)
        program = self._program()
        return replace(
            launch,
            argv=(program, *self._run(view, confinement.name), *view.argv[1:]),
            cwd="/",
            env=dict(self._env),
            files=view.files,
            beside=view.beside,
            after=(*launch.after, (program, "rm", "--force", confinement.name)),
            sandbox=f"{self.kind}:{confinement.name}",
        )

    async def furnish(self, home: str, keeps: Sequence[str]) -> None:
        """Make the private HOME, with what `keeps` names of the server's own."""
        await to_thread.run_sync(furnished.furnish, Path(home), tuple(keeps), Path(self._kept.home))

    async def remove(self, name: str) -> None:
        """Make sure that nothing is left of it."""
        for _ in range(50):  # where it is going already, the engine says so and does not wait
            with suppress(NoSandbox):
                await to_thread.run_sync(self._ask, ("rm", "--force", name))
            if name not in await self.names():
                return
            await anyio.sleep(0.1)

    async def tidy(self, homes: str, living: Collection[str]) -> None:
        """Remove the private homes of sessions that are no more."""
        await to_thread.run_sync(furnished.tidy, Path(homes), living)

    async def names(self) -> Sequence[str]:
        """The containers of ours that the engine has, running or not; none where no engine answers."""
        asked = ("ps", "--all", "--filter", f"label={LABEL}", "--format", f'{{{{.Label "{LABEL}"}}}}')
        with suppress(NoSandbox):
            return (await to_thread.run_sync(self._ask, asked)).stdout.decode().split()
        return ()

    def _program(self) -> str:
        path = shutil.which("docker", path=self._env["PATH"])
        if path is None:
            raise NoSandbox("the docker program is not on the path")
        return path

    def _run(self, view: View, name: str) -> list[str]:
        args = ["run", "--rm", "--interactive", "--pull", "never", "--log-driver", "none"]
        args += ["--name", name, "--label", f"{LABEL}={name}", *LOCKED, "--memory", self._memory]
        args += ["--user", ":".join(map(str, self._user)), "--workdir", view.cwd]
        for hollow in view.hollows:
            args += ["--tmpfs", f"{hollow}:rw,mode=1777,size=1m"]
        for mount in view.mounts:
            args += ["--mount", _mounted(mount)]
        return [*args, "--entrypoint", view.argv[0], self._given or _bare()[0]]

    # -- the engine --

    def _ask(self, args: Sequence[str], feed: bytes = b"") -> subprocess.CompletedProcess[bytes]:
        try:
            return subprocess.run(
                (self._program(), *args), env=self._env, input=feed, capture_output=True, timeout=PATIENCE, check=False
            )
        except subprocess.TimeoutExpired:
            raise NoSandbox(f"the Docker engine did not answer in {PATIENCE} seconds") from None
        except OSError as error:
            raise NoSandbox(f"the docker program does not start: {error}") from None

    def _trouble(self) -> str:
        try:
            version = self._ask(("version", "--format", "{{.Server.Version}}"))
            if version.returncode:
                return f"no Docker engine answers: {_complaint(version)}"
            self._see_to_the_image()
            return self._tried()
        except NoSandbox as error:
            return str(error)

    def _see_to_the_image(self) -> None:
        name, layer = _bare()
        if not self._ask(("image", "inspect", "--format", "{{.Id}}", self._given or name)).returncode:
            return
        if self._given:
            raise NoSandbox(
                f"the Docker engine has no image {self._given!r}: `docker pull` or `docker build` brings it"
            )
        made = self._ask(("import", "-", name), layer)
        if made.returncode:
            raise NoSandbox(f"the Docker engine can't make an image: {_complaint(made)}")

    def _tried(self) -> str:
        """Run something: files must pass between the engine and us, both ways."""
        with tempfile.TemporaryDirectory() as folder:
            home, run = Path(folder, "home"), Path(folder, "run")
            home.mkdir()
            run.mkdir()
            (home / "asked").write_text("here")
            name = f"roost-probe-{os.urandom(8).hex()}"
            plain = Launch(argv=("/bin/sh", "-c", "cat asked > answered"), cwd=str(home), env={"PATH": "/bin:/usr/bin"})
            launch = self.confine(plain, Confinement(name=name, home=str(home), writable=(), folder=str(run)))
            for file, text in launch.files.items():
                (run / file).write_text(text)
            try:
                done = self._ask(launch.argv[1:])
            finally:
                self._ask(launch.after[0][1:])
            answered = home / "answered"
            if done.returncode or not answered.exists() or answered.stat().st_uid != os.geteuid():
                return f"the Docker engine can't run a program on this machine's files: {_complaint(done)}"
            return ""


def _mounted(mount: Mount) -> str:
    """A mount as `--mount` takes it: a line of CSV."""
    fields = ["type=bind", f"source={mount.source}", f"target={mount.target}"]
    if not mount.writable:
        fields.append("readonly")
    return ",".join('"' + field.replace('"', '""') + '"' if set(field) & set(',"\n') else field for field in fields)


def _bare() -> tuple[str, bytes]:
    """An image with the folders and links of this host's top, and nothing in them; its name tells layouts apart."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name in _FOLDERS:
            folder = tarfile.TarInfo(name)
            folder.type, folder.mode = tarfile.DIRTYPE, 0o755
            tar.addfile(folder)
        for target, path in links():
            link = tarfile.TarInfo(path.lstrip("/"))
            link.type, link.linkname = tarfile.SYMTYPE, target
            tar.addfile(link)
    layer = buffer.getvalue()
    return f"roost-host:{hashlib.sha256(layer).hexdigest()[:12]}", layer


def _complaint(done: subprocess.CompletedProcess[bytes]) -> str:
    """What it complained of, without its advice."""
    lines = [line for line in done.stderr.decode(errors="replace").splitlines() if line and "--help" not in line]
    return lines[-1].strip() if lines else f"exit status {done.returncode}"
