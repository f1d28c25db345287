"""Fewer layers of a base encoder."""

from pathlib import Path

import pytest
import torch
from transformers import AlbertConfig, AutoModel, DistilBertConfig, MPNetConfig, PreTrainedConfig

from brinkline.model.encoding import SentenceEncoder, collate
from brinkline.model.network import Network, load_base
from brinkline.train.layers import keep_layers
from brinkline.train.settings import SettingsError

SMALL: dict[str, PreTrainedConfig] = {
    "distilbert": DistilBertConfig(vocab_size=30, dim=16, n_layers=3, n_heads=2, hidden_dim=32),
    "mpnet": MPNetConfig(
        vocab_size=30, hidden_size=16, num_hidden_layers=3, num_attention_heads=2, intermediate_size=32
    ),
}


def test_the_first_layer_alone_gives_what_came_out_of_it(tiny_base: Path) -> None:
    encoder, tokenizer, _ = load_base(str(tiny_base))
    encoder.eval()
    batch = collate(SentenceEncoder(tokenizer, 32).encode(["they met on monday"]), 0)
    ids = torch.from_numpy(batch.input_ids)
    whole = encoder(input_ids=ids, output_hidden_states=True).hidden_states
    keep_layers(encoder, [0])
    torch.testing.assert_close(encoder(input_ids=ids).last_hidden_state, whole[1])


@pytest.mark.parametrize("kind", SMALL)
@pytest.mark.parametrize("kept", [[0, 2], [1]])
def test_the_layers_that_stay_are_those_asked_for(kind: str, kept: list[int]) -> None:
    encoder = AutoModel.from_config(SMALL[kind])
    before = next(module for name, module in encoder.named_modules() if name.endswith("ayer.0"))
    stack = next(m for m in encoder.modules() if isinstance(m, torch.nn.ModuleList) and before is m[0])
    wanted = [stack[i] for i in kept]
    keep_layers(encoder, kept)
    now = next(m for m in encoder.modules() if isinstance(m, torch.nn.ModuleList))
    assert list(now) == wanted
    assert encoder.config.num_hidden_layers == len(kept)
    encoder(input_ids=torch.tensor([[1, 2, 3]]))


def test_a_shallower_network_is_saved_and_read(tiny_base: Path, tmp_path: Path) -> None:
    encoder, tokenizer, _ = load_base(str(tiny_base))
    keep_layers(encoder, [1])
    Network(encoder).save(tmp_path, tokenizer, {"max_tokens": 32, "context": 0})
    network, _ = Network.load(tmp_path)
    assert {name.split(".")[3] for name in network.state_dict() if ".layer." in name} == {"0"}
    for name, tensor in Network(encoder).encoder.state_dict().items():
        torch.testing.assert_close(network.encoder.state_dict()[name], tensor)


def test_layers_that_are_not_there_are_named(tiny_base: Path) -> None:
    encoder, _, _ = load_base(str(tiny_base))
    with pytest.raises(SettingsError, match="layers: 2 is not there, the base model has 0 to 1"):
        keep_layers(encoder, [0, 2])


def test_an_encoder_that_shares_its_layers_is_refused() -> None:
    config = AlbertConfig(
        vocab_size=30, embedding_size=8, hidden_size=16, num_attention_heads=2, intermediate_size=32
    )
    config.num_hidden_layers = 3
    with pytest.raises(SettingsError, match="AlbertModel does not keep its layers in one list"):
        keep_layers(AutoModel.from_config(config), [0])
