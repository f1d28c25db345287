import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import brinkline
from brinkline.model.checkpoint import TOKENIZER, WEIGHTS
from brinkline.model.encoding import EncodedSentence, SentenceEncoder, collate
from brinkline.model.engine import (
    CPU,
    CUDA,
    EngineError,
    OnnxEngine,
    available_processors,
    batches_of_like_length,
    run_sorted,
)
from brinkline.model.network import Network
from brinkline.train.export import export
from brinkline.train.scoring import TorchEngine

TEXTS = ["the army fire", "talks", "if they attack we will answer and revenge", "", "rain on monday " * 20]


@pytest.mark.parametrize(("context", "pooling"), [(0, "mean"), (1, "mean"), (0, "first"), (1, "first")])
def test_onnx_gives_what_torch_gives(
    make_checkpoint: Callable[..., Path], tmp_path: Path, context: int, pooling: str
) -> None:
    checkpoint = make_checkpoint(context=context, pooling=pooling)
    export(checkpoint, tmp_path / "fp32", weights="fp32")
    network, limits = Network.load(checkpoint)
    encoder = SentenceEncoder.from_file(checkpoint / TOKENIZER, limits["max_tokens"])
    encoded = encoder.encode(TEXTS, ["the envoy met the minister"] * len(TEXTS) if context else None)
    ours = run_sorted(OnnxEngine(tmp_path / "fp32" / WEIGHTS), encoded, encoder.pad_id, 2)
    torch = run_sorted(TorchEngine(network), encoded, encoder.pad_id, 2)
    np.testing.assert_allclose(ours.stance, torch.stance, atol=1e-4)
    np.testing.assert_allclose(ours.signals, torch.signals, atol=1e-4)


@pytest.mark.parametrize("pooling", ["mean", "first"])
def test_a_row_does_not_depend_on_its_batch(
    make_checkpoint: Callable[..., Path], tmp_path: Path, pooling: str
) -> None:
    checkpoint = make_checkpoint(pooling=pooling)
    export(checkpoint, tmp_path / "int8")
    encoder = SentenceEncoder.from_file(checkpoint / TOKENIZER, 32)
    engine = OnnxEngine(tmp_path / "int8" / WEIGHTS)
    encoded = encoder.encode(TEXTS)
    together = engine.run(collate(encoded, encoder.pad_id))
    for row, sentence in enumerate(encoded):
        alone = engine.run(collate([sentence], encoder.pad_id))
        np.testing.assert_allclose(alone.stance[0], together.stance[row], atol=1e-5)
        np.testing.assert_allclose(alone.signals[0], together.signals[row], atol=1e-5)


@given(
    st.lists(st.integers(1, 300), max_size=60),
    st.integers(1, 40),
    st.integers(1, 1000),
)
def test_batches_hold_every_row_once_and_keep_to_their_limits(
    lengths: list[int], size: int, tokens: int
) -> None:
    sentences = [EncodedSentence([0] * n, [0] * n, [1] * n, False) for n in lengths]
    batches = list(batches_of_like_length(sentences, size, tokens))
    assert sorted(row for rows in batches for row in rows) == list(range(len(lengths)))
    for rows in batches:
        longest = max(lengths[row] for row in rows)
        assert len(rows) <= size
        assert len(rows) == 1 or len(rows) * longest <= tokens


@pytest.mark.parametrize("threads", [1, 3])
def test_threads_change_nothing(model_folder: Path, threads: int) -> None:
    encoder = SentenceEncoder.from_file(model_folder / TOKENIZER, 32)
    encoded = encoder.encode(TEXTS * 7)
    one = run_sorted(OnnxEngine(model_folder / WEIGHTS, threads=1), encoded, encoder.pad_id, 3)
    other = run_sorted(OnnxEngine(model_folder / WEIGHTS, threads=threads), encoded, encoder.pad_id, 3)
    np.testing.assert_array_equal(one.stance, other.stance)


def test_an_error_in_one_batch_is_raised(model_folder: Path) -> None:
    engine = OnnxEngine(model_folder / WEIGHTS, threads=2)
    too_high = EncodedSentence([10**6], [0], [1], False)
    with pytest.raises(Exception, match="indices element out of data bounds"):
        run_sorted(engine, [too_high] * 4, 0, 1)


@pytest.mark.parametrize("pooling", ["mean", "first"])
def test_embeddings_are_what_torch_pools(
    make_checkpoint: Callable[..., Path], tmp_path: Path, pooling: str
) -> None:
    checkpoint = make_checkpoint(pooling=pooling)
    classifier = export(checkpoint, tmp_path / "fp32", weights="fp32")
    network, limits = Network.load(checkpoint)
    encoder = SentenceEncoder.from_file(checkpoint / TOKENIZER, limits["max_tokens"])
    torch = TorchEngine(network).embed(collate(encoder.encode(TEXTS), encoder.pad_id))
    np.testing.assert_allclose(classifier.embed(TEXTS), torch, atol=1e-4)
    assert classifier.embed([]).shape == (0, torch.shape[1])


