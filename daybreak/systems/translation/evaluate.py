"""The test sets, read once a run: BLEU as sacrebleu signs it, by length, and translations to read."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from daybreak import draw
from daybreak.engine.files import disk_errors, write_atomic
from daybreak.engine.rundir import CURVES, SAMPLES, write_json
from daybreak.metrics.bleu import bleu, exact_match
from daybreak.systems.translation.data import Corpus, tests, train_and_val
from daybreak.systems.translation.lengths import CURVE
from daybreak.systems.translation.predict import load

BEAM, LENGTH_PENALTY = 5, 1.0
SHOWN = 40
"""Translations written down for a reader."""
BINS = 6
"""Groups of sentences by length, of about as many sentences each."""


def evaluate(run_dir: str | Path, beam: int = BEAM, length_penalty: float = LENGTH_PENALTY) -> dict[str, float]:
    """BLEU, cased and lower-cased, and exact matches on each test set.

    Beside them stands the floor: as translation, that of the most similar sentence trained on. ``samples/`` gets BLEU
    by length and translations to read, ``curves.json`` BLEU by length over all sets, ``sacrebleu.json`` the signatures.
    """
    folder = Path(run_dir)
    translator = load(folder)
    known, _ = train_and_val(translator.config)
    with disk_errors(folder / SAMPLES):  # before the work, which would be lost
        (folder / SAMPLES).mkdir(exist_ok=True)
    numbers: dict[str, float] = {}
    signatures: dict[str, str] = {}
    everything, all_translated = Corpus([], []), list[str]()
    for name, corpus in tests(translator.config).items():
        translated = translator.translate(corpus.source, beam=beam, length_penalty=length_penalty)
        numbers[f"{name}_bleu"], signatures["cased"] = bleu(translated, corpus.target)
        numbers[f"{name}_bleu_lc"], signatures["lower-cased"] = bleu(translated, corpus.target, lowercase=True)
        numbers[f"{name}_floor_bleu_lc"] = bleu(nearest(known, corpus.source), corpus.target, lowercase=True)[0]
        numbers[f"{name}_exact"] = exact_match(translated, corpus.target)
        write_atomic(folder / SAMPLES / f"{name}.tsv", table(corpus, translated).encode())
        lengths, scores = by_length(corpus, translated)
        path = folder / SAMPLES / f"{name}_by_length.png"
        draw.curves({"BLEU": (lengths, scores)}, path, x_label="words of the source", y_label="BLEU, lower-cased")
        everything = Corpus([*everything.source, *corpus.source], [*everything.target, *corpus.target])
        all_translated += translated
        write_atomic(path.with_suffix(".txt"), f"BLEU on {name} by the length of the source sentence\n".encode())
    words, scores = by_length(everything, all_translated)
    write_json(folder / CURVES, {CURVE: {"x": words, "y": scores}})
    write_json(folder / "sacrebleu.json", {"beam": beam, "length_penalty": length_penalty, **signatures})
    return numbers


def nearest(known: Corpus, sentences: Sequence[str]) -> list[str]:
    """For each sentence the translation of the known one that shares most words with it (cosine of TF-IDF)."""
    from sklearn.feature_extraction.text import TfidfVectorizer  # a second that other verbs need not spend

    words = TfidfVectorizer(token_pattern=r"\S+")  # also words of one letter: no sentence is left without any
    table: Any = words.fit_transform(known.source)  # sparse, (pairs, words)
    similar = (words.transform(sentences) @ table.T).argmax(1)
    return [known.target[i] for i in np.asarray(similar).ravel()]


def by_length(corpus: Corpus, translated: list[str]) -> tuple[list[float], list[float]]:
    """Mean words of the source, and lower-cased BLEU, of sentences grouped by their length."""
    lengths = np.array([len(sentence.split()) for sentence in corpus.source])
    groups = [g.tolist() for g in np.array_split(lengths.argsort(kind="stable"), min(BINS, len(lengths)))]
    scores = [bleu([translated[i] for i in g], [corpus.target[i] for i in g], lowercase=True)[0] for g in groups]
    return [float(lengths[g].mean()) for g in groups], scores


def table(corpus: Corpus, translated: Sequence[str]) -> str:
    """Sentences from all over the set with translation and reference, tab-separated under a header."""
    rows = np.linspace(0, len(corpus) - 1, min(SHOWN, len(corpus))).astype(int)
    lines = [(corpus.source[i], translated[i], corpus.target[i]) for i in rows]
    cells = [[cell.replace("\t", " ") for cell in line] for line in [("source", "translation", "reference"), *lines]]
    return "".join("\t".join(line) + "\n" for line in cells)
