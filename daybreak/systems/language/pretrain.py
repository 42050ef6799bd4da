"""The loop that teaches an encoder its language, from running text alone."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from daybreak.data.buckets import Buckets, in_order
from daybreak.engine.device import Device
from daybreak.engine.muon import adamw_or_muon
from daybreak.engine.optim import Schedule, warmup_cosine
from daybreak.engine.run import Run
from daybreak.engine.rundir import write_json
from daybreak.nn.cross_entropy import cross_entropy
from daybreak.systems.language import datasets
from daybreak.systems.language.assets import Reader, write_reader
from daybreak.systems.language.config import PretrainConfig
from daybreak.systems.language.formats.documents import Document
from daybreak.systems.language.masking import Guess, Masking, begins_words
from daybreak.systems.language.model.heads import Pretraining
from daybreak.systems.language.pairs import Pairs, draw_pairs, encode, running_rows
from daybreak.systems.language.shape import shape_of
from daybreak.systems.language.wordpiece import learn_wordpiece, special_tokens

ASKED = 0.15
"""Share of a held-out text's word pieces that are to be guessed: BERT's (section 3.1), so that runs compare."""
FOLLOWS = 0.2
"""Weight of whether sentences follow each other: at 1, as in BERT, a row's one answer drowns its forty guesses."""


def pretrain(config: PretrainConfig) -> Path:
    """Pretrain an encoder. Returns the run directory; run again, it resumes."""
    with Run(config) as run:
        corpus = datasets.corpus(config.corpus, config.files)
        write_json(run.assets / "data.json", {"digest": corpus.digest})
        reader = learn_to_read(corpus.train, config)
        write_reader(run.folder, reader)
        pairs = pairs_of(corpus.train, reader, config)
        masking = masking_of(reader, config.masked, config.whole_words)
        quiz = quiz_of(pairs_of(corpus.held_out, reader, config), reader, config.tokens, config.held_out)
        net = Pretraining(reader.shape, config.dropout)
        expect_frequencies(net, pairs.text.pieces)
        model = run.device.wrap(net)
        optimizer = adamw_or_muon(net, config.optimizer, config.weight_decay, run.device, matrix_lr=config.matrix_lr)
        schedule = Schedule(optimizer, lr=warmup_cosine(config.lr, config.steps, warmup=config.warmup_steps))
        data = Buckets(torch.from_numpy(pairs.lengths)[:, None], config.tokens, config.seed)
        for step in run.steps(model=model, optimizer=optimizer, schedule=schedule, data=data):
            rows = next(data)
            shares = run.device.world if len(rows) >= run.device.world else 1  # too few rows: each rank has all
            rows = rows[run.device.rank % shares :: shares].numpy()
            guess = masking.mask(pairs.rows(rows), np.random.default_rng([config.seed, 2, step, run.device.rank]))
            answers = mark(model, guess, torch.from_numpy(pairs.follows[rows]), run.device)
            loss = answers.loss + FOLLOWS * answers.follows_loss if config.next_sentence else answers.loss
            run.update(optimizer, loss, clip=config.clip or None)
            schedule.step()
            run.log(loss=answers.loss, tokens=len(guess.rows.tokens))
            if config.next_sentence:
                run.log(follows_loss=answers.follows_loss)
            if run.every(config.eval_every):
                numbers = quiz.ask(net, run.device, follows=config.next_sentence)
                run.log(epoch=data.epochs, **{f"val_{name}": value for name, value in numbers.items()})
        run.save_weights(net)
    return run.folder


def learn_to_read(documents: list[Document], config: PretrainConfig) -> Reader:
    """Learn word pieces, and settle the shape of the encoder that goes with them."""
    lines = (sentence for document in documents for sentence in document)
    tokenizer = learn_wordpiece(lines, config.vocabulary, config.lowercase)
    return Reader(tokenizer, config.lowercase, shape_of(config.size, tokenizer.get_vocab_size()))


