import importlib.util
import json
import math
import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import brinkline
from brinkline.model.checkpoint import Calibration
from brinkline.model.classifier import Classifier, probabilities
from brinkline.model.engine import Logits
from brinkline.model.explain import LABELS, SEARCHED, find_words, log_odds, without
from brinkline.model.labels import SIGNALS, STANCES

TEXT = "they vowed revenge for the attack on the city"


@pytest.fixture(scope="module")
def classifier(model_folder: Path) -> Classifier:
    return brinkline.load(model_folder, threads=1)


@given(st.text())
def test_words_are_exact_and_leave_out_no_letter(sentence: str) -> None:
    spans = find_words(sentence)
    done = 0
    for start, end in spans:
        assert done <= start < end <= len(sentence)
        assert not any(c.isalnum() for c in sentence[done:start])
        done = end
    assert not any(c.isalnum() for c in sentence[done:])


@pytest.mark.parametrize(
    ("sentence", "words"),
    [
        ("They won't say.", ["They", "won't", "say"]),
        ("“Cease-fire”, the U.S. said…", ["Cease-fire", "the", "U.S", "said"]),
        ("Cafe\u0301 No 5, 1,000 dead", ["Cafe\u0301", "No", "5", "1", "000", "dead"]),
        ("…?! —", []),
        ("", []),
    ],
)
def test_what_counts_as_a_word(sentence: str, words: list[str]) -> None:
    assert [sentence[start:end] for start, end in find_words(sentence)] == words


@pytest.mark.parametrize(
    ("removed", "left"),
    [
        (set(), "They will, he said, not  go."),
        ({0}, "will, he said, not  go."),
        ({1}, "They , he said, not  go."),
        ({2, 3}, "They will, , not  go."),
        ({4}, "They will, he said,  go."),
        ({5}, "They will, he said, not  ."),
        ({0, 1, 2, 3, 4, 5}, ", ,  ."),
    ],
)
def test_a_word_goes_with_one_space(removed: set[int], left: str) -> None:
    sentence = "They will, he said, not  go."
    assert without(sentence, find_words(sentence), removed) == left


@given(st.text(alphabet="ab1'- .,\n\té"), st.data())
def test_only_words_and_space_are_taken_out(sentence: str, data: st.DataObject) -> None:
    spans = find_words(sentence)
    removed = {i for i in range(len(spans)) if data.draw(st.booleans())}
    left = without(sentence, spans, removed)
    kept = [sentence[s.start : s.end] for i, s in enumerate(spans) if i not in removed]
    assert [re.sub(r"\s", "", left)] == [
        re.sub(
            r"\s",
            "",
            "".join(c for i, c in enumerate(sentence) if not _inside(i, spans, removed)),
        )
    ]
    assert "".join(re.findall(r"\w", left)) == "".join(re.findall(r"\w", "".join(kept)))


def _inside(position: int, spans: list, removed: set[int]) -> bool:
    return any(spans[i].start <= position < spans[i].end for i in removed)


def test_log_odds_are_those_of_the_calibrated_probabilities() -> None:
    rng = np.random.default_rng(0)
    logits = Logits(
        rng.normal(size=(7, 3)).astype(np.float32) * 3, rng.normal(size=(7, 3)).astype(np.float32) * 3
    )
    calibration = Calibration(1.7, {"threat": 0.5, "deterrence": 1.0, "retaliation": 2.0})
    p = np.hstack(probabilities(logits, calibration))
    assert np.allclose(log_odds(logits, calibration), np.log(p / (1 - p)), atol=1e-5)


def test_log_odds_do_not_overflow() -> None:
    huge = np.array([[3e4, -3e4, 0.0]], dtype=np.float32)
    assert np.isfinite(log_odds(Logits(huge, huge), Calibration())).all()


