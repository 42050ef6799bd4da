"""BLEU as sacrebleu computes and signs it (Post 2018): of plain text, so that figures of different systems compare."""

from __future__ import annotations

from collections.abc import Sequence


def bleu(translations: Sequence[str], references: Sequence[str], *, lowercase: bool = False) -> tuple[float, str]:
    """Corpus BLEU (0 to 100) of as many translations as references, and sacrebleu's signature of how it was computed.

    Raises ValueError when there are none, or not as many of one as of the other.
    """
    from sacrebleu.metrics.bleu import BLEU  # half a second that a run without text need not spend

    if not translations or len(translations) != len(references):
        raise ValueError(f"{len(translations)} translations cannot be compared with {len(references)} references")
    metric = BLEU(lowercase=lowercase, force=True)  # force: our translations may look tokenised, it would warn
    score = metric.corpus_score(list(translations), [list(references)])
    return score.score, str(metric.get_signature())


def exact_match(translations: Sequence[str], references: Sequence[str]) -> float:
    """Percent of translations that are their reference to the letter."""
    if not translations:
        raise ValueError("there are no translations to compare")
    return 100.0 * sum(a == b for a, b in zip(translations, references, strict=True)) / len(translations)
