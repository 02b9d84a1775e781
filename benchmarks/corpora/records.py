"""Packages that hold records (dictionaries, abstracts, terms, articles) rather than files of text."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import re
import sqlite3
import struct
import zlib
from collections.abc import Iterable, Iterator
from xml.etree import ElementTree

from benchmarks.corpora.extractors import Member, plain
from benchmarks.corpora.markup import osis_text, wiki_text

from aioli.demo.extract import diseases


def wordnet(members: Iterable[Member]) -> Iterator[tuple[str, str]]:
    """Entries `words (part of speech): gloss` of WordNet's data files."""
    for member in members:
        kind = member.path.rsplit(".", 1)[-1]
        entries = []
        for line in plain(member).splitlines():
            if not line.startswith("  "):
                head, _, gloss = line.partition(" | ")
                fields = head.split()
                words = fields[4 : 4 + 2 * int(fields[3], 16) : 2]
                entries.append(f"{', '.join(words).replace('_', ' ')} ({kind}): {gloss.strip()}")
        yield f"wordnet:{kind}", "\n\n".join(entries)


def pubmed(members: Iterable[Member]) -> Iterator[tuple[str, str]]:
    """Title and abstract of each article that has both."""
    for member in members:
        with gzip.open(io.BytesIO(member.data)) as file:
            for _, element in ElementTree.iterparse(file):
                if element.tag == "PubmedArticle":
                    title = element.find(".//ArticleTitle")
                    parts = element.findall(".//Abstract/AbstractText")
                    if title is not None and parts:
                        yield f"pmid:{element.findtext('.//PMID')}", _abstract(title, parts)
                    element.clear()


def _abstract(title: ElementTree.Element, parts: list[ElementTree.Element]) -> str:
    lines = []
    for part in parts:
        label = f"{part.get('Label')}: " if part.get("Label") else ""
        lines.append(label + " ".join("".join(part.itertext()).split()))
    return "".join(title.itertext()).strip() + "\n\n" + "\n".join(lines)


def gene_ontology(members: Iterable[Member]) -> Iterator[tuple[str, str]]:
    """Terms of the Gene Ontology with their definitions."""
    for member in members:
        connection = sqlite3.connect(":memory:")
        connection.deserialize(member.data)
        for key, term, definition in connection.execute("select go_id, term, definition from go_term"):
            if definition:
                yield key, f"{term}: {definition}"
        connection.close()


def phenotypes(members: Iterable[Member]) -> Iterator[tuple[str, str]]:
    """Terms of an OBO file: name, synonyms, definition, comment."""
    for member in members:
        for block in plain(member).split("\n\n[Term]\n")[1:]:
            fields = {
                key: value for key, value in re.findall(r"^(id|name|comment): (.*)", block, re.MULTILINE)
            }
            definition = re.search(r'^def: "(.*?)(?<!\\)"', block, re.MULTILINE)
            synonyms = re.findall(r'^synonym: "(.*?)"', block, re.MULTILINE)
            if definition and "name" in fields:
                names = fields["name"] + (f" ({'; '.join(synonyms)})" if synonyms else "")
                text = f"{names}: {definition[1]} {fields.get('comment', '')}".replace('\\"', '"')
                yield fields["id"], text.replace("\\n", "\n").strip()


def icd(members: Iterable[Member]) -> Iterator[tuple[str, str]]:
    """Sections of the ICD-10-CM tabular list."""
    for member in members:
        yield from diseases(ElementTree.fromstring(member.data))


def wikipedia(members: Iterable[Member]) -> Iterator[tuple[str, str]]:
    """Articles of a (truncated) Wikipedia dump, bz2; redirects and other namespaces left out."""
    for member in members:
        dump = bz2.decompress(member.data).decode(errors="replace")
        for page in re.findall(r"<page>.*?</page>", dump, flags=re.DOTALL):
            element = ElementTree.fromstring(page)
            title, text = element.findtext("title", ""), element.findtext(".//text", "")
            if element.findtext("ns", "0") == "0" and not text.lower().startswith("#redirect"):
                yield f"wikipedia:{title}", f"{title}\n\n{wiki_text(text)}"


def sword(members: Iterable[Member]) -> Iterator[tuple[str, str]]:
    """Books of a compressed SWORD text: an index of 12-byte records beside zlib blocks."""
    files = {member.path.rsplit("/", 1)[-1]: member.data for member in members}
    for testament in ("ot", "nt"):
        index, blob = files[f"{testament}.bzs"], files[f"{testament}.bzz"]
        for number, (offset, size, _) in enumerate(struct.iter_unpack("<III", index)):
            text = zlib.decompress(blob[offset : offset + size]).decode(errors="replace")
            yield f"web:{testament}{number}", osis_text(text)


def r_lines(members: Iterable[Member]) -> Iterator[tuple[str, str]]:
    """Character vectors of an R lazy-load database, one text each."""
    for member in members:
        data, number = member.data, 0
        while len(data) > 4:
            stream = zlib.decompressobj()
            lines = _character_vector(stream.decompress(data[4:]))  # after the length
            data = stream.unused_data
            if lines:
                yield f"{member.path}:{number}", "\n".join(lines)
            number += 1


def _character_vector(serialised: bytes) -> list[str]:
    """Strings of an R serialisation (XDR) that is one character vector; else nothing."""
    version, flags = struct.unpack(">i", serialised[2:6])[0], 14
    if version == 3:
        flags += 4 + struct.unpack(">i", serialised[14:18])[0]  # the name of the encoding
    kind, count = struct.unpack(">ii", serialised[flags : flags + 8])
    if kind & 0xFF != 16:
        return []
    strings, at = [], flags + 8
    for _ in range(count):
        _, length = struct.unpack(">ii", serialised[at : at + 8])
        at += 8
        strings.append(serialised[at : at + max(0, length)].decode(errors="replace"))
        at += max(0, length)
    return strings


def poems(members: Iterable[Member]) -> Iterator[tuple[str, str]]:
    """Chinese poems: title, author and lines."""
    for member in members:
        found = json.loads(member.data)
        for number, poem in enumerate(found if isinstance(found, list) else []):
            if isinstance(poem, dict) and poem.get("paragraphs"):
                title = (
                    f"{poem.get('title') or poem.get('rhythmic') or ''} {poem.get('author') or ''}".strip()
                )
                yield f"{member.path}:{number}", title + "\n" + "\n".join(poem["paragraphs"])


def dialogues(members: Iterable[Member]) -> Iterator[tuple[str, str]]:
    """Film dialogues, twenty exchanges a document."""
    for member in members:
        lines = [line for line in plain(member).splitlines() if line.strip()]
        for start in range(0, len(lines), 20):
            turns = [
                "\n".join(f"{who}: {part.strip()}" for who, part in zip("AB", line.split("\t"), strict=False))
                for line in lines[start : start + 20]
            ]
            yield f"dialogue:{start // 20}", "\n".join(turns)
