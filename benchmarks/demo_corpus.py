"""The demo's text, tokenised, for benchmarks that need real text and nothing more."""

from __future__ import annotations

from pathlib import Path

from aioli.data.settings import DataSettings, TextSource, TokenizerSettings
from aioli.data.shards import Corpus
from aioli.data.tokenize import tokenize
from aioli.demo.corpus import build

__all__ = ["demo_corpus"]


def demo_corpus(work: Path) -> Corpus:
    """Seven groups of about 0.4 MB of text each, with a vocabulary of 1024, in `work`."""
    sources = {name: TextSource((str(path),)) for name, path in build(work / "text").items()}
    settings = DataSettings(sources, tokenizer=TokenizerSettings(vocab_size=1024))
    return tokenize(settings, Path(), work / "tokens", workers=1)
