"""Manual pages to running text."""

from __future__ import annotations

import re
from collections.abc import Iterator

__all__ = ["manual_text", "roff_text"]

_GLYPHS = {
    "co": "©", "lq": "“", "rq": "”", "oq": "‘", "cq": "’", "aq": "'", "dq": '"', "bu": "•", "em": "—",
    "en": "–", "tm": "™", "rg": "®", "ti": "~", "ha": "^", "ga": "`", "bv": "|", "rs": "\\", "fo": "‹",
    "fc": "›", "Fo": "«", "Fc": "»", "->": "→", "<-": "←", "mu": "×", "+-": "±", "de": "°", "aa": "´",
    "pl": "+", "eq": "=", "mi": "−", "sc": "§", "hy": "-", "pc": "·", "ss": "ß", "<=": "≤", ">=": "≥",
    "!=": "≠", "sl": "/", "or": "|", "at": "@", "sh": "#", "Do": "$", "lB": "[", "rB": "]", "lC": "{",
    "rC": "}", "*m": "µ", "mc": "µ", "if": "∞", "14": "¼", "12": "½", "34": "¾", "**": "*", "la": "⟨",
    "ra": "⟩", "r!": "¡", "r?": "¿", "Bq": "„", "bq": "‚",
}  # fmt: skip
_HEADING = {"SH", "Sh", "SS", "Ss"}
_PARAGRAPH = {"PP", "P", "LP", "Pp", "sp", "TP", "HP", "TQ", "br", "Sp", "RS", "RE", "Bl", "El", "Bd", "Ed"}
_LABELLED = {"IP", "It"}
_MDOC = {"Fl", "Op", "Ar", "Nm", "Xr", "Ic", "Cm"}
_JOINED = {"BR", "RB", "IR", "RI", "BI", "IB"}
_SPACED = {
    "B", "I", "SM", "SB", "Nm", "Ar", "Fl", "Pa", "Xr", "Cm", "Em", "Li", "Dv", "Va", "Fn", "Nd", "Op",
    "Ic", "Sy", "Ql", "Dq", "Sq", "Ev", "Er", "UR", "MT",
}  # fmt: skip
_VERBATIM = {"nf": True, "EX": True, "Vb": True, "fi": False, "EE": False, "Ve": False}
_ARGUMENT = re.compile(r'"((?:[^"]|"")*)"?|((?:\\ |\S)+)')
_REQUEST = re.compile(r"^[.']\s*([A-Za-z]+|\\\}|\\\{)?\s*(.*)$")
_ESCAPES = [
    (re.compile(r'\\["#].*'), ""),
    (re.compile(r"\\\[u([0-9A-Fa-f]{4,5})\]"), lambda m: chr(int(m[1], 16))),
    (re.compile(r"\\\[([^\]]*)\]|\\\((..)"), lambda m: _GLYPHS.get(m[1] or m[2], "")),
    (re.compile(r"\\f(\[[^\]]*\]|\(..|.)"), ""),
    (re.compile(r"\\s([+-]?\d|\[[^\]]*\]|\([+-]?\d\d)"), ""),
    (re.compile(r"\\[hvwlLDoNbxZzRA]'[^']*'"), ""),
    (re.compile(r"\\\*(\[[^\]]*\]|\((..)|.)"), lambda m: {"lq": "“", "rq": "”", "Tm": "™"}.get(m[2], "")),
    (re.compile(r"\\[mMnkFgYV](\[[^\]]*\]|\(..|.)"), ""),
    (re.compile(r"\\[ 0~]"), " "),
    (re.compile(r"\\[ckuxdrpta&%|^,/:)!?{}]"), ""),
    (re.compile(r"\\([-'`._])"), r"\1"),
    (re.compile(r"\\(?:e|E|\\)"), "\\\\"),
]


