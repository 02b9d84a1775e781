"""Training and loading tokenizers."""

import json
from pathlib import Path

import huggingface_hub.constants
import pytest
from tokenizers import Tokenizer, models, processors

from aioli.data.tokenizer import (
    END_OF_TEXT,
    end_of_text,
    find_tokenizer,
    load_tokenizer,
    train_tokenizer,
    vocabulary,
)
from aioli.errors import InputError

TEXTS = ["the cat sat on the mat, the cat was fat\n" * 20, "naïve 日本語 tokens\n" * 10]


def saved(directory: Path, vocab_size: int = 300) -> Path:
    directory.mkdir(parents=True, exist_ok=True)
    train_tokenizer(TEXTS, vocab_size).save(str(directory / "tokenizer.json"))
    return directory / "tokenizer.json"


def test_trained_tokenizer_is_deterministic_and_lossless(tmp_path: Path) -> None:
    assert train_tokenizer(TEXTS, 280).to_str() == train_tokenizer(TEXTS, 280).to_str()
    tokenizer = load_tokenizer(saved(tmp_path, 280))
    assert vocabulary(tokenizer) == 280
    assert tokenizer.token_to_id(END_OF_TEXT) == 0
    text = f"never seen: \t żółw \N{GRINNING FACE} {END_OF_TEXT} \x00\r\n  end "
    ids = tokenizer.encode(text, add_special_tokens=False).ids
    assert 0 not in ids
    assert tokenizer.decode(ids) == text


def test_a_short_text_gives_a_smaller_vocabulary() -> None:
    assert 257 <= vocabulary(train_tokenizer(["abcabc"], 5000)) < 300
    assert vocabulary(train_tokenizer([], 5000)) == 257


def test_find_by_file_directory_and_cached_name(tmp_path: Path, monkeypatch) -> None:
    path = saved(tmp_path / "tok")
    assert find_tokenizer("tok/tokenizer.json", tmp_path) == path
    assert find_tokenizer("tok", tmp_path) == path
    cache = tmp_path / "hub"
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(cache))
    with pytest.raises(InputError, match="hf download someone/model"):
        find_tokenizer("someone/model", tmp_path)
    kept = cache / "models--someone--model"
    (kept / "refs").mkdir(parents=True)
    (kept / "refs" / "main").write_text("abc123")
    cached = saved(kept / "snapshots" / "abc123")
    assert find_tokenizer("someone/model", tmp_path) == cached
    with pytest.raises(InputError, match="neither a tokenizer"):
        find_tokenizer("no such/../name at all", tmp_path)


def test_a_broken_tokenizer_file(tmp_path: Path) -> None:
    path = saved(tmp_path)
    path.write_text(path.read_text()[:500])
    with pytest.raises(InputError, match=r"tokenizer\.json.*truncated"):
        load_tokenizer(path)


def test_loaded_settings_that_would_change_documents_are_off(tmp_path: Path) -> None:
    tokenizer = train_tokenizer(TEXTS, 300)
    tokenizer.enable_truncation(4)
    tokenizer.enable_padding()
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{END_OF_TEXT} $A", special_tokens=[(END_OF_TEXT, 0)]
    )
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    loaded = load_tokenizer(tmp_path / "tokenizer.json")
    short, long = loaded.encode_batch_fast(["a", "the cat sat on the mat"], add_special_tokens=False)
    assert len(short.ids) == 1 and 0 not in long.ids
    assert loaded.decode(long.ids) == "the cat sat on the mat"


def test_the_end_of_text_token(tmp_path: Path) -> None:
    path = tmp_path / "tokenizer.json"
    tokenizer = Tokenizer(models.BPE(vocab={"a": 0, "</s>": 1, "<stop>": 2}, merges=[]))
    assert end_of_text(tokenizer, path) == (1, None)
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({"eos_token": {"content": "<stop>"}}))
    assert end_of_text(tokenizer, path) == (2, None)
    bare = Tokenizer(models.BPE(vocab={"a": 0}, merges=[]))
    added, message = end_of_text(bare, path)
    assert (added, vocabulary(bare)) == (1, 2)
    assert message is not None and "no end-of-text token" in message
