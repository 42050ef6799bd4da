"""What the records of language claim: the targets stand here before the first run. Imports no torch."""

from __future__ import annotations

from typing import Any

from daybreak.engine.claim import Claim, Target

PAIRS = {"lr": 1e-3, "encoder_lr": 0.3, "steps": 400, "eval_every": 100}
"""Of the preset ``sentences`` where there are a few thousand pairs to learn from."""
SECONDS = {"training_seconds": Target("s", better="lower"), "training_cpu_seconds": Target("CPU s", better="lower")}


def twins(name: str, text: str, preset: str, metrics: dict[str, Target], **flags: Any) -> dict[str, Claim]:
    """A claim of fine-tuning, and one of the same network from random weights, which promises nothing."""
    without = {metric: Target(target.unit, None, target.floor) for metric, target in metrics.items()}
    return {
        name: Claim(f"{text}, after BERT-mini's pretraining", preset, metrics | SECONDS, flags=flags),
        f"{name}-from-scratch": Claim(
            f"{text}, by the same network from random weights", preset, without | SECONDS,
            flags={**flags, "from_scratch": True},
        ),
    }  # fmt: skip


TINY = "BERT-Tiny, published, on GLUE's test set"
OVERLAP = "logistic regression of the words in common"
TF_IDF = "cosine of TF-IDF vectors"
STSB_TINY = (TINY, 74.3)

CLAIMS: dict[str, Claim] = {
    "pretrain-mini": Claim(
        "BERT-mini, pretrained on novels, speeches and reviews for an hour on two cores, guesses masked words",
        "mini",
        {
            "held_out_masked_accuracy": Target("%", 35.0, ("without reading the context", 14.9)),
            "copy_accuracy": Target("%"),
            "unigram_accuracy": Target("%"),
            "held_out_follows_accuracy": Target("%"),
            "held_out_follows_majority": Target("%"),
            "training_seconds": Target("s", 3_600.0, better="lower"),
            "training_cpu_seconds": Target("CPU s", better="lower"),
        },
        headline=True,
    ),
    **twins(
        "sst2", "a film review's phrase is classified as good or bad", "sentences",
        {
            "glue_dev_accuracy": Target("%", 83.0, ("logistic regression of TF-IDF", 80.8), (TINY, 83.2)),
            "sentences_test_accuracy": Target("%", floor=("logistic regression of TF-IDF", 82.4)),
        },
    ),
    **twins(
        "mrpc", "paraphrases are told from sentences that only look like it", "sentences",
        {
            "test_accuracy": Target("%", 74.1, (OVERLAP, 74.0), (TINY, 71.1)),  # 72 at first, which is below the floor
            "test_f1": Target("%", 82.0, (OVERLAP, 81.7), (TINY, 81.1)),
        },
        data="mrpc", **PAIRS,
    ),
    **twins(
        "sick", "it is told whether one sentence follows from another, or contradicts it", "sentences",
        {"test_accuracy": Target("%", 75.0, (OVERLAP, 66.3))},
        data="sick", **PAIRS,
    ),
    **twins(
        "stsb-cross", "two sentences that are read together are compared", "sentences",
        {
            "test_pearson": Target("%", 70.0, (TF_IDF, 66.4), STSB_TINY),
            "test_spearman": Target("%", floor=(TF_IDF, 64.7)),
        },
        data="stsb", **PAIRS,
    ),
    **twins(
        "stsb-bi", "two sentences that are read apart are compared by their vectors", "sentences",
        {
            "test_pearson": Target("%", 68.0, (TF_IDF, 66.4), STSB_TINY),
            "test_spearman": Target("%", floor=(TF_IDF, 64.7)),
        },
        data="stsb", encoder="bi", dropout=0.0, **(PAIRS | {"encoder_lr": 0.1}),
    ),
    **twins(
        "dream", "the answer to a question about a dialogue is chosen from three", "passages",
        {"test_accuracy": Target("%", 46.0, ("word overlap; chance is 33.3", 43.1), ("GPT-1", 55.5))},
        data="dream",
    ),
    **twins(
        "ewt", "the words of English on the web are given their parts of speech", "tags",
        {"test_accuracy": Target("%", 92.0, ("the most frequent tag of each word", 88.0), ("published taggers", 97.0))},
        data="ewt",
    ),
    **twins(
        "conll2003", "the names of people, places and organisations in news are found", "tags",
        {"testb_f1": Target("%", 75.0, ("names of the training examples", 59.5), ("BERT-base", 92.4))},
    ),
    **twins(
        "squad", "questions about paragraphs of Wikipedia are answered by a piece of them", "passages",
        {
            "xquad_en_f1": Target(
                "%", 20.0, ("the sentence with most words of the question", 15.3), ("BERT-base, trained on SQuAD", 88.5)
            ),
            "xquad_en_exact_match": Target("%"),
        },
    ),
}  # fmt: skip
