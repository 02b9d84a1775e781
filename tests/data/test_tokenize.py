"""From files to a corpus: what ends up where."""

import json
from pathlib import Path

import numpy as np
import pytest
from tests.data.small_texts import all_texts, code, law, settings, texts, words, write_jsonl

from aioli.data import sources
from aioli.data.planning import SAMPLE_LEAST
from aioli.data.settings import DataSettings, TextSource, TokenizerSettings
from aioli.data.tokenize import tokenize
from aioli.data.tokenizer import train_tokenizer
from aioli.errors import InputError


def test_every_document_comes_back_once(base: Path) -> None:
    corpus = tokenize(settings(), base, base / "out")
    corpus.verify()
    assert corpus.groups == corpus.targets == ("law", "code")
    for name, expected in (("law", law()), ("code", code())):
        assert sorted(all_texts(corpus, name)) == sorted(expected)
        for split in ("train", "validation", "test"):
            info, held = corpus.split(name, split), texts(corpus, name, split)
            assert info.documents == len(held) > 0
            assert info.bytes == sum(len(text.encode()) for text in held)
    assert corpus.vocab_size == 400
    assert not (base / "out" / ".partial").exists()


def test_the_result_depends_on_content_alone(base: Path, tmp_path_factory, monkeypatch) -> None:
    first = tokenize(settings(), base, base / "out")
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    write_jsonl(elsewhere / "law.jsonl", law())
    (elsewhere / "code").mkdir()
    for k, text in enumerate(code()):
        (elsewhere / "code" / f"{k:02d}.py").write_text(text)
    monkeypatch.setattr(sources, "UNIT_BYTES", 3000)
    again = tokenize(settings(), elsewhere, elsewhere / "out", workers=2)
    assert again.fingerprint == first.fingerprint
    assert again.index["splits"] == first.index["splits"]
    assert (elsewhere / "out/tokenizer.json").read_bytes() == (base / "out/tokenizer.json").read_bytes()


def test_other_content_settings_or_vocabulary_have_other_fingerprints(base: Path) -> None:
    marks = {tokenize(settings(), base, base / "a").fingerprint}
    marks.add(tokenize(settings(350), base, base / "b").fingerprint)
    marks.add(tokenize(settings(law="law.jsonl"), base, base / "c").fingerprint)
    write_jsonl(base / "law.jsonl", law(61))
    marks.add(tokenize(settings(), base, base / "d").fingerprint)
    assert len(marks) == 4


def test_unchanged_inputs_are_not_read_again(base: Path, monkeypatch) -> None:
    first = tokenize(settings(), base, base / "out")
    stages: list[str] = []
    again = tokenize(settings(), base, base / "out", progress=lambda stage, fraction: stages.append(stage))
    assert stages == [] and again.fingerprint == first.fingerprint
    write_jsonl(base / "law.jsonl", law(50))
    changed = tokenize(settings(), base, base / "out", progress=lambda stage, fraction: stages.append(stage))
    assert {"reading", "training the tokenizer", "tokenising", "writing"} == set(stages)
    assert sorted(all_texts(changed, "law")) == sorted(law(50))


def test_a_damaged_result_is_made_again(base: Path) -> None:
    first = tokenize(settings(), base, base / "out")
    path = base / "out" / "law" / "train.bin"
    path.write_bytes(path.read_bytes()[:-2])
    again = tokenize(settings(), base, base / "out")
    again.verify()
    assert again.fingerprint == first.fingerprint


# --- tokenizer -----------------------------------------------------------------------------------


def test_the_tokenizer_sees_training_documents_only(base: Path) -> None:
    corpus = tokenize(settings(), base, base / "out")
    training = [text for name in ("law", "code") for text in texts(corpus, name, "train")]
    expected = train_tokenizer(training, 400)
    assert json.loads((base / "out/tokenizer.json").read_text()) == json.loads(expected.to_str())
    assert corpus.index["tokenizer"]["trained_on_bytes"]["law"] == corpus.split("law", "train").bytes


