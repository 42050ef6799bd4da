"""The bundled digits: the same 360 held out for ever, and the rows that scikit-learn itself gives."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from daybreak.data.images import digest
from daybreak.data.toy import digits as module
from daybreak.data.toy.digits import digits


def test_the_digits_and_their_split_are_the_ones_of_every_record() -> None:
    train, test = digits(train=True), digits(train=False)
    assert (train.images.shape, test.images.shape) == ((1437, 1, 8, 8), (360, 1, 8, 8))
    assert (train.images.dtype, int(train.images.min()), int(train.images.max())) == (torch.uint8, 0, 255)
    assert train.classes == [str(digit) for digit in range(10)]
    assert min(test.labels.bincount().tolist()) >= 25, "every class is in the held-out part"
    assert digest(train) == "sha256:782921533badbf2df3c4cc43aa61ce0de4029bb5b9e7fa54068fee70539c3081"
    assert digest(test) == "sha256:2328169b7014e142b54e90af6c73a2bbba340073ad024af591241a99a2f3758e"


def test_the_file_read_directly_is_what_scikit_learn_gives(monkeypatch: pytest.MonkeyPatch) -> None:
    direct = module._rows()
    monkeypatch.setattr(Path, "exists", lambda self: False)  # as where a release has moved the file
    assert np.array_equal(module._rows(), direct)


def test_reading_the_digits_does_not_import_scikit_learn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)  # an import of it fails now
    assert len(digits(train=True)) == 1437
