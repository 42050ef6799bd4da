# pyright: strict, reportUnknownMemberType=false
"""Run: the lifecycle of a training loop that belongs to somebody else.

    with Run(config) as run:
        for step in run.steps(model=model, optimizer=optimizer, data=data):
            run.update(optimizer, loss_of(model, next(data)))
            run.log(loss=loss)
        run.save_weights(model)

``Run`` resumes, logs, guards, saves and stops. It does not know what is trained.
"""

from __future__ import annotations

import logging
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, cast

import torch
from safetensors.torch import save as pack_tensors
from torch import Tensor, nn
from torch.nn.utils import clip_grads_with_norm_, get_total_norm
from torch.optim import Optimizer

from daybreak.engine import checkpoint, rundir, seed
from daybreak.engine.config import RunConfig
from daybreak.engine.device import Device, unwrap
from daybreak.engine.errors import UserError
from daybreak.engine.files import disk_errors, write_atomic
from daybreak.engine.guard import Diverged, Guard, NotFinite, first_bad_gradient
from daybreak.engine.progress import Progress

logger = logging.getLogger("daybreak")


class Part(Protocol):
    """Anything whose state belongs into a checkpoint: torch's own protocol."""

    def state_dict(self) -> dict[str, Any]:
        """Everything that the future depends on."""
        ...

    def load_state_dict(self, state_dict: dict[str, Any], /) -> Any:
        """Undo ``state_dict``."""
        ...


