"""A trained encoder for other programs: an ONNX file for any runtime, or a checkpoint as public libraries have it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from daybreak.engine.errors import UserError
from daybreak.engine.files import write_atomic
from daybreak.engine.onnx import Runtime, check_same, need_onnx, to_graph
from daybreak.systems.language.fill import MaskedLM
from daybreak.systems.language.model.bert import Bert
from daybreak.systems.language.model.pool import mean
from daybreak.systems.language.model.public import CONFIG, WEIGHTS, write_public
from daybreak.systems.language.model.rows import Rows, rows_of
from daybreak.systems.language.predict import load
from daybreak.systems.language.tasks.similarity import BiEncoder
from daybreak.systems.language.tasks.task import TaskNet
from daybreak.systems.language.uses import Answerer, Finetuned, Tagger
from daybreak.systems.language.wordpiece import write_vocabulary

MODEL, VOCABULARY, ABOUT = "model.onnx", "vocab.txt", "about.json"
INPUTS = ["input_ids", "token_type_ids", "attention_mask"]
LENGTHS = ((1, 7, 23, 40), (12,), (3, 3))
"""Of the rows of the batches on which both are compared."""


@dataclass(frozen=True)
class Exported:
    """What was written, and how it compares."""

    files: list[Path]
    difference: float
    """Largest difference of an output between torch and onnxruntime."""


class Table(Rows):
    """Rows of one length, filled up with padding that no word piece looks at: what a graph of fixed steps can have."""

    def __init__(self, tokens: Tensor, segments: Tensor, mask: Tensor) -> None:
        size, length = tokens.shape
        places = torch.arange(length).expand(size, length)
        starts, slots = torch.arange(size + 1) * length, torch.arange(size * length)
        super().__init__(tokens.flatten(), segments.flatten(), places.flatten(), starts, slots, length)
        self.shape, self.seen = (size, length), mask.bool()

    def table(self, values: Tensor) -> Tensor:
        """(B * T, ...) -> (B, T, ...)."""
        return values.unflatten(0, self.shape)

    def flat(self, table: Tensor) -> Tensor:
        """Undo :meth:`table`."""
        return table.flatten(0, 1)

    def mask(self) -> Tensor:
        """(B, T), True at word pieces."""
        return self.seen


class Hidden(nn.Module):
    """Last hidden states, and their mean over the word pieces: the vector of a text."""

    outputs = ("hidden", "mean")

    def __init__(self, bert: Bert) -> None:
        super().__init__()
        self.bert = bert

    def forward(self, tokens: Tensor, segments: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Tables (B, T) -> (B, T, D) and (B, D)."""
        rows = Table(tokens, segments, mask)
        hidden, vectors = self.of(rows)
        return rows.table(hidden), vectors

    def of(self, rows: Rows) -> tuple[Tensor, ...]:
        """The same of rows without padding: (N, D) and (B, D)."""
        hidden = self.bert(rows)
        return hidden, mean(hidden, rows)


class Vectors(nn.Module):
    """A bi-encoder's vectors, whose cosines tell how alike texts are."""

    outputs = ("vectors",)

    def __init__(self, net: BiEncoder) -> None:
        super().__init__()
        self.bert, self.net = net.bert, net

    def forward(self, tokens: Tensor, segments: Tensor, mask: Tensor) -> Tensor:
        """Tables (B, T) -> (B, D)."""
        return self.net.vectors(Table(tokens, segments, mask))

    def of(self, rows: Rows) -> tuple[Tensor, ...]:
        """The same of rows without padding: (B, D)."""
        return (self.net.vectors(rows),)


class Scores(nn.Module):
    """What a task's layer says of each row, as scores of classes; or of each piece, as of beginning and end."""

    outputs = ("scores",)

    def __init__(self, net: TaskNet, pieces: bool) -> None:
        super().__init__()
        self.bert, self.net, self.pieces = net.bert, net, pieces

    def forward(self, tokens: Tensor, segments: Tensor, mask: Tensor) -> Tensor:
        """Tables (B, T) -> (B, outputs), or (B, T, outputs)."""
        rows = Table(tokens, segments, mask)
        (scores,) = self.of(rows)
        return rows.table(scores) if self.pieces else scores

    def of(self, rows: Rows) -> tuple[Tensor, ...]:
        """The same of rows without padding: (B, outputs), or (N, outputs)."""
        return (self.net.of_pieces(rows) if self.pieces else self.net.of_rows(rows),)


