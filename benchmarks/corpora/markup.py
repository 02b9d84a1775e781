"""HTML, Mallard, OSIS and wiki markup to running text."""

from __future__ import annotations

import html
import re
from html.parser import HTMLParser
from xml.etree import ElementTree

__all__ = ["html_text", "mallard_text", "osis_text", "wiki_text", "without_english"]

_ENGLISH = {"the", "of", "and", "that", "with", "you", "this", "are", "from", "be", "can", "your", "it", "by"}

_BLOCKS = {
    "p", "div", "li", "tr", "br", "h1", "h2", "h3", "h4", "h5", "h6", "pre",
    "dt", "dd", "table", "ul", "ol", "section", "blockquote",
}  # fmt: skip
_SKIPPED = {"script", "style", "head", "nav", "footer", "title"}
_VOID = {"br", "img", "hr", "link", "meta", "input", "col"}
_CHROME = {"docnav", "toc", "banner"}


class _Text(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.out: list[str] = []
        self.open: list[tuple[str, bool]] = []
        self.skipping = 0
        self.verbatim = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        named = {word for key, value in attrs if key in ("class", "id") for word in (value or "").split()}
        skipped = tag in _SKIPPED or bool(named & _CHROME)
        if tag in _BLOCKS:
            self.out.append("\n\n" if tag != "br" else "\n")
        elif tag in ("td", "th"):
            self.out.append(" ")
        if tag not in _VOID:
            self.open.append((tag, skipped))
            self.skipping += skipped
            self.verbatim += tag == "pre"

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in _BLOCKS:
            self.out.append("\n")

    def handle_endtag(self, tag: str) -> None:
        if tag not in [name for name, _ in self.open]:
            return
        while self.open:
            name, skipped = self.open.pop()
            self.skipping -= skipped
            self.verbatim -= name == "pre"
            if name == tag:
                break
        if tag in _BLOCKS:
            self.out.append("\n\n")

    def handle_data(self, data: str) -> None:
        if not self.skipping:
            self.out.append(data if self.verbatim else re.sub(r"\s+", " ", data))


def html_text(source: str) -> str:
    """Text of a page without scripts and navigation; blocks are set apart by a blank line.

    >>> html_text("<head><title>x</title></head><p>One <b>two</b></p><ul class='docnav'><li>Next</ul>")
    'One two'
    """
    parser = _Text()
    parser.feed(source)
    parser.close()
    text = re.sub(r"[ \t]+\n", "\n", "".join(parser.out))
    text = re.sub(r"\n +(?=\S)", "\n", text) if "<pre" not in source else text
    return re.sub(r"\n{3,}", "\n\n", text).strip()


def mallard_text(source: str) -> str:
    """Titles, paragraphs and screens of a Mallard help page; empty where it is not XML.

    >>> mallard_text("<page><info><desc>x</desc></info><title>T</title><p>a <em>b</em></p></page>")
    'T\\n\\na b'
    """
    try:
        root = ElementTree.fromstring(source)
    except ElementTree.ParseError:
        return ""
    return "\n\n".join(_mallard(root))


def _mallard(element: ElementTree.Element) -> list[str]:
    tag = element.tag.rsplit("}")[-1] if isinstance(element.tag, str) else "info"
    if tag == "info":
        return []
    if tag in ("p", "title", "screen", "code"):
        text = "".join(element.itertext())
        text = text if tag in ("screen", "code") else " ".join(text.split())
        return [text] if text.strip() else []
    return [text for child in element for text in _mallard(child)]


def osis_text(source: str) -> str:
    """Verses of a Bible in OSIS without notes and numbers.

    >>> osis_text("<title>Psalm</title><verse n='1'/><l>How</l><note>or what</note> <l>good &amp; well</l>")
    'Psalm\\n\\nHow\\n\\ngood & well'
    """
    text = re.sub(r"<note.*?</note>", "", source, flags=re.DOTALL)
    text = re.sub(r"<title[^>]*>(.*?)</title>", r"\n\n\1\n\n", text, flags=re.DOTALL)
    text = re.sub(r"</?(?:l|lg|p|div|lb|chapter)\b[^>]*>", "\n", text)
    text = html.unescape(re.sub(r"<[^>]+>", "", re.sub(r"<verse[^>]*>", " ", text)))
    return re.sub(r"\n\s*\n", "\n\n", re.sub(r"[ \t]+", " ", text)).strip()


_LAST_SECTIONS = "References|External links|See also|Further reading|Notes|Bibliography|Footnotes|Sources"


def wiki_text(source: str) -> str:
    """Prose of a wiki article: no templates, tables, references, files and closing lists.

    >>> wiki_text("'''A''' is {{x|{{y}}}}[[b c|bee]], [[see]].<ref>z</ref>\\n== References ==\\nq")
    'A is bee, see.'
    """
    text = re.sub(r"<!--.*?-->", "", source, flags=re.DOTALL)
    text = re.sub(r"<ref[^>/]*/>|<ref.*?</ref>|<math.*?</math>", "", text, flags=re.DOTALL)
    for _ in range(8):
        text = re.sub(r"\{\{[^{}]*\}\}", "", text)
    for _ in range(3):
        text = re.sub(r"\{\|(?:(?!\{\|).)*?\|\}", "", text, flags=re.DOTALL)
        text = re.sub(
            r"\[\[(?:File|Image|Category|[a-z-]{2,12}):[^\[\]]*(?:\[\[[^\[\]]*\]\][^\[\]]*)*\]\]", "", text
        )
    text = re.sub(r"\[\[(?:[^\[\]|]*\|)?([^\[\]]*)\]\]", r"\1", text)
    text = re.sub(r"\[https?://\S+ ?([^\]]*)\]", r"\1", text)
    text = html.unescape(re.sub(r"<[^>]+>", "", re.sub(r"'{2,}", "", text)))
    text = re.sub(rf"\n==+ ?(?:{_LAST_SECTIONS}) ?==+\n.*", "", text, flags=re.DOTALL)
    return re.sub(r"\n{3,}", "\n\n", text).strip()


def without_english(text: str) -> str:
    """A translation without the paragraphs that nobody has translated; nothing where these are many.

    >>> without_english("Das Menü. " * 9 + "\\n\\nby the menu of it") == "Das Menü. " * 9
    True
    >>> without_english("Öffnen\\n\\nYou can open the menu of the window by key.")
    ''
    """
    kept = []
    for paragraph in text.split("\n\n"):
        words = paragraph.lower().split()
        english = sum(word in _ENGLISH for word in words)
        if english < 3 or english < 0.12 * len(words):
            kept.append(paragraph)
    rest = "\n\n".join(kept)
    return rest if len(rest) > 0.8 * len(text) else ""
