"""Runs carried to another scale before a law of mixtures is fitted to them."""

from __future__ import annotations

from aioli.errors import InputError
from aioli.fitting.nested import extrapolate
from aioli.table import Table

__all__ = ["carried"]


def carried(
    table: Table, *, to_tokens: float | None = None, to_size: float | None = None
) -> tuple[Table, list[str]]:
    """The table at that scale, and how well the curves of its runs fit; without a scale, as it is.

    Raises:
        InputError: as `aioli.fitting.nested.extrapolate`.
    """
    if to_tokens is None and to_size is None:
        return table, []
    try:
        found = extrapolate(table, tokens=to_tokens, size=to_size)
    except InputError as error:
        raise InputError(f"losses cannot be carried to another scale: {error}") from None
    scales = [
        f"{to:,.0f} {what}" for what, to in (("tokens", to_tokens), ("parameters", to_size)) if to is not None
    ]
    low, high = found.exponents.min(), found.exponents.max()
    told = f"{low:.3f}" if high - low < 5e-4 else f"{low:.3f} to {high:.3f}"
    return found.table, [
        f"losses of {len(found.table)} runs carried to {' and '.join(scales)} (exponent {told}; the curves "
        f"miss their points by {found.error:.4f} nats in the mean)"
    ]
