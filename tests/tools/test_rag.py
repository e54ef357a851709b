"""Knowledge bases: files found, cut, indexed and found again, by words and by meaning."""

import json
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import anyio
import pytest
from anyio import ClosedResourceError

from fakes.calls import Using, find
from roost.core.agents import Agent, Team, ToolsetSpec
from roost.core.errors import BadModel, ModelFailed, ToolsetFailed
from roost.core.events import Fact, IndexingShown
from roost.core.ids import SessionId
from roost.ports import Place, Toolset
from roost.tools.builtin import Builtin
from roost.tools.rag import shelf as shelves
from roost.tools.rag.chunks import chunks
from roost.tools.rag.ranking import Hit, Ranking, deduplicated, fuse
from roost.tools.rag.source import source

pytestmark = pytest.mark.anyio

TEAM = Team("team.yaml", "1", (Agent("root"),))
TOPICS = ("animal", "kitten", "puppy", "engine", "motor", "car")


class Meaning:
    """An embedding model that knows two things: animals and cars."""

    def __init__(self) -> None:
        self.batches: list[list[str]] = []
        self.fails: Exception | None = None
        self.vector: Callable[[str], Sequence[float]] = lambda text: (
            float(sum(word in text.lower() for word in TOPICS[:3])),
            float(sum(word in text.lower() for word in TOPICS[3:])),
            0.01,
        )

    async def embed(self, texts: Sequence[str]) -> Sequence[Sequence[float]]:
        await anyio.lowlevel.checkpoint()
        if self.fails is not None:
            raise self.fails
        self.batches.append(list(texts))
        return [self.vector(text) for text in texts]


class Models:
    """`ports.Models`, as far as it is asked."""

    def __init__(self, meaning: Meaning) -> None:
        self.meaning = meaning

    def embedder(self, team: Team, ref: str) -> Meaning:
        if ref == "none/such":
            raise BadModel("OPENAI_API_KEY is not set")
        return self.meaning


class Desk:
    """Opens knowledge bases as sessions do, and hears what is told."""

    def __init__(self, folder: Path, meaning: Meaning | None = None) -> None:
        self.folder = folder
        self.work = folder / "work"
        self.state = folder / "state"
        self.meaning = meaning or Meaning()
        self.facts: list[IndexingShown] = []
        self.heard = anyio.Event()
        self.builtin = Builtin({"HOME": str(folder)}, state=self.state, models=Models(self.meaning))  # type: ignore[arg-type]
        self.docs("cats.md", "Cats purr. A kitten is a young animal.")
        self.docs("cars.md", "Cars have an engine, and the motor drives the car.")

    def docs(self, name: str, text: str | bytes) -> Path:
        path = self.work / "docs" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    async def tell(self, fact: Fact) -> None:
        assert isinstance(fact, IndexingShown)
        self.facts.append(fact)
        self.heard.set()
        self.heard = anyio.Event()

    async def told(self, stage: str, times: int = 1) -> None:
        """Wait until a stage was told so often."""
        with anyio.fail_after(30):
            while sum(fact.stage == stage for fact in self.facts) < times:
                await self.heard.wait()

    def open(self, *strategies: dict[str, Any], confined: bool = False, told: bool = True, **more: Any) -> Any:
        options = {"name": "handbook", "docs": ["./docs"], "strategies": strategies or ({"type": "bm25"},), **more}
        place = Place(
            SessionId("s"), "root", str(self.work), lambda _: None, team=TEAM, confined=confined,
            tell=self.tell if told else None,
        )  # fmt: skip
        made: AbstractAsyncContextManager[Toolset] = self.builtin.open(ToolsetSpec("rag", options=options), place)
        return made


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


async def ask(toolset: Toolset, query: str, name: str = "handbook") -> Any:
    result = await (await find(toolset, name)).run({"query": query}, Using())
    assert not result.is_error, result.output
    return json.loads(result.output.split("\n(")[0])


