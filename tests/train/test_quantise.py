"""Eight bits: integers in range, errors within half a step, and the file computes what was chosen."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from safetensors.numpy import load_file

from brinkline.model.checkpoint import TOKENIZER
from brinkline.model.encoding import SentenceEncoder, collate
from brinkline.model.network import read_checkpoint_config
from brinkline.train import graph
from brinkline.train.graph import WEIGHT_LIMIT, Product
from brinkline.train.quantise import (
    choose,
    quantise_network,
    round_columns,
    rounded_product,
    rounding,
    seen_by_products,
    with_feedback,
)

TEXTS = ["the army fire", "talks", "if they attack we will answer and revenge", "rain on monday " * 20] * 20


def unlike_channels(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """A matrix, and inputs of which two channels are much larger than the others, as in encoders."""
    random = np.random.default_rng(seed)
    rows = random.normal(size=(400, 32)).astype(np.float32) @ random.normal(size=(32, 32)).astype(np.float32)
    rows[:, [3, 17]] *= 40
    return random.normal(size=(32, 24)).astype(np.float32), rows


def error(weight: np.ndarray, rows: np.ndarray, result: np.ndarray) -> float:
    return float(np.square(result - rows @ weight).mean() / np.square(rows @ weight).mean())


@example(np.full((8, 12), 1.5e-42, np.float32))  # a scale with too few digits left
@given(arrays(np.float32, (8, 12), elements=st.floats(-100, 100, width=32)))
def test_columns_are_off_by_half_a_step_at_most(weight: np.ndarray) -> None:
    integers, scale = round_columns(weight)
    assert np.abs(integers).max() <= WEIGHT_LIMIT
    assert (np.abs(integers * scale - weight) <= scale * 0.5001).all()


@given(arrays(np.float32, (6, 8), elements=st.floats(-100, 100, width=32)), st.sampled_from([0.0, 0.5, 0.9]))
def test_zero_stays_zero_and_inputs_are_off_by_half_a_step(rows: np.ndarray, strength: float) -> None:
    weight = np.eye(8, dtype=np.float32)
    rule = rounding(weight, rows, strength)
    assert 0 <= rule.zero_point <= 255
    assert not rounded_product(np.zeros((1, 8), np.float32), rule).any()
    if strength == 0:  # else the matrix is rounded too
        allowed = 0.501 * rule.scale + np.abs(rows) / WEIGHT_LIMIT + 1e-6
        assert (np.abs(rounded_product(rows, rule) - rows) <= allowed + rule.scale).all()


def test_no_sum_of_two_products_overflows_16_bits() -> None:
    assert 2 * 255 * WEIGHT_LIMIT < 2**15


def test_smoothing_and_feedback_each_lessen_the_error() -> None:
    weight, rows = unlike_channels()
    plain = rounding(weight, rows, 0.0)
    smooth = rounding(weight, rows, 0.6)
    fed = with_feedback(weight, rows, smooth)
    errors = [error(weight, rows, rounded_product(rows, rule)) for rule in (plain, smooth, fed)]
    assert errors[0] > 2 * errors[1] > 2 * errors[2]
    chosen = choose(Product("x", weight, np.zeros(24, np.float32)), rows)
    assert error(weight, rows, rounded_product(rows, chosen)) <= errors[2]


def test_feedback_holds_on_other_inputs() -> None:
    weight, rows = unlike_channels()
    smooth = rounding(weight, rows[:300], 0.6)
    fed = with_feedback(weight, rows[:300], smooth)
    new = rows[300:]
    assert error(weight, new, rounded_product(new, fed)) < error(weight, new, rounded_product(new, smooth))


def test_the_file_computes_what_was_chosen(make_checkpoint: Callable[..., Path], tmp_path: Path) -> None:
    checkpoint = make_checkpoint()
    config, state = read_checkpoint_config(checkpoint)["encoder"], load_file(checkpoint / "model.safetensors")
    encoder = SentenceEncoder.from_file(checkpoint / TOKENIZER, 32)
    sentences = encoder.encode(TEXTS)
    seen = seen_by_products(state, config, sentences, encoder.pad_id, tmp_path)
    found = graph.products(state, config)
    assert set(seen) == set(found)
    assert all(rows.shape[1] == found[name].weight.shape[0] for name, rows in seen.items())
    roundings = {name: choose(found[name], rows) for name, rows in seen.items()}
    model = graph.build(state, config, roundings, show_inputs=True)
    # The output of the first matrix after attention, as the runtime computes it from its own input.
    node = next(node for node in model.graph.node if node.op_type == "MatMulIntegerToFloat")
    model.graph.output.append(
        onnx.helper.make_tensor_value_info(node.output[0], onnx.TensorProto.FLOAT, None)
    )
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    batch = collate(sentences[:1], encoder.pad_id)
    feed = {name: getattr(batch, name) for name in graph.INPUTS}
    given_, result = session.run(["0.output.input", node.output[0]], feed)
    expected = rounded_product(given_[0], roundings["0.output"]) + found["0.output"].bias
    np.testing.assert_allclose(result[0], expected, atol=1e-4)


def test_the_last_layer_computes_one_token_where_one_is_read(
    make_checkpoint: Callable[..., Path], tmp_path: Path
) -> None:
    checkpoint = make_checkpoint(pooling="first")
    config, state = read_checkpoint_config(checkpoint)["encoder"], load_file(checkpoint / "model.safetensors")
    encoder = SentenceEncoder.from_file(checkpoint / TOKENIZER, 32)
    sentences = encoder.encode(TEXTS)
    seen = seen_by_products(state, config, sentences, encoder.pad_id, tmp_path, pooling="first")
    assert set(seen) == set(graph.products(state, config, "first"))
    last = config["num_hidden_layers"] - 1
    assert len(seen[f"{last}.up"]) == len(seen[f"{last}.query"]) == len(sentences)
    assert len(seen[f"{last}.keys"]) > len(sentences) < len(seen[f"{last - 1}.up"])


def test_padding_is_not_looked_at(make_checkpoint: Callable[..., Path], tmp_path: Path) -> None:
    checkpoint = make_checkpoint()
    config, state = read_checkpoint_config(checkpoint)["encoder"], load_file(checkpoint / "model.safetensors")
    encoder = SentenceEncoder.from_file(checkpoint / TOKENIZER, 32)
    pair = encoder.encode(["talks", "rain on monday " * 20])
    together = seen_by_products(state, config, pair, encoder.pad_id, tmp_path)
    assert len(together["0.attention"]) == sum(len(sentence) for sentence in pair)


def test_no_passing_file_is_left(make_checkpoint: Callable[..., Path], tmp_path: Path) -> None:
    checkpoint = make_checkpoint()
    config, state = read_checkpoint_config(checkpoint)["encoder"], load_file(checkpoint / "model.safetensors")
    encoder = SentenceEncoder.from_file(checkpoint / TOKENIZER, 32)
    quantise_network(state, config, encoder.encode(TEXTS), encoder.pad_id, tmp_path / "model.onnx")
    assert [path.name for path in tmp_path.iterdir()] == ["model.onnx"]


@pytest.mark.parametrize(
    "change", [{"model_type": "mpnet"}, {"hidden_act": "relu"}, {"is_decoder": True}, {"hidden_size": 33}]
)
def test_encoders_of_another_kind_are_left_to_torchs_exporter(
    make_checkpoint: Callable[..., Path], change: dict[str, object]
) -> None:
    config = read_checkpoint_config(make_checkpoint())["encoder"]
    assert graph.supports(config)
    assert not graph.supports({**config, **change})
