"""Skills: where they are found, which of several wins, and how they are read and run."""

import json
import os
import time
from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest

from fakes.calls import Session, Using, find, names
from fakes.site import Site, open_site
from roost.core.commands import resolve
from roost.core.errors import ToolsetFailed
from roost.ports import Task, Toolset
from roost.tools.builtin import Builtin
from roost.tools.skills.skill import BadSkill, described, is_name, parted
from roost.tools.tool import Kit

pytestmark = pytest.mark.anyio


@pytest.fixture
def web() -> Iterator[Site]:
    with open_site() as site:
        yield site


def skill(place: Path, name: str, description: str = "", body: str = "Do it.", **matter: str) -> Path:
    """Write a skill; its folder."""
    folder = place / name
    folder.mkdir(parents=True, exist_ok=True)
    more = "".join(f"{key.replace('_', '-')}: {value}\n" for key, value in matter.items())
    (folder / "SKILL.md").write_text(f"---\nname: {name}\ndescription: {description or name}\n{more}---\n\n{body}\n")
    return folder


def local(session: Session, *sources: str, **more: Any) -> AbstractAsyncContextManager[Toolset]:
    return session.open("skills", sources=list(sources or ("local",)), **more)


async def described_as(toolset: Toolset) -> dict[str, str]:
    """The skills in the prompt."""
    lines = toolset.instructions.partition("Available skills:\n")[2].splitlines()
    return dict(line.removeprefix("- ").split(": ", 1) for line in lines)


# -- on this machine ----------------------------------------------------------------------------


async def test_where_skills_are_found_and_which_wins(session: Session, tmp_path: Path) -> None:
    home, root = tmp_path / "home", tmp_path / "repository"
    work = root / "a" / "b"
    work.mkdir(parents=True)
    (root / ".git").mkdir()
    (root / ".git/HEAD").write_text("ref: refs/heads/main\n")
    session.builtin = Builtin({"HOME": str(home)})
    places = [
        home / ".codex/skills/deep/er", home / ".claude/skills", home / ".agents/skills/deep", work / ".claude/skills",
        root / ".agents/skills", root / "a/.agents/skills", work / ".agents/skills",
    ]  # fmt: skip
    for number, place in enumerate(places):  # each overrules those before it
        skill(place, f"only-{number}", f"place {number}")
        for later in range(number, len(places)):
            skill(place, f"up-to-{later}", f"place {number}")
    skill(home / ".claude/skills/too", "deep")
    skill(work / ".agents/skills/too", "deep")
    skill(root.parent / ".agents/skills", "above-the-root")
    skill(root / "a/.claude/skills", "not-here")
    expected = {f"only-{n}": f"place {n}" for n in range(7)} | {f"up-to-{n}": f"place {n}" for n in range(7)}
    async with local(session, folder=work) as toolset:
        assert await described_as(toolset) == expected


async def test_without_a_repository_parents_do_not_count(session: Session, tmp_path: Path) -> None:
    skill(session.folder / ".agents/skills", "above")
    (session.folder / ".git").mkdir()  # empty, so that it is none
    work = session.folder / "work"
    skill(work / ".agents/skills", "here")
    session.builtin = Builtin({})
    async with local(session, folder=work) as toolset:
        assert set(await described_as(toolset)) == {"here"}


async def test_folders_that_are_links_or_no_skills(session: Session, tmp_path: Path) -> None:
    place = session.folder / ".agents/skills"
    elsewhere = tmp_path.parent / f"{tmp_path.name}.elsewhere"
    skill(elsewhere, "linked")
    place.mkdir(parents=True)
    (place / "linked").symlink_to(elsewhere / "linked")
    (place / "loop").symlink_to(place)
    (place / "empty").mkdir()
    (place / "Bad Name").mkdir()
    (place / "Bad Name/SKILL.md").write_text("text")
    (place / "nameless").mkdir()
    (place / "nameless/SKILL.md").write_text("# Title\n\nThe first\nparagraph.\n\nMore.")
    async with local(session) as toolset:
        assert await described_as(toolset) == {"linked": "linked", "nameless": "The first paragraph."}
    session.confined = True
    async with local(session) as toolset:
        assert set(await described_as(toolset)) == {"nameless"}