def test_a_file_without_embeddings_says_so(model_folder: Path, tmp_path: Path) -> None:
    import onnx

    model = onnx.load(str(model_folder / WEIGHTS))
    del model.graph.output[2:]
    onnx.save(model, str(tmp_path / WEIGHTS))
    with pytest.raises(EngineError, match="export it again"):
        _ = OnnxEngine(tmp_path / WEIGHTS).width


def test_sorting_by_length_is_undone(model_folder: Path) -> None:
    encoder = SentenceEncoder.from_file(model_folder / TOKENIZER, 32)
    engine = OnnxEngine(model_folder / WEIGHTS)
    encoded = encoder.encode(TEXTS)
    for size in (1, 2, 10):
        found = run_sorted(engine, encoded, encoder.pad_id, size)
        for row, sentence in enumerate(encoded):
            alone = engine.run(collate([sentence], encoder.pad_id))
            np.testing.assert_allclose(found.stance[row], alone.stance[0], atol=1e-5)


def test_nothing_in_nothing_out(model_folder: Path) -> None:
    found = run_sorted(OnnxEngine(model_folder / WEIGHTS), [], 0, 32)
    assert found.stance.shape == (0, 3)
    assert found.signals.shape == (0, 3)


@pytest.mark.filterwarnings("ignore:Specified provider")
@pytest.mark.parametrize(("weights", "wanted"), [("fp32", True), ("int8", False)])
def test_a_gpu_takes_models_in_fp32(
    checkpoint: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    weights: Literal["fp32", "int8"],
    wanted: bool,
) -> None:
    import onnxruntime

    export(checkpoint, tmp_path / "out", weights=weights)
    asked: list[list[str]] = []
    real = onnxruntime.InferenceSession

    def session(path: str, sess_options: object, providers: list[str]) -> object:
        asked.append(providers)
        return real(path, sess_options=sess_options, providers=providers)

    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: [CUDA, CPU])
    monkeypatch.setattr(onnxruntime, "InferenceSession", session)
    assert len(brinkline.load(tmp_path / "out").predict_sentences(["talks"])) == 1
    assert (asked == [[CUDA, CPU]]) is wanted


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="the system has no affinity mask")
def test_threads_follow_the_affinity_mask() -> None:
    allowed = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, {min(allowed)})
        assert available_processors() == 1
    finally:
        os.sched_setaffinity(0, allowed)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_a_forked_process_has_threads_of_its_own(model_folder: Path) -> None:
    engine = OnnxEngine(model_folder / WEIGHTS, threads=2)
    encoder = SentenceEncoder.from_file(model_folder / TOKENIZER, 32)
    encoded = encoder.encode(TEXTS)
    before = run_sorted(engine, encoded, encoder.pad_id, 1)  # the threads are there
    child = os.fork()
    if not child:
        signal.alarm(60)  # work given to the parent's threads would never be done
        same = np.array_equal(run_sorted(engine, encoded, encoder.pad_id, 1).stance, before.stance)
        os._exit(0 if same else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert np.array_equal(run_sorted(engine, encoded, encoder.pad_id, 1).stance, before.stance)


def lone(engine: OnnxEngine, encoded: list[EncodedSentence], times: int) -> np.ndarray:
    """Run sentences one by one, and return the logits of the last time."""
    for _ in range(times):
        found = [run_sorted(engine, [sentence], 0, 32).stance[0] for sentence in encoded]
    return np.stack(found)


def test_a_lone_sentence_gets_all_processors_and_the_same_result(model_folder: Path) -> None:
    encoder = SentenceEncoder.from_file(model_folder / TOKENIZER, 32)
    encoded = encoder.encode(TEXTS)
    engine = OnnxEngine(model_folder / WEIGHTS, threads=2)
    assert engine.undivided is engine, "nothing is loaded for the first"
    found = lone(engine, encoded, 2)
    assert engine.undivided is not engine
    assert engine.undivided is engine.undivided, "loaded once"
    single = OnnxEngine(model_folder / WEIGHTS, threads=1)
    assert np.array_equal(found, lone(single, encoded, 2))
    assert single.undivided is single


@pytest.mark.parametrize("change", ["gone", "another"])
def test_a_file_that_changed_is_not_loaded_for_lone_sentences(
    model_folder: Path, tmp_path: Path, change: str
) -> None:
    weights = tmp_path / WEIGHTS
    weights.write_bytes((model_folder / WEIGHTS).read_bytes())
    engine = OnnxEngine(weights, threads=2)
    if change == "gone":
        weights.unlink()
    else:
        weights.write_bytes(b"another model")
    assert {engine.undivided for _ in range(8)} == {engine}


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_lone_sentences_in_a_forked_process(model_folder: Path) -> None:
    engine = OnnxEngine(model_folder / WEIGHTS, threads=2)
    encoded = SentenceEncoder.from_file(model_folder / TOKENIZER, 32).encode(TEXTS)
    before = lone(engine, encoded, 2)
    child = os.fork()
    if not child:
        signal.alarm(60)
        os._exit(0 if np.array_equal(lone(engine, encoded, 2), before) else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert np.array_equal(lone(engine, encoded, 1), before)