def test_equal_bytes_from_each_group(base: Path) -> None:
    for name, size in (("small", 700), ("large", 2000)):
        write_jsonl(base / f"{name}.jsonl", [words(k, 100, "klmnop") for k in range(size)])
    corpus = tokenize(settings(small="small.jsonl", large="large.jsonl"), base, base / "out")
    given = corpus.index["tokenizer"]["trained_on_bytes"]
    assert given["small"] == given["large"] == corpus.split("small", "train").bytes > SAMPLE_LEAST


def test_the_vocabulary_is_reduced_with_a_message(base: Path) -> None:
    corpus = tokenize(settings(60000), base, base / "out")
    assert 257 < corpus.vocab_size < 60000
    assert f"it has {corpus.vocab_size}" in corpus.index["messages"][0]


def test_a_loaded_tokenizer_with_a_large_vocabulary_is_stored_as_uint32(base: Path) -> None:
    tokenizer = train_tokenizer(law(), 400)
    tokenizer.add_tokens([f"filler{k}" for k in range(65600)])
    tokenizer.save(str(base / "big.json"))
    chosen = DataSettings({"law": TextSource(("law.jsonl",))}, tokenizer=TokenizerSettings(path="big.json"))
    corpus = tokenize(chosen, base, base / "out")
    assert corpus.vocab_size == 66000
    assert corpus.tokens("law", "train").dtype == np.uint32
    assert sorted(all_texts(corpus, "law")) == sorted(law())


# --- documents -----------------------------------------------------------------------------------


def test_one_long_file_is_cut_into_blocks(base: Path) -> None:
    text = "\n".join(words(k, 12) for k in range(900))
    (base / "book.txt").write_text(text)
    corpus = tokenize(settings(book="book.txt"), base, base / "out")
    blocks = {split: texts(corpus, "book", split) for split in ("train", "validation", "test")}
    assert all(len(held) >= 1 for held in blocks.values())
    assert sum(len("".join(held)) for held in blocks.values()) == len(text)
    assert all(block in text for held in blocks.values() for block in held)
    assert "only 1 document, so it was cut into blocks" in " ".join(corpus.index["messages"])


def test_copies_are_counted_and_never_cross_splits(base: Path) -> None:
    write_jsonl(base / "law.jsonl", [*law(), *law(), *code(10)])
    corpus = tokenize(settings(), base, base / "out")
    held = {split: set(texts(corpus, "law", split)) for split in ("train", "validation", "test")}
    other = {split: set(texts(corpus, "code", split)) for split in ("train", "validation", "test")}
    for split in held:
        for apart in set(held) - {split}:
            assert not held[split] & (held[apart] | other[apart])
    counts = corpus.index["sources"]["law"]
    assert counts["duplicates_kept_in_training"] + counts["duplicates_dropped"] == 60
    assert counts["duplicates_dropped"] > 0
    assert len(texts(corpus, "law", "validation")) == len(held["validation"])


def test_a_shared_document_of_a_cut_group_stays_whole(base: Path) -> None:
    long = [words(5000 + k, 2000) for k in range(2)]
    write_jsonl(base / "few.jsonl", long)
    write_jsonl(base / "many.jsonl", [*law(), long[0]])
    corpus = tokenize(settings(few="few.jsonl", many="many.jsonl"), base, base / "out")
    splits = [
        split
        for name in ("few", "many")
        for split in ("train", "validation", "test")
        if long[0] in texts(corpus, name, split)
    ]
    assert len(splits) == 2 and len(set(splits)) == 1


def test_targets_have_no_training_split_and_their_documents_are_left_out(base: Path) -> None:
    write_jsonl(base / "news.jsonl", [*(words(9000 + k, 40) for k in range(20)), *law(5)])
    chosen = DataSettings(
        settings().groups, {"news": TextSource(("news.jsonl",))}, tokenizer=TokenizerSettings(400)
    )
    corpus = tokenize(chosen, base, base / "out")
    assert corpus.targets == ("news",) and corpus.groups == ("law", "code")
    assert set(corpus.index["splits"]["news"]) == {"validation", "test"}
    assert len(all_texts(corpus, "news")) == 25
    assert min(len(texts(corpus, "news", split)) for split in ("validation", "test")) >= 5
    assert not set(all_texts(corpus, "news")) & set(all_texts(corpus, "law"))
    assert corpus.index["sources"]["law"]["in_targets"] == 5
    with pytest.raises(InputError, match="no split 'train'"):
        corpus.tokens("news", "train")