async def test_reading_a_skill_and_its_files(session: Session, tmp_path: Path) -> None:
    folder = skill(session.folder / ".agents/skills", "pdf", body="# PDF\n\nRun scripts/fill.py.")
    (folder / "scripts").mkdir()
    (folder / "scripts/fill.py").write_text("print('äöü')\n")
    (folder / "big.txt").write_bytes(b"x" * 300_000)
    (folder / "logo.png").write_bytes(b"\x89PNG\0")
    (folder / ".hidden").write_text("x")
    (session.folder / "secret").write_text("secret")
    (folder / "link").symlink_to(session.folder / "secret")
    (folder / "up").symlink_to(session.folder)
    async with local(session) as toolset:
        assert await names(toolset) == ["read_skill", "read_skill_file"]
        assert all(tool.definition.annotations.read_only for tool in await toolset.tools())
        text = (await session.call(toolset, "read_skill", name="pdf")).output
        assert text.startswith("# PDF\n\nRun scripts/fill.py.")
        assert str(folder) in text and text.endswith("- big.txt\n- logo.png\n- scripts/fill.py")
        read = await session.call(toolset, "read_skill_file", skill_name="pdf", path="scripts/fill.py")
        assert read.output == "print('äöü')\n"
        (folder / "SKILL.md").write_text("---\nname: pdf\n---\nChanged.")
        assert (await session.call(toolset, "read_skill", name="pdf")).output.startswith("Changed.")
        for path, words in (
            ("../../../secret", "not a path inside"), ("/etc/passwd", "not a path inside"),
            ("link", "not a path inside"), ("up/secret", "not a path inside"), ("~/x", "not a path inside"),
            ("none", "not found"), ("scripts", "directory"),
            ("big.txt", "too large"), ("logo.png", "binary"), ("", "empty"), ("a\0b", "inside"),
        ):  # fmt: skip
            refused = await session.call(toolset, "read_skill_file", skill_name="pdf", path=path)
            assert refused.is_error and (words in refused.output or "inside" in refused.output), path
            assert "secret" not in refused.output.replace(path, "")
        unknown = await session.call(toolset, "read_skill", name="PDF")
        assert unknown.is_error and "there are: pdf" in unknown.output


async def test_only_those_that_are_named(session: Session) -> None:
    for name in ("one", "two", "three"):
        skill(session.folder / ".agents/skills", name)
    inline = [{"name": "own", "description": "Own", "instructions": "Own text."}]
    async with local(session, names=["two"], inline=inline) as toolset:
        assert set(await described_as(toolset)) == {"two", "own"}
        assert (await session.call(toolset, "read_skill", name="own")).output == "Own text."
        nothing = await session.call(toolset, "read_skill_file", skill_name="own", path="x")
        assert nothing.is_error and "has no files" in nothing.output
    async with local(session, names=["none"]) as toolset:
        assert await names(toolset) == [] and toolset.instructions == ""


async def test_a_skill_with_a_conversation_of_its_own(session: Session) -> None:
    inline = [
        {"name": "own", "description": "Own", "instructions": "Own text.", "context": "fork", "model": "m",
         "allowed_tools": ["shell"]},
        {"name": "plain", "description": "Plain", "instructions": "Plain text."},
    ]  # fmt: skip
    skill(session.folder / ".agents/skills", "deep", context="fork", model="other", allowed_tools="Read, Bash(git:*)")
    using = Using()
    async with local(session, inline=inline) as toolset:
        assert await names(toolset) == ["read_skill", "read_skill_file", "run_skill"]
        assert not (await find(toolset, "run_skill")).definition.annotations.read_only
        assert set(await described_as(toolset)) == {"deep (run_skill)", "own (run_skill)", "plain"}
        result = await session.call(toolset, "run_skill", using, name="own", task="Look")
        assert result.output == " is done" and not result.is_error
        brief = "Do the following task by the skill own.\n\nOwn text.\n\nTask:\nLook"
        assert using.delegated == [Task("", brief, title="Skill: own", model="m", tools=("shell",))]
        await session.call(toolset, "run_skill", using, name="deep", task="Look")
        assert using.delegated[1].model == "other" and using.delegated[1].tools == ()
        refused = await session.call(toolset, "run_skill", using, name="plain", task="Look")
        assert refused.is_error and "read it with read_skill" in refused.output
        assert isinstance(toolset, Kit) and [command.name for command in toolset.commands] == ["deep", "own", "plain"]
        said = resolve("/own the news", toolset.commands, env={})
        assert said is not None and said.text.endswith("own with run_skill. the news")
        assert await toolset.say("own", "the news") == "Run the skill own with run_skill.\n\nthe news"
        said = resolve("/plain", toolset.commands, env={})
        assert said is not None and "read_skill" in said.text and not said.requests


# -- on the web ---------------------------------------------------------------------------------


def publish(web: Site, *entries: Any) -> None:
    web.page("/.well-known/skills/index.json", json.dumps({"skills": list(entries)}), "application/json")