def expect_frequencies(net: Pretraining, pieces: np.ndarray) -> None:
    """Let the first guess at a hole be the most frequent word pieces, and not any."""
    counts = torch.from_numpy(np.bincount(pieces, minlength=len(net.bias)) + 1)
    with torch.no_grad():
        net.bias.copy_(counts.log() - counts.log().mean())


def pairs_of(documents: list[Document], reader: Reader, config: PretrainConfig) -> Pairs:
    """The rows of a text."""
    text, special = encode(documents, reader.tokenizer), special_tokens(reader.tokenizer)
    if config.next_sentence:
        return draw_pairs(text, special, config.length, config.seed)
    return running_rows(text, special, config.length)


def masking_of(reader: Reader, share: float, whole_words: bool = False) -> Masking:
    """How to mask that share of the word pieces."""
    return Masking(special_tokens(reader.tokenizer), begins_words(reader.tokenizer), share, whole_words)


def quiz_of(pairs: Pairs, reader: Reader, tokens: int, most: int) -> Quiz:
    """Up to ``most`` rows, with as much to guess as BERT had, whatever is masked in training."""
    return Quiz.of(pairs, masking_of(reader, ASKED), tokens, most)


@dataclass
class Marks:
    """How a batch of guesses went."""

    loss: Tensor
    """Cross entropy of a masked word piece, in nats."""
    follows_loss: Tensor
    """Cross entropy of a row's "does the second sentence follow the first"."""
    said: Tensor
    """(M, vocabulary) logits of what stood there."""
    said_follows: Tensor
    """(B, 2) logits of [does follow, does not]."""


def mark(model: nn.Module, guess: Guess, follows: Tensor, device: Device) -> Marks:
    """Let the model guess, and compare. The first of the two classes is "does follow", as in public checkpoints."""
    guess, classes = device.place(guess), device.place(1 - follows.long())
    with device.autocast():
        said, said_follows = model(guess.rows, guess.places)
    return Marks(cross_entropy(said, guess.answers), cross_entropy(said_follows, classes), said, said_follows)


@dataclass(frozen=True)
class Quiz:
    """Held-out rows, masked once and for all."""

    guesses: list[Guess]
    follows: list[Tensor]

    @staticmethod
    def of(pairs: Pairs, masking: Masking, tokens: int, most: int) -> Quiz:
        """Up to ``most`` rows, drawn at random; the same ones every time."""
        random = np.random.default_rng(0)
        chosen = random.permutation(len(pairs))[:most]
        batches = [chosen[rows.numpy()] for rows in in_order(torch.from_numpy(pairs.lengths[chosen])[:, None], tokens)]
        guesses = [masking.mask(pairs.rows(rows), random) for rows in batches]
        return Quiz(guesses, [torch.from_numpy(pairs.follows[rows]) for rows in batches])

    @torch.no_grad()
    def ask(self, net: nn.Module, device: Device, *, follows: bool) -> dict[str, float]:
        """Mean loss in nats, and right answers in percent; the network's mode is what it was.

        Args:
            net: the network.
            device: where it is.
            follows: whether it has learned to tell if the second sentence follows.

        """
        training = net.training
        net.eval()
        losses, right, follows_right = [], [], []
        for guess, classes in zip(self.guesses, self.follows, strict=True):
            marks = mark(net, guess, classes, device)
            losses.append(marks.loss * len(guess.answers))
            right.append(marks.said.max(-1).indices.cpu() == guess.answers)
            follows_right.append(marks.said_follows.argmax(-1).cpu() == 1 - classes.long())
        net.train(training)
        numbers = {
            "masked_loss": torch.stack(losses).sum().item() / sum(map(len, right)),
            "masked_accuracy": 100 * torch.cat(right).float().mean().item(),
        }
        if follows:
            numbers["follows_accuracy"] = 100 * torch.cat(follows_right).float().mean().item()
        return numbers