class Run:
    """One training run in one directory. Use it as a context manager.

    Attributes: ``folder``, ``device``, ``step`` (steps done), ``seconds`` (of training, over all resumes),
    ``finished`` (all steps are done).
    """

    def __init__(self, config: RunConfig) -> None:
        self.config = config
        self.folder = Path(config.folder)
        self.step = 0
        self._earlier_seconds = self._earlier_cpu_seconds = 0.0
        self._started, self._cpu_started = time.monotonic(), time.process_time()
        self._why_stopped: str | None = None
        self._parts: dict[str, Any] = {}
        self._saved_step = -1
        self._window: dict[str, list[Tensor | float]] = {}
        self._latest: dict[str, float] = {}
        self._flush_now = False
        self._micro_losses: dict[int, list[Tensor]] = {}  # by optimizer: of the micro-batches since its last step
        self._final: dict[str, float] = {}

    # --------------------------------------------------------------------------- opening and closing

    def __enter__(self) -> Run:
        self.config.check()
        with ExitStack() as stack:
            self.device = Device.pick(self.config, rundir.last_precision(self.folder)).join()
            if self.device.main:
                stack.enter_context(rundir.Lock(self.folder))
                self._open_folder()
            self._guard = Guard(self.device)
            self._watch_signals(stack)
            seed.everything(self.config.seed, self.device.rank)
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if error is None:
                if self.finished and self.device.main:
                    self._write_result()
                self.device.wait()  # no rank goes on before the result is there
        finally:
            self._stack.close()

    @property
    def finished(self) -> bool:
        """Whether all steps are done."""
        return self.step >= self.config.steps

    @property
    def seconds(self) -> float:
        """Seconds of training so far, data preparation and earlier sessions included."""
        return self._earlier_seconds + time.monotonic() - self._started

    @property
    def cpu_seconds(self) -> float:
        """Seconds of processor time of this process, all threads together, over the same sessions."""
        return self._earlier_cpu_seconds + time.process_time() - self._cpu_started

    @property
    def samples(self) -> Path:
        """Folder for pictures of what the model makes."""
        return self._subfolder(rundir.SAMPLES)

    @property
    def assets(self) -> Path:
        """Folder for what the model needs beside its weights: a tokenizer, the classes."""
        return self._subfolder(rundir.ASSETS)

    def _subfolder(self, name: str) -> Path:
        with disk_errors(self.folder / name):
            (self.folder / name).mkdir(exist_ok=True)
        return self.folder / name

    def _open_folder(self) -> None:
        begun = bool(checkpoint.whole(self.folder / rundir.CHECKPOINTS))
        rundir.open_folder(self.folder, self.config, begun=begun)
        now = rundir.environment(self.device.name, self.device.precision, torch.get_num_threads(), self.device.world)
        for change in rundir.write_environment(self.folder, now):
            logger.warning(
                "the environment changed since the last session, so equal results are not promised: %s", change
            )

    def _watch_signals(self, stack: ExitStack) -> None:
        if threading.current_thread() is not threading.main_thread():
            return  # only the main thread may install handlers

        def on_signal(number: int, _: Any) -> None:
            if self._why_stopped and number == signal.SIGINT:
                raise KeyboardInterrupt  # the second Ctrl-C does not wait for the step
            self.stop(signal.Signals(number).name)

        for number in (signal.SIGTERM, signal.SIGINT):
            stack.callback(signal.signal, number, signal.signal(number, on_signal))

    def _write_result(self) -> None:
        seconds, price = self.seconds, self.config.price_per_hour
        rundir.write_json(
            self.folder / rundir.RESULT,
            {
                "format": rundir.FORMAT,
                "steps": self.step,
                "seconds": round(seconds, 3),
                "cpu_seconds": round(self.cpu_seconds, 3),
                "cost": round(seconds / 3600 * price, 6) if price else None,
                "metrics": {**self._latest, **self._final},
                "log_sha256": rundir.log_digest(self.folder),
            },
        )

    # --------------------------------------------------------------------------- the loop

    def steps(self, **parts: Part) -> Iterator[int]:
        """Yield the steps still to do, counted from 0, after restoring ``parts`` from the newest whole checkpoint.

        A signal, the time budget or :meth:`stop` ends the loop after the step under way, with a checkpoint.
        """
        if self._parts:
            raise RuntimeError("run.steps can be used once in a run")
        self._parts = {name: unwrap(part) for name, part in parts.items()}
        self._resume()
        self._open_logs()
        while not self.finished and not self._must_stop():
            yield self.step
            self._end_step()
        self._save()

    def _end_step(self) -> None:
        if any(self._micro_losses.values()):
            raise RuntimeError("a step ended between two micro-batches: call run.update `accumulate` times a step")
        flush = self._flush_now or self.every(self.config.log_every)
        save = self.every(self.config.save_every)
        self.step += 1
        self._flush_now = False
        if flush:
            self._flush()
        if save:
            self._save()
        self._progress.update(self.step)

    def _must_stop(self) -> bool:
        if time.monotonic() - self._started > self.config.minutes * 60:
            self.stop(f"the budget of {self.config.minutes:g} minutes is spent")
        stop = self.device.largest(1.0 if self._why_stopped else 0.0) > 0  # ranks stop at the same step
        if stop and self.device.main:
            logger.warning(
                "stopped after step %d of %d (%s); the same command goes on from here",
                self.step, self.config.steps, self._why_stopped or "another rank",
            )  # fmt: skip
        return stop

    def every(self, steps: int) -> bool:
        """True in each ``steps``-th step and in the last one; what is logged then is written at once."""
        done = self.step + 1
        due = done == self.config.steps or (steps > 0 and done % steps == 0)
        self._flush_now |= due
        return due

    def stop(self, why: str) -> None:
        """End the loop after this step, with a checkpoint."""
        self._why_stopped = self._why_stopped or why

    def update(self, optimizer: Optimizer, loss: Tensor, *, clip: float | None = None, accumulate: int = 1) -> None:
        """Backward, and with every ``accumulate``-th call one step of the optimizer, gradients averaged over the calls.

        ``clip`` bounds the norm of the gradient. Raises Diverged, before the weights move, when the loss or the
        gradient is not finite. On a GPU with a fused optimizer no step waits for that: the fault is kept on the
        device, the optimizer skips, and it is raised with the next line of the log or the next checkpoint.
        """
        losses = self._micro_losses.setdefault(id(optimizer), [])
        if not losses:
            optimizer.zero_grad(set_to_none=True)  # here, not after the step: another loss may have left gradients
        losses.append(loss.detach())
        (loss / accumulate if accumulate > 1 else loss).backward()
        if len(losses) < accumulate:
            return
        parameters = [p for group in optimizer.param_groups for p in group["params"] if p.grad is not None]
        gradients = [cast(Tensor, p.grad) for p in parameters]
        norm = None if clip is None else get_total_norm(gradients)
        spoilt = self._guard.spoilt(gradients) if norm is None else ~torch.isfinite(norm)
        self._check(optimizer, losses[0] if accumulate == 1 else torch.stack(losses).sum(), spoilt)
        losses.clear()
        if clip is not None and norm is not None:
            clip_grads_with_norm_(parameters, clip, norm)
        optimizer.step()

    def _check(self, optimizer: Optimizer, loss: Tensor, spoilt: Tensor) -> None:
        try:
            self._guard.check(optimizer, self.step, loss, spoilt)
        except NotFinite as fault:
            raise Diverged(self._diagnosis(fault, first_bad_gradient(self._parts))) from fault

    def _read_guard(self) -> None:
        try:
            self._guard.read()
        except NotFinite as fault:
            raise Diverged(self._diagnosis(fault, None)) from fault

    def _diagnosis(self, fault: NotFinite, parameter: str | None) -> str:
        data = {name: part.state_dict() for name, part in self._parts.items() if hasattr(part, "__next__")}
        at = "".join(
            f", next of {name} is {' '.join(f'{k} {v}' for k, v in state.items())}" for name, state in data.items()
        )
        of = f" (first in {parameter})" if parameter else ""
        last = f"step {self._saved_step}" if self._saved_step >= 0 else "none yet"
        return (
            f"{fault.what} is not finite in step {fault.step}{of}{at}: the weights were not moved "
            f"(last checkpoint: {last}); lower --lr, or look at these data"
        )

    # --------------------------------------------------------------------------- numbers

    def log(self, **values: Tensor | float) -> None:
        """Keep numbers for the next line of the log, which holds their means. Tensors stay where they are till then.

        Raises ValueError for a name that every line has already: step, seconds.
        """
        if taken := {"step", "seconds"} & set(values):
            raise ValueError(f"every line of the log has {taken.pop()!r} already")
        for name, value in values.items():
            self._window.setdefault(name, []).append(value if isinstance(value, float) else self._kept(value))

    def _kept(self, value: Tensor | float) -> Tensor | float:
        if not isinstance(value, Tensor):
            return float(value)
        # reading it would wait for another device; cloned, since the caller may go on adding to it
        return value.item() if value.device.type == "cpu" else value.detach().clone()

    def result(self, **metrics: float) -> None:
        """The run's final numbers, beside the last ones logged."""
        self._final.update(metrics)

    def _open_logs(self) -> None:
        if self.device.main:
            self._log = rundir.Log(self.folder, self.step)
            self._stack.callback(self._log.close)
            self._scalars: rundir.Scalars | None = None
        title = f"{self.config.system} {self.config.preset}".strip()
        with seed.untouched():  # rich draws a number: the same seed would give another run on a terminal
            self._progress = Progress(title, self.step, self.config.steps, show=self.device.main)
        self._stack.callback(lambda: self._progress.close(self.step))

    def _flush(self) -> None:
        self._read_guard()
        window, self._window = self._window, {}
        mine = {name: _mean([float(value) for value in values]) for name, values in window.items()}
        ranks = self.device.gather(mine)  # what only one of them logged is its own mean
        means = {name: _mean([rank[name] for rank in ranks if name in rank]) for rank in ranks for name in rank}
        self._latest.update(means)
        if means and self.device.main:
            self._log.write({"step": self.step, "seconds": round(self.seconds, 3), **means})
            self._write_scalars(means)
            self._progress.numbers(means)

    def _write_scalars(self, means: dict[str, float]) -> None:
        if self._scalars is None:
            with seed.untouched():
                self._scalars = rundir.Scalars(self.folder, self.step)
            self._stack.callback(self._scalars.close)
        self._scalars.write(self.step, means)

    # --------------------------------------------------------------------------- checkpoints

    def _save(self) -> None:
        """Write a checkpoint of all parts, unless this step has one."""
        if self._saved_step == self.step:
            return
        self._flush()
        generators = self.device.gather(seed.state())
        if self.device.main:
            state = {
                "parts": {name: part.state_dict() for name, part in self._parts.items()},
                "run": {
                    "step": self.step,
                    "seconds": self.seconds,
                    "cpu_seconds": self.cpu_seconds,
                    "latest": self._latest,
                    "generators": generators,
                },
            }
            for outdated in rundir.RESULTS:  # of a run that was given more steps
                (self.folder / outdated).unlink(missing_ok=True)
            checkpoint.save(self.folder / rundir.CHECKPOINTS, self.step, state)
        self.device.wait()
        self._saved_step = self.step

    def save_weights(self, module: nn.Module) -> None:
        """Write the weights that ``load`` reads: those of ``module``, or of an EMA's."""
        if self.device.main:
            tensors = {
                name: value.detach().cpu().contiguous().clone() for name, value in unwrap(module).state_dict().items()
            }
            write_atomic(self.folder / rundir.WEIGHTS, pack_tensors(tensors))

    def _resume(self) -> None:
        folder = self.folder / rundir.CHECKPOINTS
        state = checkpoint.newest(folder)
        step = float(state["run"]["step"]) if state else 0.0
        if self.device.largest(step) != -self.device.largest(-step):
            raise UserError(f"the ranks see different checkpoints in {folder}: give an --out that all machines share")
        if state is None:
            return
        if differing := sorted(set(state["parts"]) ^ set(self._parts)):
            raise UserError(
                f"{folder} and this loop differ in the part {differing[0]!r}: another version of the loop wrote it; "
                "start over with --fresh"
            )
        for name, part in self._parts.items():
            checkpoint.give_back(name, part, state["parts"][name], folder)
        run = state["run"]
        if run["step"] > self.config.steps:
            raise UserError(f"{self.folder} has done {run['step']} steps already: give at least as many as --steps")
        self.step = self._saved_step = run["step"]
        self._earlier_seconds, self._earlier_cpu_seconds = run["seconds"], run["cpu_seconds"]
        self._latest = run["latest"]
        if self.device.rank < len(run["generators"]):
            seed.restore(run["generators"][self.device.rank])
        if self.device.main:
            logger.info("resumed %s at step %d of %d", self.folder, self.step, self.config.steps)


def _mean(values: list[float]) -> float:
    return sum(values) / len(values)
