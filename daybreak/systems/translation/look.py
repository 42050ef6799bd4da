"""Where a translator looks: every attention map of a sentence and its translation."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from tokenizers import Tokenizer
from torch import Tensor

from daybreak.data.text import END, START
from daybreak.engine.errors import UserError
from daybreak.systems.translation.data import encode
from daybreak.systems.translation.maps import END_MARK, Kind, Look, Map
from daybreak.systems.translation.model import Recurrent, Transformer
from daybreak.systems.translation.model.attention import MultiHeadAttention
from daybreak.systems.translation.predict import Translator


@torch.no_grad()
def look(translator: Translator, sentence: str, translation: str | None = None) -> Look:
    """Translate a sentence, or take the translation given, and note every look on the way.

    Raises UserError for an empty sentence, one that is too long, or a network without attention.
    """
    config, vocabulary = translator.config, translator.vocabulary
    if config.model == "rnn" and config.attention == "none":
        raise UserError("this network squeezes the sentence into one vector and has no attention to show")
    if not sentence.strip():
        raise UserError("the sentence is empty: there is nothing to look at")
    (source,) = encode(vocabulary.source, [sentence])
    if len(source) > config.longest:
        raise UserError(f"the sentence has {len(source)} tokens, over {config.longest}: give a shorter one")
    if translation is None:
        tokens = translator.search([source], beam=5, length_penalty=1.0)[0][0].tokens
        target = torch.tensor([*tokens, END])
    else:
        (target,) = encode(vocabulary.target, [translation])
    read = torch.cat([torch.tensor([START]), target[:-1]])
    maps = list(_maps(translator, source[None], read[None]))
    return Look(texts(vocabulary.source, source.tolist()), texts(vocabulary.target, target.tolist()), maps)


def _maps(translator: Translator, source: Tensor, target_in: Tensor) -> Iterator[Map]:
    model, place = translator.model, translator.device.place
    if isinstance(model, Recurrent):
        _, weights = model.look(place(source), place(target_in))
        assert weights is not None
        yield Map("cross", 1, 1, weights[0].tolist())
        return
    assert isinstance(model, Transformer)
    with _noted(model) as calls:
        model(place(source), place(target_in))
    kinds: list[tuple[Kind, Any]] = [("encoder", layer.attention) for layer in model.encoder]
    kinds.extend(("decoder", layer.attention) for layer in model.decoder)
    kinds.extend(("cross", layer.cross) for layer in model.decoder)
    for i, (kind, attention) in enumerate(kinds):
        weights = attention.weights(*calls[attention])  # (1, H, T, S)
        for head, of_head in enumerate(weights[0].tolist(), 1):
            yield Map(kind, i % len(model.encoder) + 1, head, of_head)


@contextmanager
def _noted(model: Transformer) -> Iterator[dict[MultiHeadAttention, tuple[Any, ...]]]:
    """The arguments with which each attention of the network is called meanwhile."""
    calls: dict[MultiHeadAttention, tuple[Any, ...]] = {}

    def note(module: MultiHeadAttention, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        x, memory, mask, causal = (*(*args, None)[:3], kwargs.get("causal", False))
        calls[module] = (x, memory, mask, causal)

    handles = [
        module.register_forward_pre_hook(note, with_kwargs=True)
        for module in model.modules()
        if isinstance(module, MultiHeadAttention)
    ]
    try:
        yield calls
    finally:
        for handle in handles:
            handle.remove()


def texts(tokenizer: Tokenizer, tokens: list[int]) -> list[str]:
    """Each token as it reads: what it adds to the text so far. A byte that completes no character yet adds nothing."""
    shown: list[str] = []
    before = ""
    for i, token in enumerate(tokens):
        if token == END:
            shown.append(END_MARK)
            continue
        text = tokenizer.decode(tokens[: i + 1])
        whole = text.rstrip("\ufffd")
        shown.append(whole[len(before) :])
        before = whole
    return shown