def names(found: Any) -> list[str]:
    return [entry["source_path"] for entry in found]


# -- by words -----------------------------------------------------------------------------------


async def test_words_are_found_in_files(desk: Desk) -> None:
    tool = {"name": "ask handbook!", "description": "Company rules", "instruction": "Cite file names"}
    async with desk.open({"type": "bm25"}, tool=tool, results={"include_score": True}) as toolset:
        definition = (await toolset.tools())[0].definition
        assert (definition.name, definition.description) == ("ask_handbook_", "Company rules")
        assert definition.annotations.read_only and definition.effect == "safe"
        assert toolset.instructions == "Cite file names"
        found = await ask(toolset, "kittens that purr", "ask_handbook_")
        assert found[0].pop("similarity") > 0
        assert found == [
            {"source_path": "docs/cats.md", "content": "Cats purr. A kitten is a young animal.", "chunk_index": 0}
        ]
        assert await ask(toolset, "submarine", "ask_handbook_") == []
        assert not toolset.busy
    stages = [(fact.stage, fact.current, fact.total) for fact in desk.facts]
    assert stages == [("started", 0, 2), ("completed", 2, 2)]
    assert {(f.source, f.strategy, f.agent) for f in desk.facts} == {("handbook", "bm25", "root")}


async def test_a_change_on_the_disk_is_found(desk: Desk) -> None:
    async with desk.open() as toolset:
        assert await ask(toolset, "submarine") == []
        new = desk.docs("deep/boats.md", "A submarine dives.")
        desk.docs("cats.md", "Nothing but whiskers.")
        (desk.work / "docs/cars.md").unlink()
        await desk.told("completed", 2)
        with anyio.fail_after(30):
            while len(await ask(toolset, "submarine whiskers engine")) != 2:
                await desk.heard.wait()
        assert names(await ask(toolset, "submarine")) == ["docs/deep/boats.md"]
        assert await ask(toolset, "engine") == [] and await ask(toolset, "kitten") == []
        assert new.exists()


async def test_a_second_start_reads_nothing_anew(desk: Desk) -> None:
    meaning = {"type": "chunked-embeddings", "embedding_model": "fake/one", "database": "./index.db"}
    async with desk.open(meaning) as toolset:
        assert names(await ask(toolset, "animal")) == ["docs/cats.md"]
    assert (desk.work / "index.db").exists()
    embedded = len(desk.meaning.batches)
    desk.docs("cars.md", "Cars have an engine, and the motor drives the car.")  # written again, and the same
    desk.docs("dogs.md", "A puppy is an animal.")
    async with desk.open(meaning) as toolset:
        assert sorted(names(await ask(toolset, "animal"))) == ["docs/cats.md", "docs/dogs.md"]
    assert desk.meaning.batches[embedded:] == [["A puppy is an animal."], ["animal"]]


async def test_sessions_share_an_index(desk: Desk) -> None:
    meaning = {"type": "chunked-embeddings", "embedding_model": "fake/one"}
    async with desk.open(meaning) as one:
        async with desk.open(meaning) as two:
            assert names(await ask(one, "animal")) == names(await ask(two, "animal")) == ["docs/cats.md"]
        assert names(await ask(one, "engine")) == ["docs/cars.md"]  # the last to leave closes it
    assert sorted(batch[0][:4] for batch in desk.meaning.batches) == ["Cars", "Cats", "anim", "anim", "engi"]


async def test_sessions_elsewhere_share_what_lies_beside_the_agent_file(desk: Desk) -> None:
    meaning = {"type": "chunked-embeddings", "embedding_model": "fake/one"}
    docs = [str(desk.work / "docs")]
    async with desk.open(meaning, docs=docs) as toolset:
        assert names(await ask(toolset, "animal")) == ["docs/cats.md"]
    desk.work = desk.folder
    async with desk.open(meaning, docs=docs) as toolset:
        assert names(await ask(toolset, "animal")) == ["work/docs/cats.md"]
    assert len(desk.meaning.batches) == 4  # two files, two queries


