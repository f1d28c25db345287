"""The notebooks run from their first cell to their last, here, with this interpreter, and show what they promise."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

NOTEBOOKS = Path(__file__).parent.parent / "notebooks"
NAMES = ("quick-start", "train-your-own", "archive-to-chart")

nbformat = pytest.importorskip("nbformat", reason="nbformat is not installed (extra [dev])")
pytest.importorskip("nbclient", reason="nbclient is not installed (extra [dev])")
pytest.importorskip("ipykernel", reason="ipykernel is not installed (extra [dev])")


def read(name: str) -> Any:
    return nbformat.read(NOTEBOOKS / f"{name}.ipynb", as_version=4)


def execute(name: str, folder: Path) -> Any:
    """Run a notebook in an empty folder, and return it with its outputs."""
    from jupyter_client.kernelspec import KernelSpec
    from jupyter_client.manager import AsyncKernelManager
    from nbclient import NotebookClient

    class ThisInterpreter(AsyncKernelManager):
        """Starts a kernel of the environment that the tests run in, whatever is installed under its name."""

        @property
        def kernel_spec(self) -> KernelSpec:
            command = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
            return KernelSpec(argv=command, language="python", display_name="here")

    notebook = read(name)
    client = NotebookClient(
        notebook,
        timeout=600,
        kernel_manager_class=ThisInterpreter,
        resources={"metadata": {"path": str(folder)}},
    )
    client.execute(env={"OMP_NUM_THREADS": "2", **os.environ, "IPYTHONDIR": str(folder / "ipython")})
    return notebook


@pytest.fixture(scope="module", params=NAMES)
def executed(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Any]:
    return request.param, execute(request.param, tmp_path_factory.mktemp("notebook"))


def outputs(notebook: Any) -> Iterator[Any]:
    for cell in notebook.cells:
        yield from cell.get("outputs", [])


def shown(notebook: Any, kind: str) -> list[str]:
    """Return all outputs of a MIME type."""
    return [output.data[kind] for output in outputs(notebook) if kind in output.get("data", {})]


@pytest.mark.parametrize("name", NAMES)
def test_notebooks_are_stored_without_outputs(name: str) -> None:
    for cell in read(name).cells:
        if cell.cell_type == "code":
            assert cell.outputs == []
            assert cell.execution_count is None
    assert {path.stem for path in NOTEBOOKS.glob("*.ipynb")} == set(NAMES)


def test_a_notebook_runs_and_shows_what_it_promises(executed: tuple[str, Any]) -> None:
    name, notebook = executed
    assert [output for output in outputs(notebook) if output.output_type == "error"] == []
    told = "".join(o.text for o in outputs(notebook) if o.output_type == "stream" and o.name == "stderr")
    told = told.replace("TqdmWarning: IProgress", "")  # said where ipywidgets are not installed
    assert "Traceback" not in told
    assert "Warning" not in told, told
    html, text = "\n".join(shown(notebook, "text/html")), "\n".join(shown(notebook, "text/plain"))
    pictures = shown(notebook, "image/png")
    if name == "quick-start":
        assert "The strait is 31 kilometres wide" in html
        assert "border-bottom:2px dashed" in html  # a conciliatory sentence, marked
        assert "sentences with a threat" in html
        assert len(pictures) == 1
        assert "brinkline-minilm" in text
    elif name == "train-your-own":
        assert "friendly" in text
        assert "'model'" in text
        assert "stance_macro_f1" in html
        assert "boarding of the ferry" in html
    else:
        assert "(122, 976, " in text
        assert "balance_low" in html
        assert len(pictures) == 1
    assert all(len(picture) > 5_000 for picture in pictures)
