"""An explanation as HTML: for each label the sentence, its words shaded by what they contribute.

As in :mod:`brinkline.model.render`: styles inline, no text colour, translucent backgrounds, all text escaped, and
nothing told by colour alone: words that speak for a label are filled and underlined, those that speak against it
are not filled, have a dotted line and a minus sign, and the strongest are numbered.
"""

from __future__ import annotations

from brinkline.model.explain import Explanation, Word
from brinkline.model.labels import STANCES
from brinkline.model.render import COLOURS
from brinkline.model.render import safe as escape_text

__all__ = ["explanation_html"]

_ROOT = "max-width:48em;line-height:1.9;text-align:left;overflow-wrap:anywhere"
_HEAD = "font-size:.82em;margin:.6em 0 0"
_NOTE = "font-size:.82em;margin:.6em 0 0;border-top:1px solid rgba(128,128,128,.4)"
_MARK = "-webkit-user-select:none;user-select:none;font-size:.75em"
_ROOM = "padding:.1em .15em;border-radius:3px 3px 0 0"
_FOR = f"background:rgba({{rgb}},{{alpha:.2f}});border-bottom:2px solid rgb({{rgb}});{_ROOM}"
_AGAINST = f"border-bottom:2px dotted rgb(128,128,128);{_ROOM}"
_SIGNAL_COLOUR = (176, 96, 144)  # Okabe and Ito's purple, darker: no stance has it
_SHOWN = 0.1  # words with less than this share of the strongest word's contribution are left plain
_DARKEST = 0.5
_RANKS = "¹²³"
_MINUS = "\N{MINUS SIGN}"


def explanation_html(explanation: Explanation) -> str:
    """Show the sentence once for each label that it was given, with its words shaded by what they contribute.

    :param explanation: the explanation.
    :return: an HTML fragment, with inline styles, without scripts and without anything to load.
    """
    rows = "".join(_row(explanation, label) for label in explanation.labels)
    note = (
        f"filled: speaks for the label; dotted, with {_MINUS}: against it; {_RANKS[0]} to {_RANKS[2]}: strongest; "
        f"point at a word for its share of the log-odds ({escape_text(explanation.method)})"
    )
    return (
        f'<div class="brinkline-why" role="group" aria-label="explanation" style="{_ROOT}">\n{rows}'
        f'<div style="{_NOTE}">{note}</div>\n</div>\n'
    )


def _row(explanation: Explanation, label: str) -> str:
    score = explanation.score
    probability = {**score.stance_probabilities, **score.signal_probabilities}[label]
    largest = max((abs(word.contributions[label]) for word in explanation.words), default=0.0)
    ranks = {word.start: _RANKS[i] for i, word in enumerate(explanation.carriers(label))}
    rgb = ",".join(map(str, COLOURS[label] if label in STANCES else _SIGNAL_COLOUR))
    parts, done = [], 0
    for word in explanation.words:
        parts.append(escape_text(explanation.sentence[done : word.start]))
        parts.append(_word(word, label, largest, rgb, ranks.get(word.start, "")))
        done = word.end
    parts.append(escape_text(explanation.sentence[done:]))
    return (
        f'<div style="{_HEAD}"><b>{escape_text(label)}</b> {probability:.2f}</div>\n'
        f"<div><bdi>{''.join(parts)}</bdi></div>\n"
    )


def _word(word: Word, label: str, largest: float, rgb: str, rank: str) -> str:
    value = word.contributions[label]
    share = abs(value) / largest if largest else 0.0
    text = escape_text(word.text)
    if share < _SHOWN and not rank:
        return text
    title = f"{label} {value:+.2f}".replace("-", _MINUS)
    if value > 0:
        style, sign = _FOR.format(rgb=rgb, alpha=_DARKEST * share), rank
    else:
        # A word may be against a label by itself and carry it once others are gone: it has its number too.
        style, sign = _AGAINST, _MINUS + rank
    mark = f'<small style="{_MARK}">{sign}</small>' if sign else ""
    return f'<span style="{style}" title="{title}">{mark}{text}</span>'
