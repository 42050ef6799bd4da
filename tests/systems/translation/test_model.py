"""The networks of translation, against torch's own and against themselves said in another way."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from torch import Tensor, nn

from daybreak.data.text import END, PAD, START
from daybreak.systems.translation.config import Config
from daybreak.systems.translation.model import Network, Recurrent, Transformer, network
from daybreak.systems.translation.model.attention import Attention, MultiHeadAttention
from daybreak.systems.translation.model.transformer import sinusoids

SIZES = (23, 19)  # tokens of the two vocabularies
KINDS = [
    *({"model": "rnn", "cell": c, "attention": a} for c, a in itertools.product(("lstm", "gru"), ("none", "bahdanau"))),
    *({"model": "rnn", "attention": attention} for attention in ("dot", "general", "concat")),
    *(
        {"model": "transformer", "norm": norm, "positions": p}
        for norm, p in (("pre", "sinusoidal"), ("post", "learned"))
    ),
]


def small(**changes: object) -> Config:
    settings: dict[str, object] = {
        "hidden_size": 24, "num_heads": 3, "ff_size": 40, "dropout": 0.0, "shared_vocab": False, "longest": 30,
    }  # fmt: skip
    return Config(**(settings | changes))  # type: ignore[arg-type]


def made(**changes: object) -> Network:
    torch.manual_seed(0)
    return network(small(**changes), *SIZES).eval()


def sentences(lengths: list[int], size: int, seed: int = 0) -> Tensor:
    """Random tokens, the last one END, filled up with PAD."""
    generator = torch.Generator().manual_seed(seed)
    rows = torch.randint(3, size, (len(lengths), max(lengths)), generator=generator)
    for row, length in zip(rows, lengths, strict=True):
        row[length - 1], row[length:] = END, PAD
    return rows


def source_and_target() -> tuple[Tensor, Tensor]:
    source, target = sentences([7, 3, 5], SIZES[0]), sentences([4, 6, 6], SIZES[1], seed=1)
    return source, torch.cat([torch.full((3, 1), START), target[:, :-1]], 1)


each_kind = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: " ".join(kind.values()))


# ----------------------------------------------------------------------------- against torch's own


@pytest.mark.filterwarnings("ignore:enable_nested_tensor")
@pytest.mark.parametrize("norm", ["pre", "post"])
def test_transformer_computes_what_torchs_does_with_its_weights(norm: str) -> None:
    ours = made(model="transformer", norm=norm)
    assert isinstance(ours, Transformer)
    theirs = nn.Transformer(24, 3, 2, 2, 40, dropout=0.0, batch_first=True, norm_first=norm == "pre")
    if norm == "post":  # torch norms once more at the end, the paper does not
        theirs.encoder.norm = theirs.decoder.norm = None
    copy_weights(ours, theirs)
    source, target_in = source_and_target()
    x, y = ours.embed(ours.source_embedding, source), ours.embed(ours.target_embedding, target_in)
    padding = source == PAD
    causal = nn.Transformer.generate_square_subsequent_mask(target_in.shape[1], dtype=torch.bool)
    expected = theirs(x, y, tgt_mask=causal, src_key_padding_mask=padding, memory_key_padding_mask=padding)
    features = ours(source, target_in)
    assert torch.allclose(features, expected, atol=1e-5)
    mine, of_torch = ours.decoder[0].cross.project.weight, theirs.decoder.layers[0].multihead_attn.in_proj_weight
    grads = [torch.autograd.grad(f.square().sum(), w)[0] for f, w in ((features, mine), (expected, of_torch))]
    assert torch.allclose(grads[0], grads[1], atol=1e-4)


@torch.no_grad()
def copy_weights(ours: Transformer, theirs: nn.Transformer) -> None:
    """Draw all of torch's weights anew, also those that begin as 0 or 1, and give them to ours."""
    for parameter in theirs.parameters():
        parameter.copy_(torch.randn_like(parameter) / math.sqrt(parameter.shape[-1]))
    for mine, layer in zip(
        [*ours.encoder, *ours.decoder], [*theirs.encoder.layers, *theirs.decoder.layers], strict=True
    ):
        looks = [(mine.attention, layer.self_attn)]
        looks += [(mine.cross, layer.multihead_attn)] if hasattr(mine, "cross") else []
        for to, of in looks:
            to.project.weight.copy_(of.in_proj_weight)
            to.project.bias.copy_(of.in_proj_bias)
            to.out.load_state_dict(of.out_proj.state_dict())
        mine.feed_forward[0].load_state_dict(layer.linear1.state_dict())
        mine.feed_forward[3].load_state_dict(layer.linear2.state_dict())
        for i, residual in enumerate(mine.residuals, 1):
            residual.norm.load_state_dict(getattr(layer, f"norm{i}").state_dict())
    for to, of in ((ours.encoder_norm, theirs.encoder.norm), (ours.decoder_norm, theirs.decoder.norm)):
        if of is not None:
            to.load_state_dict(of.state_dict())


