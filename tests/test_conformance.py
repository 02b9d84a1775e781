"""The conformance suite itself: methods that break the contract must not pass it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from aioli.methods.static import FixedState, Stratified
from aioli.protocol import Observation, Problem, Request
from aioli.testing.conformance import check_method

calls = [0.0]


@dataclass(frozen=True)
class Counting(Stratified):
    """Its request depends on how often it was asked."""

    def request(self, problem: Problem, state: FixedState) -> Request:
        calls[0] += 1
        return super().request(problem, state)._replace(loss_weights=np.full(problem.m, calls[0]))


@dataclass(frozen=True)
class Overwriting(Stratified):
    """Its update writes into the record."""

    def update(self, problem: Problem, state: FixedState, seen: Observation) -> FixedState:
        seen.drawn[:] = 0
        return FixedState(seen.step)


@dataclass(frozen=True)
class Forgetful(Stratified):
    """Its state changes from call to call."""

    def update(self, problem: Problem, state: FixedState, seen: Observation) -> FixedState:
        calls[0] += 1
        return FixedState(seen.step + int(calls[0]))


@dataclass(frozen=True)
class ByPosition(Stratified):
    """It favours whichever group is numbered first."""

    def mixture(self, problem: Problem) -> np.ndarray:
        weights = problem.uniform * np.arange(problem.m, 0, -1)
        return weights / weights.sum()


def test_a_sound_method_passes():
    check_method(lambda problem: Stratified())


@pytest.mark.parametrize("method", [Counting(), Overwriting(), Forgetful(), ByPosition()])
def test_an_unsound_method_is_caught(method):
    with pytest.raises((AssertionError, ValueError, RuntimeError)):
        check_method(lambda problem: method)
