"""What the classifier is given: articles with their ids, gathered into chunks to score together."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from brinkline.model.sentences import Span, split

FIRST_CHUNK = 16
CHUNK = 1024
"""Sentences that predict_many holds at once: enough to sort by length, little memory."""


def with_ids(articles: Iterable[str], ids: Iterable[str | None] | None) -> Iterator[tuple[str, str | None]]:
    """Pair each article with its id, as a stream.

    :raises TypeError: where an article is not a str.
    :raises ValueError: where there are fewer ids than articles.
    """
    names = iter(ids) if ids is not None else None
    for position, article in enumerate(articles):
        check_text(article, f"article {position}")
        if names is None:
            yield article, None
            continue
        try:
            name = next(names)
        except StopIteration:
            raise ValueError(f"article {position} has no id: fewer ids than articles") from None
        yield article, name


def as_texts(items: Iterable[str], what: str) -> list[str]:
    """Return the texts as a list.

    :param what: one of them, for the message.
    :raises TypeError: where ``items`` is a str, or one of them is not.
    """
    if isinstance(items, str):
        raise TypeError(f"expected a list with one {what} an entry, got one str")
    texts = list(items)
    for position, text in enumerate(texts):
        check_text(text, f"{what} {position}")
    return texts


def check_text(text: object, what: str) -> None:
    """Refuse what is not a str.

    :raises TypeError: naming what it is.
    """
    if not isinstance(text, str):
        raise TypeError(f"{what} must be a str, got {type(text).__name__}")


def chunks(
    articles: Iterable[tuple[str, str | None]],
) -> Iterator[list[tuple[str, str | None, list[Span]]]]:
    """Gather articles: few at first, so that results come at once, then more, so that batches are of like length."""
    chunk: list[tuple[str, str | None, list[Span]]] = []
    sentences, limit = 0, FIRST_CHUNK
    try:
        for article, name in articles:
            spans = split(article)
            chunk.append((article, name, spans))
            sentences += len(spans)
            if sentences >= limit or len(chunk) >= limit:
                yield chunk
                chunk, sentences, limit = [], 0, min(2 * limit, CHUNK)
    except Exception:
        # What was read before an article that is none is not lost.
        if chunk:
            yield chunk
        raise
    if chunk:
        yield chunk
