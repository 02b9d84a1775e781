"""A method of your own. The entry point `your-name = "your_package:HardestFirst"` of the group
`aioli.methods` enters it in `aioli methods`, in configs and in `pytest --pyargs aioli.testing`."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from aioli import Mixer, Observation, Problem, Request, Signal
from aioli.simplex import softmax
from aioli.testing.conformance import check_method, make_world
from aioli.testing.worlds import run


class State(NamedTuple):
    step: int
    logits: np.ndarray  # [m]


@dataclass(frozen=True)
class HardestFirst:  # p_j ~ exp(training loss_j / temperature), renewed every ten steps
    temperature: float = 2.0
    needs = frozenset({Signal.TRAIN_LOSS})

    def init(self, problem: Problem) -> State:
        return State(0, np.where(problem.available, 0.0, -np.inf))

    def request(self, problem: Problem, state: State) -> Request:
        return Request(softmax(state.logits), min(10, problem.total_steps - state.step), self.needs)

    def update(self, problem: Problem, state: State, seen: Observation) -> State:
        fresh = seen.values[Signal.TRAIN_LOSS] / self.temperature  # NaN for groups that were not drawn
        return State(seen.step, np.where(np.isnan(fresh), state.logits, fresh))


if __name__ == "__main__":
    check_method(lambda problem: HardestFirst())  # resumes, replays, is pure, copes with 1000 groups ...
    world = make_world()
    print("sequences drawn:", run(Mixer(HardestFirst(), world.problem), world).drawn.astype(int).tolist())
