"""Packages that only some inputs need, loaded when such an input is met."""

from __future__ import annotations

import importlib
from typing import Any

from aioli.errors import InputError

__all__ = ["require"]


def require(module: str, purpose: str, extra: str = "train") -> Any:
    """Import and return an optional module, for example `require("zstandard", "to read .zst files")`.

    Args:
        extra: of Aioli, that brings it.

    Raises:
        InputError: the package is not installed; the message says how to install it.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        package = module.partition(".")[0]
        raise InputError(
            f"the package {package} is needed {purpose}, and importing it failed ({error}): "
            f"run `pip install {package}`, or `pip install 'aioli[{extra}]'` for everything"
        ) from None