def test_a_contribution_is_what_the_log_odds_lose(classifier: Classifier) -> None:
    why = classifier.explain(TEXT)
    gone = classifier.explain(TEXT.replace("revenge ", "", 1))
    word = next(word for word in why.words if word.text == "revenge")
    for label in LABELS:
        assert word.contributions[label] == pytest.approx(
            why.log_odds[label] - gone.log_odds[label], abs=1e-3
        )
    score = classifier.predict_sentences([TEXT])[0]
    assert why.score.stance == score.stance
    for signal in SIGNALS:
        p = score.signal_probabilities[signal]
        assert why.log_odds[signal] == pytest.approx(math.log(p / (1 - p)), abs=1e-3)


def test_the_sum_is_set_against_all_words_gone(classifier: Classifier) -> None:
    why = classifier.explain(TEXT)
    empty = classifier.explain("")
    for label in LABELS:
        assert why.baseline[label] == pytest.approx(empty.log_odds[label], abs=1e-3)
        assert why.total(label) == pytest.approx(sum(w.contributions[label] for w in why.words))
        assert why.difference(label) == pytest.approx(why.log_odds[label] - why.baseline[label])


def test_the_search_takes_the_word_that_costs_most_each_time(classifier: Classifier) -> None:
    why = classifier.explain(TEXT)
    label, spans = why.score.stance, find_words(TEXT)
    assert set(why.together) == set(why.labels)
    taken: set[int] = set()
    before = why.log_odds[label]
    for step in why.together[label]:
        rest = [i for i in range(len(spans)) if i not in taken]
        after = {i: classifier.explain(without(TEXT, spans, {*taken, i})).log_odds[label] for i in rest}
        assert after[step.position] == pytest.approx(min(after.values()), abs=2e-3)
        assert step.contribution == pytest.approx(before - after[step.position], abs=2e-3)
        taken.add(step.position)
        before = after[step.position]
    assert [w.start for w in why.strongest(label)] == [
        spans[step.position].start for step in why.together[label]
    ]


def test_strongest_has_each_word_once(classifier: Classifier) -> None:
    for method in ("auto", "leave-one-out"):
        why = classifier.explain(TEXT, method=method)
        for label in LABELS:
            assert sorted(w.start for w in why.strongest(label, 99)) == [w.start for w in why.words]
            assert why.strongest(label) == why.strongest(label, 99)[:3]
            assert all(word in why.strongest(label) for word in why.carriers(label))
    alone = [word.contributions["threat"] for word in why.strongest("threat", 99)]
    assert alone == sorted(alone, reverse=True)
    assert not why.together


@settings(max_examples=15)
@given(st.text(max_size=12))
def test_any_text_is_explained(classifier: Classifier, sentence: str) -> None:
    why = classifier.explain(sentence)
    for word in why.words:
        assert sentence[word.start : word.end] == word.text
        assert list(word.contributions) == list(LABELS)
    assert why.sentence == sentence
    json.dumps(why.to_dict())
    assert "<Explanation" in repr(why)
    # A page is written as UTF-8: no half of a surrogate pair may be left.
    why._repr_html_().encode("utf-8")


def test_context_is_passed_on(make_checkpoint: Callable[..., Path], tmp_path: Path) -> None:
    from brinkline.train.export import Origin, export

    folder = tmp_path / "context"
    export(make_checkpoint(context=1), folder, origin=Origin(name="tiny"))
    classifier = brinkline.load(folder, threads=1)
    before = "the army fire on the city"
    why = classifier.explain("we will answer", previous=before)
    score = classifier.predict_sentences(["we will answer"], previous=[before])[0]
    alone = classifier.predict_sentences(["we will answer"])[0]
    odds = {s: math.log(p / (1 - p)) for s, p in score.signal_probabilities.items()}
    assert {s: why.log_odds[s] for s in SIGNALS} == pytest.approx(odds, abs=1e-3)
    assert score.signal_probabilities["threat"] != pytest.approx(
        alone.signal_probabilities["threat"], abs=1e-4
    )


