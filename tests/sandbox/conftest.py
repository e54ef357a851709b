"""A sandbox of each kind, and somebody to run in it."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from roost.ports import Confinement, Launch, Sandbox
from roost.sandbox.bubblewrap import Bubblewrap


class Cell:
    """A sandbox with a working folder, a home and a run's folder, all below one path."""

    def __init__(self, sandbox: Sandbox, path: Path) -> None:
        self.sandbox = sandbox
        self.path = path
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
            name="roost-test-one",
            home=str(self.home),
            writable=(str(self.work),),
            readable=readable,
            endpoints=endpoints,
            folder=str(self.run),
        )


MakeCell = Callable[[Path], Cell]


@pytest.fixture(params=["bubblewrap"])
def make_cell(request: pytest.FixtureRequest) -> MakeCell:
    if shutil.which("bwrap") is None:
        pytest.skip("bubblewrap is missing: apt-get install bubblewrap")
    return lambda path: Cell(Bubblewrap(state=str(path / "state"), home=str(path / "owner")), path)


@pytest.fixture
def cell(make_cell: MakeCell, tmp_path: Path) -> Cell:
    return make_cell(tmp_path)
