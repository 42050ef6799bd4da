"""Public checkpoints: what the public implementation writes is read, what is written it reads, and faults are named."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from transformers import (
    BertConfig,
    BertForMaskedLM,
    BertForNextSentencePrediction,
    BertForPreTraining,
    BertForQuestionAnswering,
    BertForSequenceClassification,
    BertModel,
    BertTokenizer,
    PreTrainedModel,
)

from daybreak.engine.errors import UserError
from daybreak.systems.language.encoders import open_encoder
from daybreak.systems.language.model.bert import Bert
from daybreak.systems.language.model.heads import Pretraining
from daybreak.systems.language.model.public import read_public, write_public
from daybreak.systems.language.model.rows import rows_of
from daybreak.systems.language.shape import Shape, to_public
from daybreak.systems.language.wordpiece import encode

PIECES = [
    "[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "the", "cat", "sat", "on", "a", "mat", "##s", "##ting", ".", ",",
    "Rome", "rome", "é", "e", "z", "##u", "##r", "##i", "##c", "##h",
]  # fmt: skip
VOCABULARY = "".join(f"{piece}\n" for piece in PIECES).encode()
SHAPE = Shape(vocabulary=len(PIECES) + 3, hidden_size=20, num_layers=2, num_heads=2, inner_size=28, positions=16)
TOKENS, SEGMENTS = torch.tensor([[2, 5, 6, 7, 3, 9, 10, 3]]), torch.tensor([[0, 0, 0, 0, 0, 1, 1, 1]])
WITHOUT_POOLER = (BertForMaskedLM, BertForQuestionAnswering)


def save_peer(folder: Path, kind: type[PreTrainedModel] = BertForPreTraining) -> PreTrainedModel:
    """A model of the public implementation with random weights, written by itself; and the vocabulary."""
    torch.manual_seed(0)
    model = kind(BertConfig(**to_public(SHAPE))).eval()
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(0.3 * torch.randn_like(weight))
    model.save_pretrained(folder)
    (folder / "vocab.txt").write_bytes(VOCABULARY)
    return model


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bert")
    save_peer(folder)
    return folder


@pytest.fixture
def checkpoint(saved: Path, tmp_path: Path) -> Path:
    """A copy, to be damaged."""
    return Path(shutil.copytree(saved, tmp_path / "checkpoint"))


@torch.no_grad()
def hidden_of_ours(weights: dict[str, Tensor]) -> Tensor:
    """Last hidden states of the encoder with these weights; what they do not have is as new."""
    bert = Bert(SHAPE).eval()
    bert.load_state_dict(bert.state_dict() | weights)
    return bert(rows_of([TOKENS[0].numpy()], [SEGMENTS[0].numpy()]))


@torch.no_grad()
def hidden_of_theirs(model: PreTrainedModel) -> Tensor:
    return model.base_model(input_ids=TOKENS, token_type_ids=SEGMENTS).last_hidden_state[0]


# ----------------------------------------------------------------------------- theirs, read


@pytest.mark.parametrize(
    "kind",
    [BertModel, BertForPreTraining, BertForSequenceClassification, BertForNextSentencePrediction, *WITHOUT_POOLER],
)
def test_every_model_that_the_peer_saves_is_opened(kind: type[PreTrainedModel], tmp_path: Path) -> None:
    theirs = save_peer(tmp_path, kind)
    reader, weights = open_encoder(tmp_path)
    assert reader.shape == SHAPE and reader.lowercase
    assert [each.ids for each in encode(reader.tokenizer, ["The cats sat"])] == [[5, 6, 11, 7]]
    torch.testing.assert_close(hidden_of_ours(weights), hidden_of_theirs(theirs), rtol=0, atol=1e-5)
    poolers = {name for name in Bert(SHAPE).state_dict() if "pooler" in name}
    assert Bert(SHAPE).state_dict().keys() - weights.keys() == (poolers if kind in WITHOUT_POOLER else set())


def test_the_heads_of_pretraining_are_read_where_they_are_there(saved: Path, tmp_path: Path) -> None:
    of_pretraining = read_public(saved).weights
    assert of_pretraining.keys() == Pretraining(SHAPE).state_dict().keys()
    save_peer(tmp_path, BertForMaskedLM)
    missing = of_pretraining.keys() - read_public(tmp_path).weights.keys()
    assert missing == {"bert.pooler.weight", "bert.pooler.bias", "follows.weight", "follows.bias"}


def test_checkpoints_that_came_from_tensorflow_are_read(checkpoint: Path) -> None:
    """Their norms have a gamma and a beta, and some keep the numbers of the places, or numbers of 16 bits."""
    expected = read_public(checkpoint).weights
    rename(checkpoint, {"LayerNorm.weight": "LayerNorm.gamma", "LayerNorm.bias": "LayerNorm.beta"})
    change(checkpoint, lambda weights: weights | {"bert.embeddings.position_ids": torch.arange(16)[None]})
    found = read_public(checkpoint).weights
    assert found.keys() == expected.keys() and all(torch.equal(found[name], expected[name]) for name in expected)
    change(checkpoint, lambda weights: {name: each.half() for name, each in weights.items()})
    assert all(each.dtype == torch.float32 for each in read_public(checkpoint).weights.values())


def test_the_oldest_checkpoints_do_not_name_their_model(checkpoint: Path) -> None:
    expected = read_public(checkpoint).weights
    configure(checkpoint, model_type=None, architectures=None)
    reader, weights = open_encoder(checkpoint)
    assert reader.shape == SHAPE and weights.keys() == {n[5:] for n in expected if n.startswith("bert.")}


def test_the_case_of_letters_is_what_the_checkpoint_says(checkpoint: Path) -> None:
    (checkpoint / "tokenizer_config.json").write_text('{"do_lower_case": false}')
    reader, _ = open_encoder(checkpoint)
    assert not reader.lowercase
    assert [each.ids for each in encode(reader.tokenizer, ["Rome rome"])] == [
        [PIECES.index("Rome"), PIECES.index("rome")]
    ]


# ----------------------------------------------------------------------------- ours, read by them


@pytest.mark.parametrize("kind", [BertModel, BertForPreTraining, BertForMaskedLM, BertForSequenceClassification])
@torch.no_grad()
def test_the_peer_opens_what_is_written_as_any_of_its_models(kind: type[PreTrainedModel], tmp_path: Path) -> None:
    torch.manual_seed(1)
    ours = Pretraining(SHAPE).eval()
    for weight in ours.parameters():
        weight.add_(0.3 * torch.randn_like(weight))
    write_public(tmp_path, SHAPE, ours.state_dict(), VOCABULARY, lowercase=True)
    theirs = kind.from_pretrained(tmp_path, local_files_only=True).eval()
    torch.testing.assert_close(
        hidden_of_theirs(theirs), ours.bert(rows_of([TOKENS[0].numpy()], [SEGMENTS[0].numpy()])), rtol=0, atol=1e-5
    )


@pytest.mark.parametrize("lowercase", [True, False])
def test_the_peer_reads_text_as_we_do_with_the_vocabulary_that_is_written(lowercase: bool, tmp_path: Path) -> None:
    write_public(tmp_path, SHAPE, Pretraining(SHAPE).state_dict(), VOCABULARY, lowercase)
    theirs = BertTokenizer.from_pretrained(tmp_path, local_files_only=True)
    reader, _ = open_encoder(tmp_path)
    special = reader.special
    for text in ("Rome, rome: the CATS are sitting.", "Zürich é", ""):
        (ours,) = encode(reader.tokenizer, [text])
        assert theirs(text)["input_ids"] == [special.cls, *ours.ids, special.sep]
    assert theirs.pad_token_id == special.pad and theirs.model_max_length == SHAPE.positions


def test_what_is_written_is_read_back_to_the_last_bit(tmp_path: Path) -> None:
    weights = Pretraining(SHAPE).state_dict()
    write_public(tmp_path, SHAPE, weights, VOCABULARY, lowercase=False)
    public = read_public(tmp_path)
    assert public.shape == SHAPE and not public.lowercase and public.vocabulary.read_bytes() == VOCABULARY
    assert public.weights.keys() == weights.keys()
    assert all(torch.equal(public.weights[name], weights[name]) for name in weights)


# ----------------------------------------------------------------------------- faults


def configure(folder: Path, **values: Any) -> None:
    """Change ``config.json``; None takes a value out."""
    path = folder / "config.json"
    config = {**json.loads(path.read_text()), **values}
    path.write_text(json.dumps({name: value for name, value in config.items() if value is not None}))


def change(folder: Path, edit: Callable[[dict[str, Tensor]], dict[str, Tensor]]) -> None:
    """Change the weights."""
    path = folder / "model.safetensors"
    weights = edit({name: each.clone() for name, each in load_file(path).items()})  # it is mapped, not read
    save_file(weights, path)


def rename(folder: Path, parts: dict[str, str]) -> None:
    def edit(weights: dict[str, Tensor]) -> dict[str, Tensor]:
        renamed: dict[str, Tensor] = {}
        for name, each in weights.items():
            for old, new in parts.items():
                name = name.replace(old, new)
            renamed[name] = each
        return renamed

    change(folder, edit)


def reshape(folder: Path, name: str, *size: int) -> None:
    change(folder, lambda weights: {**weights, name: torch.zeros(size)})


def remove(folder: Path, name: str) -> None:
    (folder / name).unlink()


def write(folder: Path, name: str, content: bytes) -> None:
    (folder / name).write_bytes(content)


def pickle_only(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")


def cut_short(folder: Path) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


KEY = "bert.encoder.layer.1.attention.self.key.weight"
FAULTS: list[tuple[Callable[[Path], None], str]] = [
    (lambda folder: remove(folder, "model.safetensors"), "has no model.safetensors"),
    (lambda folder: remove(folder, "config.json"), "config.json"),
    (lambda folder: remove(folder, "vocab.txt"), "vocab.txt"),
    (pickle_only, "pytorch_model.bin is a pickle"),
    (cut_short, "model.safetensors cannot be read"),
    (lambda folder: write(folder, "model.safetensors", b""), "model.safetensors cannot be read"),
    (lambda folder: write(folder, "config.json", b"{vocab_size: 30522}"), "config.json"),
    (lambda folder: write(folder, "config.json", b"[30522]"), "config.json"),
    (lambda folder: write(folder, "tokenizer_config.json", b"\xff{}"), "tokenizer_config.json"),
    (lambda folder: write(folder, "vocab.txt", VOCABULARY + b"more\n" * 4), "vocab.txt has"),
    (lambda folder: write(folder, "vocab.txt", b"the\ncat\n"), "vocab.txt"),
    (lambda folder: configure(folder, model_type="roberta"), "roberta"),
    (lambda folder: configure(folder, hidden_act="relu"), "hidden_act 'relu'"),
    (lambda folder: configure(folder, intermediate_size=None), "intermediate_size"),
    (lambda folder: configure(folder, num_hidden_layers="2"), "num_hidden_layers"),
    (lambda folder: configure(folder, num_hidden_layers=3), "bert.encoder.layer.2."),
    (lambda folder: configure(folder, num_attention_heads=3), "num_heads 3"),
    (lambda folder: configure(folder, hidden_size=24), "word_embeddings.weight of the checkpoint is"),
    (lambda folder: configure(folder, max_position_embeddings=17), "position_embeddings.weight of the checkpoint is"),
    (lambda folder: reshape(folder, KEY, 20, 19), f"{KEY} of the checkpoint is (20, 19)"),
    (lambda folder: reshape(folder, KEY), f"{KEY} of the checkpoint is ()"),
    (lambda folder: reshape(folder, "cls.predictions.bias", 7), "cls.predictions.bias of the checkpoint is (7,)"),
    (lambda folder: rename(folder, {"layer.1.output": "layer.1.input"}), "bert.encoder.layer.1.output"),
    (lambda folder: change(folder, lambda weights: {}), "word_embeddings"),
]


@pytest.mark.parametrize(("damage", "named"), FAULTS, ids=[named for _, named in FAULTS])
def test_a_fault_is_one_sentence_that_names_it(damage: Callable[[Path], None], named: str, checkpoint: Path) -> None:
    damage(checkpoint)
    with pytest.raises(UserError) as raised:
        open_encoder(checkpoint)
    told = str(raised.value)
    assert named in told and "\n" not in told and ": " in told


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="nowhere"):
        open_encoder(tmp_path / "nowhere")
