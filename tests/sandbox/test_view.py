"""What a program in a sandbox sees and where it may write: each promise, tried from inside."""

import json
import os
import secrets
from pathlib import Path

import pytest

from roost.core.errors import NoSandbox
from roost.ports import Launch
from sandbox.conftest import BUBBLEWRAP_ALONE, Cell
from sandbox.keeping import finished, python

pytestmark = pytest.mark.anyio

SECRET = secrets.token_hex(16)


def told(cell: Cell, code: str, **options: object) -> object:
    """What some Python prints as JSON from inside."""
    done = finished(cell.launch(*python(code), **options), cell.run)  # type: ignore[arg-type]
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


async def test_it_works_here(cell: Cell) -> None:
    assert await cell.sandbox.trouble() == ""


def test_output_input_and_exit_code_pass_through(cell: Cell) -> None:
    done = finished(cell.launch("sh", "-c", "cat; echo wrong >&2; exit 7"), cell.run, feed="line\n")
    assert (done.stdout, done.stderr, done.returncode) == ("line\n", "wrong\n", 7)


def test_a_program_that_a_signal_ends_says_which(cell: Cell) -> None:
    assert finished(cell.launch("sh", "-c", "kill -TERM $$"), cell.run).returncode == 128 + 15


def test_arguments_arrive_as_they_are(cell: Cell) -> None:
    words = ["", "a b", "$(touch /tmp/x)", "'\"\\", "--", "-x", "ü\n"]
    assert told(cell, f"print(json.dumps(sys.argv[1:] == {words!r}))") is False
    done = finished(cell.launch(*python("print(json.dumps(sys.argv[1:]))"), *words), cell.run)
    assert json.loads(done.stdout) == words


def test_the_environment_is_the_programs_own_and_no_word_of_it_is_on_a_command_line(cell: Cell) -> None:
    env = {"KEY": SECRET, "LINES": "two\nlines", "LD_PRELOAD": "/x/evil.so", "SSH_AUTH_SOCK": "/x", "HOME": "/root"}
    launch = cell.launch(*python("print(json.dumps(dict(os.environ)))"), env=env)
    seen = json.loads(finished(launch, cell.run).stdout)
    assert (seen["KEY"], seen["LINES"], seen["HOME"]) == (SECRET, "two\nlines", str(cell.home))
    assert not seen.keys() & {"LD_PRELOAD", "SSH_AUTH_SOCK", "ROOST_AUTH_TOKEN"}
    assert not any("evil" in value for value in launch.env.values())
    assert not any(SECRET in word for word in (*launch.argv, *launch.env.values()))


LOOK = """
paths = %r
print(json.dumps({path: tried(lambda: sorted(os.listdir(path)) if os.path.isdir(path) else open(path).read())
                  for path in paths}))
"""


def test_no_home_no_state_no_other_file_is_seen(cell: Cell) -> None:
    for name in ("owner/.ssh/id", "state/users.json", "state/homes/two/secret", "other/file"):
        (cell.path / name).parent.mkdir(parents=True, exist_ok=True)
        (cell.path / name).write_text(SECRET)
    hidden = [
        str(cell.path / name) for name in ("owner/.ssh/id", "state/users.json", "state/homes/two/secret", "other/file")
    ]
    hidden += [
        "/root",
        "/home",
        "/var",
        "/srv",
        "/mnt",
        "/etc/shadow",
        "/etc/ssl/private",
        "/boot",
        "/sys",
        "/run/docker.sock",
    ]
    hidden += [str(Path.home() / ".ssh"), str(Path.home() / ".roost"), str(Path.home() / ".bashrc"), "/etc/sudoers"]
    if cell.sandbox.kind == "docker":
        hidden.remove("/sys")  # every container has one, read-only
    seen = told(cell, LOOK % hidden)
    assert isinstance(seen, dict)
    open_ones = {
        path: found for path, found in seen.items() if found not in ("FileNotFoundError", "PermissionError", [])
    }
    prefix = Path(os.path.realpath(os.__file__)).parts  # the interpreter's own library may lie in a home
    assert {
        path: found for path, found in open_ones.items() if Path(path).parts != prefix[: len(Path(path).parts)]
    } == {}
    for path, found in open_ones.items():
        assert found in ([prefix[len(Path(path).parts)]],), (path, found)
    assert SECRET not in json.dumps(seen)


