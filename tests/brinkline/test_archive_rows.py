"""Tests of the rows of an archive: the same as predict_many's, each sentence scored once, fields kept."""

from __future__ import annotations

import datetime
import json
import math
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brinkline.archive_rows import (
    METADATA,
    ScoreCache,
    metadata_columns,
    recall,
    schema,
    score_rows,
    score_split,
    split_article,
)
from brinkline.articles import Article
from brinkline.model.classifier import Classifier, load
from brinkline.model.scores import FLAT_COLUMNS

SENTENCES = [
    "The army fire on the city.",
    "They met.",
    "Rain on monday.",
    "We will answer.",
    "They vowed revenge!",
]


@pytest.fixture(scope="module")
def classifier(model_folder: Path) -> Classifier:
    return load(model_folder, threads=1)


@pytest.fixture(scope="module")
def reading_context(
    make_checkpoint: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory
) -> Classifier:
    from brinkline.train.export import Origin, export

    folder = tmp_path_factory.mktemp("context") / "model"
    export(make_checkpoint(context=2), folder, origin=Origin(name="context"))
    return load(folder, threads=1)


def plain_rows(
    classifier: Classifier, articles: list[Article], **options: dict[str, float]
) -> list[dict[str, object]]:
    texts, ids = [a.text for a in articles], [a.id for a in articles]
    return [row for s in classifier.predict_many(texts, ids=ids, **options) for row in s.to_flat_rows()]  # type: ignore[arg-type]


def assert_same_rows(found: list[dict[str, object]], expected: list[dict[str, object]]) -> None:
    assert len(found) == len(expected)
    for one, other in zip(found, expected, strict=True):
        for name in FLAT_COLUMNS:
            if name.startswith("p_"):
                assert one[name] == pytest.approx(other[name], abs=1e-5)
            else:
                assert one[name] == other[name]


@given(
    texts=st.lists(st.lists(st.sampled_from(SENTENCES), max_size=5).map(" ".join), max_size=6),
    capacity=st.integers(0, 8),
)
def test_rows_are_those_of_predict_many(classifier: Classifier, texts: list[str], capacity: int) -> None:
    articles = [Article(f"a{n}", text, {}) for n, text in enumerate(texts)]
    table = score_rows(classifier, articles, cache=ScoreCache(capacity), thresholds={"threat": 0.4})
    assert table.schema == schema()
    assert_same_rows(table.to_pylist(), plain_rows(classifier, articles, thresholds={"threat": 0.4}))


def test_context_is_read_as_predict_many_reads_it(reading_context: Classifier) -> None:
    articles = [Article("a", " ".join(SENTENCES), {}), Article("a", " ".join(SENTENCES[::-1]), {})]
    cache = ScoreCache()
    table = score_rows(reading_context, articles, cache=cache)
    assert_same_rows(table.to_pylist(), plain_rows(reading_context, articles))
    assert len(cache) == 10  # the same five sentences twice, but never with the same ones before them


def test_copies_are_scored_once(classifier: Classifier) -> None:
    one = [split_article(Article(f"a{n}", " ".join(SENTENCES[:3]), {})) for n in range(4)]
    cache = ScoreCache()
    first, scored = score_split(classifier, one, cache=cache)
    assert (first.num_rows, scored) == (12, 3)
    again, scored = score_split(
        classifier, [*one, split_article(Article("b", SENTENCES[3], {}))], cache=cache
    )
    assert (again.num_rows, scored) == (13, 1)


def test_the_cache_drops_what_was_not_asked_for_longest() -> None:
    cache = ScoreCache(2)
    for key in (b"a", b"b", b"a", b"c"):
        cache.remember(key, key)
    assert [key in cache for key in (b"a", b"b", b"c")] == [True, False, True]
    assert len(cache) == 2


@pytest.mark.parametrize("context", [0, 2])
def test_a_table_gives_back_what_the_cache_held(
    classifier: Classifier, reading_context: Classifier, context: int
) -> None:
    model = reading_context if context else classifier
    articles = [Article("a", " ".join(SENTENCES), {}), Article("a", "They met. They met. Rain.", {})]
    cache, copy = ScoreCache(), ScoreCache()
    for key, record in recall(score_rows(model, articles, cache=cache), context):
        copy.remember(key, record)
    assert list(copy._records.items()) == list(cache._records.items())


def test_fields_become_columns() -> None:
    fields = {
        "source": "Wire",
        "year": 1999,
        "when": datetime.date(2020, 2, 3),
        "tags": ["a", 1],
        "share": math.nan,
        "price": Decimal("1.50"),
        "odd": "\ud800",
    }
    row = metadata_columns(fields, ("source", "year", "when", "tags", "share", "odd", "missing"))
    assert json.loads(row.pop(METADATA) or "") == {"price": "1.50"}
    assert row == {
        "source": "Wire",
        "year": "1999",
        "when": "2020-02-03",
        "tags": '["a", 1]',
        "share": None,
        "odd": "?",
        "missing": None,
    }
    assert metadata_columns({"inner": {"x": math.inf}}, ())[METADATA] == '{"inner": {"x": null}}'
    assert metadata_columns({}, ())[METADATA] is None


@pytest.mark.parametrize(("keep", "message"), [(["text"], "column of that name"), (["a", "a"], "twice")])
def test_fields_that_cannot_be_columns(keep: list[str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        schema(keep)


def test_lone_surrogates_are_written_as_question_marks(classifier: Classifier) -> None:
    table = score_rows(classifier, [Article("\udcff", "They \ud800 met.", {})])
    assert table.to_pylist()[0] | {"article": "?", "text": "They ? met."} == table.to_pylist()[0]
