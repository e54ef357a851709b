"""Each promise names the tests that would tell of its loss, and they are there."""

import re
from pathlib import Path

import pytest

from docs.pages import ROOT

PAGES = sorted((ROOT / "docs/why").glob("*.md"))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_its_tests_are_there(page: Path) -> None:
    text = page.read_text()
    named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", text.partition("**What would tell of its loss.**")[2])
    assert bool(named) != ("Not built yet" in text)
    for path, name in named:
        assert re.search(rf"^(async )?def {name}\(", (ROOT / path).read_text(), re.MULTILINE), (path, name)


def test_there_are_eight() -> None:
    index = (ROOT / "docs/index.md").read_text()
    listed = re.findall(r"^(\d)\. \[.*\]\((why/\w+\.md)\)", index, re.MULTILINE)
    assert [int(number) for number, _ in listed] == list(range(1, 9))
    assert {ROOT / "docs" / page for _, page in listed} == set(PAGES)
    for number, page in listed:
        assert (ROOT / "docs" / page).read_text().startswith(f"# {number}. ")