def test_the_top_of_the_system_is_a_short_list(cell: Cell) -> None:
    top = told(cell, "print(json.dumps(os.listdir('/')))")
    known = {"bin", "dev", "etc", "lib", "lib32", "lib64", "libx32", "nix", "proc", "run", "sbin", "tmp", "usr"}
    ours = {Path(path).parts[1] for path in (cell.path, os.path.realpath(os.__file__))}
    assert set(top) <= known | ours | {"sys", ".dockerenv"}  # type: ignore[arg-type]


WRITE = """
def write(path):
    with open(path, "w") as file:
        file.write("x")
    return "written"
print(json.dumps({path: tried(lambda: write(path)) for path in %r}))
"""


def test_it_writes_only_where_it_may(cell: Cell) -> None:
    (cell.run / "notes").write_text("ours")
    may = [str(cell.work / "a"), str(cell.home / "b"), "/tmp/c"]
    may_not = [
        "/usr/x",
        "/etc/x",
        "/x",
        "/bin/x",
        "/etc/passwd",
        "/run/x",
        "/run/roost/relay.py",
        str(cell.run / "notes"),
    ]
    may_not += [str(cell.run / "inner.json"), str(cell.run / "x"), "/run/roost/run/x", "/proc/sys/vm/swappiness"]
    may_not += ["/proc/sys/kernel/hostname", "/proc/sys/net/ipv4/ip_forward", "/proc/sysrq-trigger", "/proc/mtrr"]
    may_not += ["/proc/irq/default_smp_affinity", str(cell.path / "x"), str(cell.path / "state/x")]
    before = Path("/proc/sys/vm/swappiness").read_text()
    seen = told(cell, WRITE % (may + may_not))
    assert isinstance(seen, dict)
    private = [path for path in may_not if path.startswith("/tmp")]  # the folders above ours are made up inside
    assert [path for path, found in seen.items() if found == "written" and path not in private] == may
    assert (cell.work / "a").read_text() == "x"
    assert not Path("/tmp/c").exists()
    assert not any(
        Path(path).exists() for path in private if path not in (str(cell.run / "notes"), str(cell.run / "inner.json"))
    )
    assert (cell.run / "notes").read_text() == "ours"
    assert Path("/proc/sys/vm/swappiness").read_text() == before


def test_what_it_makes_belongs_to_us(cell: Cell) -> None:
    finished(cell.launch("sh", "-c", "echo x > made; mkdir folder"), cell.run)
    assert (cell.work / "made").stat().st_uid == os.geteuid()
    assert (cell.work / "folder").stat().st_gid == os.getegid()


def test_it_sees_no_process_of_the_host(cell: Cell) -> None:
    seen = told(
        cell,
        "print(json.dumps([open(f'/proc/{pid}/cmdline').read() for pid in os.listdir('/proc') if pid.isdigit()]))",
    )
    assert isinstance(seen, list)
    assert len(seen) <= 3
    assert not any("pytest" in line for line in seen)


def test_it_has_no_capability_and_gains_none(cell: Cell) -> None:
    seen = told(
        cell, "print(json.dumps(dict(line.split(':\\t', 1) for line in open('/proc/self/status').read().splitlines())))"
    )
    assert isinstance(seen, dict)
    assert int(seen["CapEff"], 16) == int(seen["CapPrm"], 16) == int(seen["CapInh"], 16) == int(seen["CapAmb"], 16) == 0
    assert seen["NoNewPrivs"].strip() == "1"
    assert int(seen["SigIgn"], 16) & 0b110 == 0  # SIGINT and SIGHUP reach it


def test_only_its_own_descriptors_are_open(cell: Cell) -> None:
    code = "print(json.dumps([n for n in range(3, 1024) if isinstance(tried(lambda: os.fstat(n).st_ino), int)]))"
    assert told(cell, code) == []


@pytest.mark.parametrize("path", ["/", "/usr", "/etc", "/tmp", "owner", ".", "state", "state/homes/two"])
def test_what_is_too_wide_is_refused(cell: Cell, path: str) -> None:
    (cell.path / "owner").mkdir(exist_ok=True)
    (cell.path / "state/homes/two").mkdir(parents=True, exist_ok=True)
    folder = str(cell.path / path) if not path.startswith("/") else path
    plain = Launch(argv=("sh",), cwd=folder, env={"PATH": "/bin"})
    walls = cell.walls()
    with pytest.raises(NoSandbox):
        cell.sandbox.confine(
            plain, type(walls)(name=walls.name, home=walls.home, writable=(folder,), folder=walls.folder)
        )


