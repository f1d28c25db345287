"""The results: a score for each sentence, an article's scores and their summary."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from brinkline.model.labels import SIGNALS, STANCES

if TYPE_CHECKING:
    import pandas
    from matplotlib.figure import Figure


@dataclass(frozen=True, slots=True)
class SentenceScore:
    """One sentence and what the model says of it."""

    text: str
    """The sentence, exactly as it stands in the article."""
    start: int
    """Offset of its first character: ``article[start:end] == text``."""
    end: int
    """Offset just past its last character."""
    stance: str
    """The most probable of :data:`~brinkline.model.labels.STANCES`."""
    stance_probabilities: Mapping[str, float]
    """Calibrated probability of each stance, in label order; they sum to 1."""
    signals: tuple[str, ...]
    """The signals whose probability reaches their threshold, in label order."""
    signal_probabilities: Mapping[str, float]
    """Calibrated probability of each signal, in label order; independent of one another."""
    truncated: bool
    """True if the sentence was longer than the model's limit and only its beginning was read."""

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as plain Python values, ready for JSON."""
        return {
            "start": self.start,
            "end": self.end,
            "text": self.text,
            "stance": self.stance,
            "stance_probabilities": dict(self.stance_probabilities),
            "signals": list(self.signals),
            "signal_probabilities": dict(self.signal_probabilities),
            "truncated": self.truncated,
        }

    def to_flat_dict(self) -> dict[str, Any]:
        """Return one table row: ``p_LABEL`` holds a probability, a signal's own name holds yes or no."""
        row: dict[str, Any] = {"start": self.start, "end": self.end, "text": self.text, "stance": self.stance}
        row |= {f"p_{stance}": self.stance_probabilities[stance] for stance in STANCES}
        row |= {signal: signal in self.signals for signal in SIGNALS}
        row |= {f"p_{signal}": self.signal_probabilities[signal] for signal in SIGNALS}
        row["truncated"] = self.truncated
        return row


@dataclass(frozen=True, slots=True)
class Summary:
    """Counts and shares over the sentences of one article."""

    sentences: int
    """Number of sentences."""
    stance: dict[str, float]
    """Share of sentences with each stance, in label order (NaN where there is no sentence)."""
    balance: float
    """(conciliatory - hostile) / sentences, from -1 to 1 (NaN where there is no sentence)."""
    signals: dict[str, int]
    """Number of sentences with each signal, in label order."""

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as plain Python values; NaN, which JSON does not know, becomes None."""
        return {
            "sentences": self.sentences,
            "stance": {name: _none_if_nan(share) for name, share in self.stance.items()},
            "balance": _none_if_nan(self.balance),
            "signals": dict(self.signals),
        }


@dataclass(frozen=True, slots=True, repr=False)
class ArticleScores:
    """The scored sentences of one article, in the order in which they stand in it."""

    text: str
    """The article."""
    sentences: tuple[SentenceScore, ...]
    """One entry a sentence; empty for an article without one."""
    model: str
    """Name and version of the model, e.g. ``"brinkline-minilm 0.1.0"``."""
    id: str | None = None
    """The caller's name for the article."""
    summary: Summary = field(init=False, compare=False)
    """Counts and shares over the sentences."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "summary", summarise(self.sentences))

    def to_rows(self) -> list[dict[str, Any]]:
        """Return one nested dict a sentence: ``article``, ``index`` and the fields of the sentence."""
        return [{"article": self.id, "index": i, **s.to_dict()} for i, s in enumerate(self.sentences)]

    def to_flat_rows(self) -> list[dict[str, Any]]:
        """Return one flat dict a sentence, as in :meth:`to_frame`."""
        return [{"article": self.id, "index": i, **s.to_flat_dict()} for i, s in enumerate(self.sentences)]

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain Python values, ready for JSON."""
        return {
            "id": self.id,
            "model": self.model,
            "text": self.text,
            "summary": self.summary.to_dict(),
            "sentences": [sentence.to_dict() for sentence in self.sentences],
        }

    def to_frame(self) -> pandas.DataFrame:
        """Return a table with one row a sentence.

        Columns: ``article``, ``index``, ``start``, ``end``, ``text``, ``stance``, ``p_hostile``, ``p_neutral``,
        ``p_conciliatory``, ``threat``, ``deterrence``, ``retaliation`` (yes or no), ``p_threat``,
        ``p_deterrence``, ``p_retaliation``, ``truncated``.

        :raises ImportError: without pandas (extra ``[frame]``).
        """
        return frame_from_rows(self.to_flat_rows(), FLAT_COLUMNS)

    def to_html(self, full_page: bool = False) -> str:
        """Return the article as HTML with its sentences marked; all text is escaped, styles are inline.

        :param full_page: True for a document of its own, False for a fragment.
        """
        from brinkline.model.render import article_html, page_html

        fragment = article_html(self)
        return page_html([fragment], title=self.id or "Brinkline") if full_page else fragment

    def plot(self, figsize: tuple[float, float] | None = None) -> Figure:
        """Draw the article along its sentences: stance and signal probabilities.

        Nothing is shown as a side effect: a notebook shows the figure where it is the value of a cell, and
        ``scores.plot().savefig("article.pdf")`` writes it to a file.

        :param figsize: width and height in inches.
        :raises ImportError: without matplotlib (extra ``[plot]``).
        """
        from brinkline.model.plots import article_figure

        return article_figure(self, figsize)

    def _repr_html_(self) -> str:
        return self.to_html()

    def __repr__(self) -> str:
        summary = self.summary
        stances = sorted(STANCES, key=lambda name: (-_share(summary, name), STANCES.index(name)))
        parts = [f"{name} {_share(summary, name):.0%}" for name in stances if _share(summary, name) > 0]
        signals = sorted(SIGNALS, key=lambda name: (-summary.signals[name], SIGNALS.index(name)))
        parts += [f"{name} {summary.signals[name]}" for name in signals if summary.signals[name]]
        name = f"{self.id!r}, " if self.id is not None else ""
        noun = "sentence" if summary.sentences == 1 else "sentences"
        detail = f": {', '.join(parts)}" if parts else ""
        return f"<ArticleScores {name}{summary.sentences} {noun}{detail}>"


