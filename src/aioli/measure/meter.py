"""Meter: what a training loop shows its batches to, and what answers a method's request for signals."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from importlib import import_module
from typing import Any

from torch import Tensor

from aioli.errors import InputError
from aioli.measure.base import Context, Due, Measure, Shown
from aioli.measure.evaluate import Evaluator
from aioli.measure.validation import Validation
from aioli.protocol import Array
from aioli.signals import BUILT_IN, find_signal

__all__ = ["Meter", "carried_state", "check_signals"]

ADVICE = {
    "held_out": "give the loop held-out sequences of every target",
    "model": "give the loop's context the model behind its losses",
    "upcoming": "give the loop's context its loader's `upcoming`",
    "reference": "name a finished run of the same data as the input 'reference' of this one",
}
"""What to do about a field of `Context` that a measure requires and a loop lacks."""


class Meter:
    """Measures one segment at a time: `begin`, `add` for every batch, `finish`.

    It is made of the measures (`aioli.measure.base.Measure`) behind the signals that a method needs, ours
    and those of installed packages alike; no other measure is built.

    Args:
        needs: the signals that may be asked for (`Method.needs`).
        context: what the measures may use.

    Raises:
        InputError: signals that cannot be measured, or what the measures themselves refuse.
    """

    def __init__(self, needs: Iterable[str], context: Context) -> None:
        needs = frozenset(needs)
        check_signals(needs, context)
        paths = sorted({find_signal(name).measure for name in needs})
        self._needs = needs
        self._measures = {path: measure_class(path)(context) for path in paths}
        self._observe: frozenset[str] = frozenset()
        self._steps = 0
        self._open = self._restored = False

    def __repr__(self) -> str:
        return f"<Meter of {', '.join(sorted(self._needs)) or 'nothing'}, {self.tokens_read} tokens read>"

    @property
    def evaluator(self) -> Evaluator | None:
        """What reads the validation losses, if they are needed."""
        found = (m.evaluator for m in self._measures.values() if isinstance(m, Validation))
        return next(found, None)

    @property
    def tokens_read(self) -> int:
        """Tokens read so far beyond those of training, each as often as it was read."""
        return sum(measure.tokens_read for measure in self._measures.values())

    @property
    def work(self) -> float:
        """The same in tokens read forward by the trained model; a gradient's token counts as three."""
        return sum(measure.work for measure in self._measures.values())

    def begin(self, observe: Iterable[str]) -> Meter:
        """Open a segment that measures `observe`; after `load_state_dict`, continue the one that was open.

        Raises:
            InputError: a signal that is not among those the meter was made for.
        """
        observe = frozenset(observe)
        if not observe <= self._needs:
            raise InputError(
                f"asked to measure {', '.join(sorted(observe - self._needs))}, but this meter was made for "
                f"{', '.join(sorted(self._needs)) or 'nothing'}: name every signal in the method's `needs`"
            )
        continued = self._restored and self._open
        for measure in self._measures.values():
            measure.observe = observe & measure.signals
            if not continued:
                measure.begin()
        self._steps = self._steps if continued else 0
        self._observe, self._open, self._restored = observe, True, False
        return self

    def add(self, batch: Shown, losses: Tensor) -> None:
        """Show one step's batch and its losses, after the forward pass and before the weights change.

        Args:
            losses: [B] in nats per token, or those of every token [B, T], which `excess_loss` needs.
        """
        self._steps += 1
        self._show(Due(lambda: batch, lambda _: losses))

    def peek(self, batch: Callable[[], Shown], losses: Callable[[Any], Tensor]) -> None:
        """In a segment of 0 steps, show the batch due next; it and its losses are made only if needed.

        Args:
            batch: makes the batch (`Loader.peek`). losses: makes its losses, as for `add`.
        """
        self._show(Due(batch, losses))

    def finish(self) -> dict[str, Array]:
        """Close the segment: one array for each signal asked for, as `Mixer.tell` takes them."""
        values: dict[str, Array] = {}
        for measure in self._active():
            values |= measure.finish(self._steps)
        self._open = False
        return {name: value for name, value in values.items() if name in self._observe}

    def _show(self, due: Due) -> None:
        for measure in self._active():
            measure.add(due)

    def _active(self) -> list[Measure]:
        return [measure for measure in self._measures.values() if measure.observe]

    def state_dict(self) -> dict[str, Any]:
        """The segment so far and every measure's state, exact anywhere between steps, as JSON values."""
        measures = {path: measure.state_dict() for path, measure in self._measures.items()}
        return {"open": self._open, "steps": self._steps, "measures": measures}

    def load_state_dict(self, saved: dict[str, Any]) -> None:
        """Continue from `state_dict`; the next `begin` goes on with the segment that was open.

        Raises:
            InputError: a state saved for other groups or targets.
        """
        measures = saved["measures"] if "measures" in saved else _of_first_layout(saved)
        for path, measure in self._measures.items():
            if "same_targets" in saved:
                measure.carry_state(measures[path], saved["same_targets"])
            else:
                measure.load_state_dict(measures[path])
        self._open, self._steps, self._restored = saved["open"], saved["steps"], True


