"""The rules of the house: which room may use which, and what importing costs."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
ROOMS = ("brinkline", "model", "train", "data")
HEAVY = {"torch", "transformers", "datasets", "pandas", "sklearn", "matplotlib", "onnx", "accelerate"}

MAY_USE = {
    "model": {"model"},
    "data": {"data", "model"},
    "train": {"train", "data", "model"},
    "brinkline": {"brinkline", "train", "data", "model"},
}


def modules(room: str) -> list[Path]:
    return sorted((ROOT / room).glob("*.py"))


def imports(path: Path) -> Iterator[tuple[str, bool]]:
    """Yield every imported module, and whether it is imported with the module itself."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    guarded = {
        id(node)
        for block in ast.walk(tree)
        if isinstance(block, ast.FunctionDef)
        or (isinstance(block, ast.If) and "TYPE_CHECKING" in ast.dump(block.test))
        for node in ast.walk(block)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module:
            yield node.module, id(node) not in guarded
        elif isinstance(node, ast.Import):
            for name in node.names:
                yield name.name, id(node) not in guarded


def room_of(module: str) -> str | None:
    parts = module.split(".")
    if parts[0] != "brinkline":
        return None
    return parts[1] if len(parts) > 1 and parts[1] in ("model", "train", "data") else "brinkline"


@pytest.mark.parametrize("room", ROOMS)
def test_arrows_point_one_way(room: str) -> None:
    paths = modules(room)
    assert paths
    for path in paths:
        for module, _ in imports(path):
            used = room_of(module)
            assert used is None or used in MAY_USE[room], f"{path.name} imports {module}"


@pytest.mark.parametrize("room", ["brinkline", "model", "data"])
def test_no_heavy_library_is_imported_with_a_module_of_inference(room: str) -> None:
    for path in modules(room):
        if path.name == "network.py":
            continue
        for module, at_once in imports(path):
            assert not (at_once and module.split(".")[0] in HEAVY), f"{path.name} imports {module}"


def test_only_train_and_the_network_know_torch() -> None:
    for room in ("brinkline", "model", "data"):
        for path in modules(room):
            if path.name != "network.py":
                assert not any(
                    module.split(".")[0] in {"torch", "transformers"} for module, _ in imports(path)
                )


@pytest.mark.parametrize(
    ("code", "forbidden"),
    [
        ("import brinkline", HEAVY | {"numpy", "onnxruntime", "tokenizers", "typer", "nupunkt"}),
        ("import brinkline; brinkline.predict('They met.')", HEAVY),
        ("import brinkline.cli", HEAVY | {"onnxruntime", "numpy"}),
    ],
)
def test_what_is_loaded(code: str, forbidden: set[str]) -> None:
    script = f"{code}\nimport sys\nprint(*sorted(sys.modules))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd="/")
    loaded = {name.split(".")[0] for name in done.stdout.split()}
    assert not loaded & forbidden


def test_files_are_short_and_do_not_print() -> None:
    for room in ROOMS:
        for path in modules(room):
            text = path.read_text(encoding="utf-8")
            assert len(text.splitlines()) <= 400, path
            assert not re.search(r"^\s*print\(", text, re.MULTILINE), path


def test_public_names_are_there() -> None:
    import brinkline

    for name in brinkline.__all__:
        assert getattr(brinkline, name) is not None
    assert set(brinkline.__all__) <= set(dir(brinkline))
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = brinkline.nonsense
