"""The page of agent files has every key, and says of each what becomes of it."""

import re
from collections.abc import Mapping

import pytest

from docs.pages import ROOT
from roost.config.hooks import BUILTINS, HOOKS, NOT_BUILT
from roost.config.schema import AGENT, FILE, MODEL, PROVIDER
from roost.config.shapes import Key
from roost.config.toolsets import BUILT, KEYS, TYPES

PAGE = (ROOT / "docs/agent-files.md").read_text()
STATES = {"built": "works", "warn": "warns", "refuse": "refused", "quiet": "silent"}


def state(key: Key) -> str:
    """What the page says of a key; one that only types have that are not built comes with them."""
    return "later" if key.types and not set(key.types) & BUILT else STATES[key.mark]


def rows(title: str) -> dict[str, str]:
    """What becomes of each key in the table of a section."""
    section = PAGE.partition(f"\n## {title}\n")[2].partition("\n## ")[0]
    found: dict[str, str] = {}
    for line in section.splitlines():
        cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
        if cells and cells[0].startswith("`"):
            found |= dict.fromkeys(re.findall(r"`(\w+)`", cells[0]), cells[-1])
    return found


@pytest.mark.parametrize(
    ("title", "keys"),
    [
        ("The file", FILE.keys),
        ("Agents", AGENT.keys),
        ("Models", MODEL.keys),
        ("Providers", PROVIDER.keys),
        ("Toolsets", KEYS),
        ("Hooks", HOOKS.keys),
    ],
)
def test_the_page_has_every_key_and_what_becomes_of_it(title: str, keys: Mapping[str, Key]) -> None:
    assert rows(title) == {name: state(key) for name, key in keys.items() if not key.gone}


def test_the_types_of_a_key_are_those_that_have_it() -> None:
    section = PAGE.partition("\n## Toolsets\n")[2]
    for line in section.splitlines():
        cells = [cell.strip() for cell in line.split("|")[1:-1]]
        for name in re.findall(r"`(\w+)`", cells[0]) if len(cells) == 4 else ():
            types = KEYS[name].types or ("all",)
            assert set(cells[1].split(", ")) == set(types), name


def test_every_type_of_toolset_is_on_the_right_side() -> None:
    there, later = re.search(r"Types: (.*?)\.\nNot there yet.*?: (.*?)\.\n", PAGE, re.DOTALL).groups()  # type: ignore[union-attr]
    assert set(re.findall(r"`(\w+)`", there)) == BUILT
    assert set(re.findall(r"`(\w+)`", later)) == set(TYPES) - BUILT


def test_every_builtin_hook_is_on_the_right_side() -> None:
    there = PAGE.partition("The latter: ")[2].partition(".")[0]
    assert set(re.findall(r"`(\w+)`", there)) == BUILTINS
    assert all(f"`{name}`" in PAGE for name in NOT_BUILT)
