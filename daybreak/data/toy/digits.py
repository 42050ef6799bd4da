"""The handwritten digits that come with scikit-learn: 1,797 images of 8x8 (Alpaydin and Kaynak 1998, UCI)."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import torch

from daybreak.data.images import Images

HELD_OUT = 360
_SPLIT_SEED = 0  # fixed: every run and every record means the same test images


def digits(train: bool) -> Images:
    """1,437 training or 360 held-out images (1, 8, 8), 0 to 255, in ten classes; the split never changes."""
    rows = _rows()  # (1797, 65): 64 pixels of 0..16, then the label
    pixels = np.rint(rows[:, :64] * (255 / 16)).astype(np.uint8)
    everything = Images(
        torch.from_numpy(pixels.reshape(-1, 1, 8, 8)),
        torch.from_numpy(rows[:, 64].astype(np.int64)),
        [str(digit) for digit in range(10)],
    )
    return everything.split(HELD_OUT, _SPLIT_SEED)[0 if train else 1]


def _rows() -> np.ndarray:
    # Importing scikit-learn takes seconds, its data file a hundredth of one; where a release moves the file, it is
    # asked for the same rows.
    spec = importlib.util.find_spec("sklearn")
    if spec is not None and spec.origin is not None:
        file = Path(spec.origin).parent / "datasets" / "data" / "digits.csv.gz"
        if file.exists():
            return np.loadtxt(file, delimiter=",")
    from sklearn.datasets import load_digits

    data, target = load_digits(return_X_y=True)
    return np.column_stack([data, target])
