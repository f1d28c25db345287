"""The examples in docstrings are true, and the central functions have one."""

from __future__ import annotations

import doctest
from importlib import import_module
from pathlib import Path

import pytest

import brinkline

ROOT = Path(__file__).parent.parent
ROOMS = {
    "brinkline": "brinkline",
    "model": "brinkline.model",
    "data": "brinkline.data",
    "train": "brinkline.train",
}
MODULES = [
    f"{package}.{path.stem}".removesuffix(".__init__")
    for room, package in ROOMS.items()
    for path in sorted((ROOT / room).glob("*.py"))
    if ">>> " in path.read_text(encoding="utf-8")
]


@pytest.mark.parametrize("module", MODULES)
def test_examples_are_true(module: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("pandas")
    monkeypatch.chdir(tmp_path)
    outcome = doctest.testmod(import_module(module), optionflags=doctest.ELLIPSIS)
    assert outcome.attempted >= 2
    assert outcome.failed == 0


@pytest.mark.parametrize(
    "function",
    [
        brinkline.predict,
        brinkline.predict_many,
        brinkline.load,
        brinkline.Classifier.predict_frame,
        brinkline.Classifier.explain,
        brinkline.trends,
        brinkline.score_archive,
    ],
    ids=lambda function: function.__qualname__,
)
def test_central_functions_show_an_example(function: object) -> None:
    assert ">>> " in (function.__doc__ or "")
