"""The trained weights of a run directory, read by people other than those who wrote them."""

from __future__ import annotations

import logging
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load as parse_tensors
from torch import Tensor, nn

from daybreak.engine.errors import UserError
from daybreak.engine.rundir import CONFIG, WEIGHTS, is_finished, read_config

logger = logging.getLogger("daybreak")


def read_weights(folder: Path) -> dict[str, Tensor]:
    """The tensors by name, on the CPU; a run that was stopped early is told.

    Raises UserError for weights that are missing, cut short or unreadable.
    """
    path = folder / WEIGHTS
    if not path.exists():
        raise UserError(f"{folder} has no {WEIGHTS} yet: finish its training first")
    if not is_finished(folder, read_config(folder)["config"]["steps"]):
        logger.warning("%s was stopped before its last step; these are the weights it had then", folder)
    try:
        return parse_tensors(path.read_bytes())
    except (SafetensorError, OSError) as error:
        raise UserError(f"{path} cannot be read ({error}): copy it again, or train the run again") from error


def load_weights(model: nn.Module, folder: Path) -> None:
    """Give a model the weights of a run. Raises UserError as :func:`read_weights`, and for weights of another model."""
    weights = read_weights(folder)
    try:
        model.load_state_dict(weights)
    except RuntimeError as error:  # what torch raises for a missing or unknown tensor, or one of another shape
        reason = str(error).splitlines()[1:2] or [str(error)]
        raise UserError(
            f"{folder / WEIGHTS} does not fit {folder / CONFIG} ({reason[0].strip().rstrip('.')}): "
            "restore the one that was changed, or train the run again"
        ) from error
