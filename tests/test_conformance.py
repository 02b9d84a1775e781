"""The conformance suite itself: methods that break the contract must not pass it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from aioli.methods.static import FixedState, Stratified
from aioli.protocol import Observation, Problem, Request, Signal
from aioli.testing.conformance import CHECKS, check_method

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


@dataclass(frozen=True)
class Endless(Stratified):
    """It only ever peeks."""

    def request(self, problem: Problem, state: FixedState) -> Request:
        return super().request(problem, state)._replace(steps=0, observe=frozenset({Signal.TRAIN_LOSS}))


@dataclass(frozen=True)
class Weightless(Stratified):
    """Its steps minimise nothing."""

    def request(self, problem: Problem, state: FixedState) -> Request:
        return super().request(problem, state)._replace(loss_weights=np.zeros(problem.m))


@dataclass(frozen=True)
class Overweight(Stratified):
    """It weighs the loss of groups that have no data."""

    def request(self, problem: Problem, state: FixedState) -> Request:
        return super().request(problem, state)._replace(loss_weights=np.ones(problem.m))


@dataclass(frozen=True)
class Unanswered(Stratified):
    """Its answer is no mixture."""

    def answer(self, problem: Problem, state: FixedState) -> np.ndarray:
        return np.ones(problem.m)


@pytest.mark.parametrize(
    ("method", "check", "message"),
    [
        (Endless(), "progress", "requests of 0 steps in a row"),
        (Weightless(), "progress", "all loss weights are 0"),
        (Overweight(), "group_without_data", "group without data"),
        (Unanswered(), "simplex", "the answer sums to"),
    ],
)
def test_what_is_wrong_is_said(method, check, message):
    with pytest.raises(AssertionError, match=message):
        CHECKS[check](lambda problem: method)


def test_a_sound_method_passes():
    check_method(lambda problem: Stratified())


@pytest.mark.parametrize("method", [Counting(), Overwriting(), Forgetful(), ByPosition()])
def test_an_unsound_method_is_caught(method):
    with pytest.raises((AssertionError, ValueError, RuntimeError)):
        check_method(lambda problem: method)
