"""The name-swap probe: does a label change when only the names of the actors do?

    python -m brinkline.train.probe MODEL

Templates are filled with the names of two actors, with the same two exchanged, and with two others. A classifier that
reads what is done, not who does it, gives all three the same labels.
"""

from __future__ import annotations

import json
import random
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import brinkline.data
from brinkline.model.classifier import Classifier, load
from brinkline.model.errors import BrinklineError
from brinkline.model.scores import SentenceScore

NAMES = Path(brinkline.data.__file__).parent / "probes" / "names.json"
DRAWS = 20
"""Pairs of actors drawn for each template."""


class ProbeError(BrinklineError, ValueError):
    """A file of templates cannot be read."""


@dataclass(frozen=True)
class Probe:
    """Templates, and the actors whose names go into them."""

    templates: tuple[str, ...]
    """With fields such as ``{a[name]}``, ``{b[adjective]}``, ``{a[capital]}``."""
    actors: tuple[dict[str, str], ...]


@dataclass(frozen=True)
class Swap:
    """One template filled twice."""

    template: str
    before: str
    after: str


def read_probe(path: Path = NAMES) -> Probe:
    """Read templates and actors.

    :param path: JSON with ``templates`` (texts) and ``actors`` (objects with the same keys).
    :raises ProbeError: where it is not so, or a template has a field that an actor lacks.
    """
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        probe = Probe(tuple(values["templates"]), tuple(values["actors"]))
        if len(probe.actors) < 4 or not probe.templates:
            raise ProbeError(f"{path}: expected at least one template and four actors")
        for number, template in enumerate(probe.templates):
            for actor in probe.actors:
                filled = template.format(a=actor, b=actor)
            if filled == template:
                raise ProbeError(f"{path}: templates[{number}]: holds no name")
    except (OSError, ValueError, KeyError, TypeError, IndexError, AttributeError) as error:
        raise error if isinstance(error, ProbeError) else ProbeError(f"{path}: {error!r}") from None
    return probe


def swaps(probe: Probe, draws: int = DRAWS, seed: int = 0) -> list[Swap]:
    """Fill every template ``draws`` times, with the names exchanged and with others in turn.

    :param probe: templates and at least four actors.
    :param draws: how often each template is filled.
    :param seed: fixes the names drawn.
    """
    drawn = random.Random(seed)
    made = []
    for template in probe.templates:
        for number in range(draws):
            a, b, c, d = drawn.sample(probe.actors, 4)
            before = template.format(a=a, b=b)
            after = template.format(a=b, b=a) if number % 2 == 0 else template.format(a=c, b=d)
            if before != after:
                made.append(Swap(template, _sentence(before), _sentence(after)))
    return made


def name_swap(classifier: Classifier, probe: Probe | None = None, draws: int = DRAWS) -> dict[str, Any]:
    """Return how often a label changes with the names.

    :param classifier: a loaded model.
    :param probe: templates and actors; those of the project where None.
    :param draws: how often each template is filled, at least once.
    :return: ``templates``, ``swaps``, the share of swaps that change the ``stance`` and that change any of the
        ``signals``, and the ``worst`` templates.
    """
    probe = probe or read_probe()
    made = swaps(probe, draws)
    texts = [text for swap in made for text in (swap.before, swap.after)]
    scores = classifier.predict_sentences(texts)
    changes = [_change(*pair) for pair in zip(scores[::2], scores[1::2], strict=True)]
    return {
        "templates": len(probe.templates),
        "swaps": len(made),
        "stance": sum(stance for stance, _ in changes) / len(made),
        "signals": sum(signals for _, signals in changes) / len(made),
        "worst": _worst(made, changes),
    }


def _change(before: SentenceScore, after: SentenceScore) -> tuple[bool, bool]:
    return before.stance != after.stance, before.signals != after.signals


def _worst(made: Sequence[Swap], changes: Sequence[tuple[bool, bool]], most: int = 5) -> list[dict[str, Any]]:
    counts: dict[str, list[int]] = {}
    for swap, (stance, signals) in zip(made, changes, strict=True):
        row = counts.setdefault(swap.template, [0, 0])
        row[0] += stance
        row[1] += signals
    ranked = sorted(counts.items(), key=lambda item: -sum(item[1]))[:most]
    return [{"template": t, "stance": row[0], "signals": row[1]} for t, row in ranked if sum(row)]


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]


def main(model: Path, draws: int = DRAWS) -> None:
    """Print how often a label changes with the names, as JSON."""
    sys.stdout.write(json.dumps(name_swap(load(model), draws=draws), indent=2) + "\n")


if __name__ == "__main__":
    from brinkline.train.scripts import run_script

    run_script(main)