def test_weights_of_attention_are_those_that_it_looks_with() -> None:
    torch.manual_seed(0)
    ours, theirs = MultiHeadAttention(24, 3, 0.0), nn.MultiheadAttention(24, 3, batch_first=True)
    with torch.no_grad():
        theirs.in_proj_weight.copy_(ours.project.weight)
        theirs.in_proj_bias.copy_(ours.project.bias.normal_())
    theirs.out_proj.load_state_dict(ours.out.state_dict())
    x, memory, words = (
        torch.randn(2, 4, 24),
        torch.randn(2, 5, 24),
        torch.tensor([[1, 1, 1, 1, 1], [1, 1, 1, 0, 0]]).bool(),
    )
    looked, weights = theirs(x, memory, memory, key_padding_mask=~words, average_attn_weights=False)
    assert torch.allclose(ours(x, memory, words[:, None, None]), looked, atol=1e-6)
    assert torch.allclose(ours.weights(x, memory, words[:, None, None]), weights, atol=1e-6)
    causal = ours.weights(x, x, causal=True)
    assert torch.equal(causal, causal.tril()) and torch.allclose(causal.sum(-1), torch.ones(2, 3, 4))


# ----------------------------------------------------------------------------- from the papers' formulas


@pytest.mark.parametrize("kind", ["bahdanau", "dot", "general", "concat"])
def test_scores_are_those_of_the_papers(kind: str) -> None:
    torch.manual_seed(0)
    attention = Attention(kind, 6)
    query, memory, mask = torch.randn(1, 2, 6), torch.randn(1, 3, 6), torch.tensor([[True, True, False]])
    contexts, weights = attention(query, attention.keys(memory), memory, mask)
    for t in range(2):
        scores = []
        for s in range(2):  # the third word is padding
            q, k = query[0, t], memory[0, s]
            if kind == "dot":
                scores.append(q @ k)
            elif kind == "general":
                scores.append(k @ (attention.of_query.weight @ q))
            else:
                inside = attention.of_query.weight @ q + attention.of_query.bias + attention.of_key.weight @ k
                scores.append(attention.score @ torch.tanh(inside))
        alpha = torch.stack(scores).softmax(0)
        assert torch.allclose(weights[0, t], torch.cat([alpha, torch.zeros(1)]), atol=1e-6)
        assert torch.allclose(contexts[0, t], alpha @ memory[0, :2], atol=1e-6)


def test_positions_are_sines_and_cosines_of_the_papers_wavelengths() -> None:
    places = sinusoids(torch.arange(50), 16)
    for place, i in itertools.product((0, 1, 49), range(8)):
        angle = place / 10_000 ** (2 * i / 16)
        assert places[place, 2 * i] == pytest.approx(math.sin(angle), abs=1e-5)
        assert places[place, 2 * i + 1] == pytest.approx(math.cos(angle), abs=1e-5)


# ----------------------------------------------------------------------------- what padding and batches must not change


