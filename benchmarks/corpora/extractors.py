"""From the files of a package to documents: one small function for each format.

An extractor takes the members of a package that its source selects and yields (name, text).
"""

from __future__ import annotations

import gzip
import re
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

__all__ = ["Extractor", "Member", "each"]


class Member(NamedTuple):
    """One file of a package: its path and content, as stored."""

    path: str
    data: bytes


Extractor = Callable[[Iterable[Member]], Iterator[tuple[str, str]]]


def plain(member: Member) -> str:
    """Text of a member, decompressed where needed, in UTF-8 or else Latin-1."""
    data = gzip.decompress(member.data) if member.data[:2] == b"\x1f\x8b" else member.data
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("latin-1")


def each(convert: Callable[[str], str] = str, longest: int = 10**9) -> Extractor:
    """Extractor that converts every file by itself; files over `longest` bytes (tables) are left out."""

    def extract(members: Iterable[Member]) -> Iterator[tuple[str, str]]:
        for member in members:
            if len(member.data) <= longest:
                yield member.path, convert(plain(member))

    return extract


def go_code(text: str) -> str:
    """A Go file without its copyright head; nothing of generated files."""
    return "" if "DO NOT EDIT" in text[:600] else re.sub(r"\A// Copyright.*?\n\n", "", text, flags=re.DOTALL)


def without_licence_line(text: str) -> str:
    """Documentation without the licence tag in its first line."""
    return re.sub(r"\A\.\. SPDX-License.*\n", "", text)


def without_front_matter(text: str) -> str:
    """Text after a YAML head between lines of three dashes."""
    return re.sub(r"\A---\n.*?\n---\n", "", text, flags=re.DOTALL)


def without_proofs(text: str) -> str:
    """Metamath statements and comments; no compressed proofs (near-random letters), no log of renamings."""
    text = re.sub(r"^ ?\d{1,2}-[A-Z][a-z]{2}-\d{2} .*\n", "", text, flags=re.MULTILINE)
    return re.sub(r"\$=[^$]*\$\.", "$.", text)


def without_head_box(text: str) -> str:
    """An OCaml or Coq file without the boxed licence comment at its head."""
    return re.sub(r"\A(?:\(\*.*\*\)\n)+", "", text)


def without_lists(text: str) -> str:
    """A glossary without its tables of contents: six or more short paragraphs of one line in a row."""
    return re.sub(r"(?:^ {3}\S.{0,45}\n\n){6,}", "", text, flags=re.MULTILINE)


def dictionary(text: str) -> str:
    """A dictd dictionary without cross-reference braces and the tags of origin that end its entries."""
    text = re.sub(r"\s*\[[^\[\]]*(?:1913 Webster|Webster 1913|PJC|WordNet 1\.5)[^\[\]]*\]", "", text)
    return re.sub(r"[{}]", "", text)
