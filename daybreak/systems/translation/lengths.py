"""Several runs side by side, by the length of the sentences: what one vector holds, and what attention adds."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from daybreak import draw
from daybreak.engine.errors import UserError
from daybreak.systems.translation.data import Corpus, tests
from daybreak.systems.translation.evaluate import by_length
from daybreak.systems.translation.predict import Translator, load


def compare(runs: Sequence[Path], out: Path) -> list[str]:
    """Draw BLEU by length for each run, all test sets together; returns a table, a line a run.

    Raises UserError when the runs translate different sentences, or ``out`` names no picture.
    """
    draw.kind_of(out)
    translators = [load(run) for run in runs]
    corpora = [_all_tests(translator) for translator in translators]
    if any(corpus != corpora[0] for corpus in corpora):
        raise UserError("these runs have different test sentences: give runs of one data set, languages and all")
    series: dict[str, tuple[list[float], list[float]]] = {}
    for run, translator in zip(runs, translators, strict=True):
        series[_name(translator, run, set(series))] = by_length(corpora[0], translator.translate(corpora[0].source))
    draw.curves(series, out, x_label="words of the source", y_label="BLEU, lower-cased")
    lengths = next(iter(series.values()))[0]
    head = f"{'words':<24}" + "".join(f"{length:>8.1f}" for length in lengths)
    return [head, *(f"{name:<24}" + "".join(f"{score:>8.1f}" for score in y) for name, (_, y) in series.items())]


def _all_tests(translator: Translator) -> Corpus:
    sets = tests(translator.config).values()
    return Corpus([s for corpus in sets for s in corpus.source], [t for corpus in sets for t in corpus.target])


def _name(translator: Translator, run: Path, taken: set[str]) -> str:
    """What the network is; the run directory with it where that is not enough."""
    config = translator.config
    name = "Transformer"
    if config.model == "rnn":
        name = f"{config.cell.upper()}, " + (
            "one vector" if config.attention == "none" else f"{config.attention} attention"
        )
    return f"{name} ({run})" if name in taken else name