def test_a_link_to_what_is_too_wide_is_refused(cell: Cell) -> None:
    (link := cell.path / "link").symlink_to("/etc")
    walls = cell.walls()
    with pytest.raises(NoSandbox, match="/etc"):
        cell.sandbox.confine(
            Launch(argv=("sh",), cwd=str(link), env={"PATH": "/bin"}),
            type(walls)(name=walls.name, home=walls.home, writable=(str(link),), folder=walls.folder),
        )


def test_a_working_directory_outside_is_refused(cell: Cell) -> None:
    with pytest.raises(NoSandbox, match="working directory"):
        cell.sandbox.confine(Launch(argv=("sh",), cwd="/usr", env={"PATH": "/bin"}), cell.walls())


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away")
def test_as_root_a_folder_of_somebody_else_is_refused_with_a_word_on_what_to_do(cell: Cell) -> None:
    os.chown(cell.work, 1000, 1000)
    with pytest.raises(NoSandbox, match="give it to root"):
        cell.launch("sh")


def test_a_program_that_is_not_there_is_refused(cell: Cell) -> None:
    with pytest.raises(NoSandbox, match="no-such-program"):
        cell.launch("no-such-program")


def test_a_program_comes_with_its_interpreter_and_its_package(cell: Cell) -> None:
    package = cell.path / "opt/node_modules/tool"
    package.mkdir(parents=True)
    (package / "data").write_text("found")
    (tools := cell.path / "tools").mkdir()
    (tools / "interpreter").symlink_to("/bin/sh")
    (package / "tool.sh").write_text('#!/usr/bin/env interpreter\ncat "$(dirname "$0")/data"; ls ' + str(tools) + "\n")
    (package / "tool.sh").chmod(0o755)
    (binary := cell.path / "bin").mkdir()
    (binary / "tool").symlink_to(package / "tool.sh")
    (binary / "secret").write_text("")
    (tools / "secret").write_text("")
    launch = cell.launch(str(binary / "tool"), env={"PATH": f"{tools}:/usr/bin:/bin"})
    assert finished(launch, cell.run).stdout == "foundinterpreter\n"


def test_a_program_that_a_shell_starts_comes_whole_too(cell: Cell) -> None:
    package = cell.path / "opt/node_modules/tool"
    package.mkdir(parents=True)
    (package / "data").write_text("found")
    (package / "tool.sh").write_text('#!/bin/sh\ncat "$(dirname "$(realpath "$0")")/data"\n')
    (package / "tool.sh").chmod(0o755)
    (shown := cell.path / "opt/node_modules/.bin").mkdir()
    (shown / "tool").symlink_to(package / "tool.sh")
    plain = Launch(argv=("/bin/sh", "-c", 'exec "$0"', str(shown / "tool")), cwd=str(cell.work), env={"PATH": "/bin"})
    confined = cell.sandbox.confine(plain, cell.walls(readable=(str(shown / "tool"),)))
    assert finished(confined, cell.run).stdout == "found"


def test_a_folder_that_has_become_a_link_is_refused(cell: Cell) -> None:
    """Whoever works confined beside it must not open others' folders to the next run."""
    neighbour = cell.path / "neighbour"
    neighbour.mkdir()
    (neighbour / "secret").write_text(SECRET)
    cell.work.rename(cell.path / "was")
    cell.work.symlink_to("neighbour")
    with pytest.raises(NoSandbox, match="link"):
        cell.launch("cat", "secret")


@BUBBLEWRAP_ALONE  # an engine may number files in its own way
def test_a_folder_that_is_exchanged_while_the_sandbox_is_made_is_not_worked_in(cell: Cell) -> None:
    neighbour = cell.path / "neighbour"
    neighbour.mkdir()
    (neighbour / "secret").write_text(SECRET)
    launch = cell.launch("cat", "secret")
    cell.work.rename(cell.path / "was")
    cell.work.symlink_to("neighbour")
    done = finished(launch, cell.run)
    assert done.returncode != 0
    assert SECRET not in done.stdout
    assert "exchanged" in done.stderr or "bwrap" in done.stderr
