"""Export of encoders that the graph writer does not know, by torch's own exporter."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoModel, DistilBertConfig, ElectraConfig, PreTrainedConfig, PreTrainedTokenizerFast

from brinkline.model.checkpoint import TOKENIZER
from brinkline.model.encoding import Pooling, SentenceEncoder, collate
from brinkline.model.network import Network, load_base
from brinkline.train import graph
from brinkline.train.export import export
from brinkline.train.scoring import TorchEngine

TEXTS = ["they met on monday", "we will strike if they attack again , and again", "rain"]
SIZES = {
    "distilbert": DistilBertConfig(dim=32, n_layers=2, n_heads=2, hidden_dim=64, max_position_embeddings=64),
    "electra": ElectraConfig(
        embedding_size=16,
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=64,
    ),
}


@pytest.fixture(params=SIZES)
def other_base(request: pytest.FixtureRequest, tokenizer_json: str, tmp_path: Path) -> Path:
    """Return a folder with a random encoder of another kind."""
    folder = tmp_path / "base"
    folder.mkdir()
    (folder / "tokenizer.json").write_text(tokenizer_json, encoding="utf-8")
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_file=str(folder / "tokenizer.json"), pad_token="[PAD]", unk_token="[UNK]"
    )
    tokenizer.save_pretrained(folder)
    torch.manual_seed(0)
    config: PreTrainedConfig = SIZES[request.param]
    config.vocab_size = tokenizer.vocab_size
    AutoModel.from_config(config).save_pretrained(folder)
    return folder


def _export_and_compare(checkpoint: Path, out: Path) -> None:
    classifier = export(checkpoint, out / "fp32", weights="fp32")
    network, limits = Network.load(checkpoint)
    encoder = SentenceEncoder.from_file(checkpoint / TOKENIZER, limits["max_tokens"])
    pooled = TorchEngine(network).embed(collate(encoder.encode(TEXTS), encoder.pad_id))
    np.testing.assert_allclose(classifier.embed(TEXTS), pooled, atol=1e-4)
    small = export(checkpoint, out / "int8", weights="int8")
    assert small.manifest.metrics["export"]["computed_in"] == "fp32", "stored in 8 bits only"
    for one, other in zip(classifier.predict_sentences(TEXTS), small.predict_sentences(TEXTS), strict=True):
        assert other.stance_probabilities == pytest.approx(one.stance_probabilities, abs=0.1)


@pytest.mark.parametrize("pooling", ["mean", "first"])
def test_another_encoder_is_exported(other_base: Path, tmp_path: Path, pooling: Pooling) -> None:
    encoder, tokenizer, _ = load_base(str(other_base))
    Network(encoder, pooling=pooling).save(tmp_path / "kept", tokenizer, {"max_tokens": 32, "context": 0})
    config = json.loads((tmp_path / "kept" / "config.json").read_text(encoding="utf-8"))
    assert not graph.supports(config["encoder"])
    _export_and_compare(tmp_path / "kept", tmp_path)


@pytest.mark.parametrize("pooling", ["mean", "first"])
def test_bert_is_exported_without_the_graph_writer(
    make_checkpoint: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pooling: Pooling
) -> None:
    monkeypatch.setattr("brinkline.train.graph.supports", lambda config: False)
    _export_and_compare(make_checkpoint(pooling=pooling), tmp_path)