async def test_skills_of_a_site(session: Session, web: Site) -> None:
    publish(
        web,
        {"name": "far", "description": "From far\naway", "files": ["SKILL.md", "ref/a b.md", "../../x", "/etc/x", 7]},
        {"name": "../evil", "description": "x"},
        {"name": "silent"},
        "nothing",
    )
    web.page("/.well-known/skills/far/SKILL.md", "---\nname: far\n---\n\nFar text.")
    web.page("/.well-known/skills/far/ref/a%20b.md", "more")
    async with local(session, web.url) as toolset:
        assert await described_as(toolset) == {"far": "From far away"}
        text = (await session.call(toolset, "read_skill", name="far")).output
        assert text == "Far text.\n\nFiles of this skill, for read_skill_file:\n- ref/a b.md"
        assert (await session.call(toolset, "read_skill_file", skill_name="far", path="ref/a b.md")).output == "more"
        for path in ("../../x", "/etc/x", "other"):
            refused = await session.call(toolset, "read_skill_file", skill_name="far", path=path)
            assert refused.is_error and "has no file" in refused.output
    asked = len(web.asked)
    async with local(session, web.url) as toolset:  # from the disk: it is fresh
        assert (await session.call(toolset, "read_skill", name="far")).output == text
    assert len(web.asked) == asked


async def test_a_site_that_is_gone_is_remembered(session: Session, web: Site) -> None:
    publish(web, {"name": "far", "description": "old"})
    async with local(session, web.url) as toolset:
        assert set(await described_as(toolset)) == {"far"}
    for kept in (session.home / "skills").iterdir():
        os.utime(kept, (time.time() - 86_400,) * 2)
    web.pages.clear()
    async with local(session, web.url) as toolset:
        assert set(await described_as(toolset)) == {"far"}
        missing = await session.call(toolset, "read_skill", name="far")
        assert missing.is_error and "HTTP 404" in missing.output


@pytest.mark.parametrize(
    ("page", "words"),
    [
        ((200, {}, b"{" * 3000), "no JSON"), ((500, {}, b""), "HTTP 500"), ((200, {}, b"x" * 2_000_000), "longer than"),
        ((302, {"location": "http://127.0.0.2:1/"}, b""), "not on the list of allowed domains"),
    ],
)  # fmt: skip
async def test_a_site_that_can_not_be_used(session: Session, web: Site, page: Any, words: str) -> None:
    web.pages["/.well-known/skills/index.json"] = page
    with pytest.raises(ToolsetFailed, match=words):
        async with local(session, web.url):
            pass
    skill(session.folder / ".agents/skills", "near")
    async with local(session, web.url, "local") as toolset:  # one source that fails does not take the others along
        assert set(await described_as(toolset)) == {"near"}


async def test_a_confined_session_asks_no_site(session: Session, web: Site) -> None:
    publish(web, {"name": "far", "description": "x"})
    session.confined = True
    with pytest.raises(ToolsetFailed, match="confined"):
        async with local(session, web.url):
            pass
    assert not web.asked


# -- the text of a skill ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "description"),
    [
        ("---\nname: a\ndescription: Plain\n---\nb", "Plain"),
        ("\ufeff---\r\nname: a\r\ndescription: >\r\n  Two\r\n  lines\r\n---\r\nb", "Two lines"),
        ("---\nname: a\ndescription: Use when: it has a colon\n---\nb", "Use when: it has a colon"),
        ('---\ndescription: "Quoted: yes"\nmetadata: {x: [1, 2]}\n---\nb', "Quoted: yes"),
        ("---\nname: a\n---\n# Heading\n\nFirst.", "First."),
        ("---\nnever closed", "--- never closed"),
        ("---\n- a\n- list\n---\nBody", "Body"),
        ("---\ndescription: " + "x" * 5000 + "\n---\n", "x" * 1024),
        ("---\na: &a [1]\nb: " + "[" * 500 + "\n---\nBody", "Body"),
    ],
)
def test_front_matter(text: str, description: str) -> None:
    assert described(text, "a").description == description


@pytest.mark.parametrize("text", ["", "---\nname: Upper\n---\nb", "---\nname: a_b\n---\nb", "---\nname: a\n---\n# H"])
def test_what_is_no_skill(text: str) -> None:
    with pytest.raises(BadSkill):
        described(text, "fine")


def test_names() -> None:
    assert all(map(is_name, ["a", "a-b-2", "x" * 64]))
    assert not any(map(is_name, ["", "-a", "a-", "a--b", "A", "a b", "ä", "a/b", "..", "x" * 65, "a\n"]))


def test_the_body_is_what_stands_below() -> None:
    assert parted("---\nname: a\n---\n\n# Title\n---\nmore\n")[1] == "# Title\n---\nmore"
