"""What the web page keeps of one visitor: scored articles, thresholds, files to download. Knows nothing of Gradio."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import tee
from pathlib import Path
from typing import TYPE_CHECKING

from brinkline.articles import read_articles
from brinkline.model.labels import SIGNALS
from brinkline.model.scores import ArticleScores
from brinkline.render import write
from brinkline.sources import Article

if TYPE_CHECKING:
    from brinkline.model.classifier import Classifier
    from brinkline.model.explain import Explanation

LONGEST_PASTE = 200_000  # characters
MOST_SENTENCES = 50_000  # that a visitor's results hold in memory; archives are for the command line
SHOWN_ARTICLES = 200
SHOWN_SENTENCES = 500  # of one article
SHOWN_PROBLEMS = 20
FORMATS = ("csv", "parquet", "html")


@dataclass
class Session:
    """One visitor's results."""

    scores: list[ArticleScores]
    """As the model gave them; decisions under other thresholds are made anew from their probabilities."""
    thresholds: dict[str, float]
    problems: list[str]
    """What could not be read or is not shown, one line each."""
    folder: Path | None = None
    """Holds the file that was asked for last."""
    _decided: tuple[dict[str, float], list[ArticleScores]] | None = field(default=None, repr=False)

    def decided(self) -> list[ArticleScores]:
        """Return the articles with their signals under the thresholds, without running the model."""
        if self._decided is None or self._decided[0] != self.thresholds:
            limits = dict(self.thresholds)
            self._decided = (limits, [decide(article, limits) for article in self.scores])
        return self._decided[1]

    def save(self, form: str) -> Path:
        """Write all articles into a file, in place of the one written before.

        :param form: one of :data:`FORMATS`.
        :return: the file, in a folder of this visitor's own.
        """
        if form not in FORMATS:
            raise ValueError(f"format must be one of {', '.join(FORMATS)}, got {form!r}")
        self.close()
        self.folder = Path(tempfile.mkdtemp(prefix="brinkline-", dir=tempfile.gettempdir()))
        path = self.folder / f"brinkline-scores.{form}"
        if form == "parquet":
            _save_parquet(self.decided(), path)
        else:
            write(self.decided(), form, path, self.thresholds)
        return path

    def close(self) -> None:
        """Delete what was written for the visitor."""
        if self.folder is not None:
            shutil.rmtree(self.folder, ignore_errors=True)
            self.folder = None


def decide(article: ArticleScores, thresholds: Mapping[str, float]) -> ArticleScores:
    """Give the signals of an article anew, from the probabilities that it has.

    :param article: a scored article.
    :param thresholds: signal → probability from which it is given.
    """
    sentences = tuple(
        replace(s, signals=tuple(n for n in SIGNALS if s.signal_probabilities[n] >= thresholds[n]))
        for s in article.sentences
    )
    return replace(article, sentences=sentences)


def score(
    classifier: Classifier,
    text: str,
    files: Sequence[str],
    *,
    text_field: str,
    id_field: str,
    tell: Callable[[int], None] = lambda _: None,
) -> Session:
    """Score what a visitor brought.

    :param classifier: the model.
    :param text: a pasted article; empty for none.
    :param files: paths of uploaded files.
    :param text_field: field of a JSON object, or column of a table, that holds the text.
    :param id_field: field or column that holds the article's id.
    :param tell: called with the number of articles that are done.
    :return: the results, with what went wrong.
    """
    problems: list[str] = []
    for_texts, for_ids = tee(_articles(text, files, text_field, id_field, problems))
    stream = classifier.predict_many(
        (article.text for article in for_texts), ids=(article.id for article in for_ids), progress=False
    )
    done: list[ArticleScores] = []
    sentences = 0
    for article in stream:
        if done and sentences + len(article.sentences) > MOST_SENTENCES:
            problems.insert(0, _too_many(len(done)))
            break
        done.append(article)
        sentences += len(article.sentences)
        tell(len(done))
    if not done and not problems:
        problems.append("Nothing to score yet: paste an article or choose a file.")
    return Session(done, dict(classifier.manifest.calibration.thresholds), problems)


def explain(classifier: Classifier, article: ArticleScores, index: int) -> Explanation:
    """Say which words carry the labels that a sentence was given.

    :param classifier: the model that scored the article.
    :param article: the article, its signals under the visitor's thresholds.
    :param index: of the sentence.
    """
    sentence = article.sentences[index]
    context = classifier.manifest.context
    before = " ".join(s.text for s in article.sentences[max(0, index - context) : index])
    found = classifier.explain(sentence.text, previous=before if context else None)
    return replace(found, score=replace(found.score, signals=sentence.signals))


def beginning(article: ArticleScores, sentences: int = SHOWN_SENTENCES) -> ArticleScores:
    """Return the first sentences of an article, with the text that they stand in."""
    if len(article.sentences) <= sentences:
        return article
    kept = article.sentences[:sentences]
    return replace(article, text=article.text[: kept[-1].end], sentences=kept)


def _articles(
    text: str, files: Sequence[str], text_field: str, id_field: str, problems: list[str]
) -> Iterator[Article]:
    if len(text) > LONGEST_PASTE:
        problems.append(
            f"pasted text: has {len(text):,} characters, more than {LONGEST_PASTE:,}: upload it as a file"
        )
    elif text.strip():
        yield Article("pasted text", text, {})
    for file in files:
        # An upload lies under a path of the server's: the visitor knows the file by its name.
        name = Path(file).name
        for item in read_articles([file], text_field=text_field or "text", id_field=id_field or "id"):
            if isinstance(item, Article):
                own = name + item.id.removeprefix(file) if item.id.startswith(file) else item.id
                yield replace(item, id=own)
            else:
                problems.append(str(item).replace(file, name))


def _too_many(done: int) -> str:
    return (
        f"Scored the first {done:,} articles; the rest has more than {MOST_SENTENCES:,} sentences with them. "
        "For archives: brinkline predict FILES --out scores.parquet"
    )


def _save_parquet(articles: Sequence[ArticleScores], path: Path) -> None:
    from brinkline.model.scores import FLAT_COLUMNS, frame_from_rows

    rows = [
        {k: v.encode("utf-8", "replace").decode() if isinstance(v, str) else v for k, v in row.items()}
        for article in articles
        for row in article.to_flat_rows()
    ]
    frame_from_rows(rows, FLAT_COLUMNS).to_parquet(path, index=False)
