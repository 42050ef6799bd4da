"""What the verb ``embed`` does with vectors: a file of them, or which are near which."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import torch

from daybreak.engine.errors import UserError
from daybreak.engine.files import write_atomic
from daybreak.systems.language import neighbours, show
from daybreak.systems.language.embed import Encoder

Pooling = Literal["mean", "cls", "words"]


def write(encoder: Encoder, texts: Sequence[str], path: Path, layer: int, pooling: Pooling) -> None:
    """Write the vectors of texts, or of their words, as .npy (N, D), or as .tsv with what each is of.

    Raises UserError for a file of another kind.
    """
    if path.suffix not in (".npy", ".tsv"):
        raise UserError(f"{path} is neither .npy nor .tsv: name it so")
    if pooling == "words":
        read = encoder.embed(texts, layer=layer, pooling=pooling)
        header = ["text", "start", "end", "word"]
        names = [[str(i), str(w.start), str(w.end), w.text] for i, each in enumerate(read) for w in each.words]
        none = np.empty((0, encoder.reader.shape.hidden_size))
        table = np.concatenate([none, *(each.vectors.numpy() for each in read)])
    else:
        header, names = ["text"], [[" ".join(text.split())] for text in texts]
        table = encoder.embed(texts, layer=layer, pooling=pooling).numpy()
    if path.suffix == ".npy":
        file = io.BytesIO()
        np.save(file, table.astype(np.float32))
        write_atomic(path, file.getvalue())
        return
    rows = [[*header, *map(str, range(table.shape[1]))]]
    rows += [[*name, *(f"{value:.6g}" for value in row)] for name, row in zip(names, table, strict=True)]
    write_atomic(path, "".join("\t".join(row) + "\n" for row in rows).encode())


def show_word(
    encoder: Encoder, texts: Sequence[str], word: str, layer: int, count: int, *, as_json: bool = False
) -> None:
    """Print each occurrence of a word with those nearest to it in the other texts. Raises UserError without others."""
    if len(texts) < 2:
        raise UserError("--word looks for like words in other texts: give two texts or more")
    read = encoder.embed(texts, layer=layer, pooling="words")
    for found in neighbours.of_word(word, read, count):
        if as_json:
            near = [{**_of_word(each), "cosine": each.cosine} for each in found.neighbours]
            show.as_json({**_of_word(found), "neighbours": near})
        else:
            show.out(show.near_words(texts, found))


def show_texts(encoder: Encoder, texts: Sequence[str], layer: int, count: int, pooling: Literal["mean", "cls"]) -> None:
    """Print the texts nearest to each; of one alone, how its vector begins."""
    vectors = encoder.embed(texts, layer=layer, pooling=pooling)
    if len(texts) == 1:
        show.out(show.vector(texts[0], vectors[0].tolist()))
    else:
        for text, near in zip(texts, neighbours.of_texts(vectors, count), strict=True):
            show.out(show.near_texts(text, texts, near))


def show_numbers(encoder: Encoder, texts: Sequence[str], layer: int, pooling: Pooling) -> None:
    """Print a line of JSON for each vector, all numbers of it."""
    if pooling == "words":
        read = encoder.embed(texts, layer=layer, pooling=pooling)
        words = [(number, word) for number, each in enumerate(read) for word in each.words]
        for (number, word), vector in zip(words, torch.cat([each.vectors for each in read]).tolist(), strict=True):
            show.as_json({"text": number, "word": word.text, "start": word.start, "end": word.end, "vector": vector})
    else:
        for text, vector in zip(texts, encoder.embed(texts, layer=layer, pooling=pooling).tolist(), strict=True):
            show.as_json({"text": text, "vector": vector})


def _of_word(found: neighbours.Occurrence | neighbours.Neighbour) -> dict[str, object]:
    assert found.word is not None  # it is one of words
    return {"text": found.number, "word": found.word.text, "start": found.word.start, "end": found.word.end}
