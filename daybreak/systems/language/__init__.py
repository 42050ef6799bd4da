"""Language: BERT, pretrained and in its seven uses (Devlin et al. 2018)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from daybreak.systems import export_lazily
from daybreak.systems.language.config import (
    FINETUNE,
    PRETRAIN,
    FinetuneConfig,
    PretrainConfig,
    code_tiny,
    mini,
    passages,
    sentences,
    small,
    tags,
    tiny,
)

if TYPE_CHECKING:
    from daybreak.systems.language.evaluate import evaluate
    from daybreak.systems.language.finetune import finetune
    from daybreak.systems.language.predict import load
    from daybreak.systems.language.pretrain import pretrain

__all__ = [
    "FINETUNE",
    "PRETRAIN",
    "FinetuneConfig",
    "PretrainConfig",
    "code_tiny",
    "evaluate",
    "finetune",
    "load",
    "mini",
    "passages",
    "pretrain",
    "sentences",
    "small",
    "tags",
    "tiny",
]

export_lazily(__name__, pretrain="pretrain", finetune="finetune", evaluate="evaluate", load="predict")
