"""What pretraining and fine-tuning need to know, and their presets. Imports no torch."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, Literal

from daybreak.engine.config import RunConfig, preset, presets
from daybreak.engine.errors import UserError

Size = Literal["tiny", "mini", "small", "base"]
TaskName = Literal["classify", "similarity", "choose", "tag", "answer"]
DataName = Literal[
    "code-words", "sst2", "cola", "mrpc", "sick", "sick-relatedness", "stsb", "dream", "swag",
    "conll2003", "wnut17", "ewt", "squad", "squad1", "squad2", "files",
]  # fmt: skip

BROUGHT = "bert-mini"
"""The encoder that daybreak brings."""

LIMITS: dict[str, tuple[float, float]] = RunConfig.limits | {
    "vocabulary": (300, 1_000_000),
    "length": (8, 512),
    "tokens": (64, math.inf),
    "dropout": (0, 0.9),
    "lr": (0, 1),
    "warmup_steps": (0, math.inf),
    "weight_decay": (0, 10),
    "clip": (0, math.inf),
    "eval_every": (1, math.inf),
}


@dataclass(kw_only=True)
class PretrainConfig(RunConfig):
    """Pretrain BERT on running text: masked words are guessed, and whether one sentence follows another."""

    system: ClassVar[str] = "language"
    loop: ClassVar[str] = "pretrain"
    watch: ClassVar[tuple[str, Literal["min", "max"]]] = ("val_masked_accuracy", "max")
    limits: ClassVar[dict[str, tuple[float, float]]] = LIMITS | {
        "masked": (0.01, 0.9), "held_out": (1, math.inf), "matrix_lr": (0, 1_000),
    }  # fmt: skip

    corpus: Literal["pydoc", "lm", "files"] = "pydoc"
    """Text: Python's own documentation; novels, speeches and reviews under DAYBREAK_DATA; or files of your own."""
    files: tuple[str, ...] = ()
    """With --corpus files: text files; blank lines part paragraphs, and files are documents."""
    held_out: int = 500
    """Rows of held-out text that are guessed in each validation."""
    vocabulary: int = 8_192
    """Word pieces to learn."""
    lowercase: bool = True
    """Read all text in lower case and without accents."""
    size: Size = "mini"
    """Layers and width: tiny 2 and 128, mini 4 and 256, small 4 and 512, base 12 and 768."""
    length: int = 128
    """Word pieces of a row."""
    masked: float = 0.15
    """Share of the word pieces that are to be guessed."""
    whole_words: bool = False
    """Mask all pieces of a word or none."""
    next_sentence: bool = True
    """Rows are two sentences, of which the second follows the first or is from another document."""

    tokens: int = 8_192
    """Word pieces a step."""
    dropout: float = 0.0
    """Share of activations set to zero while training; a text that is read few times needs none."""
    optimizer: Literal["adamw", "muon"] = "adamw"
    """AdamW; or Muon for matrices, and that for the rest."""
    lr: float = 1e-3
    """Peak learning rate."""
    matrix_lr: float = 5.0
    """With Muon: the matrices' learning rate, in multiples of --lr."""
    warmup_steps: int = 200
    """Steps over which the learning rate rises."""
    weight_decay: float = 0.01
    """Decay of matrices."""
    clip: float = 0.5
    """Largest norm of the gradient; 0 leaves it as it is."""
    eval_every: int = 500
    """Steps between two validations."""

    def check(self) -> None:
        """Raise UserError where fields do not go together."""
        super().check()
        if self.corpus == "files" and not self.files:
            raise UserError("--corpus files needs --files: give text files")
        if self.tokens < self.length:
            raise UserError(f"--tokens {self.tokens} cannot hold a row of --length {self.length}: give more")


@preset
def tiny() -> PretrainConfig:
    """Python's documentation by two small layers: seconds on a laptop, no network needed."""
    return PretrainConfig(  # it has 59,000 word pieces: many small steps, and more holes than BERT's
        size="tiny", vocabulary=1_000, length=64, masked=0.3, next_sentence=False, tokens=512, held_out=200, lr=2e-3,
        warmup_steps=20, steps=400, eval_every=100, save_every=100, log_every=25,
    )  # fmt: skip


@preset
def mini() -> PretrainConfig:
    """Novels, speeches and reviews by BERT-mini: an hour on two cores."""
    return PretrainConfig(
        corpus="lm", masked=0.3, tokens=4_096, optimizer="muon", clip=0.0, steps=6_000, save_every=250, log_every=25
    )


@preset
def small() -> PretrainConfig:
    """The same by BERT-small: ten minutes on one large GPU."""
    return PretrainConfig(
        corpus="lm", size="small", vocabulary=16_384, masked=0.3, tokens=65_536, dropout=0.1, optimizer="muon",
        clip=0.0, steps=5_000, save_every=500, log_every=50,
    )  # fmt: skip


PRETRAIN = presets(tiny, mini, small)


