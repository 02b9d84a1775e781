"""Numbers as a reader wants them: few digits, a sign where it matters, a dash where there is none."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from aioli.analysis.noise import MOST_SEEDS

__all__ = [
    "MISSING",
    "bounds",
    "count",
    "duration",
    "fixed",
    "percent",
    "quantity",
    "ratio",
    "seeds_told",
    "signed",
]

MISSING = "–"
PREFIXES = ("", "k", "M", "G", "T", "P", "E", "Z")


def _decimals(size: float) -> int:
    """Decimals that show four significant digits, between 1 and 3."""
    return 3 if size < 10 else 2 if size < 100 else 1


def fixed(value: float | None, like: float | None = None) -> str:
    """A plain number; `like` sets the precision where several numbers stand side by side.

    >>> fixed(34.2171), fixed(1234.56), fixed(0.61234), fixed(None)
    ('34.22', '1,234.6', '0.612', '–')
    """
    if value is None or not math.isfinite(value):
        return MISSING
    return f"{value:,.{_decimals(abs(value if like is None else like))}f}"


def signed(value: float | None, like: float | None = None) -> str:
    """A difference: always with its sign, never a negative zero.

    >>> signed(-0.7213, like=34.2), signed(0.5), signed(-0.0001)
    ('-0.72', '+0.500', '0.000')
    """
    text = fixed(value, value if like is None else like)
    if value is None or text == MISSING:
        return text
    if not text.strip("-0.,"):
        return text.lstrip("-")
    return text if value < 0 else f"+{text}"


def percent(value: float | None, like: float | None = None) -> str:
    """A percent change with its sign; `like` sets the precision.

    >>> percent(-2.134), percent(0.0), percent(12.96)
    ('-2.13%', '0.00%', '+13.0%')
    """
    if value is None or not math.isfinite(value):
        return MISSING
    decimals = 2 if abs(value if like is None else like) < 9.995 else 1
    text = f"{value:+.{decimals}f}"
    return (text[1:] if not text.strip("+-0.") else text) + "%"


def bounds(low: float | None, high: float | None, form: str, like: float | None = None) -> str:
    """An interval as "low to high" in one of the forms "fixed", "signed", "percent"; "" without one.

    >>> bounds(-0.981, -0.4612, "signed", like=34.0)
    '-0.98 to -0.46'
    """
    if low is None or high is None:
        return ""
    if form == "percent":
        like = max(abs(low), abs(high))
        return f"{percent(low, like)} to {percent(high, like)}"
    shape = signed if form == "signed" else fixed
    return f"{shape(low, like)} to {shape(high, like)}"


def quantity(value: float | None, unit: str = "") -> str:
    """A number with three significant digits, an SI prefix and a unit.

    >>> quantity(1_234_567), quantity(1.7e12, "FLOP"), quantity(950, "J"), quantity(0)
    ('1.23M', '1.70 TFLOP', '950 J', '0')
    """
    if value is None or not math.isfinite(value):
        return MISSING
    size, power = float(value), 0
    while abs(size) >= 999.5 and power < len(PREFIXES) - 1:
        size, power = size / 1000, power + 1
    if power:
        number = f"{size:.{2 if abs(size) < 9.995 else 1 if abs(size) < 99.95 else 0}f}"
    else:
        number = f"{size:.3g}" if size != int(size) else f"{int(size)}"
    return f"{number} {PREFIXES[power]}{unit}" if unit else f"{number}{PREFIXES[power]}"


def count(value: float | None) -> str:
    """A whole number with separators.

    >>> count(1234567.0)
    '1,234,567'
    """
    return MISSING if value is None or not math.isfinite(value) else f"{value:,.0f}"


def ratio(value: float | None) -> str:
    """A ratio to the baseline.

    >>> ratio(1.3149)
    '1.31x'
    """
    return MISSING if value is None or not math.isfinite(value) else f"{value:.2f}x"


def duration(seconds: float | None) -> str:
    """A wall-clock time.

    >>> duration(7.31), duration(312), duration(7290)
    ('7.3 s', '5 min 12 s', '2 h 01 min')
    """
    if seconds is None or not math.isfinite(seconds):
        return MISSING
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def seeds_told(noise: Mapping[str, Any]) -> str:
    """How many seeds would show the measured change (`aioli.analysis.noise`).

    >>> seeds_told({"sd": 1.0, "detectable": 3.3, "seeds": None})
    'over 1000 seeds'
    """
    return f"{noise['seeds']} seeds" if noise["seeds"] else f"over {MOST_SEEDS} seeds"
