import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from brinkline.model.checkpoint import TOKENIZER, WEIGHTS
from brinkline.model.encoding import SentenceEncoder, collate
from brinkline.model.engine import OnnxEngine, available_processors, run_sorted
from brinkline.model.network import Network
from brinkline.train.export import export
from brinkline.train.scoring import TorchEngine

TEXTS = ["the army fire", "talks", "if they attack we will answer and revenge", "", "rain on monday " * 20]


@pytest.mark.parametrize("context", [0, 1])
def test_onnx_gives_what_torch_gives(
    make_checkpoint: Callable[..., Path], tmp_path: Path, context: int
) -> None:
    checkpoint = make_checkpoint(context=context)
    export(checkpoint, tmp_path / "fp32", weights="fp32")
    network, limits = Network.load(checkpoint)
    encoder = SentenceEncoder.from_file(checkpoint / TOKENIZER, limits["max_tokens"])
    encoded = encoder.encode(TEXTS, ["the envoy met the minister"] * len(TEXTS) if context else None)
    ours = run_sorted(OnnxEngine(tmp_path / "fp32" / WEIGHTS), encoded, encoder.pad_id, 2)
    torch = run_sorted(TorchEngine(network), encoded, encoder.pad_id, 2)
    np.testing.assert_allclose(ours.stance, torch.stance, atol=1e-4)
    np.testing.assert_allclose(ours.signals, torch.signals, atol=1e-4)


def test_a_row_does_not_depend_on_its_batch(model_folder: Path) -> None:
    encoder = SentenceEncoder.from_file(model_folder / TOKENIZER, 32)
    engine = OnnxEngine(model_folder / WEIGHTS)
    encoded = encoder.encode(TEXTS)
    together = engine.run(collate(encoded, encoder.pad_id))
    for row, sentence in enumerate(encoded):
        alone = engine.run(collate([sentence], encoder.pad_id))
        np.testing.assert_allclose(alone.stance[0], together.stance[row], atol=1e-5)
        np.testing.assert_allclose(alone.signals[0], together.signals[row], atol=1e-5)


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


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="the system has no affinity mask")
def test_threads_follow_the_affinity_mask() -> None:
    allowed = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, {min(allowed)})
        assert available_processors() == 1
    finally:
        os.sched_setaffinity(0, allowed)