async def test_a_session_that_no_longer_listens_stops_nothing(desk: Desk) -> None:
    async def refuse(fact: Fact) -> None:
        raise ClosedResourceError

    desk.tell = refuse  # type: ignore[method-assign]
    async with desk.open() as toolset:
        assert names(await ask(toolset, "kitten")) == ["docs/cats.md"]


async def test_which_files_belong_to_it(desk: Desk) -> None:
    desk.docs(".gitignore", "secret.md\n")
    desk.docs("secret.md", "xylophone secret")
    desk.docs("a/deep/note.txt", "xylophone note")
    desk.docs("binary.bin", b"xylophone\0")
    desk.docs("bad.md", b"xylophone \xff\xfe")
    (desk.work / "one.md").write_text("xylophone one")
    (desk.work / "docs/link.md").symlink_to(desk.work / "one.md")
    async with desk.open() as toolset:
        assert sorted(names(await ask(toolset, "xylophone"))) == ["docs/a/deep/note.txt", "docs/bad.md"]
    async with desk.open(respect_vcs=False) as toolset:
        assert "docs/secret.md" in names(await ask(toolset, "xylophone"))
    async with desk.open(docs=["./docs/**/*.txt", "one.md", "nowhere"]) as toolset:
        result = await (await find(toolset, "handbook")).run({"query": "xylophone"}, Using())
        assert sorted(names(json.loads(result.output.split("\n(")[0]))) == ["docs/a/deep/note.txt", "one.md"]
        assert result.output.endswith("\n(not found: nowhere)")
    async with desk.open({"type": "bm25", "docs": ["one.md"]}, docs=[]) as toolset:
        assert names(await ask(toolset, "xylophone")) == ["one.md"]


async def test_a_single_file_is_watched(desk: Desk) -> None:
    (desk.work / "one.md").write_text("first")
    async with desk.open(docs=["one.md"]) as toolset:
        assert await ask(toolset, "second") == []
        (desk.work / "new.md").write_text("second")
        (desk.work / "one.md").write_text("second")
        await desk.told("completed", 2)
        assert names(await ask(toolset, "second")) == ["one.md"]


async def test_an_index_among_its_own_documents(desk: Desk) -> None:
    async with desk.open({"type": "bm25", "database": "./docs/index.db"}, respect_vcs=False) as toolset:
        assert names(await ask(toolset, "kitten")) == ["docs/cats.md"]
    assert [fact.total for fact in desk.facts] == [2, 2]


async def test_a_confined_session_sees_its_folder_alone(desk: Desk) -> None:
    (desk.folder / "outside.md").write_text("xylophone")
    async with desk.open(docs=["../outside.md", "./docs"], confined=True) as toolset:
        result = await (await find(toolset, "handbook")).run({"query": "xylophone kitten"}, Using())
        assert "(not found: ../outside.md)" in result.output and 'outside.md"' not in result.output
    async with desk.open({"type": "bm25", "database": "../x.db"}, confined=True) as toolset:
        assert names(await ask(toolset, "kitten")) == ["docs/cats.md"]
    assert not (desk.folder / "x.db").exists()


async def test_somebody_elses_database_is_left_alone(desk: Desk) -> None:
    other = desk.work / "bm25.db"
    other.write_text("no database at all, but more than a hundred bytes of it: " * 20)
    async with desk.open({"type": "bm25", "database": "./bm25.db"}) as toolset:
        assert names(await ask(toolset, "kitten")) == ["docs/cats.md"]
    assert other.read_text().startswith("no database")
    assert list((desk.state / "rag").glob("*.db"))


async def test_counting_tools_indexes_nothing(desk: Desk) -> None:
    async with desk.open({"type": "bm25", "database": "./bm25.db"}, told=False) as toolset:
        assert len(await toolset.tools()) == 1
    assert not (desk.work / "bm25.db").exists()


