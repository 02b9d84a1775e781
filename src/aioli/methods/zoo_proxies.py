"""Proxy methods: a run that ends in a mixture, to train the real model on."""

from __future__ import annotations

from typing import Any

from aioli.errors import InputError
from aioli.estimators import DogeScore, ExcessOverReference
from aioli.laws import Linear
from aioli.methods.entry import Proportions, listed
from aioli.methods.lmo import Lmo
from aioli.methods.recipes import PROXY
from aioli.methods.wrappers import Averaged, Reweighted
from aioli.protocol import Citation
from aioli.solvers import ExponentiatedGradient

__all__ = ["doge", "doremi"]

DOREMI = Citation("DoReMi: Optimizing Data Mixtures Speeds Up Language Model Pretraining", "2305.10429")
DOGE = Citation("DoGE: Domain Reweighting with Generalization Estimation", "2310.15393")


@listed(
    DOREMI,
    law="linear, dynamic",
    estimator="excess over a reference model",
    solver="exponentiated gradient",
    extra_runs="2",
    recipe=PROXY,
)
def doremi(
    eta: float = 1.0,
    smoothing: float = 1e-3,
    sampling: Proportions | None = None,
    resample: bool = False,
) -> Averaged:
    """DoReMi's proxy run: group DRO on the excess over a reference; answers with the mean of its weights.

    At every step, on the batch due: lambda_j = mean over group j's tokens of max(loss - reference loss, 0),
    alpha <- (1 - c) softmax(log alpha + eta lambda) + c / m, and the batch is trained with the loss
    sum_j alpha_j x (mean loss of group j). The answer is the mean of alpha_1 .. alpha_T.

    Args:
        eta, smoothing: step size, and c. sampling: proportions to draw on; None: equal.
        resample: draw on alpha instead of weighing the loss; the excess is then read on the batches as they
            are trained, and the mean is of the mixtures trained on.

    References:
        arXiv 2305.10429, Algorithm 1; sangmichaelxie/doremi.
    Departures:
        The loss is the paper's: groups absent from the batch contribute nothing. The release weighs tokens by
        alpha_j / sampling_j and divides by the sum of the weights. Its mean contains alpha_0, and a group not
        drawn yet scores the log of the vocabulary's size; here 0. Target weights, if a run has them, multiply
        the scores.
    """
    return _proxy(
        ExcessOverReference(int(resample)),
        ExponentiatedGradient(eta, normalise=False, smoothing=smoothing),
        sampling,
        resample,
    )


@listed(
    DOGE,
    law="linear, dynamic",
    estimator="gradient alignment, bounded",
    solver="exponentiated gradient",
    extra_runs="1",
    recipe=PROXY,
)
def doge(
    mu: float = 0.01,
    clip: float = 5.0,
    sampling: Proportions | None = None,
    resample: bool = False,
) -> Averaged:
    """DoGE's proxy run: raises groups whose gradients help the targets; answers with the mean weights.

    At every step, on the batch due: W_j = <g_j, G>, g_j the gradient of group j clipped to norm `clip`, G
    that of the weighted mean of the targets; alpha_j ~ alpha_j exp(s_j / mu) with s_j = clip(r W_j / (mean
    norm + 1e-6), 0, 5 r), r the learning rate; then the batch is trained with the loss sum_j alpha_j x
    (mean loss of group j). The answer is the mean of alpha_1 .. alpha_T.

    Args:
        mu: scale of the scores, the smaller the larger the steps; published .01, .05 for targets outside the
            groups. clip: largest norm of a group's gradient; published 5, 1 for such targets.
        sampling, resample: as in `doremi`.

    Raises:
        InputError: in the run, a loop that does not tell the learning rate.

    References:
        arXiv 2310.15393, Algorithm 1; Olivia-fsm/DoGE.
    Departures:
        The clipped gradients give the scores; in the step itself only the loop's clipping of the whole
        gradient acts. A group absent from a batch scores 0 and is left out of the mean norm; the release
        reuses its last gradient. The paper sums over targets where the release, whose mu this is, pools
        them in one mean. The release means to leave out a group's product with itself where the targets are
        the groups, by a test that never succeeds; here it counts, and target gradients are those of
        held-out data.
    """
    if not mu > 0:
        raise InputError(f"mu must be positive, got {mu}")
    solver = ExponentiatedGradient(1 / mu, normalise=False)
    return _proxy(DogeScore(int(resample), clip), solver, sampling, resample)


def _proxy(
    estimator: Any, solver: ExponentiatedGradient, sampling: Proportions | None, resample: bool
) -> Averaged:
    """Rounds of one step on the law's mixture, as loss weights unless resampled, and their mean."""
    if resample and sampling is not None:
        raise InputError("with resample, groups are drawn on the method's own mixture: leave sampling out")
    rounds = Lmo(Linear(), estimator, solver, round_steps=1, objective="mean_loss")
    return Averaged(rounds if resample else Reweighted(rounds, sampling))