def roff_text(source: str) -> str:
    """Text of a manual page: headings, filled paragraphs, examples line by line.

    >>> roff_text('.TH LS 1\\n.SH NAME\\nls \\\\- list\\n.B files\\n.PP\\nSee\\n.BR dir (1).')
    'LS(1)\\n\\nNAME\\n\\nls - list files\\n\\nSee dir(1).'
    """
    out: list[str] = []
    filled: list[str] = []
    verbatim = False
    for request, line in _requests(source):
        if request is None and (line.strip() or verbatim):
            (out if verbatim else filled).append(_plain(line))
            continue
        if request in _JOINED or request in _SPACED:
            arguments = [_plain(a) for a in _arguments(line)]
            text = "".join(arguments) if request in _JOINED else " ".join(arguments)
            (out if verbatim else filled).append(_mdoc(f"{request} {text}") if request in _MDOC else text)
            continue
        if filled:
            out.append(" ".join(piece.strip() for piece in filled))
            filled = []
        if request in _HEADING:
            out += ["", " ".join(_plain(a) for a in _arguments(line)), ""]
        elif request in _LABELLED:
            out.append("")
            label = _arguments(line)
            filled = [_plain(a) for a in label[:1]] if request == "IP" else [_mdoc(" ".join(label))]
        elif request in ("TH", "Dt"):
            name, *section = _arguments(line)[:2] or [""]
            out.append(_plain(name) + "".join(f"({s})" for s in section))
        elif request is None or request in _PARAGRAPH:
            out.append("")
        verbatim = _VERBATIM.get(request or "", verbatim)
    out.append(" ".join(piece.strip() for piece in filled))
    return re.sub(r"\n{3,}", "\n\n", "\n".join(out)).strip()


def manual_text(source: str) -> str:
    """Text of a manual page without the notice on its translation, which every page repeats."""
    heading = "ÜBERSETZUNG|TRADUCTION|TRADUCCIÓN|TŁUMACZENIE|ПЕРЕВОД"
    return re.sub(rf"\n\n(?:{heading})\n\n.*", "", roff_text(source), flags=re.DOTALL)


def _requests(source: str) -> Iterator[tuple[str | None, str]]:
    """(request, arguments) or (None, text) of each line; definitions and conditions left out."""
    ending = ""  # of the definition or table head being skipped
    depth = 0  # of the conditional blocks being skipped
    for line in source.splitlines():
        match = _REQUEST.match(line)
        name = (match[1] or "") if match else None
        if depth:
            depth += line.count("\\{") - line.count("\\}")
        elif ending:
            ending = (
                "" if line.rstrip().endswith(ending) and (ending != ".." or line.strip() == "..") else ending
            )
        elif match is None:
            if not re.fullmatch(r"[_=\t]+", line):  # rules of a table
                yield None, re.sub(r"T[{}]", "", line) if "\t" in line else line
        elif name in ("de", "de1", "am", "ig"):
            ending = ".."
        elif name == "TS":
            ending = "."  # the format ends with a full stop, then the rows follow
            yield "nf", ""
        elif name == "TE":
            yield "fi", ""
        elif name in ("if", "ie"):
            depth = max(0, line.count("\\{") - line.count("\\}"))
        elif name and name not in ("el", "so", "ds", "tr", "nr"):
            yield name, match[2]


def _arguments(line: str) -> list[str]:
    line = re.sub(r'\s*\\".*', "", line)
    return [quoted.replace('""', '"') or bare for quoted, bare in _ARGUMENT.findall(line)]


def _mdoc(text: str) -> str:
    """Text of a line in the mdoc language, whose macros may follow one another."""
    text = re.sub(r"\bFl (?=\S)", "-", text)
    return _plain(re.sub(r"\b(?:Ar|Cm|Em|Ic|Li|Nm|Ns|Op|Pa|Sy|Xr) ?", "", text))


def _plain(text: str) -> str:
    for pattern, replacement in _ESCAPES:
        text = pattern.sub(replacement, text)
    return text
