"""Which rows of a table of scored sentences belong to one article."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from brinkline.model.scores import import_pandas
from brinkline.periods import bad_row

if TYPE_CHECKING:
    import pandas

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]


def articles_of(frame: pandas.DataFrame, article: str | None) -> Ints:
    """Number the articles. *Shape:* ``(n,)``.

    :param frame: ``n`` scored sentences.
    :param article: column that names the article; by default ``article`` if there is one, else the index.
    :raises ValueError: where a row names no article, or nothing does.
    """
    pd = import_pandas()
    if article is None and "article" in frame.columns:
        article = "article"
    if article is not None:
        codes, _ = pd.factorize(frame[article])
        if (codes < 0).any():
            raise bad_row(frame, codes < 0, article, "names no article")
        return np.asarray(codes)
    if "sentence_index" in frame.columns and frame.index.is_unique and (frame["sentence_index"] > 0).any():
        raise ValueError(
            "the index does not name the articles (was it reset?): name their column, article=..."
        )
    return np.asarray(pd.factorize(frame.index)[0])


def check_once(
    frame: pandas.DataFrame, article: str | None, known: Bools, cells: Ints, articles: Ints
) -> None:
    """Refuse two articles of one name: they would count as one, and the intervals be wrong.

    :param frame: scored sentences; nothing is checked where no column numbers the sentences of an article.
    :param article: as for :func:`articles_of`.
    :param known: rows that are counted. *Shape:* ``(len(frame),)``.
    :param cells: period and group of each counted row; equal names in two of them are different articles.
    :param articles: from :func:`articles_of`, of the counted rows.
    :raises ValueError: naming the first row of a sentence that stands twice.
    """
    column = "sentence_index"
    if column not in frame.columns:
        # A scored archive; elsewhere a column of that name may hold anything.
        column = "index" if article in (None, "article") and "article" in frame.columns else ""
    if column not in frame.columns:
        return
    pd = import_pandas()
    rows = {"cell": cells, "article": articles, "sentence": frame[column].to_numpy()[known]}
    twice = pd.DataFrame(rows).duplicated().to_numpy()
    if twice.any():
        bad = np.zeros(len(frame), dtype=bool)
        bad[np.flatnonzero(known)[twice]] = True
        advice = "name a column that tells them apart, article=..., or reset the index before scoring"
        raise bad_row(
            frame, bad, column, f"stands twice in one article, so two articles bear one name: {advice}"
        )
