"""What an exporter is: a name, a unit, what it needs, and the functions that write and read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from aioli.export.blend import Blend
from aioli.export.units import Unit

__all__ = ["Format"]


@dataclass(frozen=True)
class Format:
    """One format of one trainer.

    Attributes:
        name: for the command line. title: what is written, in a few words.
        unit: what its weights count. suffix: of its files.
        needs: of "paths", "tokens", "lengths": must be known of every group with a share.
        uses: of the same and "budget", "batch": used when known.
        staged: whether a schedule can be written; else the mean of its proportions is.
        write: the text of a blend. Raises InputError for what the format cannot say.
        read: weights by name (a group, or the path where the format has no names) in the format's unit;
            None where the text cannot be parsed back.
    """

    name: str
    title: str
    unit: Unit
    suffix: str
    write: Callable[[Blend], str]
    read: Callable[[str], dict[str, float]] | None = None
    needs: tuple[str, ...] = ()
    uses: tuple[str, ...] = ()
    staged: bool = False
