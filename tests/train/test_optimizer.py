"""Lower layers learn more slowly, and every parameter is in one group."""

from pathlib import Path

import pytest

from brinkline.model.network import Network, load_base
from brinkline.train.optimizer import layer_of, parameter_groups


@pytest.mark.parametrize(
    ("name", "height"),
    [
        ("encoder.embeddings.word_embeddings.weight", 0),
        ("encoder.encoder.layer.0.attention.self.query.weight", 1),
        ("encoder.encoder.layer.5.output.dense.bias", 6),
        ("encoder.layers.3.attn.Wo.weight", 4),  # ModernBERT's name
        ("encoder.final_norm.weight", 6),
        ("encoder.encoder.relative_attention_bias.weight", 6),
        ("stance_head.weight", 7),
    ],
)
def test_height(name: str, height: int) -> None:
    assert layer_of(name, layers=6) == height


def test_groups(tiny_base: Path) -> None:
    network = Network(load_base(str(tiny_base))[0])
    decayed = {"stance_head.weight", "encoder.encoder.layer.1.output.dense.weight"}
    groups = parameter_groups(network, 0.1, 0.01, decayed, 0.5)
    of = {id(p): group for group in groups for p in group["params"]}
    assert sum(len(group["params"]) for group in groups) == len(list(network.parameters())) == len(of)
    names = dict(network.named_parameters())
    assert of[id(names["stance_head.weight"])]["lr"] == pytest.approx(0.1)
    assert of[id(names["stance_head.weight"])]["weight_decay"] == 0.01
    assert of[id(names["stance_head.bias"])]["weight_decay"] == 0
    assert of[id(names["encoder.encoder.layer.1.output.dense.weight"])]["lr"] == pytest.approx(0.05)
    assert of[id(names["encoder.encoder.layer.0.output.dense.weight"])]["lr"] == pytest.approx(0.025)
    assert of[id(names["encoder.embeddings.word_embeddings.weight"])]["lr"] == pytest.approx(0.0125)
