"""Parameter groups of the optimiser: lower layers of the encoder may learn more slowly than upper ones."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Any

from torch import nn

_LAYER = re.compile(r"\blayers?\.(\d+)\.")


def layer_of(name: str, layers: int) -> int:
    """Return how high a parameter stands: 0 embeddings, 1 to ``layers`` the encoder's layers, one more the heads."""
    if not name.startswith("encoder."):
        return layers + 1
    found = _LAYER.search(name)
    if found:
        return int(found[1]) + 1
    return 0 if "embeddings" in name else layers


def parameter_groups(
    network: nn.Module, rate: float, weight_decay: float, decayed: Collection[str], layer_decay: float
) -> list[dict[str, Any]]:
    """Part the parameters by layer: each layer learns ``layer_decay`` times as fast as the one above it.

    Layer-wise learning rate decay (Howard and Ruder 2018, arXiv:1801.06146, as used with BERT by Sun et al. 2019,
    arXiv:1905.05583).

    :param network: an encoder under the name ``encoder``, and heads.
    :param rate: learning rate of the heads.
    :param weight_decay: for the parameters named in ``decayed``; the others have none.
    :param decayed: names of parameters.
    :param layer_decay: 1 for the same rate everywhere.
    """
    names = [name for name, _ in network.named_parameters()]
    layers = 1 + max((int(m[1]) for m in map(_LAYER.search, names) if m), default=-1)
    groups: dict[tuple[int, bool], dict[str, Any]] = {}
    for name, parameter in network.named_parameters():
        if not parameter.requires_grad:
            continue
        height, decays = layer_of(name, layers), name in decayed
        group = groups.setdefault(
            (height, decays),
            {
                "params": [],
                "lr": rate * layer_decay ** (layers + 1 - height),
                "weight_decay": weight_decay if decays else 0.0,
            },
        )
        group["params"].append(parameter)
    return [groups[key] for key in sorted(groups)]
