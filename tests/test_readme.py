"""What the README claims is what the code does and what the shipped model's manifest says."""

import ast
import json
import re
from pathlib import Path

from brinkline.model.checkpoint import DEFAULT_FOLDER

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_three_lines_give_the_output_that_is_shown() -> None:
    code, output = re.search(r"three-lines.*?```python\n(.*?)```\n```\n(.*?)```", README, re.DOTALL).groups()  # type: ignore[union-attr]
    *statements, last = ast.parse(code).body
    assert isinstance(last, ast.Expr)
    names: dict[str, object] = {}
    exec(compile(ast.Module(statements, []), "README", "exec"), names)
    found = eval(compile(ast.Expression(last.value), "README", "eval"), names)
    assert found == ast.literal_eval(output)


def test_docstring_example_of_the_package_is_true() -> None:
    import doctest

    import brinkline

    outcome = doctest.testmod(brinkline)
    assert outcome.attempted >= 2
    assert outcome.failed == 0


def test_headline_figures_are_those_of_the_manifest() -> None:
    manifest = json.loads((DEFAULT_FOLDER / "manifest.json").read_text(encoding="utf-8"))
    figures = manifest["metrics"]["evaluations"]["dev.jsonl"]
    [row] = [line for line in README.splitlines() if line.startswith(f"| **{manifest['name']}")]
    cells = [cell.strip() for cell in row.split("|")]
    for cell, name in ((cells[2], "stance_macro_f1"), (cells[3], "signals_macro_f1")):
        low, high = figures["intervals"][name]
        assert cell == f"{figures[name]:.3f} [{low:.3f}, {high:.3f}]"


def test_labels_are_explained() -> None:
    from brinkline.model.labels import SIGNALS, STANCES

    for label in (*STANCES, *SIGNALS):
        assert f"| `{label}` |" in README


def test_no_place_is_left_to_be_filled_in() -> None:
    assert not re.search(r"\b[A-Z]{4,}_[A-Z]{4,}\b", README)
