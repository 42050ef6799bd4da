"""A trained Transformer as two ONNX files, for any runtime: one reads the sentence, one writes the next word."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from daybreak.data.text import END, PAD, START, save_tokenizer
from daybreak.engine.errors import UserError
from daybreak.engine.files import write_atomic
from daybreak.engine.onnx import Runtime, check_same, need_onnx, to_graph
from daybreak.systems.translation.data import encode, padded
from daybreak.systems.translation.model import Transformer
from daybreak.systems.translation.predict import SOURCE_TOKENS, TARGET_TOKENS, Translator, load

ENCODER, DECODER = "encoder.onnx", "decoder.onnx"


@dataclass(frozen=True)
class Exported:
    """What was written, and how it compares."""

    files: list[Path]
    difference: float
    """Largest difference of a logit between torch and onnxruntime."""


class Reader(nn.Module):
    """Source (B, S), filled up with 0 -> memory (B, S, D)."""

    def __init__(self, model: Transformer) -> None:
        super().__init__()
        self.model = model

    def forward(self, source: Tensor) -> Tensor:
        """Encode."""
        mask = (source != PAD)[:, None, None]
        x = self.model.embed(self.model.source_embedding, source)
        for layer in self.model.encoder:
            x = layer(x, mask)
        return self.model.encoder_norm(x)


class Writer(nn.Module):
    """Source (B, S), its memory (B, S, D), and START with the words so far (B, T) -> logits (B, V) of the next word."""

    def __init__(self, model: Transformer) -> None:
        super().__init__()
        self.model = model

    def forward(self, source: Tensor, memory: Tensor, target_in: Tensor) -> Tensor:
        """Decode the whole prefix; the last place counts."""
        mask = (source != PAD)[:, None, None]
        x = self.model.embed(self.model.target_embedding, target_in)
        for layer in self.model.decoder:
            x = layer(x, memory, mask)
        return self.model.logits(self.model.decoder_norm(x[:, -1]))


def export(run: Path, out: Path) -> Exported:
    """Write the run's network and tokenizers into the folder ``out``, after checking them in onnxruntime.

    Raises UserError, and writes nothing, when a package is missing, the network is a recurrent one, or the logits or
    translations differ.
    """
    need_onnx()
    translator = load(run, device="cpu")
    if not isinstance(translator.model, Transformer):
        raise UserError(
            f"{run} is a recurrent network, and only Transformers can be exported: train --model transformer"
        )
    contents = to_onnx(translator.model)
    difference = compare(translator, *contents)
    check_same(difference, out, "logits")
    tokenizers = (save_tokenizer(translator.vocabulary.source), save_tokenizer(translator.vocabulary.target))
    names = (ENCODER, DECODER, SOURCE_TOKENS, TARGET_TOKENS)
    for name, content in zip(names, (*contents, *tokenizers), strict=True):
        write_atomic(out / name, content)
    return Exported([out / name for name in names], difference)


def to_onnx(model: Transformer) -> tuple[bytes, bytes]:
    """The encoder's ONNX file and the decoder's; batch and lengths are free."""
    source, target_in = torch.full((2, 5), 7), torch.full((2, 3), 7)
    reader, writer = Reader(model).eval(), Writer(model).eval()
    read = {"source": source}
    written = {"source": source, "memory": reader(source), "target_in": target_in}
    sentences, words = {0: "batch", 1: "source"}, {0: "batch", 1: "target"}
    encoder = to_graph(reader, read, ["memory"], (sentences,))
    return encoder, to_graph(writer, written, ["logits"], (sentences, sentences, words))


@torch.no_grad()
def compare(translator: Translator, encoder: bytes, decoder: bytes) -> float:
    """Translate some sentences word by word in onnxruntime and in torch; the largest difference of a logit on the way.

    The sentences are padded ones of several lengths, and some batches hold one sentence.
    """
    read, write = Runtime(encoder), Runtime(decoder)
    worst = 0.0
    for texts in (["eins zwei drei vier", "a", "ein Mann"], ["zwei"]):
        source = padded(encode(translator.vocabulary.source, texts))
        (memory,) = read({"source": source})
        target_in = torch.full((len(source), 1), START)
        for _ in range(12):
            (theirs,) = write({"source": source, "memory": memory, "target_in": target_in})
            ours = translator.model.logits(translator.model(source, target_in)[:, -1])
            worst = max(worst, (ours - theirs).abs().max().item())
            following = ours.argmax(1)[:, None]
            target_in = torch.cat([target_in, following], 1)
            if (following == END).all():
                break
    return worst
