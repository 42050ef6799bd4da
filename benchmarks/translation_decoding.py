# /// script
# requires-python = ">=3.11"
# dependencies = ["ctranslate2==4.8.5"]
# ///
"""Translating Multi30k's validation sentences with a trained Transformer, beam 5: three ways, the same weights.

Ours (batches, cached), our own without cache and one sentence at a time (the decoder reads the whole prefix again for
each token), and CTranslate2 in fp32 with the weights converted. The three take turns; target tokens of the translations
are counted over seconds. The outputs are compared token by token.

    python3 dev.py bench translation_decoding --run runs/de-en
"""

from __future__ import annotations

import argparse
import itertools
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ctranslate2
import torch
from torch import Tensor

from daybreak.report.records import Measurement, Record, write
from daybreak.systems.translation.data import encode, train_and_val
from daybreak.systems.translation.decode import beam_search
from daybreak.systems.translation.model import Transformer
from daybreak.systems.translation.model.attention import MultiHeadAttention
from daybreak.systems.translation.model.transformer import sinusoids
from daybreak.systems.translation.predict import Translator, load

BEAM, PENALTY, PAIRS, FEW = 5, 1.0, 5, 60
THEM = f"CTranslate2 {ctranslate2.__version__}"
Way = Callable[[list[Tensor]], list[list[int]]]


def main() -> None:
    """Time the three ways, print the figures, and write ``results/translation/decoding.json``."""
    arguments = argparse.ArgumentParser(description="Beam search against CTranslate2 and against no cache.")
    arguments.add_argument("--run", type=Path, required=True, help="run directory of a trained Transformer")
    arguments.add_argument("--threads", type=int, default=torch.get_num_threads())
    arguments.add_argument("--results", type=Path, default=Path("results"))
    given = arguments.parse_args()
    torch.set_num_threads(given.threads)
    started = time.monotonic()
    translator = load(given.run, device="cpu")
    _, val = train_and_val(translator.config)
    sources = encode(translator.vocabulary.source, val.source)
    with tempfile.TemporaryDirectory() as folder:
        ways: dict[str, Way] = {
            "ours": lambda some: ours(translator, some),
            "ctranslate2": converted(translator, Path(folder), given.threads),
            "uncached": lambda some: uncached(translator, some),
        }
        speeds, outputs = take_turns(ways, sources)
    record = record_of(speeds, outputs, given.threads, time.monotonic() - started)
    print(write(record, given.results))


def take_turns(
    ways: dict[str, Way], sources: list[Tensor]
) -> tuple[dict[str, list[float]], dict[str, list[list[int]]]]:
    """Target tokens a second of each way, a turn each; the slow one has the first sentences only."""
    speeds: dict[str, list[float]] = {name: [] for name in ways}
    outputs: dict[str, list[list[int]]] = {}
    for turn, (name, way) in itertools.product(range(PAIRS + 1), ways.items()):
        some = sources[:FEW] if name == "uncached" else sources
        began = time.monotonic()
        outputs[name] = way(some)
        seconds = time.monotonic() - began
        if turn:  # the first one warms up
            speeds[name].append(sum(len(tokens) + 1 for tokens in outputs[name]) / seconds)
            print(f"{name}: {speeds[name][-1]:,.0f} tokens/s", flush=True)
    return speeds, outputs


def record_of(
    speeds: dict[str, list[float]], outputs: dict[str, list[list[int]]], threads: int, seconds: float
) -> Record:
    """The ratios, and how many translations are the same."""
    of_own = [a / b for a, b in zip(speeds["ours"], speeds["uncached"], strict=True)]
    of_theirs = [a / b for a, b in zip(speeds["ours"], speeds["ctranslate2"], strict=True)]
    same = [100.0 * statistics.mean(a == b for a, b in zip(outputs["ours"], outputs[name], strict=False)) for name in
            ("uncached", "ctranslate2")]  # fmt: skip
    how = f"{PAIRS} interleaved turns, beam {BEAM}, {threads} threads, fp32; Multi30k's 1,014 validation sentences"
    return Record(
        system="translation",
        name="decoding",
        claim="beam search is five times as fast as without batches and cache, and half as fast as CTranslate2",
        commands=[f"python3 dev.py bench translation_decoding --run RUN --threads {threads}"],
        attempts="one call, all turns are listed",
        measurements=[
            Measurement("uncached_ratio", "x", of_own, 5.0, peer="ours without cache, a sentence at a time", how=how),
            Measurement("ctranslate2_ratio", "x", of_theirs, 0.5, peer=THEM, how=how),
            Measurement("tokens_per_second", "tokens/s", speeds["ours"], how=how),
            Measurement("same_as_uncached", "%", [same[0]], 100.0, how=f"the first {FEW} sentences, token by token"),
            Measurement("same_as_ctranslate2", "%", [same[1]], how="all sentences, token by token"),
        ],
        seconds=seconds,
    )


# ----------------------------------------------------------------------------- the ways


def ours(translator: Translator, sources: list[Tensor]) -> list[list[int]]:
    """As ``translate`` does it."""
    found = translator.search(sources, beam=BEAM, length_penalty=PENALTY)
    return [best[0].tokens for best in found]


