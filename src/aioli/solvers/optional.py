"""The numerical packages that solving for a mixture needs beside numpy."""

from __future__ import annotations

import importlib
from typing import Any

from aioli.errors import InputError

__all__ = ["required"]


def required(module: str) -> Any:
    """The module.

    Raises:
        InputError: its package is not installed; the message says how to install it.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise InputError(
            f"solving for the best mixture needs {module.partition('.')[0]}, and importing it failed "
            f'({error}): run `pip install "aioli[offline]"`'
        ) from None
