"""A trained encoder, opened from its folder alone: what it can be asked depends on what it was trained for."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, TypeVar

from torch import nn

from daybreak.engine.config import RunConfig
from daybreak.engine.device import Device
from daybreak.engine.errors import UserError
from daybreak.engine.rundir import config_of, read_config
from daybreak.engine.weights import load_weights
from daybreak.nn.int8 import in_int8
from daybreak.systems.language.assets import Reader, read_learned, read_reader
from daybreak.systems.language.config import FinetuneConfig, PretrainConfig
from daybreak.systems.language.embed import Encoder
from daybreak.systems.language.encoders import is_public, place_of
from daybreak.systems.language.fill import MaskedLM
from daybreak.systems.language.model.bert import Bert
from daybreak.systems.language.model.heads import Pretraining
from daybreak.systems.language.model.public import read_public
from daybreak.systems.language.tasks.table import TASKS
from daybreak.systems.language.uses import Answerer, Chooser, Classifier, Finetuned, Similarity, Tagger
from daybreak.systems.language.wordpiece import read_wordpiece

AnyDevice = Literal["auto", "cpu", "cuda", "mps"]
Net = TypeVar("Net", bound=nn.Module)
Used = TypeVar("Used", bound=Encoder)

USES: dict[str, type[Finetuned]] = {
    "classify": Classifier,
    "similarity": Similarity,
    "choose": Chooser,
    "tag": Tagger,
    "answer": Answerer,
}


def load(run_dir: str | Path, device: AnyDevice = "auto", *, int8: bool = False) -> MaskedLM | Finetuned:
    """Open a run directory of either loop, a public checkpoint, or ``bert-mini``; in 8-bit integers if so wished.

    Raises UserError for a folder that is neither, a training that is unfinished, damaged files, or 8 bits on a GPU.
    """
    folder = place_of(run_dir)
    if is_public(folder):
        return _open_public(folder, _place(RunConfig(device=device), int8), int8)
    if read_config(folder)["loop"] == PretrainConfig.loop:
        config, reader = config_of(PretrainConfig, folder), read_reader(folder)
        place = _place(RunConfig(device=device, precision=config.precision), int8)
        net = Pretraining(reader.shape)
        load_weights(net, folder)
        return MaskedLM(str(folder), reader, _placed(net, place, int8), config.length, place, can_fill=True)
    config, reader, learned = config_of(FinetuneConfig, folder), read_reader(folder), read_learned(folder)
    place = _place(RunConfig(device=device, precision=config.precision), int8)
    if learned.task not in USES:
        raise UserError(f"{folder} has learned {learned.task!r}, which this daybreak does not know: use a newer one")
    net = TASKS[learned.task].net(Bert(reader.shape), tuple(learned.labels), learned.pairs, config)
    load_weights(net, folder)
    return USES[learned.task](str(folder), config, reader, learned, _placed(net, place, int8), place)


def _open_public(folder: Path, place: Device, int8: bool) -> MaskedLM:
    public = read_public(folder)
    reader = Reader(read_wordpiece(public.vocabulary, public.lowercase), public.lowercase, public.shape)
    net = Pretraining(public.shape)
    net.load_state_dict(net.state_dict() | public.weights)
    can_fill = {"transform.weight", "norm.weight", "bias"} <= public.weights.keys()
    return MaskedLM(str(folder), reader, _placed(net, place, int8), public.shape.positions, place, can_fill)


def _place(config: RunConfig, int8: bool) -> Device:
    place = Device.pick(config)
    if int8 and place.torch.type != "cpu":
        raise UserError(f"--int8 is for a CPU, not for {place.name}: leave it out")
    return place


def _placed(net: Net, place: Device, int8: bool) -> Net:
    return place.wrap(in_int8(net) if int8 else net).eval()


def load_for(use: type[Used], run_dir: Path, *, int8: bool = False) -> Used:
    """Open what can be used in one way. Raises UserError as :func:`load`, and for what is there for another use."""
    model = load(run_dir, int8=int8)
    if not isinstance(model, use):
        raise UserError(f"{run_dir} is {model.what}: use daybreak {PretrainConfig.system} {model.verb}")
    return model
