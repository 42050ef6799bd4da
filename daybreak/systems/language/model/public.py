"""Public checkpoints of BERT, read and written: a folder with ``config.json``, ``vocab.txt``, ``model.safetensors``."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor

from daybreak.engine.errors import UserError
from daybreak.engine.files import write_atomic
from daybreak.systems.language.model.heads import Pretraining
from daybreak.systems.language.shape import Shape, from_public, to_public

CONFIG, VOCABULARY, WEIGHTS = "config.json", "vocab.txt", "model.safetensors"

OUTSIDE = {
    "bert.embeddings.tokens.weight": "bert.embeddings.word_embeddings.weight",
    "bert.embeddings.positions.weight": "bert.embeddings.position_embeddings.weight",
    "bert.embeddings.segments.weight": "bert.embeddings.token_type_embeddings.weight",
    "bert.embeddings.norm": "bert.embeddings.LayerNorm",
    "bert.pooler": "bert.pooler.dense",
    "transform": "cls.predictions.transform.dense",
    "norm": "cls.predictions.transform.LayerNorm",
    "bias": "cls.predictions.bias",
    "follows": "cls.seq_relationship",
}
"""Our names and the public ones, besides those of the layers."""
LAYER = {
    "attention.project": ("attention.self.query", "attention.self.key", "attention.self.value"),
    "attention.out": ("attention.output.dense",),
    "attention_norm": ("attention.output.LayerNorm",),
    "inner": ("intermediate.dense",),
    "outer": ("output.dense",),
    "norm": ("output.LayerNorm",),
}


def to_public_weights(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Our weights under the public names; queries, keys and values apart."""
    public: dict[str, Tensor] = {}
    for name, tensor in weights.items():
        names = _public_names(name)
        public |= zip(names, tensor.chunk(len(names)), strict=True)
    return public


