"""The networks: a recurrent encoder-decoder with or without attention, and the Transformer."""

from __future__ import annotations

from daybreak.systems.translation.config import Config
from daybreak.systems.translation.model.network import Network, State
from daybreak.systems.translation.model.rnn import Recurrent
from daybreak.systems.translation.model.transformer import Transformer

__all__ = ["Network", "Recurrent", "State", "Transformer", "network"]


def network(config: Config, source_size: int, target_size: int) -> Network:
    """The network of a config, for vocabularies of these sizes, at its start."""
    kind = Recurrent if config.model == "rnn" else Transformer
    return kind(config, source_size, target_size)
