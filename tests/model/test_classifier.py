import logging
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import brinkline
from brinkline.model.checkpoint import Calibration
from brinkline.model.classifier import Classifier, probabilities
from brinkline.model.engine import Logits
from brinkline.model.labels import SIGNALS, STANCES
from brinkline.train.export import export

ARTICLE = """CITY TALKS

The army fire on the city. They vowed revenge, and the minister met the envoy.

“If they attack,” the envoy said, “we will answer. We will fire.”
"""


@pytest.fixture(scope="module")
def classifier(model_folder: Path) -> Classifier:
    return brinkline.load(model_folder)


@pytest.fixture(scope="module")
def context_classifier(
    make_checkpoint: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory
) -> Classifier:
    return export(make_checkpoint(context=1), tmp_path_factory.mktemp("context") / "model")


def test_article(classifier: Classifier) -> None:
    scores = classifier.predict(ARTICLE, id="a1")
    assert scores.id == "a1"
    assert scores.model == "tiny 0.1.0"
    assert len(scores.sentences) >= 4
    for sentence in scores.sentences:
        assert ARTICLE[sentence.start : sentence.end] == sentence.text
        assert tuple(sentence.stance_probabilities) == STANCES
        assert tuple(sentence.signal_probabilities) == SIGNALS
        assert sum(sentence.stance_probabilities.values()) == pytest.approx(1, abs=1e-9)
        assert sentence.stance == max(STANCES, key=lambda s: sentence.stance_probabilities[s])


@pytest.mark.parametrize("text", ["", " \n\t", "* * *\n\n—"])
def test_text_without_a_sentence(classifier: Classifier, text: str) -> None:
    scores = classifier.predict(text)
    assert scores.sentences == ()
    assert scores.summary.sentences == 0


@settings(max_examples=150, deadline=None)
@given(text=st.text(st.characters(), max_size=300))
def test_offsets_hold_for_any_text(classifier: Classifier, text: str) -> None:
    end = 0
    for sentence in classifier.predict(text).sentences:
        assert text[sentence.start : sentence.end] == sentence.text
        assert sentence.start >= end
        end = sentence.end


def test_a_sentence_scores_the_same_alone_in_a_batch_and_in_any_order(classifier: Classifier) -> None:
    texts = [
        "the army fire",
        "talks",
        "if they attack we will answer and revenge",
        "rain " * 40,
        "they met",
        "a",
    ]
    together = classifier.predict_sentences(texts)
    backwards = classifier.predict_sentences(texts[::-1], batch_size=2)[::-1]
    for text, one, other in zip(texts, together, backwards, strict=True):
        [alone] = classifier.predict_sentences([text])
        for score in (one, other):
            assert score.stance_probabilities == pytest.approx(alone.stance_probabilities, abs=1e-5)
            assert score.signal_probabilities == pytest.approx(alone.signal_probabilities, abs=1e-5)


def test_predict_and_predict_many_agree(classifier: Classifier) -> None:
    articles = [ARTICLE, "", "They met.", ARTICLE * 3]
    for article, scores in zip(articles, classifier.predict_many(articles), strict=True):
        alone = classifier.predict(article)
        assert [s.stance for s in scores.sentences] == [s.stance for s in alone.sentences]
        assert scores.text == article


def test_predict_many_streams(classifier: Classifier) -> None:
    taken = 0

    def endless() -> Iterator[str]:
        nonlocal taken
        while True:
            taken += 1
            yield ARTICLE

    stream = classifier.predict_many(endless())
    next(stream)
    assert taken <= 16, "the first results come at once"
    for _ in range(300):
        next(stream)
    assert taken < 300 + 1024


def test_what_was_read_before_a_bad_article_is_scored(classifier: Classifier) -> None:
    stream = classifier.predict_many(["They met.", "Rain.", None])  # type: ignore[list-item]
    assert [len(next(stream).sentences), len(next(stream).sentences)] == [1, 1]
    with pytest.raises(TypeError, match="article 2 must be a str"):
        next(stream)


def test_sentences_and_thresholds_of_other_kinds(classifier: Classifier) -> None:
    texts = ["They met.", "Rain."]
    scores = classifier.predict_sentences((text for text in texts), thresholds={"threat": np.float32(0.0)})
    assert [(score.text, "threat" in score.signals) for score in scores] == [(text, True) for text in texts]


def test_ids_are_carried_along(classifier: Classifier) -> None:
    found = classifier.predict_many(["They met.", "Rain."], ids=["x", None])
    assert [scores.id for scores in found] == ["x", None]


def test_fewer_ids_than_articles(classifier: Classifier) -> None:
    with pytest.raises(ValueError, match="article 1 has no id"):
        list(classifier.predict_many(["They met.", "Rain."], ids=["x"]))


def test_sentences_in_sentences_out(classifier: Classifier) -> None:
    texts = ["They met. They fire.", "", "  padded  "]
    scores = classifier.predict_sentences(texts)
    assert [score.text for score in scores] == texts
    assert [(score.start, score.end) for score in scores] == [(0, len(text)) for text in texts]
    assert classifier.predict_sentences([]) == []


