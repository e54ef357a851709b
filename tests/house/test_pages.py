"""The docs: links lead somewhere, examples are marked alike, and what they name is there."""

import re
from pathlib import Path

import click
import pytest

from roost.cli.main import roost
from roost.config.settings import Settings

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
FENCE = re.compile(r"^```bash\n(.*?)^```", re.DOTALL | re.MULTILINE)


def ids(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("page", PAGES, ids=ids)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", page.read_text()):
        if "://" not in target:
            assert (page.parent / target).exists(), target


def anchors(page: Path) -> set[str]:
    heads = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", head.lower()).replace(" ", "-") for head in heads}


@pytest.mark.parametrize("page", PAGES, ids=ids)
def test_anchors_are_headings(page: Path) -> None:
    for target in re.findall(r"\]\(#([^)]+)\)", page.read_text()):
        assert target in anchors(page)


@pytest.mark.parametrize("page", PAGES, ids=ids)
def test_lines_are_no_wall(page: Path) -> None:
    prose = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.DOTALL | re.MULTILINE)
    long = [line for line in prose.splitlines() if len(line) > 140 and not line.startswith("|")]
    assert long == []


def examples(page: Path) -> list[str]:
    return [example.strip() for example in FENCE.findall(page.read_text())]


def test_examples_of_the_api_are_all_of_one_kind() -> None:
    found = examples(ROOT / "docs/http-api.md")
    assert len(found) > 15
    for example in found:
        assert re.match(r"(curl|roost|SID=\$\(curl) ", example)
        for address in re.findall(r"https?://[^/\s\"]+", example):
            assert address == "http://127.0.0.1:8080"
        assert set(re.findall(r"\$(\w+)", example)) <= {"SID"}


@pytest.mark.parametrize("page", PAGES, ids=ids)
def test_commands_and_flags_that_pages_name_exist(page: Path) -> None:
    lines = [line for example in examples(page) for line in example.splitlines()]
    for line in lines:
        words = re.split("#| -- | [|] ", line)[0].split()
        if words[:1] == ["roost"]:
            command, rest = find(words[1:])
            known = {name for option in command.params for name in option.opts}
            assert {word for word in rest if word.startswith("-") and word != "-"} <= known, line


def find(words: list[str]) -> tuple[click.Command, list[str]]:
    command: click.Command = roost
    while isinstance(command, click.Group) and words and not words[0].startswith("-"):
        inner = command.get_command(click.Context(command), words[0])
        assert inner is not None, words[0]
        command, words = inner, words[1:]
    return command, words


def test_every_chore_of_the_makefile_is_on_its_page() -> None:
    makefile = (ROOT / "Makefile").read_text()
    targets = set(re.findall(r"^([a-z]+):", makefile, re.MULTILINE)) - {"help", "clean"}
    listed = set(re.findall(r"make (\w+)", makefile.partition("# -- what is installed")[0]))
    assert targets == listed


def test_agents_md_fits_two_screens() -> None:
    assert len((ROOT / "AGENTS.md").read_text().splitlines()) <= 90


def test_every_setting_has_a_line_with_its_flag() -> None:
    page = (ROOT / "docs/settings.md").read_text()
    lines = dict(re.findall(r"^\| `(\w+)` \| (.*?) \|", page.partition("\n## ")[0], re.MULTILINE))
    assert set(lines) == set(Settings.__struct_fields__)
    command, _ = find(["serve", "api"])
    for param in command.params:
        if isinstance(param, click.Option):
            assert param.name is not None
            assert f"`{param.opts[-1]}`" in lines[param.name]
