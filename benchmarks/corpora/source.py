"""What a source is: files of a pinned package and how they are read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from benchmarks.corpora.extractors import Extractor, each
from benchmarks.corpora.fetch import Package
from benchmarks.corpora.roff import manual_text

__all__ = ["Source", "debian", "manpages", "pypi"]


@dataclass(frozen=True)
class Source:
    """Files of one package and how they become documents.

    Attributes:
        pattern: regular expression that a member's path must contain.
        shortest: bytes under which a document is left out.
        redistribute: False where the text may be measured with but not passed on.
    """

    package: Package
    pattern: str
    extract: Extractor
    licence: str
    shortest: int = 200
    redistribute: bool = True


def debian(name: str, version: str, pattern: str, extract: Extractor, licence: str, **more: Any) -> Source:
    """Source from a Debian package."""
    return Source(Package("debian", name, version), pattern, extract, licence, **more)


def pypi(name: str, version: str, pattern: str, extract: Extractor, licence: str, **more: Any) -> Source:
    """Source from a wheel."""
    return Source(Package("pypi", name, version), pattern, extract, licence, **more)


def manpages(name: str, version: str) -> Source:
    """Manual pages from a Debian package."""
    return debian(
        name, version, r"/man/(\w+/)?man\d/[^/]+\.gz$", each(manual_text), "free, mixed (manual pages)"
    )