def test_thresholds(classifier: Classifier) -> None:
    everything = classifier.predict(ARTICLE, thresholds=dict.fromkeys(SIGNALS, 0.0))
    assert all(sentence.signals == SIGNALS for sentence in everything.sentences)
    only = classifier.predict(ARTICLE, thresholds={"threat": 0.0, "deterrence": 1.0, "retaliation": 1.0})
    assert all(sentence.signals == ("threat",) for sentence in only.sentences)
    own = classifier.predict(ARTICLE)
    for sentence in own.sentences:
        limits = classifier.manifest.calibration.thresholds
        assert sentence.signals == tuple(s for s in SIGNALS if sentence.signal_probabilities[s] >= limits[s])


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda c: c.predict(["They met."]), TypeError, "use predict_many"),
        (lambda c: c.predict(None), TypeError, "got NoneType"),
        (lambda c: c.predict_many("They met."), TypeError, "for one use predict"),
        (lambda c: list(c.predict_many(["a", 3.5])), TypeError, "article 1 must be a str, got float"),
        (lambda c: c.predict_many(pd.DataFrame({"text": ["a"]})), TypeError, "use predict_frame"),
        (lambda c: c.predict_many({"text": "a"}), TypeError, "got dict"),
        (lambda c: c.predict_sentences("They met."), TypeError, "got one str"),
        (lambda c: c.predict_sentences(["a"], previous="b"), TypeError, "got one str"),
        (lambda c: c.predict_sentences(["a", None]), TypeError, "sentence 1 must be a str"),
        (lambda c: c.predict_sentences(["a"], previous=[]), ValueError, "1 sentences, but 0"),
        (lambda c: c.predict("a", thresholds={"menace": 0.5}), ValueError, "unknown signal 'menace'"),
        (lambda c: c.predict("a", thresholds={"threat": 2}), ValueError, "from 0 to 1"),
        (lambda c: c.predict_many(["a"], batch_size=0), ValueError, "batch_size"),
    ],
)
def test_wrong_use(
    classifier: Classifier, call: Callable[[Classifier], object], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        call(classifier)


def test_long_sentences_are_flagged_and_warned_of_once(
    classifier: Classifier, caplog: pytest.LogCaptureFixture
) -> None:
    long = "the army " * 60
    with caplog.at_level(logging.WARNING, logger="brinkline"):
        scores = list(classifier.predict_many([f"{long}. They met.", f"{long}."]))
    assert [s.truncated for a in scores for s in a.sentences] == [True, False, True]
    assert [record.message.split()[0] for record in caplog.records] == ["2"]


def test_frame_keeps_the_caller_s_columns_and_index(classifier: Classifier) -> None:
    frame = pd.DataFrame(
        {"body": ["They met. They fire.", "", None, "Rain."], "paper": list("abcd")}, index=[10, 20, 30, 40]
    )
    found = classifier.predict_frame(frame, text="body")
    assert found.index.tolist() == [10, 10, 40]
    assert found["paper"].tolist() == ["a", "a", "d"]
    assert found["sentence"].tolist() == ["They met.", "They fire.", "Rain."]
    assert found["sentence_index"].tolist() == [0, 1, 0]
    assert found.columns[:2].tolist() == ["body", "paper"]
    assert found["threat"].dtype == bool


def test_frame_without_rows_has_the_same_columns_and_types(classifier: Classifier) -> None:
    full = classifier.predict_frame(pd.DataFrame({"text": ["They met."]}))
    empty = classifier.predict_frame(pd.DataFrame({"text": [""]}))
    assert empty.columns.tolist() == full.columns.tolist()
    assert len(empty) == 0
    assert (empty.dtypes == full.dtypes)[["p_threat", "threat", "start", "truncated"]].all()


def test_frame_wrong_use(classifier: Classifier) -> None:
    with pytest.raises(KeyError, match="no column 'body'"):
        classifier.predict_frame(pd.DataFrame({"text": ["a"]}), text="body")
    with pytest.raises(ValueError, match=r"rename these columns first.*stance"):
        classifier.predict_frame(pd.DataFrame({"text": ["a"], "stance": ["x"]}))


def test_context_changes_the_score_only_of_a_model_that_reads_it(
    classifier: Classifier, context_classifier: Classifier
) -> None:
    for model, changes in ((classifier, False), (context_classifier, True)):
        [alone] = model.predict_sentences(["they met"])
        [after] = model.predict_sentences(["they met"], previous=["the army fire on the city"])
        gap = abs(alone.stance_probabilities["hostile"] - after.stance_probabilities["hostile"])
        assert (gap > 1e-4) is changes


def test_context_of_an_article_is_the_sentence_before(context_classifier: Classifier) -> None:
    scores = context_classifier.predict("The army fire. They met. Rain.")
    texts = [sentence.text for sentence in scores.sentences]
    expected = context_classifier.predict_sentences(texts, previous=["", *texts[:-1]])
    for found, wanted in zip(scores.sentences, expected, strict=True):
        assert found.stance_probabilities == pytest.approx(wanted.stance_probabilities, abs=1e-5)


def test_probabilities_of_extreme_logits_are_finite() -> None:
    huge = np.array([[1e4, -1e4, 0.0]], dtype=np.float32)
    stance, signals = probabilities(Logits(huge, huge), Calibration())
    assert stance.tolist() == [[1.0, 0.0, 0.0]]
    assert signals.tolist() == [[1.0, 0.0, 0.5]]


def test_a_local_folder_needs_no_network(model_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object, **kwargs: object) -> None:
        raise AssertionError("the network was called")

    monkeypatch.setattr(socket, "socket", refuse)
    monkeypatch.setattr(socket, "create_connection", refuse)
    assert brinkline.load(model_folder).predict("They met.").sentences