# -- by meaning ---------------------------------------------------------------------------------


async def test_meanings_are_found_and_fused(desk: Desk) -> None:
    desk.docs("dogs.md", "A puppy barks.")
    words, meaning = {"type": "bm25"}, {"type": "chunked-embeddings", "embedding_model": "fake/one", "threshold": 0.9}
    async with desk.open(meaning, results={"include_score": True}) as toolset:
        found = await ask(toolset, "what is a kitten")
        assert sorted(names(found)) == ["docs/cats.md", "docs/dogs.md"]
        assert all(0.9 <= entry["similarity"] <= 1.0001 for entry in found)
    fusion = {"strategy": "rrf", "k": 10}
    async with desk.open(words, meaning, results={"fusion": fusion, "include_score": True}) as toolset:
        found = await ask(toolset, "what is a kitten")
        assert names(found) == ["docs/cats.md", "docs/dogs.md"]
        assert found[0]["similarity"] == pytest.approx(1 / 11 + 1 / 12, abs=1e-5)  # first by words, second by meaning
    async with desk.open(words, meaning, results={"limit": 1, "return_full_content": True}) as toolset:
        assert names(await ask(toolset, "what is a kitten")) == ["docs/cats.md"]


async def test_the_bounds_of_requests_are_kept(desk: Desk) -> None:
    desk.docs("long.md", " ".join(f"puppy{number}" for number in range(200)))
    chunking = {"size": 40, "overlap": 0}
    meaning = {"type": "chunked-embeddings", "embedding_model": "fake/one", "embedding_batch_size": 4}
    async with desk.open({**meaning, "chunking": chunking}) as toolset:
        await ask(toolset, "puppy")
    assert max(len(batch) for batch in desk.meaning.batches) == 4


async def test_a_model_that_fails_leaves_what_there_is(desk: Desk) -> None:
    meaning = {"type": "chunked-embeddings", "embedding_model": "fake/one"}
    desk.meaning.fails = ModelFailed("the cup is empty", kind="rate_limit")
    async with desk.open({"type": "bm25"}, meaning) as toolset:
        result = await (await find(toolset, "handbook")).run({"query": "kitten"}, Using())
        assert not result.is_error and '"docs/cats.md"' in result.output and "the cup is empty" in result.output
    async with desk.open(meaning) as toolset:
        result = await (await find(toolset, "handbook")).run({"query": "kitten"}, Using())
        assert result.is_error and "the cup is empty" in result.output


@pytest.mark.parametrize(
    ("vector", "words"),
    [
        (lambda text: [1.0] * (2 + (text[0] == "C")), "numbers"),
        (lambda text: [float("nan")], "not finite"),
        (lambda text: [], "vectors of"),
    ],
)
async def test_vectors_that_are_none(desk: Desk, vector: Callable[[str], Sequence[float]], words: str) -> None:
    desk.docs("cats.md", "Cats. " * 100 + "dogs. " * 100)
    desk.meaning.vector = vector
    meaning = {"type": "chunked-embeddings", "embedding_model": "fake/one", "chunking": {"size": 600}}
    async with desk.open(meaning) as toolset:
        result = await (await find(toolset, "handbook")).run({"query": "cats"}, Using())
        assert words in result.output


# -- what can't be used -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("strategy", "words"),
    [
        ({"type": "semantic-embeddings"}, "is not built"),
        ({}, "without a type"),
        ({"type": "chunked-embeddings"}, "needs embedding_model"),
        ({"type": "chunked-embeddings", "embedding_model": "none/such"}, "OPENAI_API_KEY"),
        ({"type": "bm25", "chunking": {"size": 10, "overlap": 10}}, "overlap must be between"),
        ({"type": "bm25", "limit": "many"}, "limit is no number"),
        ({"type": "bm25", "similarity_metric": "smell"}, "unknown similarity_metric"),
    ],
)
async def test_a_strategy_that_can_not_be_used(desk: Desk, strategy: dict[str, Any], words: str) -> None:
    with pytest.raises(ToolsetFailed, match=words):
        async with desk.builtin.open(
            ToolsetSpec("rag", options={"name": "x", "docs": ["."], "strategies": [strategy]}),
            Place(SessionId("s"), "root", str(desk.work), lambda _: None, team=TEAM),
        ):
            pass


