"""docs/methods.md lists the methods of the registry, as they are."""

from __future__ import annotations

from pathlib import Path

from aioli.methods import registry
from aioli.methods.zoo import METHODS

PAGE = Path(__file__).parents[2] / "docs" / "methods.md"


def test_the_table_of_the_page_is_that_of_the_registry() -> None:
    text = PAGE.read_text()
    table = text.split("registry -->\n")[1].split("<!-- end of table -->")[0].strip()
    rows = ["| name | law | estimator | solver | reads | extra runs | published |", "|" + "---|" * 7]
    for name in METHODS:
        info = registry.describe(name)
        published = f"[{info.citation.arxiv}](https://arxiv.org/abs/{info.citation.arxiv})"
        cells = (
            f"`{name}`",
            info.law,
            info.estimator,
            info.solver,
            ", ".join(info.signals) or "nothing",
            info.extra_runs,
            published if info.citation.arxiv else "",
        )
        rows.append("| " + " | ".join(cells) + " |")
    assert table == "\n".join(rows), "bring docs/methods.md up to date with:\n" + "\n".join(rows)
