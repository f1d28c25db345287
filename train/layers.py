"""A shallower encoder to start from: some of a base encoder's layers."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from brinkline.train.settings import SettingsError


def keep_layers(encoder: nn.Module, kept: Sequence[int]) -> None:
    """Leave only some of the layers in an encoder (Sajjad et al. 2023, arXiv:2004.03844).

    :param encoder: a transformers encoder; changed in place, its configuration too.
    :param kept: the layers that stay, counted from 0, in their order.
    :raises SettingsError: where the encoder has no such layers, or does not keep them in one list.
    """
    config = encoder.config
    count = int(config.num_hidden_layers)  # type: ignore[union-attr,arg-type]
    if kept[-1] >= count:
        raise SettingsError([f"layers: {kept[-1]} is not there, the base model has 0 to {count - 1}"])
    stacks = [
        (module, name, stack)
        for module in encoder.modules()
        for name, stack in module.named_children()
        if isinstance(stack, nn.ModuleList) and len(stack) == count
    ]
    if len(stacks) != 1:
        raise SettingsError([f"layers: {type(encoder).__name__} does not keep its layers in one list"])
    module, name, stack = stacks[0]
    setattr(module, name, nn.ModuleList(stack[i] for i in kept))
    config.num_hidden_layers = len(kept)  # type: ignore[union-attr]
    if getattr(config, "layer_types", None):  # encoders whose layers are not all alike name the kind of each
        config.layer_types = [config.layer_types[i] for i in kept]  # type: ignore[union-attr,index]
