"""What installed packages add through the entry point groups `aioli.methods`, `aioli.estimators`, ..."""

from __future__ import annotations

from collections.abc import Container
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from aioli.errors import InputError

__all__ = ["find_plugins", "load_plugin"]


def find_plugins(kind: str, taken: Container[str]) -> dict[str, EntryPoint]:
    """Entry points of the group `aioli.{kind}s` by name; their code is loaded when one is asked for.

    Raises:
        InputError: a name that is `taken`, or declared twice.
    """
    points: dict[str, EntryPoint] = {}
    for point in entry_points(group=f"aioli.{kind}s"):
        if point.name in taken or point.name in points:
            raise InputError(f"the {kind} name {point.name!r} is taken; {point.value} must use another")
        points[point.name] = point
    return points


def load_plugin(kind: str, point: EntryPoint) -> Any:
    """What an entry point names.

    Raises:
        InputError: a package that cannot be imported, or does not have it.
    """
    try:
        return point.load()
    except Exception as error:  # whatever a foreign package raises when it is imported
        raise InputError(
            f"{kind} {point.name!r} of the entry point {point.value} cannot be loaded "
            f"({type(error).__name__}: {error}); mend or uninstall the package that declares it"
        ) from error