@pytest.mark.parametrize("method", ["search", "leave-one-out"])
def test_words_that_are_not_read_cost_nothing(
    classifier: Classifier, method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[int] = []
    encode = Classifier.encode

    def counted(self: Classifier, sentences: list[str], *rest: object, **more: object) -> object:
        seen.extend(len(find_words(text)) for text in sentences)
        return encode(self, sentences, *rest, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(Classifier, "encode", counted)
    limit = classifier.manifest.max_tokens
    long = " ".join(["the army fire on the city"] * limit)
    found = classifier.explain(long, method=method)
    assert len(found.words) == 6 * limit
    assert [long[word.start : word.end] for word in found.words] == [word.text for word in found.words]
    assert any(value for word in found.words[: limit // 2] for value in word.contributions.values())
    assert not any(value for word in found.words[limit:] for value in word.contributions.values())
    assert len(seen) < 20 * limit
    assert sorted(seen)[-2] <= limit + SEARCHED, "all but the sentence itself are cut"


def test_bad_calls(classifier: Classifier) -> None:
    with pytest.raises(ValueError, match="unknown method 'lime'; methods are auto"):
        classifier.explain(TEXT, method="lime")
    with pytest.raises(TypeError, match="must be a str"):
        classifier.explain(5)  # type: ignore[arg-type]
    why = classifier.explain("they met")
    for call in (why.strongest, why.total, why.difference, why.carriers):
        with pytest.raises(ValueError, match="unknown label 'anger'"):
            call("anger")
    with pytest.raises(ValueError, match="at least 0"):
        why.strongest("threat", -1)


def test_frame(classifier: Classifier) -> None:
    frame = classifier.explain("they met, again").to_frame()
    assert list(frame.columns) == ["text", "start", "end", *STANCES, *SIGNALS]
    assert list(frame["text"]) == ["they", "met", "again"]
    assert list(frame["end"]) == [4, 8, 15]
    empty = classifier.explain("?").to_frame()
    assert empty.empty
    assert list(empty.dtypes) == list(frame.dtypes)


def test_html_is_escaped_and_shows_signs() -> None:
    why = brinkline.load(threads=1).explain('<b>They</b> "threatened" to strike & vowed not to yield.')
    html = why._repr_html_()
    assert "<script" not in html
    assert html.count("<b>") == len(why.labels)
    assert "&lt;" in html
    assert "&amp;" in html
    assert "2px solid" in html
    assert "2px dotted" in html
    assert ">−" in html
    assert "¹" in html
    assert not re.search(r"[;\"]color:", html)


def test_the_shipped_model_names_the_telling_words() -> None:
    why = brinkline.load(threads=1).explain(
        "In reprisal, Ankara expelled four envoys and warned that more would follow."
    )
    assert why.labels == ("hostile", "threat", "retaliation")
    assert why.strongest("threat", 1)[0].text == "warned"
    assert why.strongest("retaliation", 1)[0].text == "reprisal"
    assert repr(why).startswith("<Explanation hostile: ")


def test_the_benchmark_counts_every_decision(classifier: Classifier) -> None:
    path = Path(__file__).parents[2] / "benchmarks" / "explain_faithfulness.py"
    spec = importlib.util.spec_from_file_location("explain_faithfulness", path)
    assert spec is not None
    assert spec.loader is not None
    benchmark = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(benchmark)
    documents = [
        [TEXT, "they met"],
        ["if they attack we will answer the strike", "figures on rain in the city"],
    ]
    counts, sentences = benchmark.measure(classifier, documents, draws=2)
    long = [text for document in documents for text in document if len(text.split()) >= 6]
    assert sentences == len(long)
    decisions = [
        label for score in classifier.predict_sentences(long) for label in (score.stance, *score.signals)
    ]
    assert {label: len(rows) for label, rows in counts.changed.items()} == Counter(decisions)
    for rows in counts.changed.values():
        for row in rows:
            assert set(row) == {"random", *benchmark.FINDERS}
            assert all(0 <= share <= 1 for share in row.values())
    line = counts.row("all", LABELS, np.random.default_rng(0))
    assert line.split()[:2] == ["all", str(len(decisions))]