def carried_state(saved: dict[str, Any], same_targets: Collection[str]) -> dict[str, Any]:
    """A meter's state for the run that goes on with other groups or targets: the open segment ends.

    Args:
        same_targets: names of the targets whose text is unchanged.
    """
    measures = saved["measures"] if "measures" in saved else _of_first_layout(saved)
    same = [name for name in same_targets if name in saved.get("same_targets", same_targets)]
    return {"open": False, "steps": 0, "measures": measures, "same_targets": same}


def _of_first_layout(saved: dict[str, Any]) -> dict[str, Any]:
    """States of the measures from a checkpoint of before there were any."""
    train = {"tokens_read": 0, "work": 0.0, "losses": saved["losses"]}
    return {
        BUILT_IN["train_loss"].measure: train,
        BUILT_IN["validation_loss"].measure: saved["evaluator"],
    }


def measure_class(path: str) -> type[Measure]:
    """The class at "package.module:Class".

    Raises:
        InputError: a package that cannot be imported, or something else than a `Measure` there.
    """
    module, _, name = path.partition(":")
    try:
        found = getattr(import_module(module), name)
    except Exception as error:  # whatever a foreign package raises when it is imported
        raise InputError(
            f"the measure {path} cannot be loaded ({type(error).__name__}: {error}); mend or uninstall the "
            "package that declares it"
        ) from error
    if not (isinstance(found, type) and issubclass(found, Measure)):
        raise InputError(f"{path} must be a subclass of aioli.measure.base.Measure, got {found!r}")
    return found


def check_signals(needs: Iterable[str], context: Context) -> None:
    """Make sure, before step 0, that a loop can measure what a method needs.

    Raises:
        InputError: signals that are missing, with what the method needs, what the loop measures, and what
            to do.
    """
    needs = sorted(needs)
    lacking = {name: advice for name in needs if (advice := _advice(name, context))}
    if lacking:
        measured = sorted(name for name in {*BUILT_IN, *needs} if not _advice(name, context))
        remedies = "; ".join(dict.fromkeys(lacking.values()))
        raise InputError(
            f"the method needs {', '.join(needs)}; this loop measures {', '.join(measured) or 'nothing'}, "
            f"so {', '.join(lacking)} cannot be had: {remedies}, or choose a method that does not need it"
        )


def _advice(name: str, context: Context) -> str:
    """What to do so that a signal can be measured; empty where it can be."""
    path = find_signal(name).measure
    if not path:
        return f"{name} comes with no measure, so only a loop that measures it by itself has it"
    lacking = [part for part in measure_class(path).requires if getattr(context, part) in (None, {})]
    return "; ".join(ADVICE.get(part, f"give the loop's context its {part}") for part in lacking)
