"""The page of a fit."""

from __future__ import annotations

from pathlib import Path

from aioli.errors import InputError
from aioli.files import write_errors_explained
from aioli.fitting.files import load_fit
from aioli.report.law_page import write_fit_page

__all__ = ["report_fit"]


def report_fit(path: Path, out: Path | None = None) -> Path:
    """Write the page of the fit that `aioli fit` left at `path`, and return where; None: beside it.

    Raises:
        InputError: no fit there, a name that is not .html, or a disk that refuses.
    """
    where = out or path.with_suffix(".html")
    if where.suffix != ".html":
        raise InputError(f"the page of a fit is written as .html, got {where}")
    fit = load_fit(path)
    with write_errors_explained(where.parent, "free some and write it again; nothing was replaced"):
        write_fit_page(fit, where)
    return where