@dataclass(kw_only=True)
class FinetuneConfig(RunConfig):
    """Fine-tune a pretrained encoder on one task: classes, similarity, choices, tags or answers."""

    system: ClassVar[str] = "language"
    loop: ClassVar[str] = "finetune"
    watch: ClassVar[tuple[str, Literal["min", "max"]]] = ("val_score", "max")
    limits: ClassVar[dict[str, tuple[float, float]]] = LIMITS | {"stride": (1, 512), "encoder_lr": (0, 1_000)}

    pretrained: str = ""
    """Run directory of a pretraining, folder of a public checkpoint, or bert-mini, which daybreak brings; else none."""
    from_scratch: bool = False
    """Take vocabulary and shape from --pretrained, and leave its weights: what pretraining is worth."""
    data: DataName = "code-words"
    """Data set, under DAYBREAK_DATA but for code-words; or files of your own."""
    task: TaskName | None = None
    """With --data files: what to learn; the other data sets say so themselves."""
    train_file: str = ""
    """With --data files: examples to train on (.tsv, .csv, .jsonl; .json as SQuAD's; .conll or .conllu for tags)."""
    val_file: str = ""
    """With --data files: examples to choose by; without, a tenth of the training examples is held out."""
    test_file: str = ""
    """With --data files: examples for `evaluate`."""
    size: Size = "tiny"
    """Without --pretrained: layers and width."""
    vocabulary: int = 4_000
    """Without --pretrained: word pieces to learn from the training examples."""

    encoder: Literal["cross", "bi"] = "cross"
    """Of similarity: read both sentences together, or each by itself and compare their vectors."""
    bag: bool = True
    """Of classes of single sentences: add a linear layer over word pieces and pairs of neighbours to [CLS]'s."""
    compare: bool = True
    """Of pairs read together, and of choices: compare each word with those like it in the other, beside [CLS]."""
    crf: bool = False
    """Of tag: score whole sequences of tags (a conditional random field) rather than each tag alone."""
    length: int = 128
    """Word pieces of a row; what is longer is cut, or for answer and tag read in several rows."""
    stride: int = 64
    """Of answer: word pieces by which the next row of a long context begins later."""

    tokens: int = 2_048
    """Word pieces a step."""
    dropout: float = 0.1
    """Share of activations set to zero while training."""
    lr: float = 3e-4
    """Peak learning rate of AdamW."""
    encoder_lr: float = 1.0
    """The encoder's learning rate, in multiples of --lr; 0 leaves it as it was pretrained."""
    warmup_steps: int = 100
    """Steps over which the learning rate rises."""
    weight_decay: float = 0.01
    """AdamW's decay of matrices."""
    clip: float = 1.0
    """Largest norm of the gradient."""
    eval_every: int = 200
    """Steps between two validations; the best of them is what is saved."""

    def check(self) -> None:
        """Raise UserError where fields do not go together."""
        super().check()
        if self.data == "files" and not (self.train_file and self.task):
            raise UserError("--data files needs --train-file and --task: give the examples, and what they are for")
        if self.data != "files" and self.task:
            raise UserError(f"--task belongs to --data files: leave it out, {self.data} knows its own")
        if self.from_scratch and not self.pretrained:
            raise UserError("--from-scratch needs --pretrained: it takes the vocabulary and the shape from there")
        answers = self.task == "answer" or self.data.startswith("squad")
        if answers and self.stride >= self.length:
            raise UserError(f"--stride {self.stride} skips words in rows of --length {self.length}: give less")


@preset
def code_tiny() -> FinetuneConfig:
    """Which words of Python's documentation are code: seconds on a laptop, no network needed."""
    return FinetuneConfig(
        length=64, tokens=1_024, lr=1e-3, warmup_steps=30, steps=200, eval_every=50, save_every=100, log_every=25
    )


@preset
def sentences() -> FinetuneConfig:
    """Sentences and pairs: SST-2, and with --data cola, mrpc, sick, stsb: minutes on two cores."""
    return FinetuneConfig(pretrained=BROUGHT, data="sst2", lr=5e-4, steps=1_500, eval_every=250, log_every=25)


@preset
def tags() -> FinetuneConfig:
    """Entities of CoNLL-2003, and with --data wnut17 or ewt: minutes on two cores."""
    return FinetuneConfig(
        pretrained=BROUGHT, data="conll2003", lr=1e-3, steps=1_000, eval_every=200, log_every=25
    )  # fmt: skip


@preset
def passages() -> FinetuneConfig:
    """Questions about a context as in SQuAD, and with --data dream or swag: a quarter of an hour on two cores."""
    return FinetuneConfig(
        pretrained=BROUGHT, data="squad", length=256, stride=128, tokens=4_096, lr=5e-4, steps=1_200, eval_every=200,
        log_every=25,
    )  # fmt: skip


FINETUNE = presets(code_tiny, sentences, tags, passages)
