"""What an interval is, whatever it was computed from."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["Interval"]


class Interval(NamedTuple):
    """Mean, two-sided confidence bounds and sample standard deviation; None where it is not defined."""

    mean: float | None
    low: float | None
    high: float | None
    sd: float | None