Graph = Hidden | Vectors | Scores


def export(run: Path, out: Path) -> Exported:
    """Write the run's network, its vocabulary and what it says into the folder ``out``, once onnxruntime agrees.

    Raises UserError, and writes nothing, when a package is missing, the numbers differ, or the run is a tagger whose
    search for the best tags is no part of ONNX.
    """
    need_onnx()
    model = load(run, device="cpu")
    graph = graph_of(model)
    content = to_onnx(graph)
    difference = max(compare(graph, content, lengths) for lengths in LENGTHS)
    check_same(difference, out, "outputs")
    about = {
        "task": model.learned.task if isinstance(model, Finetuned) else "embed",
        "labels": list(model.labels) if isinstance(model, Finetuned) else [],
        "lowercase": model.reader.lowercase,
        "longest": model.reader.shape.positions,
        "inputs": INPUTS,
        "outputs": graph.outputs,
    }
    files = {MODEL: content, VOCABULARY: write_vocabulary(model.reader.tokenizer), ABOUT: json.dumps(about).encode()}
    for name, content in files.items():
        write_atomic(out / name, content)
    return Exported([out / name for name in files], difference)


def graph_of(model: MaskedLM | Finetuned) -> Graph:
    """What is exported of a model. A bi-encoder and a pretrained encoder give vectors."""
    if isinstance(model, MaskedLM):
        return Hidden(model.bert)
    if isinstance(model.net, BiEncoder):
        return Vectors(model.net)
    if isinstance(model, Tagger) and model.config.crf:
        raise UserError(f"{model.name} has a CRF, whose search for the best tags ONNX does not do: train without --crf")
    return Scores(model.net, pieces=isinstance(model, Tagger | Answerer))


def to_onnx(graph: Graph) -> bytes:
    """The ONNX file; batch and length are free."""
    named, same = {0: "batch", 1: "length"}, dict.fromkeys((0, 1), torch.export.Dim.DYNAMIC)
    return to_graph(graph.eval(), inputs_of((7, 5, 6), 8), graph.outputs, (named, same, same))


def inputs_of(lengths: Sequence[int], vocabulary: int) -> dict[str, Tensor]:
    """Padded rows (B, T) of made-up word pieces, segments and mask; the last third of each row is a second sentence."""
    longest = max(lengths)
    places = torch.arange(longest).expand(len(lengths), longest)
    ends = torch.tensor(lengths)[:, None]
    mask = (places < ends).long()
    tokens = (places * 31 + ends * 17) % vocabulary * mask
    return dict(zip(INPUTS, (tokens, (places * 3 >= ends * 2).long() * mask, mask), strict=True))


@torch.no_grad()
def compare(graph: Graph, content: bytes, lengths: Sequence[int]) -> float:
    """Largest difference between onnxruntime's outputs for padded rows, and torch's for the same without padding."""
    fed = inputs_of(lengths, graph.bert.shape.vocabulary)
    tokens, segments, mask = fed.values()
    seen = mask.bool()
    ragged = ([row[of].numpy() for row, of in zip(each, seen, strict=True)] for each in (tokens, segments))
    ours = graph.of(rows_of(*ragged))
    of_words = [value[seen] if value.ndim == 3 else value for value in Runtime(content)(fed)]
    return max((a - b).abs().max().item() for a, b in zip(of_words, ours, strict=True))


def export_public(run: Path, out: Path, *, half: bool = False) -> list[Path]:
    """Write a pretrained encoder as a public checkpoint into the folder ``out``; returns its files.

    ``half`` stores its numbers in 16 bits.

    Raises UserError for a run that was fine-tuned: the public layout has no place for its layer.
    """
    model = load(run, device="cpu")
    if not isinstance(model, MaskedLM):
        raise UserError(f"{run} is {model.what}, and no pretrained encoder: give the run that it began with")
    reader, weights = model.reader, model.net.state_dict()
    write_public(out, reader.shape, weights, write_vocabulary(reader.tokenizer), reader.lowercase, half=half)
    return [out / name for name in (CONFIG, VOCABULARY, WEIGHTS)]
