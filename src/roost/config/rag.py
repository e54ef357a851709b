"""Search in documents (`rag`): what a file may say of it, and what is left of it here."""

from pathlib import Path as File
from typing import Any, Final

from roost.config.shapes import (
    NEWER,
    UNRELEASED,
    Anything,
    Either,
    Entries,
    Flag,
    Items,
    Key,
    Notes,
    Number,
    Record,
    Text,
    where,
)
from roost.config.yaml import Path

Data = dict[str, Any]

BUILT: Final = ("bm25", "chunked-embeddings")
METRICS: Final = ("cosine", "cosine_similarity", "euclidean", "euclidean_distance", "dot", "dot_product")

_text, _flag = Text(), Flag()
_texts = Items(Text(filled=True))
_count = Number(1, whole=True)
_chunking = Record(
    {
        "size": Key(_count),
        "overlap": Key(Number(0, whole=True)),
        "respect_word_boundaries": Key(_flag),
        "code_aware": Key(_flag, mark="warn"),
    }
)
_strategy = Record(
    {
        "type": Key(Text(words=(*BUILT, "semantic-embeddings"))),
        "docs": Key(_texts),
        "database": Key(_text),
        "chunking": Key(_chunking),
        "limit": Key(_count),
        "k1": Key(Number(0)),
        "b": Key(Number(0, 1)),
        "threshold": Key(Number(0)),
        "embedding_model": Key(_text),
        "model": Key(_text),
        "vector_dimensions": Key(_count),
        "similarity_metric": Key(Text(words=METRICS)),
        "embedding_batch_size": Key(_count),
        "max_embedding_concurrency": Key(_count),
        "max_indexing_concurrency": Key(_count),
        "chat_model": Key(_text, mark="quiet"),
        "semantic_prompt": Key(_text, mark="quiet"),
        "ast_context": Key(_flag, mark="quiet"),
    },
    required=("type",),
    open=True,
)
_fusion = Record(
    {
        "strategy": Key(Text(words=("rrf", "weighted", "max"))),
        "k": Key(Number(0)),
        "weights": Key(Entries(Number(0))),
    }
)
_reranking = Record(
    {"model": Key(_text), "top_k": Key(Number(0, whole=True)), "threshold": Key(Number(0)), "criteria": Key(_text)}
)
_results = Record(
    {
        "limit": Key(_count),
        "fusion": Key(_fusion),
        "reranking": Key(_reranking, mark="warn"),
        "deduplicate": Key(_flag),
        "include_score": Key(_flag),
        "return_full_content": Key(_flag),
        "prefetch": Key(Anything(), since=NEWER, mark="quiet"),
        "query_cache": Key(Anything(), since=UNRELEASED, mark="quiet"),
    },
    open=True,
)
RAG: Final = Record(
    {
        "tool": Key(Record({name: Key(_text) for name in ("name", "description", "instruction")})),
        "docs": Key(_texts),
        "respect_vcs": Key(_flag),
        "strategies": Key(Items(_strategy)),
        "results": Key(_results),
        "name": Key(_text, since=8),
        "instruction": Key(_text, since=8),
        "tools": Key(_texts, since=8),
        "defer": Key(Either(flag=_flag, items=_texts), since=8),
    }
)


def check(source: Data, path: Path, notes: Notes) -> None:
    """Complain about strategies that lack something, and say which are left out."""
    strategies = [entry for entry in source.get("strategies", ()) if isinstance(entry, dict) and "type" in entry]
    for index, entry in enumerate(source.get("strategies", ())):
        if not isinstance(entry, dict):
            continue
        at = (*path, "strategies", index)
        if entry.get("type") == "chunked-embeddings" and not (entry.get("embedding_model") or entry.get("model")):
            notes.bad(at, f"{where(at)}: a strategy of type 'chunked-embeddings' needs embedding_model")
        if entry.get("type") == "semantic-embeddings":
            alone = all(other["type"] not in BUILT for other in strategies)
            instead = "bm25 takes its place" if alone else "it is left out"
            says = f"strategy 'semantic-embeddings' is not supported yet; {instead}"
            notes.warn((*at, "type"), f"{where(at)}: {says}")


def resolved(source: Data, folder: File | None) -> Data:
    """A source as it is searched: without what is not built, and with paths that lead somewhere from anywhere."""
    strategies = [_strategy_of(entry, folder) for entry in source.get("strategies", ()) if entry["type"] in BUILT]
    if not strategies:
        like: Data = next(iter(source.get("strategies", ())), {})
        strategies = [_strategy_of({"type": "bm25"} | {k: like[k] for k in ("docs", "limit") if k in like}, folder)]
    results = {key: value for key, value in source.get("results", {}).items() if _results.keys[key].mark == "built"}
    return (
        {key: value for key, value in source.items() if key not in ("instruction", "tools", "defer")}
        | ({"docs": [_placed(text, folder) for text in source["docs"]]} if source.get("docs") else {})
        | {"strategies": strategies}
        | ({"results": results} if results else {})
    )


def _strategy_of(entry: Data, folder: File | None) -> Data:
    kept = {key: value for key, value in entry.items() if _strategy.keys[key].mark == "built"}
    if "model" in kept:  # an older spelling
        kept.setdefault("embedding_model", kept.pop("model"))
    if kept.get("docs"):
        kept["docs"] = [_placed(text, folder) for text in kept["docs"]]
    if kept.get("database"):
        kept["database"] = _placed(kept["database"], folder)
    if "chunking" in kept:
        kept["chunking"] = {key: value for key, value in kept["chunking"].items() if key != "code_aware"}
    return kept


def _placed(text: str, folder: File | None) -> str:
    """A path that is relative to the agent file; one with a placeholder is left to whoever fills it."""
    return text if folder is None or text.startswith(("~", "$")) else str(folder / text)