@each_kind
@torch.no_grad()
def test_a_sentence_alone_and_among_longer_ones_has_the_same_features(kind: dict[str, str]) -> None:
    net = made(**kind)
    source, target_in = source_and_target()
    together = net(source, target_in)
    for row, (s, t) in enumerate([(7, 4), (3, 6), (5, 6)]):
        alone = net(source[row : row + 1, :s], target_in[row : row + 1, :t])
        assert torch.allclose(together[row, :t], alone[0], atol=1e-5)


@each_kind
@torch.no_grad()
def test_no_feature_depends_on_a_later_word(kind: dict[str, str]) -> None:
    net = made(**kind)
    source, target_in = source_and_target()
    changed = target_in.clone()
    changed[:, 3:] = 3
    assert torch.allclose(net(source, target_in)[:, :3], net(source, changed)[:, :3], atol=1e-6)
    assert not torch.allclose(net(source, target_in)[:, 3:], net(source, changed)[:, 3:], atol=1e-3)


@each_kind
@torch.no_grad()
def test_features_word_by_word_are_those_of_the_whole_sentence(kind: dict[str, str]) -> None:
    """Hypotheses that are dropped for others, and sentences that leave the batch, included."""
    net = made(**kind)
    source, first = source_and_target()
    _, second = source, first.flip(0)
    beams = torch.stack([first, second], 1)  # (B, K, T): two hypotheses of each sentence
    whole = [net(source, beams[:, k]) for k in range(2)]
    state = net.start(source, 2)
    for t in range(3):
        features = net.step(beams[:, :, t], state)
        for k in range(2):
            assert torch.allclose(features[:, k], whole[k][:, t], atol=1e-5)
    state.keep(torch.tensor([0, 2]))
    state.follow(torch.tensor([[1, 0], [1, 1]]))
    pasts = torch.stack([beams[0, [1, 0]], beams[2, [1, 1]]])  # (2, K, T) with the words that the parents had
    pasts[:, :, 3:] = torch.tensor([[5, 6], [7, 8]])[:, :, None]
    for t in (3, 4):
        features = net.step(pasts[:, :, t], state)
        for k in range(2):
            expected = net(source[[0, 2]], pasts[:, k])
            assert torch.allclose(features[:, k], expected[:, t], atol=1e-5)


@torch.no_grad()
def test_a_cache_that_grows_keeps_what_it_has() -> None:
    net = made(model="transformer", longest=100)
    source = sentences([5, 4], SIZES[0])
    target_in = sentences([90, 90], SIZES[1], seed=3)
    state, whole = net.start(source, 1), net(source, target_in)
    steps = [net.step(target_in[:, t : t + 1], state) for t in range(90)]
    assert torch.allclose(torch.cat(steps, 1), whole, atol=1e-4)


def test_tied_and_shared_embeddings_are_one_matrix() -> None:
    tied = made(model="transformer", shared_vocab=True)
    assert tied.output is None and tied.target_embedding is tied.source_embedding
    apart = made(model="rnn", tie=False)
    assert apart.source_embedding.weight.shape[0] == SIZES[0]
    assert apart.output is not None and apart.logits(torch.zeros(2, 3, 24)).shape == (2, 3, SIZES[1])


def test_attention_is_what_the_recurrent_network_says_it_is() -> None:
    net = made(model="rnn", attention="bahdanau")
    assert isinstance(net, Recurrent)
    source, target_in = source_and_target()
    _, weights = net.look(source, target_in)
    assert weights is not None and weights.shape == (3, 6, 7)
    assert torch.allclose(weights.sum(-1), torch.ones(3, 6)) and weights[1, :, 3:].abs().max() == 0
    assert made(model="rnn", attention="none").look(source, target_in)[1] is None


@each_kind
def test_gradients_reach_every_weight(kind: dict[str, str]) -> None:
    net = made(**kind)
    net(*source_and_target()).square().sum().backward()
    for name, parameter in net.named_parameters():
        assert parameter.grad is not None and parameter.grad.abs().sum() > 0, name