async def test_an_index_file_of_another_program_or_version(tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    kept = shelves.Shelf(path, "one", now=1)
    kept.put("a", shelves.Known("1", b"x"), ["text"])
    kept.close()
    again = shelves.Shelf(path, "one", now=shelves.UNUSED)
    assert [chunk.content for chunk in again.chunks()] == ["text"]
    again.close()
    other = shelves.Shelf(path, "two", now=3 * shelves.UNUSED)  # and what nobody uses goes
    assert not other.chunks() and not other.files()
    other.close()
    last = shelves.Shelf(path, "one", now=3 * shelves.UNUSED)
    assert not last.chunks()
    last.close()


# -- the parts ----------------------------------------------------------------------------------


@pytest.mark.parametrize("words", [True, False])
@pytest.mark.parametrize(("size", "overlap"), [(1, 0), (10, 0), (10, 9), (40, 15), (10_000, 75)])
def test_pieces_cover_the_text(size: int, overlap: int, *, words: bool) -> None:
    letters = "".join(map(chr, range(0x4E00, 0x4E00 + 600)))  # none twice, so that a place is told by its text
    text = " ".join(letters[start : start + 7] for start in range(0, 500, 7)) + " " + letters[504:]
    pieces = list(chunks(text, size, overlap, words=words))
    assert all(0 < len(piece) <= size for piece in pieces)
    at = 0
    for piece in pieces:  # each begins in what the earlier ones have covered, or right behind it
        found = text.find(piece, max(at - size, 0))
        assert found >= 0 and not text[at:found].strip()
        at = max(at, found + len(piece))
    assert at == len(text)


def test_pieces_end_between_words() -> None:
    pieces = list(chunks("alpha beta gamma delta", 12, 4, words=True))
    assert pieces[0] == "alpha beta" and {word for piece in pieces for word in piece.split()} == {
        "alpha", "beta", "gamma", "delta"
    }  # fmt: skip


def test_fusions() -> None:
    one, two, three = (Hit(name, 0, name, score) for name, score in (("a", 8.0), ("b", 4.0), ("c", 0.9)))
    words = Ranking("bm25", [one, two], absolute=False)
    meanings = Ranking("chunked-embeddings", [three, Hit("b", 0, "b", 0.7)], absolute=True)

    def fused(kind: str, weights: dict[str, float] | None = None) -> list[tuple[str, float]]:
        return [(hit.path, round(hit.score, 4)) for hit in fuse([words, meanings], kind, 60, weights or {})]

    assert fused("rrf") == [("b", round(2 / 62, 4)), ("a", round(1 / 61, 4)), ("c", round(1 / 61, 4))]
    assert fused("max") == [("a", 1.0), ("c", 0.9), ("b", 0.7)]
    assert fused("weighted", {"bm25": 0.2}) == [("c", 0.9), ("b", 0.8), ("a", 0.2)]
    same = [one, Hit("z", 3, "a", 1.0), two]
    assert deduplicated(same) == [one, two]


def test_the_usual_values() -> None:
    usual = source({"name": "n", "docs": ["d"], "strategies": [{"type": "bm25", "docs": ["d", "e"]}]})
    strategy = usual.strategies[0]
    assert (strategy.docs, strategy.size, strategy.overlap, strategy.limit) == (("d", "e"), 1500, 75, 5)
    assert (usual.limit, usual.fusion, usual.k, usual.deduplicate, usual.include_score) == (15, "rrf", 60, True, False)