def test_a_cut_target_still_takes_its_document_out_of_the_groups(base: Path) -> None:
    book = "\n".join(words(k, 12) for k in range(900))
    write_jsonl(base / "law.jsonl", [*law(), book])
    (base / "book.txt").write_text(book)
    chosen = DataSettings({"law": TextSource(("law.jsonl",))}, {"book": TextSource(("book.txt",))})
    corpus = tokenize(chosen, base, base / "out")
    assert sorted(all_texts(corpus, "law")) == sorted(law())
    assert all(corpus.split("book", split).documents > 10 for split in ("validation", "test"))


def test_a_few_invalid_documents_are_skipped_and_counted(base: Path) -> None:
    lines = (base / "law.jsonl").read_bytes().splitlines(keepends=True)
    lines[7:7] = [b'{"text": "caf\xe9"}\n', b'{"text": "  "}\n', b"\n"]
    (base / "law.jsonl").write_bytes(b"".join(lines))
    with pytest.raises(InputError, match=r"1 of 61 documents.*law\.jsonl, line 8.*invalid_documents"):
        tokenize(settings(), base, base / "out")
    allowed = DataSettings(settings().groups, tokenizer=TokenizerSettings(400), invalid_documents=0.05)
    corpus = tokenize(allowed, base, base / "out")
    assert sorted(all_texts(corpus, "law")) == sorted(law())
    counts = corpus.index["sources"]["law"]
    assert (counts["documents"], counts["invalid"], counts["empty"]) == (60, 1, 1)
    assert any("law.jsonl, line 8" in message for message in corpus.index["messages"])


def test_an_empty_group(base: Path) -> None:
    (base / "nothing.txt").write_text(" \n")
    with pytest.raises(InputError, match="nothing has no documents: 1 file read, 1 empty"):
        tokenize(settings(law="law.jsonl", nothing="nothing.txt"), base, base / "out")
    assert not (base / "out" / "index.json").exists()


# --- token files ---------------------------------------------------------------------------------


def test_token_files_alone_need_no_tokenizer(base: Path) -> None:
    for name, seed in (("a", 1), ("b", 2)):
        np.random.default_rng(seed).integers(0, 500, 30000).astype("<u2").tofile(base / f"{name}.bin")
    chosen = DataSettings({name: TextSource((f"{name}.bin",), kind="nanogpt") for name in "ab"})
    corpus = tokenize(chosen, base, base / "out")
    assert corpus.index["tokenizer"] is None and not (base / "out/tokenizer.json").exists()
    assert corpus.vocab_size == 500
    tokens = {split: corpus.tokens("a", split) for split in ("train", "validation", "test")}
    assert sum(part.size for part in tokens.values()) == 30000
    assert min(part.size for part in tokens.values()) >= 256
    assert corpus.split("a", "train").bytes == 0
    assert np.isin(np.asarray(tokens["test"][:256]), np.fromfile(base / "a.bin", "<u2")).all()


def test_text_beside_token_files_needs_the_tokenizer_by_name(base: Path) -> None:
    np.arange(20000, dtype="<u2")[np.arange(20000) % 300].tofile(base / "a.bin")
    groups = {"law": TextSource(("law.jsonl",)), "a": TextSource(("a.bin",), kind="nanogpt")}
    with pytest.raises(InputError, match="a hold token ids and law hold text"):
        tokenize(DataSettings(groups), base, base / "out")
    train_tokenizer(law(), 400).save(str(base / "tok.json"))
    corpus = tokenize(DataSettings(groups, tokenizer=TokenizerSettings(path="tok.json")), base, base / "out")
    assert any("a: its token ids are taken to be of" in message for message in corpus.index["messages"])
    assert corpus.vocab_size == 400
    np.full(20000, 400, "<u2").tofile(base / "a.bin")
    with pytest.raises(InputError, match="token id 400 occurs"):
        tokenize(DataSettings(groups, tokenizer=TokenizerSettings(path="tok.json")), base, base / "out2")


# --- interruptions -------------------------------------------------------------------------------
