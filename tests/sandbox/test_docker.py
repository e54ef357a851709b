"""Docker alone: containers are named and gone afterwards, and its image is made or asked for."""

import io
import os
import signal
import subprocess
import tarfile
from pathlib import Path

import pytest

from roost.core.ids import SessionId, sandbox_name
from roost.ports import Confinement, Launch
from roost.sandbox.docker import Docker
from roost.sandbox.view import Kept
from sandbox.conftest import DOCKER, Cell
from sandbox.keeping import finished, python, started
from sandbox.test_end import FAMILY, bearing, until

pytestmark = [pytest.mark.anyio, DOCKER]


@pytest.fixture
def docker(engine: dict[str, str], tmp_path: Path) -> Cell:
    return Cell(Docker(engine, Kept(str(tmp_path / "owner"), str(tmp_path / "state"))), tmp_path)


async def test_a_container_has_the_name_that_was_asked_for_and_is_gone_at_the_end(docker: Cell) -> None:
    launch = docker.launch("cat")
    assert launch.sandbox == f"docker:{docker.name}"
    with started(launch, docker.run, stdin=subprocess.PIPE) as program:
        until(lambda: docker.name in _names(docker))
        assert program.stdin is not None
        program.stdin.close()
        assert program.wait(20) == 0
    assert await docker.sandbox.names() == []


async def test_it_is_removed_even_when_the_docker_program_is_killed(docker: Cell) -> None:
    launch = docker.launch(*python(FAMILY))
    with started(launch, docker.run, stdin=subprocess.PIPE) as program:
        assert program.stdout is not None
        assert program.stdout.readline() == "up\n"
        program.kill()
        program.wait(20)
        assert docker.name in await docker.sandbox.names()
        await docker.sandbox.remove(docker.name)
        await docker.sandbox.remove(docker.name)  # a second time is no error
        assert await docker.sandbox.names() == []


async def test_what_is_run_afterwards_removes_it(docker: Cell) -> None:
    launch = docker.launch(*python(FAMILY))
    with started(launch, docker.run, stdin=subprocess.PIPE) as program:
        assert program.stdout is not None
        assert program.stdout.readline() == "up\n"
        os.killpg(program.pid, signal.SIGKILL)
    until(lambda: docker.name not in _names(docker))


async def test_its_limits_hold(docker: Cell) -> None:
    code = """
paths = ["/sys/fs/cgroup/pids/pids.max", "/sys/fs/cgroup/pids.max"]
print(json.dumps([open(path).read() for path in paths if os.path.exists(path)]))
"""
    assert "4096" in finished(docker.launch(*python(code)), docker.run).stdout


async def test_an_engine_that_is_not_there_is_a_reason(tmp_path: Path) -> None:
    sandbox = Docker({"PATH": os.environ["PATH"], "DOCKER_HOST": f"unix://{tmp_path}/none"}, Kept("/x", "/y"))
    assert (await sandbox.trouble()).startswith(("no Docker engine answers", "the docker program is not"))
    assert list(await sandbox.names()) == []


async def test_a_docker_that_is_not_there_is_a_reason(tmp_path: Path) -> None:
    assert "not on the path" in await Docker({"PATH": str(tmp_path)}, Kept("/x", "/y")).trouble()


async def test_an_image_that_the_engine_does_not_have_is_a_reason_and_is_not_fetched(engine: dict[str, str]) -> None:
    sandbox = Docker(engine, Kept("/x", "/y"), image="nobody/nothing:1")
    assert "no image 'nobody/nothing:1'" in await sandbox.trouble()


async def test_an_image_of_ones_own_is_the_system_inside(engine: dict[str, str], tmp_path: Path) -> None:
    _import(engine, "own:1")
    sandbox = Docker(engine, Kept(str(tmp_path / "owner"), str(tmp_path / "state")), image="own:1")
    assert "can't run a program" in await sandbox.trouble()  # it has no Python
    cell = Cell(sandbox, tmp_path)
    plain = Launch(argv=("sh",), cwd=str(cell.work), env={"PATH": "/bin"})
    launch = sandbox.confine(plain, cell.walls())
    assert "own:1" in launch.argv
    assert not any("target=/usr," in word for word in launch.argv)


async def test_paths_with_commas_and_quotes_are_mounted_as_they_are(docker: Cell) -> None:
    odd = docker.path / 'a,b "c": d'
    odd.mkdir()
    plain = Launch(argv=("sh", "-c", "echo x > made"), cwd=str(odd), env={"PATH": "/bin"})
    walls = Confinement(name=docker.name, home=str(docker.home), writable=(str(odd),), folder=str(docker.run))
    assert finished(docker.sandbox.confine(plain, walls), docker.run).returncode == 0
    assert (odd / "made").read_text() == "x\n"


def test_names_can_not_be_guessed() -> None:
    names = {sandbox_name(SessionId("a b/c")) for _ in range(1000)}
    assert len(names) == 1000
    assert all(name.startswith("roost-a-b-c-") and len(name.rsplit("-", 1)[1]) == 16 for name in names)


def _names(cell: Cell) -> str:
    assert isinstance(cell.sandbox, Docker)
    return cell.sandbox._ask(("ps", "--all", "--format", "{{.Names}}")).stdout.decode()


def _import(engine: dict[str, str], name: str) -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        folder = tarfile.TarInfo("bin")
        folder.type, folder.mode = tarfile.DIRTYPE, 0o755
        tar.addfile(folder)
    subprocess.run(
        ["docker", "import", "-", name], env=engine, input=buffer.getvalue(), check=True, capture_output=True
    )


async def test_the_end_of_a_container_is_the_end_of_all_in_it(docker: Cell) -> None:
    mark = os.urandom(8).hex()
    launch = docker.launch(*python(FAMILY.replace("MARK", mark)))
    with started(launch, docker.run, stdin=subprocess.PIPE) as program:
        assert program.stdout is not None
        assert program.stdout.readline() == "up\n"
    until(lambda: not bearing(mark))
