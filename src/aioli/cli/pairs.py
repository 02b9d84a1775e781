"""Values by name on the command line: `law=7e9 code=2e9`, a file of them, or one number for all."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from aioli.errors import InputError

__all__ = ["read_number_or_pairs", "read_numbers", "read_proportions"]

SUFFIXES = (".json", ".yaml", ".yml")


def read_numbers(option: str, given: Sequence[str] | None) -> dict[str, float] | None:
    """{name: number} from NAME=NUMBER texts and .json or .yaml files of {name: number}; None for none.

    Raises:
        InputError: another shape, a file that cannot be read, or a name given twice.
    """
    found: dict[str, float] = {}
    for text in given or []:
        name, equals, value = text.rpartition("=")
        if equals and name:
            pairs = {name: _number(option, text, value)}
        elif text.endswith(SUFFIXES):
            pairs = _read(option, Path(text))
        else:
            raise InputError(
                f"{option} needs NAME=NUMBER, or a .json or .yaml file of such pairs, got {text!r}"
            )
        for key, number in pairs.items():
            if key in found:
                raise InputError(f"{option} gives {key!r} twice")
            found[key] = number
    return found or None


def read_number_or_pairs(option: str, given: Sequence[str] | None) -> float | dict[str, float] | None:
    """One number for all, or as `read_numbers`.

    Raises:
        InputError: as `read_numbers`, or a number beside others.
    """
    if given and len(given) == 1:
        try:
            return float(given[0])
        except ValueError:
            pass
    return read_numbers(option, given)


def read_proportions(option: str, path: Path) -> dict[str, float]:
    """A mixture by group from a .json or .yaml file, as `aioli mixture` and `aioli solve` write it.

    Raises:
        InputError: a file that cannot be read, or holds no mapping from groups to numbers.
    """
    return _read(option, path)


def _read(option: str, path: Path) -> dict[str, float]:
    from aioli.config.parameters import read_plain

    content = read_plain(path, option)
    if isinstance(content, dict) and isinstance(content.get("proportions"), dict):
        content = content["proportions"]
    if not isinstance(content, dict) or not content:
        raise InputError(f"{option}: expected a mapping from names to numbers in {path}")
    for name, value in content.items():
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise InputError(f"{option}: {path} has {value!r} for {name!r}, expected a number")
    return {str(name): float(value) for name, value in content.items()}


def _number(option: str, text: str, value: str) -> float:
    try:
        return float(value)
    except ValueError:
        raise InputError(f"{option} needs a number after the name, as in law=7e9, got {text!r}") from None
