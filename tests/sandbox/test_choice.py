"""Which sandbox is taken: the first that works, or none, and then why."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from roost.core.errors import NoSandbox
from roost.ports import Confinement, Launch
from roost.sandbox.choice import Choice, choice

pytestmark = pytest.mark.anyio

LAUNCH = Launch(argv=("x",), cwd="/", env={})
WALLS = Confinement(name="n", home="/h", writable=())


class Played:
    """A sandbox that works, or does not."""

    def __init__(self, kind: str, trouble: str = "") -> None:
        self.kind = kind
        self.asked = 0
        self._trouble = trouble

    async def trouble(self) -> str:
        self.asked += 1
        return self._trouble

    def confine(self, launch: Launch, confinement: Confinement) -> Launch:
        return Launch(argv=(self.kind,), cwd="/", env={})

    async def furnish(self, home: str, keeps: Sequence[str]) -> None: ...

    async def names(self) -> Sequence[str]:
        return [self.kind]

    async def remove(self, name: str) -> None: ...


async def test_the_first_that_works_is_taken_and_remembered() -> None:
    first, second = Played("docker", "no engine"), Played("bubblewrap")
    chosen = Choice((first, second))
    assert chosen.kind == ""
    assert [await chosen.trouble(), await chosen.trouble(), chosen.kind] == ["", "", "bubblewrap"]
    assert (first.asked, second.asked) == (1, 1)
    assert chosen.confine(LAUNCH, WALLS).argv == ("bubblewrap",)


async def test_where_none_works_all_say_why_and_nothing_runs() -> None:
    chosen = Choice((Played("docker", "no engine"), Played("bubblewrap", "not installed")))
    assert await chosen.trouble() == "no engine; not installed"
    with pytest.raises(NoSandbox):
        chosen.confine(LAUNCH, WALLS)


async def test_switched_off_is_a_reason(tmp_path: Path) -> None:
    assert await choice("none", {}, state=tmp_path).trouble() == "the setting `sandbox` is none"


@pytest.mark.parametrize("wanted", ["docker", "bubblewrap"])
async def test_who_is_asked_for_is_the_only_one(wanted: str, tmp_path: Path) -> None:
    trouble = await choice(wanted, {"PATH": str(tmp_path)}, state=tmp_path / "state").trouble()
    assert ";" not in trouble
