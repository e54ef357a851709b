"""A sandbox of each kind, and somebody to run in it."""

import os
import secrets
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from roost.ports import Confinement, Launch, Sandbox
from roost.sandbox.bubblewrap import Bubblewrap
from roost.sandbox.docker import Docker
from roost.sandbox.view import Kept


class Cell:
    """A sandbox with a working folder, a home and a run's folder, all below one path."""

    def __init__(self, sandbox: Sandbox, path: Path) -> None:
        self.sandbox = sandbox
        self.path = path
        self.name = f"roost-test-{secrets.token_hex(8)}"
        self.work, self.home, self.run = path / "work", path / "state/homes/one", path / "state/runs/one"
        for folder in (self.work, self.home, self.run):
            folder.mkdir(parents=True, exist_ok=True)

    def launch(self, *argv: str, endpoints: tuple[str, ...] = (), env: dict[str, str] | None = None) -> Launch:
        """A program, confined."""
        plain = Launch(argv=argv, cwd=str(self.work), env={"PATH": "/usr/local/bin:/usr/bin:/bin", **(env or {})})
        return self.sandbox.confine(plain, self.walls(endpoints=endpoints))

    def walls(self, *, endpoints: tuple[str, ...] = (), readable: tuple[str, ...] = ()) -> Confinement:
        """Its confinement."""
        return Confinement(
            name=self.name,
            home=str(self.home),
            writable=(str(self.work),),
            readable=readable,
            endpoints=endpoints,
            folder=str(self.run),
        )


MakeCell = Callable[[Path], Cell]


DOCKER = pytest.mark.xdist_group("docker")  # one engine is enough
BWRAP = pytest.mark.skipif(shutil.which("bwrap") is None, reason="apt-get install bubblewrap brings it")


@pytest.fixture(scope="session")
def engine() -> Iterator[dict[str, str]]:
    """The environment of a Docker engine of our own: no network, no images."""
    if os.geteuid() != 0:
        pytest.skip("a Docker engine needs root")
    for program in ("dockerd", "containerd", "runc", "docker"):
        if shutil.which(program) is None:
            pytest.skip(f"{program} is missing: apt-get install docker.io")
    folder = tempfile.mkdtemp(prefix="dk-", dir="/tmp")  # a short path, since it holds sockets
    env = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": folder}
    env["DOCKER_HOST"] = f"unix://{folder}/docker.sock"
    try:
        for driver in ("overlay2", "vfs"):
            with _dockerd(folder, driver, env) as running:
                if running:
                    assert Docker(env, Kept("/nonexistent", "/nonexistent"))._trouble() == ""  # it makes the image
                    yield env
                    return
        pytest.skip("dockerd does not start here: " + Path(folder, "log").read_text()[-300:])
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _dockerd(folder: str, driver: str, env: dict[str, str]) -> Iterator[bool]:
    argv = ["dockerd", "--data-root", f"{folder}/data", "--exec-root", f"{folder}/exec", "--pidfile", f"{folder}/pid"]
    argv += ["-H", env["DOCKER_HOST"], "--storage-driver", driver, "--bridge=none", "--iptables=false"]
    argv += ["--ip6tables=false", "--ip-forward=false", "--ip-masq=false"]
    with Path(folder, "log").open("wb") as log:
        daemon = subprocess.Popen(argv, env=env, stdout=log, stderr=log, start_new_session=True)
    deadline = time.monotonic() + 20
    ready = False
    while not ready and daemon.poll() is None and time.monotonic() < deadline:
        ready = subprocess.run(["docker", "version"], env=env, capture_output=True, check=False).returncode == 0
        time.sleep(0.05)
    try:
        yield ready
    finally:
        daemon.terminate()
        daemon.wait(20)


BUBBLEWRAP = pytest.param("bubblewrap", marks=BWRAP)
BUBBLEWRAP_ALONE = pytest.mark.parametrize("make_cell", [BUBBLEWRAP], indirect=True)


@pytest.fixture(params=[BUBBLEWRAP, pytest.param("docker", marks=DOCKER)])
def make_cell(request: pytest.FixtureRequest) -> MakeCell:
    if request.param == "bubblewrap":
        return lambda path: Cell(Bubblewrap(Kept(str(path / "owner"), str(path / "state"))), path)
    env = request.getfixturevalue("engine")
    return lambda path: Cell(Docker(env, Kept(str(path / "owner"), str(path / "state"))), path)


@pytest.fixture
def cell(make_cell: MakeCell, tmp_path: Path) -> Cell:
    return make_cell(tmp_path)
