"""Runs of language as they lie on the disk, with small networks that have learned nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from daybreak.engine import device
from daybreak.engine.config import RunConfig, to_json
from daybreak.engine.rundir import CONFIG, WEIGHTS, write_json
from daybreak.systems.language.assets import Learned, Reader, write_learned, write_reader
from daybreak.systems.language.config import FinetuneConfig, PretrainConfig
from daybreak.systems.language.model.bert import Bert
from daybreak.systems.language.model.heads import Pretraining
from daybreak.systems.language.shape import Shape
from daybreak.systems.language.tasks.table import TASKS
from daybreak.systems.language.wordpiece import learn_wordpiece

LINES = [
    "the bank of the river was wet", "she took the money to the bank", "they sat by the water of the river",
    "he put his money into another bank", "Ada Lovelace lives in London and writes notes", "a cat sat on the mat",
    "who wrote the notes", "the notes were written by Ada", "is it good or bad", "it is not bad, it is good",
]  # fmt: skip
LABELS = {
    "classify": ["bad", "good"],
    "similarity": ["0.0", "5.0"],
    "choose": [],
    "tag": ["B-LOC", "B-PER", "I-LOC", "I-PER", "O"],
    "answer": [],
}
MakeRun = Callable[..., Path]


@pytest.fixture(autouse=True, scope="module")
def exact() -> Iterator[None]:
    """All machines compute in fp32."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(device, "cpu_bf16_speed", lambda: 0.0)
        yield


@pytest.fixture(scope="session")
def reader() -> Reader:
    """Two hundred word pieces, and a network of two layers."""
    tokenizer = learn_wordpiece(LINES * 3, 300)
    return Reader(tokenizer, True, Shape(tokenizer.get_vocab_size(), 32, 2, 2, 64, positions=64))


@pytest.fixture
def make_run(tmp_path: Path, reader: Reader) -> MakeRun:
    """``make_run("tag", crf=True)`` -> its run directory; ``make_run("pretrain")`` for a pretrained one."""

    def make(task: str, name: str = "", pairs: bool = False, **fields: Any) -> Path:
        torch.manual_seed(1)
        folder = tmp_path / (name or task)
        folder.mkdir()
        config: RunConfig
        if task == "pretrain":
            config = PretrainConfig(**{"length": 24, "held_out": 20, **fields})
            net: torch.nn.Module = Pretraining(reader.shape)
        else:
            config = FinetuneConfig(**{"length": 24, "stride": 8, **fields})
            net = TASKS[task].net(Bert(reader.shape), tuple(LABELS[task]), pairs, config)
            write_learned(folder, Learned(task, LABELS[task], pairs))
        for parameter in net.parameters():  # as if trained: first weights are so small that all texts are alike
            if parameter.ndim == 2:
                torch.nn.init.normal_(parameter, std=0.3)
        stored = {"format": 1, "system": "language", "preset": "tiny", "loop": config.loop, "config": to_json(config)}
        write_json(folder / CONFIG, stored)
        write_reader(folder, reader)
        save_file(net.state_dict(), folder / WEIGHTS)
        return folder

    return make
