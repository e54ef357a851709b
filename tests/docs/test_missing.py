"""The page of what is missing names every key, toolset and provider that agent files ask for in vain."""

import re
from collections.abc import Iterator, Mapping

from docs.pages import ROOT
from roost.config import hooks
from roost.config.hooks import HOOKS
from roost.config.schema import FILE
from roost.config.shapes import Either, Entries, Items, Key, Record
from roost.config.toolsets import BUILT, KEYS, TYPES
from roost.core.vendors import NOT_BUILT, VENDORS

PAGE = (ROOT / "docs/missing.md").read_text()
WARNED, REFUSED = PAGE.partition("## In agent files")[2].split("Ignoring these", 1)


def named(text: str) -> set[str]:
    return set(re.findall(r"`(?:type: )?([\w-]+)`", text))


def keys(shape: object) -> Iterator[tuple[str, Key]]:
    """All keys below a shape, by name.  An entry of `hooks` counts as a key of its own."""
    match shape:
        case Record(keys=found):
            for name, key in found.items():
                yield name, key
                if key.shape is not HOOKS and key.mark == "built":
                    yield from keys(key.shape)
        case Entries() | Items() | Either():
            for name in shape.__struct_fields__:
                yield from keys(getattr(shape, name))


def marked(mark: str, found: Mapping[str, Key] | None = None) -> set[str]:
    pairs = keys(FILE) if found is None else iter(found.items())
    return {name for name, key in pairs if key.mark == mark}


def test_every_key_that_is_ignored_is_named() -> None:
    every = marked("warn") | marked("warn", KEYS)
    assert "inject_memories" in every
    assert every | marked("warn", HOOKS.keys) | hooks.NOT_BUILT <= named(WARNED)


def test_every_key_that_is_refused_is_named() -> None:
    assert marked("refuse") | marked("refuse", KEYS) | hooks.GUARDS <= named(REFUSED)


def test_every_toolset_that_is_left_out_is_named() -> None:
    assert set(TYPES) - BUILT <= named(WARNED)


def test_every_provider_that_is_not_built_is_named() -> None:
    assert named(REFUSED) >= NOT_BUILT


def test_nothing_that_is_built_is_named() -> None:
    built = {name for name, key in keys(FILE) if key.mark == "built"} - {"hooks", "runtime", "cache", "url"}
    built -= marked("warn") | marked("warn", KEYS)  # names that stand in several places
    assert not named(WARNED) & (built | BUILT - {"shell"}) - set(TYPES) - {"model"}
    assert not named(REFUSED) & set(VENDORS)
