"""Texts ranked by how much they resemble a query."""

import math

import pytest

from roost.core.bm25 import Index, stem, terms


@pytest.mark.parametrize(
    "words",
    [
        ("deploy", "deploys", "deployed", "deploying", "Deploying"),
        ("query", "queries"),
        ("run", "runs", "running"),
        ("file", "files", "filing"),
        ("box", "boxes"),
        ("class", "classes"),
        ("write", "writes", "writing"),
        ("test", "tests", "tested", "testing"),
        ("quick", "quickly"),
    ],
)
def test_forms_of_a_word_have_one_stem(words: tuple[str, ...]) -> None:
    assert len({stem(word.casefold()) for word in words}) == 1, [stem(word.casefold()) for word in words]


def test_short_words_keep_their_letters() -> None:
    assert [stem(word) for word in ("sing", "red", "is", "bus", "api", "the", "go")] == [
        "sing", "red", "is", "bus", "api", "the", "go",
    ]  # fmt: skip


def test_words_of_any_language_count_and_little_english_ones_do_not() -> None:
    assert list(terms("How do I reset the PASSWORD?")) == ["reset", "password"]
    assert list(terms("Straße, naïve 東京 snake_case")) == ["strass", "naïv", "東京", "snak", "cas"]
    assert list(terms("the of and")) == []


def test_the_text_that_shares_rare_words_is_best() -> None:
    index = Index(["write a python function", "translate this text to french", "fix the bug in this python code"])
    assert [number for number, _ in index.best("please translate into French", 3)] == [1]
    assert [number for number, _ in index.best("python bugs", 3)] == [2, 0]


def test_the_score_is_that_of_the_formula() -> None:
    index = Index(["cat dog", "cat cat bird"], k1=1.2, b=0.5)
    rarity = math.log(1 + (2 - 2 + 0.5) / (2 + 0.5))
    first = 1 * 2.2 / (1 + 1.2 * (0.5 + 0.5 * 2 / 2.5))
    second = 2 * 2.2 / (2 + 1.2 * (0.5 + 0.5 * 3 / 2.5))
    assert index.scores("cat") == pytest.approx([rarity * first, rarity * second])


def test_equals_stay_in_their_order_and_a_threshold_is_kept() -> None:
    index = Index(["same words", "same words", "others"])
    assert [number for number, _ in index.best("same words", 9)] == [0, 1]
    assert index.best("same words", 9, threshold=100.0) == []


@pytest.mark.parametrize("query", ["", "the and of", "nothing shared", "!!! ???"])
def test_a_query_without_a_shared_word_fits_nothing(query: str) -> None:
    assert Index(["alpha beta", "gamma"]).scores(query) == [0.0, 0.0]
    assert Index(["alpha beta", "gamma"]).best(query) == []


def test_no_texts_and_empty_texts_are_texts_too() -> None:
    assert Index([]).scores("anything") == []
    assert Index(["", "   "]).scores("anything") == [0.0, 0.0]
    assert len(Index(["", "the"])) == 2


def test_a_query_of_many_megabytes_is_cut() -> None:
    index = Index(["needle"])
    assert index.best("x " * 5_000_000 + "needle") == []
    assert index.best("needle " + "x " * 5_000_000)
