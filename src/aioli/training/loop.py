"""The training loop: request, segment, step, advance, tell, with a checkpoint anywhere between steps."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import torch

from aioli.data.loader import Batch, Loader
from aioli.data.shards import Corpus
from aioli.errors import InputError
from aioli.files import replace_file, write_errors_explained
from aioli.journal import Journal
from aioli.locks import DirectoryLock
from aioli.measure.meter import Meter
from aioli.methods.registry import build
from aioli.mixer import Mixer
from aioli.protocol import Request
from aioli.sweep.spec import RunSpec
from aioli.training.accounts import Accounts, Category
from aioli.training.checkpoint import load_checkpoint, save_checkpoint, weights_sha256
from aioli.training.compute import Forward, choose_device, choose_dtype, watts
from aioli.training.guards import Interrupts, collected_warnings, deterministic, torch_threads
from aioli.training.inputs import derived_parameters
from aioli.training.measuring import BatchLosses, make_context
from aioli.training.model import GPT
from aioli.training.optimiser import learning_rate, make_optimiser, update, weighted_loss
from aioli.training.prepare import check_device, check_directory, make_problem
from aioli.training.records import TrainingLog
from aioli.training.result import CURVE_POINTS, machine, read_test, read_validation, told, within
from aioli.training.similar import similar_parameters

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
            proportions [m], phase, seconds, eta (seconds left).

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
        run = _Run(spec, corpus, directory, device, warned)
        guards.callback(run.mixer.close)
        interrupts = guards.enter_context(Interrupts())
        run.begin()
        run.train(interrupts, on_progress or (lambda state: None))
        return run.finish()


class _Run:
    """All parts of one run; what must survive a kill goes through `save` and `begin`."""

    def __init__(
        self, spec: RunSpec, corpus: Corpus, directory: Path, device: torch.device, warned: list[str]
    ) -> None:
        self.spec, self.corpus, self.directory, self.warned = spec, corpus, directory, warned
        self.device = device
        settings, length = spec.train, spec.model.context + 1
        self.problem = make_problem(spec, corpus)
        self.derived = derived_parameters(spec, directory, self.problem)
        self.derived |= similar_parameters(spec.method, spec.parameters, corpus, self.problem)
        self.method = build(spec.method, spec.parameters | self.derived)
        self.methods = [build(spec.method, change["parameters"]) for change in spec.history] + [self.method]
        self.model = GPT(spec.model, corpus.vocab_size, spec.seed).to(self.device)
        self.optimiser = make_optimiser(self.model, settings)
        self.forward = Forward(self.model, corpus.vocab_size, device, choose_dtype(settings, device))
        train = {name: corpus.sequences(name, "train", length) for name in corpus.groups}
        self.loader = Loader(train, settings.batch, seed=spec.seed)
        context = make_context(
            spec, directory, corpus, self.problem, self.loader, self.forward, self.optimiser
        )
        self.meter = Meter(self.method.needs, context)
        self.mixer = Mixer(self.method, self.problem, directory / "journal.jsonl")
        self.log = TrainingLog(directory / "metrics.jsonl", self.problem.m, settings.steps, self.device)
        self.accounts = Accounts()
        self.losses = BatchLosses(self.forward, self.accounts)

    def begin(self) -> None:
        """Continue from the checkpoint if there is one, else start from step 0."""
        path = self.directory / "checkpoint.pt"
        for unfinished in self.directory.glob(".checkpoint.pt.*"):
            unfinished.unlink()  # a kill while writing left it; the lock says that nobody is writing now
        if path.exists():
            self._restore(load_checkpoint(path, self.spec.id))
        elif self.spec.history:
            raise InputError(
                f"{path} is missing: the run goes on from run {self.spec.history[-1]['run']} with other "
                "groups and cannot start from its first step; restore the checkpoint, or start another run"
            )
        else:
            for name in ("journal.jsonl", "metrics.jsonl"):
                (self.directory / name).unlink(missing_ok=True)
            replace_file(self.directory / "spec.json", json.dumps(self.spec.to_json(), indent=1) + "\n")
        self._first_step = self.mixer.step
        self._saved_at, self._saving_took, self._shown_at = time.perf_counter(), 0.0, 0.0

    def train(self, interrupts: Interrupts, on_progress: Progress) -> None:
        """Carry out the method's requests until the run is done."""
        charge = self.accounts.charge
        self.accounts.start()
        while not self.mixer.done:
            with charge("mixing"):
                request = self.mixer.request
            seen = self.meter.begin(request.observe)
            if request.steps == 0 and not self.mixer.segment_drawn.any():
                self._peek(request)
            for batch in self.accounts.charged(
                "drawing", self.loader.segment(request.proportions, request.steps)
            ):
                rate = learning_rate(self.spec.train, self.mixer.step)
                with charge(_category(request)):
                    token_losses = self.losses(batch)
                    losses = token_losses.mean(dim=1)
                with charge("measuring"):
                    seen.add(batch, token_losses)
                with charge(_category(request)):
                    weighted_loss(losses, batch, request.loss_weights).backward()
                    norm = update(self.model, self.optimiser, rate, self.spec.train.clip)
                    self.log.add(batch, losses, norm)
                with charge("mixing"):
                    self.mixer.advance(batch.drawn)
                self._after_step(batch, request, rate, interrupts, on_progress)
            self._settle(request)
            with charge("measuring"):
                values = seen.finish()
            with charge("mixing"):
                moved = bool(self.mixer.segment_drawn.any())
                step = self.mixer.step - moved  # of the last step, or of the one due
                self.mixer.tell(values, learning_rate(self.spec.train, step))
        self.save()
        self.accounts.stop()

    def _peek(self, request: Request) -> None:
        """Measure the batch due next, without moving."""
        with self.accounts.charge("measuring"):
            self.meter.peek(
                lambda: self.loader.peek(request.proportions),
                lambda batch: self.losses.ahead(batch, _category(request)),
            )

    def _settle(self, request: Request) -> None:
        """Wait for the device, at the cost of the segment whose steps it works on."""
        with self.accounts.charge(_category(request)):
            self.forward.synchronise()

    def _after_step(
        self, batch: Batch, request: Request, rate: float, interrupts: Interrupts, on_progress: Progress
    ) -> None:
        """Accounts, log, progress and checkpoint: everything is consistent here."""
        step, last = self.mixer.step, self.mixer.step == self.problem.total_steps
        self.accounts.train_tokens += batch.tokens.shape[0] * self.spec.model.context
        self.accounts.probe_steps += request.phase == "probe"
        if step % self.log.every == 0 or last:
            self._settle(request)
            with self.accounts.charge("writing"):
                self.log.check(step)
                self.log.write_line(step, rate, request, self.accounts.seconds)
        if time.perf_counter() - self._shown_at >= PROGRESS_SECONDS or last:
            self._settle(request)
            try:
                on_progress(self._progress(request))
            except KeyboardInterrupt:
                interrupts.requested = True
        if interrupts.requested or self._checkpoint_due(step):
            self._settle(request)
            self.save()
        if interrupts.requested:
            raise KeyboardInterrupt

    def _progress(self, request: Request) -> dict[str, Any]:
        self._shown_at = time.perf_counter()
        step, steps = self.mixer.step, self.problem.total_steps
        pace = self.accounts.session_seconds / max(step - self._first_step, 1)
        return {
            "step": step,
            "steps": steps,
            "loss": self.log.loss(),
            "proportions": request.proportions.tolist(),
            "phase": request.phase,
            "seconds": self.accounts.seconds,
            "eta": pace * (steps - step),
        }

    def _checkpoint_due(self, step: int) -> bool:
        every = self.spec.train.checkpoint_every
        if every is not None:
            return step % every == 0
        wait = max(CHECKPOINT_SECONDS, CHECKPOINT_SHARE * self._saving_took)
        return time.perf_counter() - self._saved_at >= wait

    def save(self) -> None:
        """Write a checkpoint, unless training has diverged."""
        start = time.perf_counter()
        with self.accounts.charge("writing"):
            self.log.check(self.mixer.step)
            plain = {
                "step": self.mixer.step,
                "mixer": self.mixer.state_dict(),
                "loader": self.loader.state_dict(),
                "meter": self.meter.state_dict(),
                "log": self.log.state_dict(),
                "accounts": self.accounts.state_dict(),
                "warnings": self.warned,
                "machine": machine(self.device),
            }
            content = {
                "plain": json.dumps(plain),
                "model": self.model.state_dict(),
                "optimiser": self.optimiser.state_dict(),
            }
            save_checkpoint(self.directory / "checkpoint.pt", self.spec.id, content)
        self._saved_at = time.perf_counter()
        self._saving_took = self._saved_at - start

    def _restore(self, content: dict[str, Any]) -> None:
        plain = json.loads(content["plain"])
        before, now = plain["machine"], machine(self.device)
        check_device(before["device"], self.device, self.directory / "checkpoint.pt")
        self.model.load_state_dict(content["model"])
        self.optimiser.load_state_dict(content["optimiser"])
        self.mixer.load_state_dict(plain["mixer"])
        self.loader.load_state_dict(plain["loader"])
        self.meter.load_state_dict(plain["meter"])
        self.log.load_state_dict(plain["log"], plain["step"])
        self.accounts.load_state_dict(plain["accounts"])
        self.warned[:] = plain["warnings"] + [text for text in self.warned if text not in plain["warnings"]]
        changed = [
            f"{name} {before[name]} -> {now[name]}"
            for name in now
            if name in before and now[name] != before[name]
        ]
        if changed:
            self.warned.append(
                f"continued at step {plain['step']} with {', '.join(changed)}: the numbers may differ in "
                "their last digits from those of an uninterrupted run"
            )

    def finish(self) -> dict[str, Any]:
        """Read the test sequences, and write and return the result.

        Raises:
            InputError: the model diverged in its last steps.
        """
        spec, problem = self.spec, self.problem
        journal = Journal.read(self.directory / "journal.jsonl")
        test = read_test(spec, self.corpus, self.forward)
        _refuse_diverged(problem.targets, test["loss"])
        power = watts(self.device, spec.train.threads)
        evaluator = self.meter.evaluator
        result = {
            "version": 1,
            "id": spec.id,
            "label": spec.label or spec.method,
            "method": spec.method,
            "parameters": spec.parameters,
            "inputs": spec.inputs,
            "resolved": self.derived,
            "seed": spec.seed,
            "groups": list(journal.groups),
            "targets": list(problem.targets),
            "steps": problem.total_steps,
            "parameters_count": self.model.parameters_count,
            "test": test,
            "validation": self._validation() if spec.validation else None,
            **told(self.methods, journal, spec.model.context),
            "deviation": float(self.loader.deviation),
            "curve": self.log.curve(
                within("curve", CURVE_POINTS, len(journal.groups)), problem.groups, journal.groups
            ),
            "cost": self.accounts.summary(
                self.model.token_flops(),
                self.meter.tokens_read,
                self.meter.work,
                sum(test["tokens"]),
                power,
            ),
            "evaluation_sequences": evaluator.sizes.tolist() if evaluator and evaluator.tokens_read else None,
            "weights_sha256": weights_sha256(self.model),
            "warnings": self.warned,
            "machine": machine(self.device),
        }
        replace_file(self.directory / "result.json", json.dumps(result, allow_nan=False) + "\n")
        return result

    def _validation(self) -> dict[str, Any]:
        """Validation losses before the first step and now, read beside the run's own measurements."""
        vocabulary = self.corpus.vocab_size
        untrained = GPT(self.spec.model, vocabulary, self.spec.seed).to(self.device)
        before = Forward(untrained, vocabulary, self.device, self.forward.dtype)
        found = read_validation(self.spec, self.corpus, before, self.forward)
        return found | {"flops": self.model.token_flops() * found["tokens"] / 3}


def _category(request: Request) -> Category:
    """What the steps of a segment are charged to."""
    return "probing" if request.phase == "probe" else "training"


def _refuse_diverged(targets: tuple[str, ...], losses: list[float]) -> None:
    broken = [name for name, loss in zip(targets, losses, strict=True) if not math.isfinite(loss)]
    if broken:
        raise InputError(
            f"the test loss of {', '.join(broken)} is infinite or NaN: the model diverged in its last steps; "
            "lower train.learning_rate or train.clip, or lengthen train.warmup"
        )
