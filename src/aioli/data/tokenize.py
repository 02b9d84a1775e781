"""From the files of a config to a tokenised corpus: parallel, resumable, and skipped when nothing changed.

Every file is read twice: once to hash its documents (which decides the splits and finds copies) and once
to encode them. What is finished lies in `.partial/` until the whole corpus is, so that a killed run goes on
where it stopped and an existing corpus stays as it is until the new one takes its place.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from aioli.data.choosing import make_tokenizer
from aioli.data.jobs import Cutting, Encode, Scan, Scanned
from aioli.data.parallel import Progress, Workers, available_cores
from aioli.data.planning import (
    Plan,
    Survey,
    check_documents,
    cuttings,
    make_plans,
    split_names,
)
from aioli.data.predecessor import Predecessor
from aioli.data.settings import DataSettings
from aioli.data.shards import DOCUMENTS, INDEX, VERSION, Corpus, dtype_for, fingerprint, sha256
from aioli.data.sources import UNIT_BYTES, Source, open_source
from aioli.data.splits import SPLITS
from aioli.data.tokenizer import find_tokenizer
from aioli.errors import InputError
from aioli.files import replace_file, replacing, write_errors_explained, write_json
from aioli.locks import DirectoryLock

__all__ = ["find_tokenized", "tokenize"]

REMEDY = "what is finished is kept; free some space, or use another directory, and run again"


def tokenize(
    settings: DataSettings,
    base: Path,
    out: Path,
    *,
    before: Predecessor | None = None,
    workers: int | None = None,
    progress: Progress | None = None,
) -> Corpus:
    """Tokenise every group and target into `out`, or open what is there when the inputs are the same.

    Args:
        before: the corpus that this one takes the place of in a run; its tokenizer is used, and its
            documents stay in their splits.
        base: directory that relative paths start from.
        workers: processes; None chooses by cores and size. The result does not depend on it.
        progress: called with the stage ("reading", "training the tokenizer", "tokenising", "writing")
            and the fraction of it that is done.

    Raises:
        InputError: input that cannot be used, a full disk, another process at work in `out`.
    """
    if workers is not None and workers < 1:
        raise InputError(f"workers must be at least 1, got {workers}")
    base, out = Path(base), Path(out)
    sources = _open_sources(settings, base, out)
    tokenizer = _tokenizer(settings, base, before)
    inputs = _inputs(settings, sources, tokenizer, before)
    unchanged = _unchanged(out, inputs)
    if unchanged is not None:
        return unchanged
    with (
        write_errors_explained(out, REMEDY),
        DirectoryLock(out),
        Workers(*_processes(workers, sources)) as pool,
    ):
        return _Run(settings, sources, tokenizer, before, inputs, out, pool, progress or _silent).corpus()


def find_tokenized(
    settings: DataSettings, base: Path, out: Path, before: Predecessor | None = None
) -> Corpus | None:
    """What `tokenize` would open without doing anything; None where it would have to work.

    Raises:
        InputError: input that cannot be used.
    """
    sources = _open_sources(settings, Path(base), Path(out))
    inputs = _inputs(settings, sources, _tokenizer(settings, Path(base), before), before)
    return _unchanged(Path(out), inputs)


def _silent(stage: str, fraction: float) -> None:
    pass


def _open_sources(settings: DataSettings, base: Path, out: Path) -> list[Source]:
    sources = [open_source(name, paths, base, target=False) for name, paths in settings.groups.items()]
    sources += [open_source(name, paths, base, target=True) for name, paths in settings.targets.items()]
    texts = [source.name for source in sources if not source.tokens]
    tokens = [source.name for source in sources if source.tokens]
    if texts and tokens and settings.tokenizer.path is None:
        raise InputError(
            f"{', '.join(tokens)} hold token ids and {', '.join(texts)} hold text: set data.tokenizer.path "
            f"to the tokenizer that made the ids, so that the text is encoded with the same one"
        )
    inside = [path for source in sources for path, _, _ in source.files if _within(base / path, out)]
    if inside:
        raise InputError(f"the output directory {out} contains input files ({inside[0]}): choose another one")
    return sources


def _within(path: Path, directory: Path) -> bool:
    return path.resolve().is_relative_to(directory.resolve())


def _tokenizer(settings: DataSettings, base: Path, before: Predecessor | None) -> Path | None:
    """The file to encode with; None: there is none yet, or every source is tokens."""
    if before is not None:
        return before.tokenizer
    return None if settings.tokenizer.path is None else find_tokenizer(settings.tokenizer.path, base)


def _inputs(
    settings: DataSettings, sources: Sequence[Source], tokenizer: Path | None, before: Predecessor | None
) -> str:
    """Hash of all that decides the result: the files' names, sizes and times, and the settings."""
    content: dict[str, Any] = {
        "version": VERSION,
        "sources": [[s.name, s.target, asdict(s.settings), s.files] for s in sources],
        "tokenizer": settings.tokenizer.vocab_size if tokenizer is None else sha256(tokenizer),
        "split": asdict(settings.split),
        "invalid_documents": settings.invalid_documents,
    }
    if before is not None:
        content["before"] = before.identity
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _unchanged(out: Path, inputs: str) -> Corpus | None:
    try:
        corpus = Corpus.open(out)
    except InputError:
        return None
    return corpus if corpus.index.get("inputs") == inputs else None