def from_public_weights(public: Mapping[str, Tensor], shape: Shape) -> dict[str, Tensor]:
    """Undo :func:`to_public_weights`, for all that is there; ``gamma`` and ``beta`` of old checkpoints are known.

    Some checkpoints have no pooler, or not all heads. Raises UserError naming another weight that is missing, or one
    of another shape.
    """
    known = {_modern(name): tensor for name, tensor in public.items()}
    if not any(name.startswith("bert.") for name in known):  # the encoder by itself is saved without the prefix
        known = {f"bert.{name}": tensor for name, tensor in known.items()}
    weights: dict[str, Tensor] = {}
    for ours, size in pretraining_shapes(shape).items():
        names = _public_names(ours)
        if missing := [name for name in names if name not in known]:
            if ours.startswith("bert.") and "pooler" not in ours:  # all others stay as they begin
                raise UserError(f"the checkpoint has no {missing[0]}: give the folder of a BERT")
            continue
        part = (size[0] // len(names), *size[1:])
        for name in names:
            if (found := tuple(known[name].shape)) != part:
                raise UserError(
                    f"{name} of the checkpoint is {found}, and not {part} as its {CONFIG} says: get it anew"
                )
        weights[ours] = torch.cat([known[name] for name in names]).float()
    return weights


def pretraining_shapes(shape: Shape) -> dict[str, tuple[int, ...]]:
    """Our name and the shape of every weight of the encoder, its pooler and the heads of pretraining."""
    with torch.device("meta"):
        net = Pretraining(shape)
    return {name: tuple(each.shape) for name, each in net.state_dict().items()}


@dataclass(frozen=True)
class Public:
    """What is in the folder of a public checkpoint."""

    shape: Shape
    weights: dict[str, Tensor]
    """The encoder's, and those of pretraining's heads that are there, by our names."""
    vocabulary: Path
    lowercase: bool


def read_public(folder: Path) -> Public:
    """Open a public checkpoint. Raises UserError naming the file that is missing or is not what it should be."""
    if not (folder / WEIGHTS).exists():
        pickled = folder / "pytorch_model.bin"
        if pickled.exists():
            raise UserError(f"{pickled} is a pickle, which can run code: convert it to {WEIGHTS}")
        raise UserError(f"{folder} has no {WEIGHTS}: give a folder with {CONFIG}, {VOCABULARY} and {WEIGHTS}")
    values = _json(folder / CONFIG)
    if (kind := values.get("model_type", "bert")) != "bert":  # the oldest do not say
        raise UserError(f"{folder / CONFIG} is of a {kind}: give the folder of a BERT")
    shape = from_public(values)
    pieces = len(_content(folder / VOCABULARY).splitlines())
    if pieces > shape.vocabulary:
        raise UserError(
            f"{folder / VOCABULARY} has {pieces} lines, and {CONFIG} says {shape.vocabulary}: get both anew"
        )
    try:
        weights = load_file(folder / WEIGHTS)
    except (SafetensorError, OSError) as error:
        raise UserError(f"{folder / WEIGHTS} cannot be read ({error}): get it anew") from error
    tokenizer = folder / "tokenizer_config.json"
    lowercase = bool(_json(tokenizer).get("do_lower_case", True)) if tokenizer.exists() else True
    return Public(shape, from_public_weights(weights, shape), folder / VOCABULARY, lowercase)


def write_public(
    folder: Path,
    shape: Shape,
    weights: Mapping[str, Tensor],
    vocabulary: bytes,
    lowercase: bool,
    *,
    half: bool = False,
) -> None:
    """Write a checkpoint that the public libraries open: the encoder with the heads of pretraining.

    ``half`` stores 16 bits a number (fp16), which all of them read.
    """
    folder.mkdir(parents=True, exist_ok=True)
    values = {
        "architectures": ["BertForPreTraining"], "model_type": "bert", "hidden_act": "gelu", "layer_norm_eps": 1e-12,
        "initializer_range": 0.02, "hidden_dropout_prob": 0.1, "attention_probs_dropout_prob": 0.1,
        "pad_token_id": vocabulary.splitlines().index(b"[PAD]"), **to_public(shape),
    }  # fmt: skip
    tokenizer = {"tokenizer_class": "BertTokenizer", "do_lower_case": lowercase, "model_max_length": shape.positions}
    dtype = torch.float16 if half else torch.float32
    public = {name: tensor.to(dtype).contiguous() for name, tensor in to_public_weights(weights).items()}
    write_atomic(folder / VOCABULARY, vocabulary)
    write_atomic(folder / CONFIG, json.dumps(values, indent=2).encode())
    write_atomic(folder / "tokenizer_config.json", json.dumps(tokenizer, indent=2).encode())
    write_atomic(folder / WEIGHTS, save(public, metadata={"format": "pt"}))


def _json(path: Path) -> dict[str, Any]:
    content = _content(path)
    try:
        values = json.loads(content)
    except ValueError as error:
        raise UserError(f"{path} is no JSON ({error}): get it anew") from error
    if not isinstance(values, dict):
        raise UserError(f"{path} is no JSON object: get it anew")
    return values


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror}): give the folder of a public checkpoint") from error


def _public_names(name: str) -> list[str]:
    """The public name of a weight of ours, or the three of what we have as one matrix."""
    if match := re.fullmatch(r"bert\.layers\.(\d+)\.(.+)\.(weight|bias)", name):
        layer, module, kind = match.groups()
        return [f"bert.encoder.layer.{layer}.{public}.{kind}" for public in LAYER[module]]
    for ours, theirs in OUTSIDE.items():
        if name == ours or name.startswith(ours + "."):
            return [theirs + name.removeprefix(ours)]
    raise KeyError(name)


def _modern(name: str) -> str:
    """Layer norms of checkpoints that came from TensorFlow have a gamma and a beta."""
    return re.sub(r"beta$", "bias", re.sub(r"gamma$", "weight", name))
