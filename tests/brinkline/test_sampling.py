"""What is chosen for labelling: unsure, spread, repeatable, and a part of it a fair draw."""

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

import brinkline
from brinkline.articles import Article
from brinkline.cli import app
from brinkline.data.annotations import read_annotations
from brinkline.data.schema import LabelledSentence
from brinkline.data.selection import COPY, disagreement, lexical_vectors, spread, uncertainty, unit
from brinkline.model.classifier import Classifier
from brinkline.model.engine import EngineError
from brinkline.model.labels import SIGNALS, STANCES
from brinkline.sampling import STRATEGIES, Sample, _Candidate, _Reservoir, _Unsure, sample

WORDS = [
    "army",
    "minister",
    "envoy",
    "border",
    "talks",
    "city",
    "fire",
    "attack",
    "strike",
    "answer",
    "revenge",
    "sanctions",
    "agreed",
    "met",
    "aid",
]
THRESHOLDS = dict.fromkeys(SIGNALS, 0.5)


class Embedding(Classifier):
    """A classifier whose embedding is that of the words, and which counts what it is asked."""

    def __init__(self, whole: Classifier) -> None:
        super().__init__(whole.manifest, whole._encoder, whole._engine)
        self.asked: list[str] = []

    def embed(self, sentences: Sequence[str], *more: Any, **options: Any) -> Any:
        self.asked += sentences
        return lexical_vectors(sentences) * 3


@pytest.fixture(scope="module")
def classifier(model_folder: Path) -> Embedding:
    return Embedding(brinkline.load(model_folder))


def archive(articles: int = 30, seed: int = 1) -> Iterator[Article]:
    rng = np.random.default_rng(seed)
    for number in range(articles):
        sentences = [f"The {' '.join(rng.choice(WORDS, 5))} on monday." for _ in range(5)]
        yield Article(f"a{number}", " ".join(sentences), {})


def choose(classifier: Classifier, count: int = 20, **options: Any) -> Sample:
    return sample(archive(), classifier, count, progress=False, **options)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_every_row_tells_where_it_stands_and_why(strategy: str, classifier: Embedding) -> None:
    texts = {article.id: article.text for article in archive()}
    found = choose(classifier, strategy=strategy)
    assert (len(found.tasks), found.sentences) == (20, 150)
    assert len({task.id for task in found.tasks}) == 20
    for task in found.tasks:
        assert texts[task.document][task.start : task.end] == task.text
        assert task.previous == "" or f"{task.previous} {task.text}" in texts[task.document]
        assert task.suggestion is not None
        assert task.suggestion.stance == max(STANCES, key=task.suggestion.probabilities.__getitem__)
        assert (task.chance is not None) == (task.why == "random")
    reasons = Counter(task.why for task in found.tasks)
    if strategy == "random":
        assert reasons == {"random": 20}
    else:
        assert reasons["random"] == 4
        assert set(reasons) == {"random", *STRATEGIES[strategy]}
        assert {task.chance for task in found.tasks} == {None, 4 / 150}


def test_the_seed_fixes_the_draw(classifier: Embedding) -> None:
    assert choose(classifier) == choose(classifier)
    assert choose(classifier) != choose(classifier, seed=1)


def test_unsure_sentences_are_chosen(classifier: Embedding) -> None:
    limits = classifier.manifest.calibration.thresholds
    scores = [classifier.predict(article.text) for article in archive()]
    unsure = {
        s.text: uncertainty(s.stance_probabilities, s.signal_probabilities, limits)[0]
        for article in scores
        for s in article.sentences
    }
    found = choose(classifier, strategy="uncertain", random_share=0)
    middle = sorted(unsure.values())[-100]  # the shortlist holds five times as many as are chosen
    assert all(unsure[task.text] >= middle for task in found.tasks)
    most = max(unsure, key=unsure.__getitem__)
    assert most in {task.text for task in found.tasks}


def test_copies_are_chosen_once(classifier: Embedding, caplog: pytest.LogCaptureFixture) -> None:
    wire = "They vowed revenge for the attack on the city."
    near = "They vowed revenge, for the attack on the CITY!"
    articles = [Article(f"w{n}", wire if n % 2 else near, {}) for n in range(40)]
    articles.append(Article("other", "Rain on monday.", {}))
    found = sample(articles, classifier, 10, random_share=0, progress=False)
    assert len(found.tasks) == 2
    assert "only 2 of 10 sentences chosen" in caplog.text


def test_labelled_sentences_are_left_out(classifier: Embedding) -> None:
    first = choose(classifier)
    done = [LabelledSentence(task.text, "neutral", ()) for task in first.tasks]
    second = choose(classifier, labelled=done)
    assert not {task.text for task in first.tasks} & {task.text for task in second.tasks}
    assert second.sentences < first.sentences


