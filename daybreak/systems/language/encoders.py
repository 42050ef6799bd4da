"""Opening an encoder: from a run directory, from the folder of a public checkpoint, or the one that daybreak brings."""

from __future__ import annotations

from pathlib import Path

from torch import Tensor

from daybreak.engine.errors import UserError
from daybreak.engine.rundir import CONFIG, read_config, read_json
from daybreak.engine.weights import read_weights
from daybreak.systems.language.assets import Reader, read_reader
from daybreak.systems.language.config import BROUGHT, PretrainConfig
from daybreak.systems.language.model.public import read_public
from daybreak.systems.language.wordpiece import read_wordpiece

BROUGHT_AT = Path(__file__).parent / BROUGHT
"""A public checkpoint of our own: what it has read, and the command that made it, stand in its README."""


def open_encoder(folder: Path) -> tuple[Reader, dict[str, Tensor]]:
    """How it reads, and its weights by the names of :class:`Bert`.

    Raises UserError for a folder that is neither, or has no weights.
    """
    folder = place_of(folder)
    if is_public(folder):
        public = read_public(folder)
        reader = Reader(read_wordpiece(public.vocabulary, public.lowercase), public.lowercase, public.shape)
        weights = public.weights
    else:
        if (system := read_config(folder)["system"]) != PretrainConfig.system:
            raise UserError(f"{folder} is a run of {system}: give one of {PretrainConfig.system}, or a public BERT")
        reader, weights = read_reader(folder), read_weights(folder)
    return reader, {name.removeprefix("bert."): each for name, each in weights.items() if name.startswith("bert.")}


def place_of(folder: str | Path) -> Path:
    """The folder that is meant: of ``bert-mini``, the one that daybreak brings, unless one of that name is at hand."""
    folder = Path(folder).expanduser()
    return BROUGHT_AT if str(folder) == BROUGHT and not (folder / CONFIG).exists() else folder


def is_public(folder: Path) -> bool:
    """Whether a folder holds a public checkpoint rather than a run, whose config names its system."""
    return "system" not in read_json(folder / CONFIG)  # the oldest checkpoints name not even their model
