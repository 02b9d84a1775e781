"""A corpus that takes the place of another in a run: what was held out stays held out."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tests.data.small_texts import code, law, settings, words, write_jsonl

from aioli.data.predecessor import Predecessor
from aioli.data.settings import DataSettings, SplitSettings, TextSource
from aioli.data.shards import Corpus
from aioli.data.tokenize import find_tokenized, tokenize
from aioli.errors import InputError


def with_targets(groups: dict[str, str], **targets: str) -> DataSettings:
    return replace(settings(**groups), targets={name: TextSource((path,)) for name, path in targets.items()})


def held_out(corpus: Corpus) -> set[int]:
    splits = [(n, s) for n, found in corpus.index["splits"].items() for s in found if s != "train"]
    return {int(key) for name, split in splits for key in corpus.documents(name, split)[0]}


def trained(corpus: Corpus) -> set[int]:
    return {int(key) for name in corpus.groups for key in corpus.documents(name, "train")[0]}


def test_documents_are_noted_in_the_order_of_the_tokens(base: Path) -> None:
    corpus = tokenize(settings(), base, base / "out")
    end = corpus.index["tokenizer"]["end_of_text"]
    for name in corpus.groups:
        for split in ("train", "validation", "test"):
            keys, lengths = corpus.documents(name, split)
            assert keys.size == corpus.split(name, split).documents
            ends = np.flatnonzero(np.asarray(corpus.tokens(name, split)) == end) + 1
            assert np.cumsum(lengths).tolist() == ends.tolist()


def test_the_same_texts_make_the_same_corpus_with_the_tokenizer_of_the_run(base: Path) -> None:
    old = tokenize(settings(), base, base / "old")
    other = settings(350, law="law.jsonl", code="code/*.py")  # another vocabulary would be trained
    again = tokenize(other, base, base / "new", before=Predecessor(old))
    assert again.fingerprint == old.fingerprint
    found = Predecessor.of(again)
    assert found is not None and found.corpus.directory.resolve() == old.directory.resolve()
    assert find_tokenized(other, base, base / "new", found) is not None
    assert find_tokenized(other, base, base / "new") is None


def test_documents_keep_their_splits_wherever_they_go(base: Path) -> None:
    old = tokenize(settings(), base, base / "old")
    write_jsonl(
        base / "mixed.jsonl", law()[30:] + code()[:30] + [words(k, 40, "mnop") for k in range(900, 960)]
    )
    write_jsonl(base / "law.jsonl", law()[:30])
    groups = {"law": "law.jsonl", "mixed": "mixed.jsonl"}
    new = tokenize(
        settings(**groups), base, base / "new", before=Predecessor(old, {"mixed": ("law", "code")})
    )
    assert not held_out(old) & trained(new) and not trained(old) & held_out(new)
    assert len(trained(new) - trained(old)) > 40


def test_a_group_that_was_cut_into_blocks_is_cut_the_same_when_it_grows(base: Path) -> None:
    """One long file is split by blocks; with many documents beside it, it would be one document."""
    (base / "code" / "long.py").write_text(words(7, 9000))
    cut = {"law": "law.jsonl", "long": "code/long.py"}
    old = tokenize(settings(**cut), base, base / "old")
    assert old.index["sources"]["long"]["block"] > 0
    grown = {"law": "law.jsonl", "long": "code/*.py"}
    new = tokenize(settings(**grown), base, base / "new", before=Predecessor(old))
    assert new.index["sources"]["long"]["block"] == old.index["sources"]["long"]["block"]
    assert not held_out(old) & trained(new) and not trained(old) & held_out(new)
    assert set(old.documents("long", "train")[0]) <= set(new.documents("long", "train")[0])
    elsewhere = {"law": "law.jsonl", "all": "code/*.py"}  # nobody says where it comes from
    moved = tokenize(settings(**elsewhere), base, base / "moved", before=Predecessor(old))
    assert not held_out(old) & trained(moved) and not trained(old) & held_out(moved)


def test_few_documents_that_were_moved_to_fill_a_split_stay_there(base: Path) -> None:
    write_jsonl(base / "few.jsonl", law(3))
    few = replace(settings(few="few.jsonl", code="code/*.py"), split=SplitSettings(0.34, 0.33))
    old = tokenize(few, base, base / "old")
    assert [old.split("few", split).documents for split in ("train", "validation", "test")] == [1, 1, 1]
    write_jsonl(base / "few.jsonl", law(60))
    new = tokenize(few, base, base / "new", before=Predecessor(old))
    assert not held_out(old) & trained(new) and not trained(old) & held_out(new)


def test_an_added_target_leaves_out_what_was_trained_on_and_groups_stay_as_they_are(base: Path) -> None:
    groups = {"law": "law.jsonl", "code": "code/*.py"}
    old = tokenize(with_targets(groups), base, base / "old")
    write_jsonl(base / "wiki.jsonl", law()[:20] + [words(k, 40, "mnop") for k in range(900, 940)])
    new = tokenize(with_targets(groups, wiki="wiki.jsonl"), base, base / "new", before=Predecessor(old))
    held = [new.documents("wiki", split)[0] for split in ("validation", "test")]
    assert not trained(old) & {int(key) for part in held for key in part}
    assert [new.split(name, "train") for name in groups] == [old.split(name, "train") for name in groups]
    assert any("may have trained on them" in message for message in new.index["messages"])
    last = tokenize(with_targets(groups), base, base / "last", before=Predecessor(new))
    assert not held_out(new) & trained(last)


def token_file(path: Path, largest: int) -> None:
    tokens = np.random.default_rng(largest).integers(0, largest + 1, 6000).astype("<u2")
    tokens[-1] = largest
    tokens.tofile(path)


def test_the_vocabulary_of_a_run_cannot_change(base: Path) -> None:
    for name, largest in (("a", 99), ("b", 80), ("c", 100)):
        token_file(base / f"{name}.bin", largest)

    def tokens(*names: str) -> DataSettings:
        return DataSettings({name: TextSource((f"{name}.bin",), kind="nanogpt") for name in names})

    old = tokenize(tokens("a"), base, base / "old")
    assert tokenize(tokens("b"), base, base / "b-only", before=Predecessor(old)).vocab_size == 100
    with pytest.raises(InputError, match=r"knows 100 token ids, the new text has ids up to 100"):
        tokenize(tokens("a", "c"), base, base / "c", before=Predecessor(old))
    with pytest.raises(InputError, match="without a tokenizer, so text cannot be added"):
        tokenize(settings(law="law.jsonl"), base, base / "d", before=Predecessor(old))


def test_a_corpus_that_does_not_note_its_documents_says_what_to_do(base: Path) -> None:
    old = tokenize(settings(), base, base / "old")
    (base / "old" / "law" / "documents.npz").unlink()
    with pytest.raises(InputError, match=r"index.json and tokenise again"):
        tokenize(settings(law="law.jsonl"), base, base / "new", before=Predecessor(old))
    (base / "old" / "index.json").unlink()
    again = tokenize(settings(), base, base / "old")
    assert again.fingerprint == old.fingerprint
    tokenize(settings(law="law.jsonl"), base, base / "new", before=Predecessor(again))
