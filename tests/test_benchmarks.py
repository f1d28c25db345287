"""The speed benchmark: it runs, compares like with like, and its tables have the shape that docs quote. No speeds."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

ROOT = Path(__file__).parent.parent
SPEED = ROOT / "benchmarks" / "speed.py"


@pytest.fixture(autouse=True)
def siblings(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let the scripts of benchmarks/ find one another, as they do when they are run; leave nothing behind."""
    import torch
    import transformers

    monkeypatch.syspath_prepend(str(SPEED.parent))
    monkeypatch.setenv("RAYON_NUM_THREADS", "1")
    threads, verbosity = torch.get_num_threads(), transformers.utils.logging.get_verbosity()
    yield
    torch.set_num_threads(threads)
    transformers.utils.logging.set_verbosity(verbosity)
    transformers.utils.logging.enable_progress_bar()
    for name in [name for name in sys.modules if name.startswith("speed")]:
        del sys.modules[name]


@pytest.fixture(scope="module")
def texts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("texts") / "texts.jsonl"
    words = ["the army fire", "they vowed revenge", "talks on aid", "the minister met the envoy in the city"]
    rows = [{"text": f"{words[i % 4]} {words[(i * 7) % 3]} {i}"} for i in range(12)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def test_quick_run(
    model_folder: Path, checkpoint: Path, texts: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import speed

    parts = [speed.Part(name) for name in ("throughput", "latency", "lengths", "batches", "invariance")]
    speed.main(
        model_folder, checkpoint, texts, threads=1, tolerance=0.5, only=parts, quick=True, out=tmp_path
    )
    printed = capsys.readouterr().out
    results: dict[str, Any] = json.loads((tmp_path / "speed.json").read_text(encoding="utf-8"))
    assert (tmp_path / "speed.md").read_text(encoding="utf-8").strip() == printed.strip()
    assert results["settings"]["sentences"] == 12
    assert results["settings"]["threads"] == 1
    assert results["machine"]["libraries"]["torch"]
    exact = [item for item in results["agreement"] if item["name"].startswith(("pipeline", "sentence"))]
    assert len(exact) == 3
    assert all(item["largest_logit_difference"] < 1e-2 for item in exact)
    assert len(results["throughput"]) == 8
    assert set(results["lengths"]) == {"8", "16"}
    assert set(results["batches"]) == {"1", "8"}
    for times in (results["throughput"], *results["latency"].values(), *results["lengths"].values()):
        assert all(len(seconds) == 2 and min(seconds) > 0 for seconds in times.values())
    assert results["invariance"]["brinkline predict_sentences"] < 1e-3
    assert "| brinkline predict_many (splits) |" in printed
    # Two layers of four matrices 32 by 32 and two 32 by 64; a product counts as two operations.
    products = 2 * (4 * 32 * 32 + 2 * 32 * 64)
    assert results["operations"] == pytest.approx(2 * products * results["settings"]["mean_tokens"] / 1e9)
    assert min(results["peak"].values()) > 0


def test_peers_pool_as_the_network_does(
    make_checkpoint: Callable[..., Path], texts: Path, tmp_path: Path
) -> None:
    import speed

    from brinkline.train.export import export

    checkpoint = make_checkpoint(pooling="first")
    export(checkpoint, tmp_path / "model")
    parts = [speed.Part.invariance]
    speed.main(tmp_path / "model", checkpoint, texts, threads=1, only=parts, quick=True, out=tmp_path)
    results = json.loads((tmp_path / "speed.json").read_text(encoding="utf-8"))
    exact = [item for item in results["agreement"] if item["name"].startswith(("pipeline", "sentence"))]
    assert all(item["largest_logit_difference"] < 1e-2 for item in exact)
    whole = 2 * 2 * 8192 * results["settings"]["mean_tokens"] / 1e9
    assert results["operations"] < 0.8 * whole, "the last layer's other tokens are not needed"


def test_other_weights_are_refused(model_folder: Path, checkpoint: Path, texts: Path, tmp_path: Path) -> None:
    import speed
    from safetensors.numpy import load_file, save_file

    from brinkline.model.errors import BrinklineError

    other = tmp_path / "other"
    other.mkdir()
    for path in checkpoint.iterdir():
        (other / path.name).write_bytes(path.read_bytes())
    state = load_file(other / "model.safetensors")
    state["stance_head.weight"] = state["stance_head.weight"][::-1].copy()
    save_file(state, other / "model.safetensors")
    with pytest.raises(BrinklineError, match="not the same weights, so nothing was timed"):
        speed.main(model_folder, other, texts, threads=1, quick=True, out=tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(("weights", "tolerance"), [("fp32", 0.0), ("int8", 0.03)])
def test_weights_are_read_back_from_onnx(
    checkpoint: Path, tmp_path: Path, weights: Any, tolerance: float
) -> None:
    from safetensors.numpy import load_file
    from speed_peers import onnx_weights

    from brinkline.train.export import export

    export(checkpoint, tmp_path / "model", weights=weights)
    found = onnx_weights(onnx.load(str(tmp_path / "model" / "model.onnx")))
    stored = load_file(checkpoint / "model.safetensors")
    assert len(stored) > 30
    for name, array in stored.items():
        assert found[name].shape == array.shape, name
        assert np.abs(found[name] - array).mean() <= tolerance * np.abs(array).mean(), name


def test_weights_of_torchs_exporter() -> None:
    """Names numbered matrices after their bias; undoes one scale, one a channel, one a block."""
    from onnx import TensorProto, helper, numpy_helper
    from speed_peers import _traced_weights

    matrix = np.arange(-4, 4, dtype=np.int8).reshape(4, 2)
    arrays = {
        "val_1_int8": matrix,
        "val_1_scale": np.array([[1.0, 2.0], [3.0, 4.0]], np.float32),  # blocks of two rows
        "table_int8": matrix,
        "table_scale": np.array([1.0, 10.0], np.float32),  # one a column
        "layer.bias": np.zeros(2, np.float32),
    }
    nodes = [
        helper.make_node("DequantizeLinear", ["val_1_int8", "val_1_scale"], ["val_1"], axis=0, block_size=2),
        helper.make_node("DequantizeLinear", ["table_int8", "table_scale"], ["table.weight"], axis=1),
        helper.make_node("MatMul", ["x", "val_1"], ["y"]),
        helper.make_node("Add", ["layer.bias", "y"], ["z"]),
    ]
    inputs, outputs = ([helper.make_tensor_value_info(n, TensorProto.FLOAT, None)] for n in "xz")
    constants = [numpy_helper.from_array(array, name) for name, array in arrays.items()]
    graph = helper.make_graph(nodes, "g", inputs, outputs, constants)
    found = _traced_weights(graph, arrays)
    assert found["layer.weight"].T.tolist() == [[-4, -6], [-2, -2], [0, 4], [6, 12]]
    assert found["table.weight"].tolist() == [[-4, -30], [-2, -10], [0, 10], [2, 30]]


def test_weights_of_another_encoder_are_refused(model_folder: Path) -> None:
    from speed_peers import SpeedError, load_network

    with pytest.raises(SpeedError, match="name the training checkpoint with --checkpoint"):
        load_network(model_folder, None)


def test_sentences_of_one_length(checkpoint: Path) -> None:
    from speed_measures import of_length

    from brinkline.model.encoding import SentenceEncoder

    encoder = SentenceEncoder.from_file(checkpoint / "tokenizer.json", 32)
    made = of_length(encoder, ["the army met the unheardofminister"], 16, 5)
    assert [len(item) for item in encoder.encode(made)] == [16] * 5


def test_texts_are_drawn_alike_and_checked(texts: Path, tmp_path: Path) -> None:
    from speed_measures import read_texts
    from speed_peers import SpeedError

    assert read_texts(texts, 5, seed=1) == read_texts(texts, 5, seed=1)
    assert read_texts(texts, 5, seed=1) != read_texts(texts, 5, seed=2)
    assert len(set(read_texts(None, 50, seed=0))) > 40
    bad = tmp_path / "bad.jsonl"
    bad.write_text('{"text": "a"}\n{"body": "b"}\n', encoding="utf-8")
    with pytest.raises(SpeedError, match=r"bad\.jsonl:2: expected an object with a 'text'"):
        read_texts(bad, 5, seed=0)


def test_contestants_take_turns() -> None:
    from speed_measures import by_turns
    from speed_peers import Contestant

    calls: list[str] = []
    contestants = [
        Contestant(name, lambda given, name=name: calls.append(f"{name}{len(given)}"))  # type: ignore[misc]
        for name in "abc"
    ]
    times = by_turns(contestants, ["x"] * 100, rounds=2)
    assert calls == ["a64", "b64", "c64", "a100", "b100", "c100", "b100", "c100", "a100"]
    assert {name: len(seconds) for name, seconds in times.items()} == {"a": 2, "b": 2, "c": 2}


def test_memory_is_each_childs_own() -> None:
    # Through the script: children of this process, which is large, would be charged with its memory.
    def cold(**commands: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, str(SPEED.parent / "speed_cold.py"), "2"],
            input=json.dumps({name: [sys.executable, "-S", "-c", code] for name, code in commands.items()}),
            capture_output=True,
            text=True,
        )

    # The large one first: what it took must not show in the other.
    measured = json.loads(cold(large="bytearray(b'x') * 200_000_000", small="pass").stdout)
    assert len(measured["large"]["seconds"]) == 2
    assert min(measured["large"]["megabytes"]) - max(measured["small"]["megabytes"]) > 150
    assert max(measured["small"]["megabytes"]) < 100
    failed = cold(bad="raise SystemExit(3)")
    assert failed.returncode
    assert "exit code 3" in failed.stderr


def test_tables_are_put_between_the_marks(tmp_path: Path) -> None:
    from speed_report import fill, ratios, spread

    assert spread([3.0, 1.0, 2.0], 1) == "2.0 [1.0–3.0]"
    assert ratios({"a": [4.0, 6.0], "b": [2.0, 2.0]}, "a", "b") == [2.0, 3.0]
    page = tmp_path / "page.md"
    page.write_text("head\n<!-- speed -->\nold\n<!-- /speed -->\ntail\n", encoding="utf-8")
    fill(page, "new\n")
    assert page.read_text(encoding="utf-8") == "head\n<!-- speed -->\n\nnew\n\n<!-- /speed -->\ntail\n"
    page.write_text("no marks", encoding="utf-8")
    with pytest.raises(ValueError, match="lacks the marks"):
        fill(page, "new")


def test_docs_have_the_marks() -> None:
    text = (ROOT / "docs" / "speed.md").read_text(encoding="utf-8")
    assert text.count("<!-- speed -->") == text.count("<!-- /speed -->") == 1
