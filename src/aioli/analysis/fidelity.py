"""Fidelity: how near the matrix that a method steps by is to the one that branches measure."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.stats import rankdata

from aioli.errors import InputError
from aioli.protocol import Array

__all__ = ["Fidelity", "centred", "fidelity_of", "similarities", "similarity"]


class Fidelity(NamedTuple):
    """How alike two vectors of column sums are.

    Attributes:
        similarity: half the cosine plus half the rank correlation; NaN where a vector is constant or zero.
        cosine, spearman: the halves.
        low, high: the range of 95% of draws of the measured matrix within its errors; NaN without errors.
            It tells a similarity from 0. It leans toward 0, since noise comes on top of noise, and never
            holds 1: how near to perfect a method is, it does not tell.
    """

    similarity: float
    cosine: float
    spearman: float
    low: float = float("nan")
    high: float = float("nan")


def similarity(ours: Array, truth: Array) -> Fidelity:
    """sim = .5 cos + .5 Spearman of column sums [m].

    >>> found = similarity(np.array([0.08875, 0.17625, 0.13875]), np.array([0.37, 0.31, 0.19]))
    >>> round(found.cosine, 6), round(found.spearman, 6), round(found.similarity, 6)
    (0.909696, -0.5, 0.204848)

    References:
        arXiv 2411.05735, section on the similarity of mixing law parameters.
    """
    size = float(np.linalg.norm(ours) * np.linalg.norm(truth))
    cosine = float(ours @ truth) / size if size > 0 else float("nan")
    spearman = _spearman(ours, truth)
    return Fidelity(0.5 * cosine + 0.5 * spearman, cosine, spearman)


def centred(sums: Array) -> Array:
    """Column sums less their mean: what is left when every row of the matrix is centred.

    A trend common to all groups, which says nothing about mixing, dominates the cosine otherwise.

    >>> centred(np.array([0.08875, 0.17625, 0.13875])).round(6)
    array([-0.045833,  0.041667,  0.004167])
    """
    return sums - sums.mean()


def fidelity_of(
    ours: Array,
    truth: Array,
    errors: Array | None = None,
    *,
    centre: bool = False,
    freedom: int = 0,
    draws: int = 2000,
    seed: int = 0,
) -> Fidelity:
    """The similarity with its range: the measured sums are drawn again within their standard errors.

    Args:
        ours: [m] column sums of the method. truth: [m] of the branches. errors: [m] independent standard
            errors of `truth`, or [r, m], each row one of the independent parts that its errors consist of;
            None: no range.
        centre: whether both are centred first. freedom: degrees of freedom that the errors were estimated
            with, for draws from Student's t; 0: they are known. draws: of the parametric bootstrap.

    Raises:
        InputError: vectors of different lengths.

    Departures:
        The published figure has no range, and compares sums that contain the common trend: here
        both forms are given. The method's matrix is scaled by one fitted scalar there, which changes
        neither half but for its sign; signs are kept here: a matrix that points the wrong way is not
        faithful.
    """
    if ours.shape != truth.shape:
        raise InputError(f"column sums of {ours.size} groups are compared with those of {truth.size}")
    prepare = centred if centre else np.asarray
    found = similarity(prepare(ours), prepare(truth))
    if errors is None or np.isnan(found.similarity):
        return found
    rng = np.random.default_rng(seed)
    parts = np.diag(errors) if errors.ndim == 1 else errors
    noise = rng.normal(size=(draws, len(parts))) @ parts
    if freedom:
        noise *= np.sqrt(freedom / rng.chisquare(freedom, size=(draws, 1)))
    noisy = truth + noise
    drawn = similarities(prepare(ours), noisy - noisy.mean(axis=1, keepdims=True) if centre else noisy)
    low, high = np.nanpercentile(drawn, [2.5, 97.5])
    return found._replace(low=float(low), high=float(high))


def similarities(ours: Array, truths: Array) -> Array:
    """[d] `similarity` to each of many vectors [d, m] at once; NaN where one is constant or zero."""

    def cosines(a: Array, b: Array) -> Array:
        with np.errstate(divide="ignore", invalid="ignore"):
            return b @ a / (np.linalg.norm(a) * np.linalg.norm(b, axis=1))

    middle = (ours.size + 1) / 2
    ranks = cosines(rankdata(ours) - middle, rankdata(truths, axis=1) - middle)
    return 0.5 * cosines(ours, truths) + 0.5 * ranks


def _spearman(ours: Array, truth: Array) -> float:
    a, b = (rankdata(values) - (values.size + 1) / 2 for values in (ours, truth))
    size = float(np.sqrt((a @ a) * (b @ b)))
    return float(a @ b) / size if size > 0 else float("nan")