def _processes(workers: int | None, sources: Sequence[Source]) -> tuple[int, int]:
    """Worker processes, and tokeniser threads in each."""
    units = [unit for source in sources for unit in source.units]
    cores = workers or available_cores()
    wanted = workers or min(cores, 1 + sum(unit.size for unit in units) // UNIT_BYTES)
    processes = max(1, min(wanted, len(units)))
    return processes, max(1, cores // processes)


@dataclass(frozen=True)
class _Run:
    settings: DataSettings
    sources: list[Source]
    tokenizer: Path | None
    before: Predecessor | None
    inputs: str
    out: Path
    pool: Workers
    progress: Progress

    @property
    def work(self) -> Path:
        return self.out / ".partial"

    def corpus(self) -> Corpus:
        """Do what is not done yet, put the result in place and open it."""
        self._start()
        if not (self.work / INDEX).is_file():
            plans = self._plan()
            facts, messages = make_tokenizer(
                plans, self.settings.tokenizer, self.tokenizer, self.work / "final", self.pool, self.progress
            )
            if self.before is not None:
                facts = self.before.check_vocabulary(facts)
            self._encode(plans, facts)
            self._write_index(plans, facts, messages)
        self._publish()
        return Corpus.open(self.out)

    def _start(self) -> None:
        """Make the working directory, throwing away one that other inputs left."""
        name, content = self.work / "inputs", f"{self.inputs} {[len(s.units) for s in self.sources]}"
        if not name.is_file() or name.read_text() != content:
            shutil.rmtree(self.work, ignore_errors=True)
            for part in ("scans", "parts", "done", "final"):
                (self.work / part).mkdir(parents=True)
            replace_file(name, content)

    def _plan(self) -> list[Plan]:
        whole = Cutting()
        documents = self._survey(self.sources, {source.name: whole for source in self.sources}, "documents")
        check_documents(documents, self.settings.invalid_documents)
        cutting = cuttings(documents, self.settings.split, self.before)
        cut = [s for s in self.sources if cutting[s.name].block or cutting[s.name].cut]
        blocks = {survey.source.name: survey for survey in self._survey(cut, cutting, "blocks")}
        pieces = [blocks.get(survey.source.name, survey) for survey in documents]
        return make_plans(documents, pieces, cutting, self.settings.split, self.before)

    def _survey(self, sources: Sequence[Source], cutting: dict[str, Cutting], what: str) -> list[Survey]:
        paths = {
            (source.name, unit.number): self.work / "scans" / f"{self._stem(source, unit.number)}.{what}.npz"
            for source in sources
            for unit in source.units
        }
        tasks = [
            Scan(unit, cutting[source.name], path)
            for source in sources
            for unit in source.units
            if not (path := paths[source.name, unit.number]).is_file()
        ]
        total = sum(task.unit.size for task in tasks)
        self.pool.run(tasks, total, lambda fraction: self.progress("reading", fraction))
        return [
            Survey(s, tuple(Scanned.load(paths[s.name, unit.number]) for unit in s.units)) for s in sources
        ]

    def _stem(self, source: Source, number: int) -> str:
        return f"{self.sources.index(source):04d}-{number:06d}"

    def _encode(self, plans: Sequence[Plan], facts: dict[str, Any]) -> None:
        """Encode the units that are not done, and join the units of each source."""
        left = [plan for plan in plans if not self._done(plan.survey.source).is_file()]
        tokenizer = self.work / "final" / "tokenizer.json" if "sha256" in facts else None
        tasks = [
            Encode(
                unit,
                plan.cutting,
                codes,
                None if plan.survey.source.tokens else tokenizer,
                facts["end_of_text"] or 0,
                dtype_for(facts["vocab_size"]),
                self.work / "parts" / self._stem(plan.survey.source, unit.number),
            )
            for plan in left
            for unit, codes in zip(plan.survey.source.units, plan.codes, strict=True)
        ]
        tasks = [task for task in tasks if not Path(f"{task.stem}.json").is_file()]
        total = sum(task.unit.size for task in tasks)
        self.pool.run(tasks, total, lambda fraction: self.progress("tokenising", fraction))
        for number, plan in enumerate(left, 1):
            self._join(plan)
            self.progress("writing", number / len(left))

    def _done(self, source: Source) -> Path:
        return self.work / "done" / f"{source.name}.json"

    def _join(self, plan: Plan) -> None:
        """Join the parts of a source into its split files, record their sizes, and delete the parts."""
        source = plan.survey.source
        stems = [self.work / "parts" / self._stem(source, unit.number) for unit in source.units]
        counts = [json.loads(Path(f"{stem}.json").read_bytes()) for stem in stems]
        directory = self.work / "final" / source.name
        directory.mkdir(exist_ok=True)
        splits: dict[str, Any] = {}
        for split in split_names(source):
            path = directory / f"{split}.bin"
            with replacing(path) as file:
                for stem in stems:
                    with Path(f"{stem}.{split}.bin").open("rb") as part:
                        shutil.copyfileobj(part, file, 1 << 20)
            sums = {what: sum(count[split][what] for count in counts) for what in counts[0][split]}
            splits[split] = {**sums, "sha256": sha256(path)}
        self._note_documents(plan, stems, directory / DOCUMENTS)
        write_json(self._done(source), splits)
        for stem in stems:
            for suffix in ("json", *(f"{split}.{kind}" for split in SPLITS for kind in ("bin", "npy"))):
                Path(f"{stem}.{suffix}").unlink()

    def _note_documents(self, plan: Plan, stems: Sequence[Path], path: Path) -> None:
        """Write down key and tokens of every document in the order of the split files, and what was cut."""
        arrays: dict[str, Any] = {"cut": plan.cut}
        for code, split in enumerate(SPLITS):
            arrays[f"{split}_keys"] = plan.survey.keys[plan.assignment.codes == code]
            arrays[f"{split}_lengths"] = np.concatenate([np.load(f"{stem}.{split}.npy") for stem in stems])
        with replacing(path) as file:
            np.savez(file, **arrays)

    def _write_index(self, plans: Sequence[Plan], facts: dict[str, Any], messages: list[str]) -> None:
        names = [source.name for source in self.sources if not source.target]
        targets = [source.name for source in self.sources if source.target]
        splits, sources = {}, {}
        for plan in plans:
            source = plan.survey.source
            splits[source.name] = json.loads(self._done(source).read_bytes())
            counts, told = plan.notes()
            messages = messages + told
            files = [{"path": path, "size": size} for path, size, _ in source.files]
            sources[source.name] = {
                "kind": source.settings.kind,
                "tokens": source.tokens,
                **counts,
                "files": files,
            }
        index = {
            "format": "aioli-tokens",
            "version": VERSION,
            "groups": names,
            "targets": targets or names,
            "vocab_size": facts["vocab_size"],
            "dtype": dtype_for(facts["vocab_size"]),
            "tokenizer": facts if "sha256" in facts else None,
            "split": asdict(self.settings.split),
            "splits": splits,
            "messages": messages,
            "inputs": self.inputs,
            "sources": sources,
        }
        if self.before is not None:
            index["before"] = self.before.to_json(self.out)
        write_json(self.work / INDEX, {**index, "fingerprint": fingerprint(index)})

    def _publish(self) -> None:
        """Move the finished corpus into place; the index goes last, and a killed move can be repeated."""
        (self.out / INDEX).unlink(missing_ok=True)
        for path in sorted((self.work / "final").rglob("*")):
            place = self.out / path.relative_to(self.work / "final")
            if path.is_file() and not path.name.startswith("."):  # what a kill while writing left
                place.parent.mkdir(exist_ok=True)
                path.replace(place)
        if json.loads((self.work / INDEX).read_bytes())["tokenizer"] is None:
            (self.out / "tokenizer.json").unlink(missing_ok=True)
        (self.work / INDEX).replace(self.out / INDEX)
        shutil.rmtree(self.work, ignore_errors=True)
