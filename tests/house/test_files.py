"""The house itself: what is copied is the same, and nothing names what it should not."""

import zipfile
from pathlib import Path

import pytest
from flit_core.wheel import make_wheel_in

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("name", ["local.txt", "model.txt"])
def test_what_the_package_ships_is_what_is_pinned(name: str) -> None:
    shipped = ROOT / "src/roost/data" / name
    assert shipped.read_text() == (ROOT / "requirements" / name).read_text(), "run `make lock`"


@pytest.mark.parametrize("path", sorted((ROOT / "requirements").glob("*.txt")), ids=lambda path: path.name)
def test_pins_have_hashes_and_name_no_registry(path: Path) -> None:
    text = path.read_text()
    assert "index-url" not in text
    assert "://" not in text
    for requirement in text.replace("\\\n", " ").splitlines():
        if requirement.strip() and not requirement.startswith("-r "):
            assert "==" in requirement
            assert "--hash=sha256:" in requirement


def test_every_module_says_in_its_first_line_what_it_is() -> None:
    for path in (ROOT / "src/roost").rglob("*.py"):
        assert path.read_text().startswith('"""'), path


def test_the_package_says_that_it_is_typed(tmp_path: Path) -> None:
    built = make_wheel_in(ROOT / "pyproject.toml", tmp_path, editable=False)
    assert "roost/py.typed" in zipfile.ZipFile(built.file).namelist()