FLAT_COLUMNS: tuple[str, ...] = (
    "article",
    "index",
    "start",
    "end",
    "text",
    "stance",
    *(f"p_{stance}" for stance in STANCES),
    *SIGNALS,
    *(f"p_{signal}" for signal in SIGNALS),
    "truncated",
)
"""Columns of the flat table, in order."""


def summarise(sentences: tuple[SentenceScore, ...]) -> Summary:
    """Count stances and signals.

    :param sentences: the scored sentences of one article.
    :return: their summary.
    """
    total = len(sentences)
    counts = {stance: sum(s.stance == stance for s in sentences) for stance in STANCES}
    shares = {stance: count / total if total else math.nan for stance, count in counts.items()}
    balance = (counts["conciliatory"] - counts["hostile"]) / total if total else math.nan
    signals = {signal: sum(signal in s.signals for s in sentences) for signal in SIGNALS}
    return Summary(total, shares, balance, signals)


def frame_from_rows(rows: list[dict[str, Any]], columns: tuple[str, ...]) -> pandas.DataFrame:
    """Make a table whose columns are there, and of the right type, even when there is no row.

    :param rows: one dict a row.
    :param columns: the columns, in order.
    :raises ImportError: without pandas (extra ``[frame]``).
    """
    frame: pandas.DataFrame = import_pandas().DataFrame(rows, columns=list(columns))
    if rows:
        return frame
    types = {name: "float64" for name in columns if name.startswith("p_")}
    types |= {name: "int64" for name in ("index", "start", "end") if name in columns}
    types |= {name: "bool" for name in (*SIGNALS, "truncated") if name in columns}
    return frame.astype(types)


def import_pandas() -> Any:
    """Import pandas, or say which extra brings it.

    :raises ImportError: where pandas is not installed.
    """
    try:
        import pandas
    except ImportError as error:
        raise ImportError("tables need pandas: pip install 'brinkline[frame]'") from error
    return pandas


def _none_if_nan(value: float) -> float | None:
    return None if math.isnan(value) else value


def _share(summary: Summary, stance: str) -> float:
    share = summary.stance[stance]
    return 0.0 if math.isnan(share) else share
