"""All parts of one run, and what of them must survive: checkpoints, branches, the result."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch

from aioli.data.loader import Loader
from aioli.data.shards import Corpus
from aioli.errors import InputError
from aioli.files import replace_file
from aioli.journal import Journal
from aioli.measure.meter import Meter
from aioli.methods.registry import build
from aioli.mixer import Mixer
from aioli.sweep.spec import RunSpec
from aioli.training.accounts import Accounts
from aioli.training.branching import Branching, order_seed, trunk_checkpoint
from aioli.training.checkpoint import load_checkpoint, save_checkpoint, weights_sha256
from aioli.training.compute import Forward, choose_dtype, watts
from aioli.training.inputs import derived_parameters
from aioli.training.measuring import BatchLosses, make_context
from aioli.training.model import GPT
from aioli.training.optimiser import make_optimiser
from aioli.training.prepare import check_device, make_problem, rows_of
from aioli.training.records import TrainingLog
from aioli.training.result import (
    CURVE_POINTS,
    machine,
    read_test,
    read_trust,
    read_validation,
    refuse_diverged,
    told,
    within,
)
from aioli.training.similar import similar_parameters

__all__ = ["Run"]


class Run:
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
        self.loader = Loader(train, settings.batch, seed=order_seed(spec), rows=rows_of(spec, corpus))
        context = make_context(
            spec, directory, corpus, self.problem, self.loader, self.forward, self.optimiser
        )
        self.meter = Meter(self.method.needs, context)
        self.mixer = Mixer(self.method, self.problem, directory / "journal.jsonl")
        steps = self.problem.total_steps
        self.log = TrainingLog(directory / "metrics.jsonl", self.problem.m, steps, self.device)
        self.branching = Branching(spec, corpus, self.forward)
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
            if self.spec.branch:
                self._branch_off()

    @property
    def schedule_step(self) -> int:
        """Steps completed on the learning-rate schedule: a branch begins at its trunk's."""
        return self.branching.offset + self.mixer.step

    @property
    def paired(self) -> bool:
        """Whether all measurements of a target read the same sequences."""
        return self.spec.evaluation.sequences != "auto"

    def save(self) -> None:
        """Write a checkpoint, unless training has diverged."""
        with self.accounts.charge("writing"):
            self.log.check(self.mixer.step)
            plain = {
                "step": self.mixer.step,
                "mixer": self.mixer.state_dict(),
                "loader": self.loader.state_dict(),
                "meter": self.meter.state_dict(),
                "log": self.log.state_dict(),
                "accounts": self.accounts.state_dict(),
                "branching": self.branching.state_dict(),
                "warnings": self.warned,
                "machine": machine(self.device),
            }
            content = {
                "plain": json.dumps(plain),
                "model": self.model.state_dict(),
                "optimiser": self.optimiser.state_dict(),
            }
            save_checkpoint(self.directory / "checkpoint.pt", self.spec.id, content)

    def _branch_off(self) -> None:
        """Take over the model, the optimiser and the order of the data from the trunk's last step."""
        content = trunk_checkpoint(self.spec, self.directory)
        self.model.load_state_dict(content["model"])
        self.optimiser.load_state_dict(content["optimiser"])
        position = json.loads(content["plain"])["loader"]
        self.loader.load_state_dict(position | {"seed": order_seed(self.spec)})
        self.branching.measure(0, self.mixer.drawn)

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
        if self.spec.branch:
            self.branching.load_state_dict(plain["branching"])
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
        """Read the test sequences, and write and return the result; trunks and branches read none.

        Raises:
            InputError: the model diverged in its last steps.
        """
        spec = self.spec
        result = self._account() if spec.stop is None else self._identity()
        if spec.stop is None and not spec.branch:
            result["test"] = read_test(spec, self.corpus, self.forward)
            refuse_diverged(self.problem.targets, result["test"]["loss"], "test")
            result["validation"] = self._validation() if spec.validation else None
        result["cost"] = self._cost(sum(result["test"]["tokens"]) if "test" in result else 0)
        result["warnings"] = self.warned
        replace_file(self.directory / "result.json", json.dumps(result, allow_nan=False) + "\n")
        return result

    def _identity(self) -> dict[str, Any]:
        spec = self.spec
        return {
            "version": 1,
            "id": spec.id,
            "label": spec.label or spec.method,
            "method": spec.method,
            "parameters": spec.parameters,
            "inputs": spec.inputs,
            "resolved": self.derived,
            "seed": spec.seed,
            "groups": list(self.problem.groups),
            "targets": list(self.problem.targets),
            "steps": self.mixer.step,
            "parameters_count": self.model.parameters_count,
            "weights_sha256": weights_sha256(self.model),
            "machine": machine(self.device),
        }

    def _account(self) -> dict[str, Any]:
        """Who the run is, and what happened in it."""
        journal = Journal.read(self.directory / "journal.jsonl")
        groups, evaluator = journal.groups, self.meter.evaluator
        points = within("curve", CURVE_POINTS, len(groups))
        branch = self.branching.result()
        return {
            **self._identity(),
            "groups": list(groups),
            **told(self.methods, journal, self.spec.model.context),
            "trust": read_trust(self.methods, journal, self.paired),
            "deviation": float(self.loader.deviation),
            "curve": self.log.curve(points, self.problem.groups, groups),
            "evaluation_sequences": evaluator.sizes.tolist() if evaluator and evaluator.tokens_read else None,
            **({"branch": branch} if branch else {}),
        }

    def _cost(self, test_tokens: int) -> dict[str, Any]:
        flops, power = self.model.token_flops(), watts(self.device, self.spec.train.threads)
        read = self.branching.tokens
        tokens, work = self.meter.tokens_read + read, self.meter.work + read
        return self.accounts.summary(flops, tokens, work, test_tokens, power)

    def _validation(self) -> dict[str, Any]:
        """Validation losses before the first step and now, read beside the run's own measurements."""
        vocabulary = self.corpus.vocab_size
        untrained = GPT(self.spec.model, vocabulary, self.spec.seed).to(self.device)
        before = Forward(untrained, vocabulary, self.device, self.forward.dtype)
        found = read_validation(self.spec, self.corpus, before, self.forward)
        return found | {"flops": self.model.token_flops() * found["tokens"] / 3}
