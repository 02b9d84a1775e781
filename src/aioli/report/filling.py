"""Pages from the templates of this package: everything they need stands in the page itself."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from importlib.resources import files
from typing import Any

from jinja2 import Environment, FunctionLoader, StrictUndefined
from markupsafe import Markup

__all__ = ["embedded", "fill", "typeset"]

LIVE = "live.js"
SCRIPTS = ("sort.js", "choose.js", "laws.js", "what_if.js", "two_runs.js", "setup.js")


def fill(template: str, values: Mapping[str, Any], *, live: Any = None) -> str:
    """A page as text, with its styles and scripts inside.

    Args:
        live: runs that go on, None where nothing does; the page then asks its server for changes.
    """
    environment = Environment(
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        loader=FunctionLoader(_read),
    )
    scripts = (LIVE, *SCRIPTS) if live else SCRIPTS
    return environment.get_template(template).render(
        **values, live=live, scripts=scripts, inlined=_inlined, svg=Markup, minus=typeset
    )


def embedded(content: Any) -> Markup:
    """Values as JSON that cannot end the script element it stands in."""
    text = json.dumps(content, separators=(",", ":"), allow_nan=False, ensure_ascii=False)
    return Markup(text.replace("<", "\\u003c"))


def typeset(text: str) -> str:
    """Hyphens before digits become minus signs, an x after a ratio a multiplication sign."""
    signs = re.sub(r"(?<![\w)])-(?=\d)", "\N{MINUS SIGN}", text)
    return re.sub(r"(?<=\d\.\d\d)x\b", "\N{MULTIPLICATION SIGN}", signs)


def _read(name: str) -> str:
    return files("aioli.report").joinpath("templates", name).read_text(encoding="utf-8")


def _inlined(name: str) -> Markup:
    return Markup(_read(name).strip())
