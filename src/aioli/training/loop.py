"""The training loop: request, segment, step, advance, tell, with a checkpoint anywhere between steps."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from aioli.data.loader import Batch
from aioli.data.shards import Corpus
from aioli.files import write_errors_explained
from aioli.locks import DirectoryLock
from aioli.protocol import Request
from aioli.sweep.spec import RunSpec
from aioli.training.accounts import Category
from aioli.training.compute import choose_device
from aioli.training.guards import Interrupts, collected_warnings, deterministic, torch_threads
from aioli.training.optimiser import learning_rate, update, weighted_loss
from aioli.training.prepare import check_directory
from aioli.training.run import Run

__all__ = ["run_spec"]

Progress = Callable[[dict[str, Any]], None]

CHECKPOINT_SECONDS = 30.0
CHECKPOINT_SHARE = 20.0
"""Automatic checkpoints also wait for this many times the seconds that the last one took."""
PROGRESS_SECONDS = 0.25
REMEDY = "the last checkpoint is intact; free some space and continue with --resume (resume=True)"


def run_spec(
    spec: RunSpec,
    corpus: Corpus,
    directory: Path,
    *,
    resume: bool = False,
    on_progress: Progress | None = None,
) -> dict[str, Any]:
    """Train the reference model as `spec` says and return the result, also in directory/result.json.

    `directory` then holds spec.json, journal.jsonl, metrics.jsonl, checkpoint.pt and result.json. With
    `resume`, a run that was stopped or killed continues from its checkpoint to the same numbers, bit for
    bit on the same machine, torch and threads; a finished one returns its result. On CUDA, torch's
    deterministic algorithms see to that, and a GPU of another model gives a warning. SIGINT, SIGTERM, or
    a KeyboardInterrupt from `on_progress` stop the run after the current step, with a checkpoint.

    Args:
        on_progress: called at most four times a second and at the end, with step, steps, loss,
            proportions [m], phase, seconds, eta (seconds left), law (r2, r2_trend and coverage of
            `aioli.trust`; None before the first prediction).

    Raises:
        InputError: a used directory without `resume`, files of another run, a second process, a full
            disk, data or settings that do not fit, or training that diverges.
        KeyboardInterrupt: the run was stopped.
    """
    directory = Path(directory)
    device = choose_device(spec.train)
    with ExitStack() as guards:
        guards.enter_context(write_errors_explained(directory, REMEDY))
        guards.enter_context(DirectoryLock(directory))
        finished = check_directory(directory, spec, resume, device)
        if finished is not None:
            return finished
        warned = guards.enter_context(collected_warnings())
        guards.enter_context(torch_threads(spec.train.threads))
        guards.enter_context(deterministic(device))
        run = Run(spec, corpus, directory, device, warned)
        guards.callback(run.mixer.close)
        interrupts = guards.enter_context(Interrupts())
        run.begin()
        _Loop(run).train(interrupts, on_progress or (lambda state: None))
        return run.finish()


class _Loop:
    """Carries out what the method asks for, and writes a checkpoint from time to time.

    Args:
        run: begun, or continued from its checkpoint.
    """

    def __init__(self, run: Run) -> None:
        self.run = run
        self._first_step = run.mixer.step
        self._saved_at, self._saving_took, self._shown_at = time.perf_counter(), 0.0, 0.0

    def train(self, interrupts: Interrupts, on_progress: Progress) -> None:
        """Carry out the method's requests until the run is done."""
        run, charge = self.run, self.run.accounts.charge
        run.accounts.start()
        while not run.mixer.done:
            with charge("mixing"):
                request = run.mixer.request
            seen = run.meter.begin(request.observe)
            if request.steps == 0 and not run.mixer.segment_drawn.any():
                self._peek(request)
            segment = run.loader.segment(request.proportions, request.steps)
            for batch in run.accounts.charged("drawing", segment):
                rate = learning_rate(run.spec.train, run.schedule_step)
                with charge(_category(request)):
                    token_losses = run.losses(batch)
                    losses = token_losses.mean(dim=1)
                with charge("measuring"):
                    seen.add(batch, token_losses)
                with charge(_category(request)):
                    weighted_loss(losses, batch, request.loss_weights).backward()
                    norm = update(run.model, run.optimiser, rate, run.spec.train.clip)
                    run.log.add(batch, losses, norm)
                with charge("mixing"):
                    run.mixer.advance(batch.drawn)
                self._after_step(batch, request, rate, interrupts, on_progress)
                if run.mixer.step == run.spec.stop:
                    return self._end()
            self._settle(request)
            with charge("measuring"):
                values = seen.finish()
            with charge("mixing"):
                moved = bool(run.mixer.segment_drawn.any())
                step = run.schedule_step - moved  # of the last step, or of the one due
                run.mixer.tell(values, learning_rate(run.spec.train, step))
        self._end()

    def _end(self) -> None:
        self._save()
        self.run.accounts.stop()

    def _peek(self, request: Request) -> None:
        """Measure the batch due next, without moving."""
        with self.run.accounts.charge("measuring"):
            self.run.meter.peek(
                lambda: self.run.loader.peek(request.proportions),
                lambda batch: self.run.losses.ahead(batch, _category(request)),
            )

    def _settle(self, request: Request) -> None:
        """Wait for the device, at the cost of the segment whose steps it works on."""
        with self.run.accounts.charge(_category(request)):
            self.run.forward.synchronise()

    def _after_step(
        self, batch: Batch, request: Request, rate: float, interrupts: Interrupts, on_progress: Progress
    ) -> None:
        """Accounts, log, progress and checkpoint: everything is consistent here."""
        step = self.run.mixer.step
        last = step == (self.run.spec.stop or self.run.problem.total_steps)
        self.run.accounts.train_tokens += batch.tokens.shape[0] * self.run.spec.model.context
        self.run.accounts.probe_steps += request.phase == "probe"
        if step % self.run.log.every == 0 or last:
            self._settle(request)
            with self.run.accounts.charge("writing"):
                self.run.log.check(step)
                self.run.log.write_line(step, rate, request, self.run.accounts.seconds, self._law())
        if time.perf_counter() - self._shown_at >= PROGRESS_SECONDS or last:
            self._settle(request)
            try:
                on_progress(self._progress(request))
            except KeyboardInterrupt:
                interrupts.requested = True
        with self.run.accounts.charge("measuring"):
            self.run.branching.measure(step, self.run.mixer.drawn)
        if interrupts.requested or self._checkpoint_due(step):
            self._settle(request)
            self._save()
        if interrupts.requested:
            raise KeyboardInterrupt

    def _progress(self, request: Request) -> dict[str, Any]:
        self._shown_at = time.perf_counter()
        step, steps = self.run.mixer.step, self.run.spec.stop or self.run.problem.total_steps
        pace = self.run.accounts.session_seconds / max(step - self._first_step, 1)
        return {
            "step": step,
            "steps": steps,
            "loss": self.run.log.loss(),
            "proportions": request.proportions.tolist(),
            "phase": request.phase,
            "seconds": self.run.accounts.seconds,
            "eta": pace * (steps - step),
            "law": self._law(),
        }

    def _law(self) -> dict[str, float | None]:
        """How well the method's law has predicted the losses so far."""
        score = self.run.mixer.trust(self.run.paired)
        return {"r2": score.r2, "r2_trend": score.r2_trend, "coverage": score.coverage}

    def _checkpoint_due(self, step: int) -> bool:
        every = self.run.spec.train.checkpoint_every
        if every is not None:
            return step % every == 0
        wait = max(CHECKPOINT_SECONDS, CHECKPOINT_SHARE * self._saving_took)
        return time.perf_counter() - self._saved_at >= wait

    def _save(self) -> None:
        start = time.perf_counter()
        self.run.save()
        self._saved_at = time.perf_counter()
        self._saving_took = self._saved_at - start


def _category(request: Request) -> Category:
    """What the steps of a segment are charged to."""
    return "probing" if request.phase == "probe" else "training"
