"""The name-swap probe: templates are filled as they say, and a classifier that looks at names is caught."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from brinkline.train.probe import Probe, ProbeError, name_swap, read_probe, swaps

ACTORS = tuple({"name": name, "adjective": f"{name}ian", "capital": f"{name} City"} for name in "ABCDE")


class Fake:
    """Answers by a rule."""

    def __init__(self, rule: Any) -> None:
        self.rule = rule

    def predict_sentences(self, texts: list[str]) -> list[Any]:
        return [SimpleNamespace(**dict(zip(("stance", "signals"), self.rule(t), strict=True))) for t in texts]


def test_the_projects_own_probe_reads() -> None:
    probe = read_probe()
    assert len(probe.templates) >= 60
    assert len({actor["name"] for actor in probe.actors}) == len(probe.actors) >= 40


def test_swaps_exchange_or_replace_the_names() -> None:
    probe = Probe(("{a[name]} fired on {b[name]}.",), ACTORS)
    made = swaps(probe, draws=10)
    assert len(made) == 10
    assert all(swap.before != swap.after for swap in made)
    exchanged = made[0]
    one, other = exchanged.before[0], exchanged.before[-2]
    assert exchanged.after == f"{other} fired on {one}."
    assert not set(made[1].before.split()) & set(made[1].after.split()) - {"fired", "on"}
    assert swaps(probe, draws=10) == made


def test_rates() -> None:
    probe = Probe(("{a[name]} fired on {b[name]}.", "the {a[adjective]} army met {b[capital]}"), ACTORS)
    deaf: Any = Fake(lambda text: ("hostile" if "fired" in text else "neutral", ()))
    assert {key: name_swap(deaf, probe)[key] for key in ("stance", "signals", "worst")} == {
        "stance": 0,
        "signals": 0,
        "worst": [],
    }
    biased: Any = Fake(lambda text: ("hostile", ("threat",) if text.startswith(("A", "B")) else ()))
    found = name_swap(biased, probe, draws=40)
    assert found["stance"] == 0
    assert 0.2 < found["signals"] < 0.4  # about half of the first template's, none of the second's
    assert [row["template"] for row in found["worst"]] == [probe.templates[0]]
    assert found["swaps"] == 80


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"templates": ["{a[name]}"]}, "actors"),
        ({"templates": ["no names"], "actors": list(ACTORS)}, r"templates\[0\]: holds no name"),
        ({"templates": ["{a[leader]}"], "actors": list(ACTORS)}, "leader"),
    ],
)
def test_a_broken_file_is_refused(tmp_path: Path, values: Any, says: str) -> None:
    path = tmp_path / "names.json"
    path.write_text(json.dumps(values))
    with pytest.raises(ProbeError, match=says):
        read_probe(path)