def test_each_text_is_embedded_once(classifier: Embedding) -> None:
    classifier.asked.clear()
    choose(classifier)
    assert len(classifier.asked) == len(set(classifier.asked)) > 0


def test_without_an_embedding_words_stand_in(
    classifier: Embedding, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def embed(sentences: Sequence[str]) -> Any:
        raise EngineError("the model folder gives no embeddings")

    monkeypatch.setattr(classifier, "embed", embed)
    found = choose(classifier)
    assert Counter(task.why for task in found.tasks) == {"uncertain": 12, "random": 4, "diverse": 4}
    assert "gives no embeddings: sentences count as alike where their words are" in caplog.text


def test_a_model_of_this_version_embeds(model_folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    found = sample(archive(10), brinkline.load(model_folder), 10, strategy="neighbours", progress=False)
    assert {task.why for task in found.tasks} == {"random", "neighbours"}
    assert "alike" not in caplog.text


@pytest.mark.parametrize(
    "options", [{"strategy": "best"}, {"count": 0}, {"random_share": 1.5}, {"previous": -1}]
)
def test_what_cannot_be_asked_for(options: dict[str, Any], classifier: Embedding) -> None:
    with pytest.raises(ValueError, match=r"unknown strategy 'best'|must be at least 1"):
        sample(archive(), classifier, **options)


def test_an_archive_smaller_than_the_sample(classifier: Embedding) -> None:
    found = sample([Article("a", "They met. Rain on monday.", {})], classifier, 50, progress=False)
    assert {task.text for task in found.tasks} == {"They met.", "Rain on monday."}
    assert sample([], classifier, 5).tasks == ()


def test_the_pools_do_not_grow(classifier: Embedding) -> None:
    found = choose(classifier).tasks
    reservoir, unsure = _Reservoir(7, np.random.default_rng(0)), _Unsure(7)
    for number in range(500):
        item = _Candidate(found[0], f"text {number % 100}", (number % 100) / 100, "stance")
        reservoir.offer(item)
        unsure.offer(item)
    assert (len(reservoir.items), reservoir.seen, len(unsure.heap), len(unsure.keys)) == (7, 500, 7, 7)
    assert [item.key for item in unsure.items()] == [f"text {n}" for n in range(99, 92, -1)]


def test_the_draw_at_random_is_fair(classifier: Embedding) -> None:
    one = choose(classifier, 1).tasks[0]
    drawn: Counter[str] = Counter()
    for seed in range(600):
        reservoir = _Reservoir(5, np.random.default_rng(seed))
        for number in range(20):
            reservoir.offer(_Candidate(one, str(number), 0.0, "stance"))
        drawn.update(item.key for item in reservoir.items)
    # Each is drawn in 150 of 600 draws, give or take 11 (one standard deviation).
    assert all(100 < drawn[str(number)] < 200 for number in range(20))


SHARES = st.lists(st.floats(0, 1), min_size=3, max_size=3)


@given(SHARES.filter(lambda values: sum(values) > 0), SHARES)
def test_uncertainty_is_between_none_and_all(stances: list[float], signals: list[float]) -> None:
    named = {name: value / sum(stances) for name, value in zip(STANCES, stances, strict=True)}
    found, label = uncertainty(named, dict(zip(SIGNALS, signals, strict=True)), THRESHOLDS)
    assert 0 <= found <= 1 + 1e-9
    assert label in ("stance", *SIGNALS)


def test_uncertainty_names_the_label() -> None:
    sure = {"hostile": 1.0, "neutral": 0.0, "conciliatory": 0.0}
    no = dict.fromkeys(SIGNALS, 0.0)
    assert uncertainty(sure, no, THRESHOLDS)[0] == 0
    assert uncertainty({**sure, "hostile": 0.5, "neutral": 0.5}, no, THRESHOLDS) == (1, "stance")
    assert uncertainty(sure, {**no, "threat": 0.3}, {**THRESHOLDS, "threat": 0.3}) == (1, "threat")
    # 0.2 is nearer to a threshold of 0.3 than 0.4 is in the room that is there.
    assert uncertainty(sure, {**no, "threat": 0.2}, {**THRESHOLDS, "threat": 0.3})[0] == pytest.approx(2 / 3)
    assert uncertainty(sure, {**no, "threat": 1.0}, {**THRESHOLDS, "threat": 1.0})[0] == 1


def test_a_sentence_unlike_its_neighbours() -> None:
    own = unit(np.array([[1, 0.5, 0], [0, 0.5, 1]], dtype=np.float32))
    others = unit(np.array([[1, 0, 0], [1, 0, 0.3], [0, 0, 1]], dtype=np.float32))
    found = disagreement(own, ["hostile", "hostile"], others, ["neutral", "neutral", "hostile"])
    assert found[0] > found[1]
    assert disagreement(own, ["a", "b"], np.zeros((0, 3), dtype=np.float32), []).tolist() == [0, 0]
    # A copy of the sentence is no neighbour.
    assert disagreement(own[:1], ["a"], own[:1], ["b"]).tolist() == [0]


@given(st.integers(0, 30), st.integers(0, 40), st.integers(0, 5))
def test_what_is_spread_is_no_copy(rows: int, count: int, taken: int) -> None:
    rng = np.random.default_rng(rows * 100 + count)
    vectors = unit(rng.normal(size=(rows, 3)).astype(np.float32))
    before = unit(rng.normal(size=(taken, 3)).astype(np.float32))
    chosen = spread(vectors, vectors, count, before, before)
    assert len(set(chosen)) == len(chosen) <= min(rows, count)
    both = np.concatenate([before, vectors[np.array(chosen, dtype=int)]])
    like = both @ both.T
    np.fill_diagonal(like, 0)
    assert not (like[taken:] >= COPY).any()


def test_the_command_writes_and_reads_back(model_folder: Path, tmp_path: Path) -> None:
    lines = [json.dumps({"id": a.id, "text": a.text}) for a in archive()]
    (tmp_path / "archive.jsonl").write_text("\n".join(lines) + "\nnope\n")
    out, labelled, random = tmp_path / "t.jsonl", tmp_path / "labelled.jsonl", tmp_path / "random.jsonl"
    asked = ["sample", tmp_path / "archive.jsonl", "--out", out, "-n", "10", "--model", model_folder]
    done = CliRunner().invoke(app, ["data", *map(str, asked), "--format", "prodigy", "--no-suggestions"])
    assert done.exit_code == 1  # the line that is no JSON
    assert done.stdout.startswith("10 of 150 sentences (")
    assert "archive.jsonl:31: not JSON" in done.stderr
    rows = [json.loads(line) for line in out.read_text().splitlines()]
    assert all(row["accept"] == [] and "suggested_stance" not in row for row in rows)
    for row in rows:
        row |= {"accept": ["hostile"], "answer": "accept", "_annotator_id": "ann"}
    rows[0]["accept"] = ["hostile", "neutral"]
    out.write_text("".join(json.dumps(row) + "\n" for row in [*rows, {**rows[1], "_annotator_id": "bo"}]))
    asked = ["import", out, "--out", labelled, "--random", random, "--disagreements", tmp_path / "d.jsonl"]
    done = CliRunner().invoke(app, ["data", *map(str, asked)])
    assert done.exit_code == 1
    assert f"{out}:1: labels: more than one stance: hostile, neutral" in done.stderr
    assert "9 sentences labelled" in done.stdout
    assert "ann and bo: kappa stance" in done.stdout
    kept = [json.loads(line) for file in (labelled, random) for line in file.read_text().splitlines()]
    assert sorted(row["id"] for row in kept) == sorted(row["sentence_id"] for row in rows[1:])
    assert {row["why"] for row in map(json.loads, random.read_text().splitlines())} == {"random"}
    done = CliRunner().invoke(app, ["data", "agreement", str(out)])
    assert (done.exit_code, "more than one stance" in done.stderr) == (1, True)
    assert len(read_annotations([out])[0]) == 10


def test_an_article_that_stands_there_twice(classifier: Embedding) -> None:
    found = sample([*archive(), *archive()], classifier, 250, strategy="random", progress=False)
    assert found.sentences == 300
    assert len({task.id for task in found.tasks}) == len(found.tasks)


def test_what_is_read_is_not_written_over(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    path.write_text(json.dumps({"text": "They met.", "stance": ""}) + "\n")
    done = CliRunner().invoke(app, ["data", "import", str(path), "--out", str(path)])
    assert (done.exit_code, "would write over" in done.stderr) == (2, True)
    twice = ["--out", str(tmp_path / "z.jsonl"), "--disagreements", str(tmp_path / "z.jsonl")]
    done = CliRunner().invoke(app, ["data", "import", str(path), *twice])
    assert (done.exit_code, "must differ" in done.stderr) == (2, True)
    done = CliRunner().invoke(app, ["data", "import", str(path), "--out", str(tmp_path / "y.jsonl")])
    assert (done.exit_code, "no labels" in done.stderr) == (1, True)
    assert not (tmp_path / "y.jsonl").exists()


def test_nothing_to_choose(model_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("…\n")
    asked = ["sample", tmp_path / "a.txt", "--out", tmp_path / "t.csv", "--model", model_folder]
    done = CliRunner().invoke(app, ["data", *map(str, asked)])
    assert (done.exit_code, (tmp_path / "t.csv").exists()) == (1, False)
    assert "no sentence to choose" in done.stderr
