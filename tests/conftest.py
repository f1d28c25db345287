"""A tiny random model, made anew in every session: no test but the end-to-end ones needs real weights."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import hypothesis
import pytest

from brinkline.model.encoding import Pooling

# The same examples in every run, and no time limit: a slow machine is no failure.
# HYPOTHESIS_PROFILE=explore draws others.
hypothesis.settings.register_profile("same", deadline=None, derandomize=True)
hypothesis.settings.register_profile("explore", deadline=None)
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "same"))

ROOT = Path(__file__).parent.parent
SHARED = ROOT.parent / "shared"

WORDS = [
    "the",
    "a",
    "army",
    "minister",
    "envoy",
    "border",
    "talks",
    "city",
    "on",
    "of",
    "to",
    "and",
    "in",
    "will",
    "not",
    "if",
    "we",
    "they",
    "fire",
    "attack",
    "strike",
    "answer",
    "revenge",
    "sanctions",
    "agreed",
    "met",
    "thanked",
    "expelled",
    "warned",
    "vowed",
    "deter",
    "aid",
    "report",
    "rain",
    "figures",
    "monday",
    "said",
    "for",
    "over",
]


def make_tokenizer_json() -> str:
    """Return a small word-piece tokenizer in the manner of BERT's."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

    pieces = [
        "[PAD]",
        "[UNK]",
        "[CLS]",
        "[SEP]",
        "[MASK]",
        *WORDS,
        *"abcdefghijklmnopqrstuvwxyz0123456789.,?!\"'-",
    ]
    pieces += [f"##{letter}" for letter in "abcdefghijklmnopqrstuvwxyz0123456789"]
    vocabulary = {piece: number for number, piece in enumerate(dict.fromkeys(pieces))}
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", 2), ("[SEP]", 3)],
    )
    return str(tokenizer.to_str())


@pytest.fixture(scope="session")
def tokenizer_json() -> str:
    """Return the content of the tiny model's ``tokenizer.json``."""
    return make_tokenizer_json()


@pytest.fixture(scope="session")
def tiny_base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a random two-layer BERT, as a hub model would be."""
    import torch
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

    folder = tmp_path_factory.mktemp("base")
    tokenizer_json = folder / "tokenizer.json"
    tokenizer_json.write_text(make_tokenizer_json(), encoding="utf-8")
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_file=str(tokenizer_json), pad_token="[PAD]", unk_token="[UNK]"
    )
    tokenizer.save_pretrained(folder)
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=tokenizer.vocab_size,
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=64,
    )
    BertModel(config).save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def make_checkpoint(tiny_base: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Return a function that writes a training checkpoint with random heads."""

    def make(context: int = 0, max_tokens: int = 32, pooling: Pooling = "mean") -> Path:
        import torch

        from brinkline.model.network import Network, load_base

        torch.manual_seed(1)
        encoder, tokenizer, _ = load_base(str(tiny_base))
        network = Network(encoder, pooling=pooling)
        # Heads large enough that labels differ between sentences.
        with torch.no_grad():
            network.stance_head.weight.mul_(20)
            network.signal_head.weight.mul_(20)
        folder = tmp_path_factory.mktemp("checkpoint")
        network.save(folder, tokenizer, {"max_tokens": max_tokens, "context": context})
        return folder

    return make


@pytest.fixture(scope="session")
def checkpoint(make_checkpoint: Callable[..., Path]) -> Path:
    """Return a training checkpoint of the tiny model."""
    return make_checkpoint()


@pytest.fixture(scope="session")
def model_folder(checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a model folder of the tiny model; do not change it, copy it."""
    from brinkline.train.export import Origin, export

    folder = tmp_path_factory.mktemp("model") / "tiny"
    export(checkpoint, folder, origin=Origin(name="tiny"))
    return folder


@pytest.fixture(scope="session")
def labelled_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a file of 60 labelled articles whose labels follow from their words."""
    kinds = [
        ("the army fire on the city", "hostile", []),
        ("they vowed revenge for the attack", "hostile", ["threat", "retaliation"]),
        ("if they attack we will answer", "hostile", ["threat", "deterrence"]),
        ("the minister met the envoy and agreed", "conciliatory", []),
        ("the report on rain in the city", "neutral", []),
        ("figures on monday", "neutral", []),
    ]
    path = tmp_path_factory.mktemp("labelled") / "articles.jsonl"
    with path.open("w", encoding="utf-8") as file:
        for number in range(60):
            chosen = [kinds[(number + step * (1 + number % 5)) % len(kinds)] for step in range(4)]
            sentences = [
                {"text": f"{text} {number} {step}", "stance": stance, "signals": signals}
                for step, (text, stance, signals) in enumerate(chosen)
            ]
            file.write(json.dumps({"id": f"t{number}", "genre": "test", "sentences": sentences}) + "\n")
    return path