def uncached(translator: Translator, sources: list[Tensor]) -> list[list[int]]:
    """One sentence at a time; each step reads the whole prefix again."""
    assert isinstance(translator.model, Transformer)
    network = Uncached(translator.model)
    limits = [translator._limits(torch.tensor([len(source)])) for source in sources]
    found = [
        beam_search(network, source[None], limit, beam=BEAM, length_penalty=PENALTY)  # type: ignore[arg-type]
        for source, limit in zip(sources, limits, strict=True)
    ]
    return [best[0].tokens for (best,) in found]


class Uncached:
    """A Transformer that remembers words and nothing else."""

    def __init__(self, model: Transformer) -> None:
        self.model, self.logits = model, model.logits

    def start(self, source: Tensor, beam: int) -> Prefix:
        """Encode the sentence."""
        memory, _ = self.model.encode(source)
        return Prefix(memory.expand(beam, -1, -1), torch.empty(beam, 0, dtype=torch.int64))

    def step(self, tokens: Tensor, state: Prefix) -> Tensor:
        """Read all words of each hypothesis again."""
        state.words = torch.cat([state.words, tokens.T], 1)
        x = self.model.embed(self.model.target_embedding, state.words)
        for layer in self.model.decoder:
            x = layer(x, state.memory, None)
        return self.model.decoder_norm(x)[:, -1][None]  # (1, K, D)


class Prefix:
    """The words of each hypothesis."""

    def __init__(self, memory: Tensor, words: Tensor) -> None:
        self.memory, self.words = memory, words

    def follow(self, parents: Tensor) -> None:
        """Hypothesis k goes on from ``parents[0, k]``."""
        self.words = self.words[parents[0]]

    def keep(self, sentences: Tensor) -> None:
        """There is one sentence."""


# ----------------------------------------------------------------------------- CTranslate2


def converted(translator: Translator, folder: Path, threads: int) -> Way:
    """CTranslate2 with our weights."""
    config, model = translator.config, translator.model
    assert isinstance(model, Transformer) and config.norm == "pre" and config.positions == "sinusoidal"
    spec = ctranslate2.specs.TransformerSpec.from_config(config.num_layers, config.num_heads, pre_norm=True)
    give_weights(spec, model)
    tokens = [vocabulary.id_to_token(i) for vocabulary in (translator.vocabulary.source,)
              for i in range(vocabulary.get_vocab_size())]  # fmt: skip
    spec.register_source_vocabulary(tokens)
    spec.register_target_vocabulary(tokens)
    spec.config.add_source_eos = spec.config.add_source_bos = False
    spec.validate()
    spec.optimize(quantization="float32")
    spec.save(str(folder))
    peer = ctranslate2.Translator(
        str(folder), device="cpu", compute_type="float32", inter_threads=1, intra_threads=threads
    )
    places = {token: i for i, token in enumerate(tokens)}

    def translate(sources: list[Tensor]) -> list[list[int]]:
        words = [[tokens[i] for i in source.tolist()] for source in sources]
        results = peer.translate_batch(
            words, beam_size=BEAM, length_penalty=PENALTY, max_batch_size=2048, batch_type="tokens",
            max_decoding_length=2 * max(map(len, words)) + 20,
        )  # fmt: skip
        return [[places[token] for token in result.hypotheses[0]] for result in results]

    return translate


def give_weights(spec: Any, model: Transformer) -> None:
    """Our weights under CTranslate2's names."""
    table = array(model.target_embedding.weight)
    places = array(sinusoids(torch.arange(1_000), table.shape[1]))
    spec.encoder.embeddings[0].weight = array(model.source_embedding.weight)
    spec.decoder.embeddings.weight = table
    spec.decoder.projection.weight = table
    for side, layers, norm in (
        (spec.encoder, model.encoder, model.encoder_norm), (spec.decoder, model.decoder, model.decoder_norm)
    ):  # fmt: skip
        side.position_encodings.encodings = places
        give_norm(side.layer_norm, norm)
        for to, layer in zip(side.layer, layers, strict=True):
            give_attention(to.self_attention, layer.attention, layer.residuals[0].norm, cross=False)
            if side is spec.decoder:
                give_attention(to.attention, layer.cross, layer.residuals[1].norm, cross=True)
            give_norm(to.ffn.layer_norm, layer.residuals[-1].norm)
            give_linear(to.ffn.linear_0, layer.feed_forward[0].weight, layer.feed_forward[0].bias)
            give_linear(to.ffn.linear_1, layer.feed_forward[3].weight, layer.feed_forward[3].bias)


def give_attention(spec: Any, attention: MultiHeadAttention, norm: Any, cross: bool) -> None:
    """Queries, keys and values in one matrix; with cross attention the queries apart."""
    weight, bias = attention.project.weight, attention.project.bias
    width = weight.shape[1]
    cuts = [(0, width), (width, 3 * width)] if cross else [(0, 3 * width)]
    for to, (first, last) in zip(spec.linear, cuts, strict=False):
        give_linear(to, weight[first:last], bias[first:last])
    give_linear(spec.linear[-1], attention.out.weight, attention.out.bias)
    give_norm(spec.layer_norm, norm)


def give_linear(spec: Any, weight: Tensor, bias: Tensor) -> None:
    """Matrix (out, in) and bias."""
    spec.weight, spec.bias = array(weight), array(bias)


def give_norm(spec: Any, norm: Any) -> None:
    """Layer norm."""
    spec.gamma, spec.beta = array(norm.weight), array(norm.bias)


def array(tensor: Tensor) -> Any:
    """Numpy's own copy."""
    return tensor.detach().float().numpy().copy()


if __name__ == "__main__":
    main()
