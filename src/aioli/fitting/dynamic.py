"""The linear dynamic law as it is: a matrix fitted to runs that branch off one checkpoint.

Run k trains on p_k from the checkpoint for some steps, and target i's loss falls by

    D_ik = sum_j A_ij p_kj + noise.

The proportions sum to 1, so there is no intercept: the trend common to all mixtures is part of every entry of
A, and `DynamicFit.contrasts` are what is left when it is taken off.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import stdtrit

from aioli.errors import InputError
from aioli.protocol import Array

__all__ = ["DynamicFit", "column_sums", "critical", "fit_dynamic", "squared_distance"]

WELL = 1e6
"""Mixtures whose Gram matrix has a larger condition number cannot tell the groups apart."""


@dataclass(frozen=True, eq=False)
class DynamicFit:
    """A fitted matrix and how well it describes the branches.

    Attributes:
        matrix: [n, m] A, nats by which a target's loss falls. errors: [n, m] its standard errors.
        covariance: [n, m, m] of its rows where directions that sum to 0 are concerned, as differences between
            mixtures are; with shrinkage the fall at the mean mixture has an error beside it.
        freedom: degrees of freedom that the noise was estimated from; 0 with shrinkage.
        noise: [n] standard deviation of a branch around the law, nats.
        r2: [n] share of the variance over branches that the law explains; NaN when they do not differ.
        held_out_r2: [n] the same with every branch predicted from the others.
        mse: [n] mean squared residual.
        curvature, curvature_error: [n] coefficient of the squared distance sum_j (p_j - q_j)^2 / q_j from the
            mean mixture q, added to the law, and its standard error (of freedom - 1); NaN with too few
            branches, or where all lie as far from q. The linear law has 0.
        shrinkage: [n] share by which contrasts between groups were pulled to 0, where there are fewer
            branches than groups need; 0 for least squares.
    """

    matrix: Array
    errors: Array
    covariance: Array
    freedom: int
    noise: Array
    r2: Array
    held_out_r2: Array
    mse: Array
    curvature: Array
    curvature_error: Array
    shrinkage: Array

    @property
    def contrasts(self) -> tuple[Array, Array]:
        """[n, m] A less its row means, which no common trend touches, and their standard errors."""
        m = self.matrix.shape[1]
        centre = np.eye(m) - 1 / m
        spread = centre @ self.covariance @ centre
        return self.matrix @ centre, np.sqrt(np.maximum(np.einsum("njj->nj", spread), 0.0))

    @property
    def principal(self) -> tuple[Array, Array]:
        """Axes [m, m] (rows, orthonormal) and variances [n, m]: covariance_i = axes^T diag(variances_i) axes.

        All targets are fitted to the same mixtures, so that their covariances share their axes.
        """
        sizes = np.maximum(np.einsum("njj->n", self.covariance), 1e-300)
        axes = np.linalg.eigh((self.covariance / sizes[:, None, None]).sum(axis=0))[1].T
        return axes, np.maximum(np.einsum("lj,njk,lk->nl", axes, self.covariance, axes), 0.0)

    @property
    def critical(self) -> float:
        """How many standard errors make a 95% interval."""
        return critical(self.freedom)


def critical(freedom: int) -> float:
    """How many standard errors of so many degrees of freedom make a 95% interval; 0: errors are known.

    >>> round(critical(3), 3), round(critical(0), 3)
    (3.182, 1.96)
    """
    return float(stdtrit(freedom, 0.975)) if freedom else 1.959964


def fit_dynamic(mixtures: Array, changes: Array) -> DynamicFit:
    """A from realised mixtures [k, m] of branches and by how much each target's loss fell, [k, n].

    With at least m + 1 branches that tell all groups apart: least squares. With fewer, contrasts between the
    groups get a normal prior around 0 whose variance is the one most likely (empirical Bayes): groups that
    the design cannot separate share what was seen of them, and standard errors are those of the posterior.

    Raises:
        InputError: fewer than 3 branches, or changes that are not finite.

    References:
        arXiv 2411.05735: the linear dynamic law, fitted to a sweep from one checkpoint.
    """
    k, m = mixtures.shape
    if k < 3 or changes.shape[0] != k:
        raise InputError(f"the law of {m} groups needs at least 3 branches with changes, got {k}")
    if not np.isfinite(changes).all():
        raise InputError("a branch has a loss that is not finite: it has diverged; leave it out")
    gram = mixtures.T @ mixtures
    if k > m and np.linalg.cond(gram) < WELL:
        return _least_squares(mixtures, changes, gram)
    return _shrunken(mixtures, changes)


def column_sums(
    mixtures: Array, changes: Array, weights: Array | None = None
) -> tuple[Array, Array, DynamicFit]:
    """[m] sum_i w_i A_ij, their standard errors, and the fit to the weighted sum of changes that they are of.

    What is common to the targets in a branch's noise counts as it should; weights [n], None: 1 each.
    """
    w = np.ones(changes.shape[1]) if weights is None else weights
    found = fit_dynamic(mixtures, (changes @ w)[:, None])
    return found.matrix[0], found.errors[0], found


def _least_squares(mixtures: Array, changes: Array, gram: Array) -> DynamicFit:
    k, m = mixtures.shape
    inverse = np.linalg.inv(gram)
    matrix = changes.T @ mixtures @ inverse
    residuals = changes - mixtures @ matrix.T
    freedom = k - m
    variance = (residuals**2).sum(axis=0) / freedom
    leverage = np.einsum("kj,jl,kl->k", mixtures, inverse, mixtures)
    apart = residuals / np.maximum(1 - leverage, 1e-9)[:, None]
    bend, bend_error = _curvature(mixtures, residuals, inverse, freedom)
    covariance = variance[:, None, None] * inverse
    return DynamicFit(
        matrix=matrix,
        errors=np.sqrt(np.einsum("njj->nj", covariance)),
        covariance=covariance,
        freedom=freedom,
        noise=np.sqrt(variance),
        r2=_r2(residuals, changes),
        held_out_r2=_r2(apart, changes),
        mse=(residuals**2).mean(axis=0),
        curvature=bend,
        curvature_error=bend_error,
        shrinkage=np.zeros(len(matrix)),
    )


def _curvature(mixtures: Array, residuals: Array, inverse: Array, freedom: int) -> tuple[Array, Array]:
    """The coefficient of the squared distance from the mean mixture, as if it had been fitted with A."""
    n = residuals.shape[1]
    unknown = np.full(n, np.nan)
    known = np.column_stack([mixtures, squared_distance(mixtures)])
    if freedom < 2 or np.linalg.cond(known.T @ known) >= WELL:
        return unknown, unknown
    distance = known[:, -1]
    apart = distance - mixtures @ (inverse @ (mixtures.T @ distance))  # what A cannot take up
    size = float(apart @ apart)
    slope = apart @ residuals / size
    left = residuals - apart[:, None] * slope
    return slope, np.sqrt((left**2).sum(axis=0) / (freedom - 1) / size)


def squared_distance(mixtures: Array) -> Array:
    """[k] sum_j (p_j - q_j)^2 / q_j of mixtures [k, m] from their mean q."""
    mean = mixtures.mean(axis=0)
    return ((mixtures - mean) ** 2 / np.maximum(mean, 1e-12)).sum(axis=1)


def _shrunken(mixtures: Array, changes: Array) -> DynamicFit:
    """Empirical Bayes: D = mean + C a, a ~ N(0, tau^2) on the contrasts C = p - mean p, noise sigma^2.

    With q the mean mixture, A = (I - 1 q^T) a + mean: the mean's own error is in every entry, in no contrast.
    """
    k, n = changes.shape
    contrasts = mixtures - mixtures.mean(axis=0)
    left, sizes, right = np.linalg.svd(contrasts, full_matrices=False)
    keep = sizes > 1e-9 * max(float(sizes.max(initial=0.0)), 1e-300)
    left, sizes, right = left[:, keep], sizes[keep], right[keep]
    fits = [_shrink_one(left, sizes, right, changes[:, i]) for i in range(n)]
    slopes = np.array([fit[0] for fit in fits])
    covariance, noise = np.array([fit[1] for fit in fits]), np.array([fit[2] for fit in fits])
    mean = changes.mean(axis=0) - slopes @ mixtures.mean(axis=0)
    about = np.eye(mixtures.shape[1]) - mixtures.mean(axis=0)
    spread = np.einsum("jl,nlh,jh->nj", about, covariance, about)
    matrix = slopes + mean[:, None]
    residuals = changes - mixtures @ matrix.T
    unknown = np.full(n, np.nan)
    return DynamicFit(
        matrix=matrix,
        errors=np.sqrt(np.maximum(spread, 0.0) + noise[:, None] ** 2 / k),
        covariance=covariance,
        freedom=0,
        noise=noise,
        r2=_r2(residuals, changes),
        held_out_r2=unknown,
        mse=(residuals**2).mean(axis=0),
        curvature=unknown,
        curvature_error=unknown,
        shrinkage=np.array([fit[3] for fit in fits]),
    )


def _shrink_one(left: Array, sizes: Array, right: Array, values: Array) -> tuple[Array, Array, float, float]:
    """Posterior mean [m] and covariance [m, m] of the slopes of one target, its noise and its shrinkage."""
    k, m = len(values), right.shape[1]
    centred = values - values.mean()
    seen = left.T @ centred
    rest = max(float(centred @ centred - seen @ seen), 0.0)
    outside = k - 1 - len(sizes)

    def noise_at(log_ratio: float) -> tuple[Array, float]:
        spread = 1 + np.exp(log_ratio) * sizes**2  # variance of what is seen, in units of the noise's
        return spread, (float((seen**2 / spread).sum()) + rest) / max(len(sizes) + outside, 1)

    def unlikely(log_ratio: float) -> float:
        spread, noise = noise_at(log_ratio)
        return float(np.log(spread).sum()) + (len(sizes) + outside) * float(np.log(max(noise, 1e-300)))

    best = minimize_scalar(unlikely, bounds=(-10.0, 16.0), method="bounded")
    ratio = float(np.exp(best.x))
    spread, noise = noise_at(float(best.x))
    weight = 1 - 1 / spread
    slopes = right.T @ (weight * seen / sizes)
    prior = noise * ratio
    covariance = prior * (np.eye(m) - right.T @ (weight[:, None] * right))
    return slopes, covariance, float(np.sqrt(noise)), float(1 - weight.mean()) if weight.size else 1.0


def _r2(residuals: Array, values: Array) -> Array:
    spread = ((values - values.mean(axis=0)) ** 2).sum(axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(spread > 0, 1 - (residuals**2).sum(axis=0) / spread, np.nan)
