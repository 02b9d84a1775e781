# pyright: basic, reportArgumentType=false, reportAttributeAccessIssue=false
# (scikit-learn and scipy carry no types)
"""A Gaussian process on square roots of the proportions: smooth, and nothing else assumed."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.linalg import cho_factor, cho_solve
from sklearn.exceptions import ConvergenceWarning
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import ConstantKernel, Matern, WhiteKernel

from aioli.errors import InputError
from aioli.laws.static.features import Columns, columns_of
from aioli.protocol import Array
from aioli.static_law import ConvexLosses
from aioli.table import Table

__all__ = ["FittedGaussianProcess", "GaussianProcess"]

JITTER = 1e-10
"""Added to the diagonal relative to the prior variance, for mixtures that are nearly the same."""


@dataclass(frozen=True, eq=False)
class FittedGaussianProcess:
    """Posterior mean: centre + scale * k(x, inputs) @ dual.

    Attributes:
        inputs: [k, d] features of the training runs. dual: [k, n]. centre, scale: [n] mean and deviation
            of the losses. theta: [2 + d] ln of prior variance, length scales and noise variance.
    """

    columns: Columns
    inputs: Array
    dual: Array
    centre: Array
    scale: Array
    theta: Array
    nu: float

    def predict(self, mixtures: Array, size: Array | None = None, tokens: Array | None = None) -> Array:
        """[k, n] posterior means; they return to the mean of the runs far from all of them."""
        at = _features(self.columns, mixtures, size, tokens)
        covariance = _kernel(self.theta, self.nu).k1(at, self.inputs)
        return self.centre + self.scale * (covariance @ self.dual)

    def convex(self, size: float | None = None, tokens: float | None = None) -> ConvexLosses | None:
        """None: posterior means are not convex."""
        return None

    def to_json(self) -> dict[str, Any]:
        """Training features, dual coefficients and kernel."""
        arrays = ("inputs", "dual", "centre", "scale", "theta")
        plain: dict[str, Any] = {"columns": self.columns.to_json(), "nu": self.nu}
        return plain | {name: getattr(self, name).tolist() for name in arrays}


@dataclass(frozen=True)
class GaussianProcess:
    """Gaussian process regression, one kernel for all targets (losses standardised).

    Features are sqrt(p_j), in which the losses of small proportions bend less, and ln of the scale where
    runs differ in it. Kernel: s^2 Matern(nu; one length for each feature) + noise. Its numbers maximise the
    marginal likelihood, of a random part of the runs where there are many: time grows with their cube.

    Attributes:
        nu: smoothness of the Matern kernel, 0.5, 1.5 or 2.5.
        likelihood_runs: most runs that choose the kernel; predictions use all.
    """

    nu: float = 2.5
    likelihood_runs: int = 200

    def __post_init__(self) -> None:
        if self.nu not in (0.5, 1.5, 2.5) or self.likelihood_runs < 4:
            raise InputError(
                "a Gaussian process needs nu 0.5, 1.5 or 2.5, and likelihood_runs >= 4, "
                f"got {self.nu} and {self.likelihood_runs}"
            )

    @property
    def name(self) -> str:
        return "gaussian_process"

    def parameters(self, m: int) -> int | None:
        """None: as many as runs."""
        return None

    def fit(self, table: Table, weights: Array | None = None, seed: int = 0) -> FittedGaussianProcess:
        """The kernel that makes the losses likeliest, and the posterior under it.

        Raises:
            InputError: fewer than 4 runs with weight.
        """
        used = np.arange(len(table)) if weights is None else np.flatnonzero(weights > 0)
        if used.size < 4:
            raise InputError(f"a Gaussian process needs at least 4 runs, got {used.size}")
        columns = columns_of(table)
        inputs = _features(columns, table.mixtures, table.size, table.tokens)
        _, _, losses = _standardised(table.losses[used])
        part = np.random.default_rng(seed).permutation(used.size)[: self.likelihood_runs]
        start = ConstantKernel(1.0, (1e-3, 1e4)) * Matern(
            np.ones(inputs.shape[1]), (1e-1, 1e3), nu=self.nu
        ) + WhiteKernel(1e-2, (1e-6, 1.0))
        search = GaussianProcessRegressor(start, alpha=JITTER)
        with warnings.catch_warnings():  # a length at its bound is a group that does not matter
            warnings.simplefilter("ignore", ConvergenceWarning)
            search.fit(inputs[used][part], losses[part])
        return _posterior(columns, inputs, table.losses, search.kernel_.theta, self.nu, weights)

    def refit(
        self, fitted: Any, table: Table, weights: Array, seed: int = 0
    ) -> Sequence[FittedGaussianProcess]:
        """Posteriors under each row of weights, with the kernel of `fitted`."""
        inputs = _features(fitted.columns, table.mixtures, table.size, table.tokens)
        return [
            _posterior(fitted.columns, inputs, table.losses, fitted.theta, fitted.nu, row) for row in weights
        ]

    def from_json(self, plain: Mapping[str, Any]) -> FittedGaussianProcess:
        """What `to_json` gave.

        Raises:
            InputError: content of another shape.
        """
        try:
            arrays = {
                name: np.array(plain[name], dtype=np.float64)
                for name in ("inputs", "dual", "centre", "scale", "theta")
            }
            return FittedGaussianProcess(Columns.from_json(plain["columns"]), **arrays, nu=float(plain["nu"]))
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(f"this is no saved Gaussian process ({type(error).__name__}: {error})") from None


def _features(columns: Columns, mixtures: Array, size: Array | None, tokens: Array | None) -> Array:
    m = np.shape(mixtures)[1]
    found = columns.of(mixtures, size, tokens)
    return np.column_stack([np.sqrt(found[:, :m]), found[:, m:]])


def _kernel(theta: Array, nu: float) -> Any:
    """The kernel whose numbers are exp(theta): prior variance, lengths, noise variance."""
    values = np.exp(theta)
    signal: Any = ConstantKernel(values[0]) * Matern(values[1:-1], nu=nu)
    return signal + WhiteKernel(values[-1])


def _standardised(losses: Array, weights: Array | None = None) -> tuple[Array, Array, Array]:
    centre = np.average(losses, axis=0, weights=weights)
    deviation = np.sqrt(np.average((losses - centre) ** 2, axis=0, weights=weights))
    scale = np.where(deviation > 0, deviation, 1.0)
    return centre, scale, (losses - centre) / scale


def _posterior(
    columns: Columns, inputs: Array, losses: Array, theta: Array, nu: float, weights: Array | None
) -> FittedGaussianProcess:
    """Exact posterior; a run of weight w is one whose noise variance is divided by w."""
    used = np.arange(len(inputs)) if weights is None else np.flatnonzero(weights > 0)
    share = np.ones(used.size) if weights is None else weights[used] * used.size / weights[used].sum()
    centre, scale, standard = _standardised(losses[used], share)
    kernel = _kernel(theta, nu)
    covariance = kernel.k1(inputs[used])
    noise = kernel.k2.noise_level / share + JITTER * kernel.k1.k1.constant_value
    covariance[np.diag_indices_from(covariance)] += noise
    dual = cho_solve(cho_factor(covariance, lower=True), standard)
    return FittedGaussianProcess(columns, inputs[used], dual, centre, scale, theta, nu)
