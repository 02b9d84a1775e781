"""Groups whose text changes in the middle of an epoch: what is dealt next, token by token."""

import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.data.changing_corpus import LENGTH, change, document, flat, loader, read, write_corpus

from aioli.data.regrouping import regroup_position
from aioli.errors import InputError


def documents(first: int, count: int, seed: int = 0) -> list[np.ndarray]:
    sizes = np.random.default_rng([first, seed]).integers(3, 60, count)
    return [document(first + k, int(size)) for k, size in enumerate(sizes)]


def carried(sampler, old, new, step=0, batch=1, **parents):
    """A loader over the new corpus that goes on where `sampler` stopped, and what became of the groups."""
    state = json.loads(json.dumps(sampler.state_dict()))
    position, told = regroup_position(state, old, new, change(old, new, step, **parents), LENGTH)
    after = loader(new, batch)
    after.load_state_dict(json.loads(json.dumps(position)))
    return after, {each.name: each for each in told}


def rest_of_epoch(after, told) -> dict[str, np.ndarray]:
    """What each group deals until it has dealt all that is left of its epoch."""
    return {name: read(after, told[name].left, {name: 1.0} | {g: 0.0 for g in told if g != name})[name]
            for name in told}  # fmt: skip


@pytest.fixture
def base(tmp_path: Path):
    groups = {"law": documents(0, 30), "code": documents(100, 25)}
    return tmp_path, groups, write_corpus(tmp_path / "old", groups)


def test_a_kept_group_goes_on_with_the_very_rows_it_would_have_had(base):
    path, groups, old = base
    new = write_corpus(path / "new", groups | {"news": documents(200, 9)})
    sampler, whole = loader(old), loader(old)
    read(sampler, 17)
    read(whole, 17)
    after, told = carried(sampler, old, new)
    assert told["law"].same and told["code"].same and not told["news"].same
    mine = read(after, 400, {"law": 0.25, "code": 0.5, "news": 0.25})
    theirs = read(whole, 90)
    for name in ("law", "code"):
        count = min(len(mine[name]), len(theirs[name]))
        assert count > 90 and np.array_equal(mine[name][:count], theirs[name][:count])


def test_a_renamed_group_goes_on_too(base):
    path, groups, old = base
    new = write_corpus(path / "new", {"code": groups["code"], "statutes": groups["law"]})
    sampler, whole = loader(old), loader(old)
    read(sampler, 17)
    read(whole, 17)
    after, told = carried(sampler, old, new, statutes=("law",))
    assert told["statutes"].same and after.drawn.tolist() == sampler.drawn[::-1].tolist()
    assert np.array_equal(read(after, 200)["statutes"][:90], read(whole, 50)["law"][:90])


def test_a_refilled_group_deals_what_is_unread_first_and_each_token_once(base):
    path, groups, old = base
    more = groups["law"][:7] + documents(200, 12) + groups["law"][9:]  # two documents are gone
    new = write_corpus(path / "new", groups | {"law": more})
    sampler = loader(old)
    before = Counter(flat({"law": read(sampler, 15)["law"]}))
    after, told = carried(sampler, old, new)
    rest = Counter(flat({"law": rest_of_epoch(after, {"law": told["law"], "code": told["code"]})["law"]}))
    kept = set(np.concatenate(more).tolist())
    assert max(rest.values()) == 1 and not set(rest) & set(before)
    last = set(np.concatenate(more)[len(new.sequences("law", "train", LENGTH)) * LENGTH :].tolist())
    missed = kept - set(before) - set(rest) - last
    assert len(missed) < LENGTH
    again = read(after, told["law"].rows, {"law": 1.0, "code": 0.0})["law"]
    assert len({tuple(row) for row in again.tolist()}) == told["law"].rows


def test_whole_rows_survive_as_they_were(base):
    """What was appended does not move the rows before it: those that were left come unchanged."""
    path, groups, old = base
    new = write_corpus(path / "new", groups | {"law": groups["law"] + documents(200, 10)})
    sampler, whole = loader(old), loader(old)
    read(sampler, 15)
    drawn = int(sampler.drawn[0])
    after, told = carried(sampler, old, new)
    rows = {tuple(row) for row in rest_of_epoch(after, told)["law"].tolist()}
    rows_old = len(old.sequences("law", "train", LENGTH))
    left = read(whole, rows_old, {"law": 1.0, "code": 0.0})["law"][drawn:rows_old]
    assert {tuple(row) for row in left.tolist()} <= rows


def test_split_and_merge_know_what_was_read(base):
    path, groups, old = base
    sampler = loader(old)
    before = Counter(flat(read(sampler, 18)))
    split = write_corpus(
        path / "split", {"law-a": groups["law"][::2], "law-b": groups["law"][1::2], "code": groups["code"]}
    )
    parts = {"law-a": ("law",), "law-b": ("law",)}
    middle, told = carried(sampler, old, split, **parts)
    assert middle.drawn.sum() == sampler.drawn.sum()
    within = Counter(flat(read(middle, 24)))
    assert not set(within) & set(before) and max(within.values()) == 1
    merged = write_corpus(path / "merged", {"all": groups["code"] + groups["law"]})
    end, told = carried(middle, split, merged, step=24, all=("law-a", "law-b", "code"))
    assert end.drawn.tolist() == [middle.drawn.sum()]
    rest = Counter(flat(rest_of_epoch(end, told)))
    seen = set(before) | set(within)
    assert not set(rest) & seen and max(rest.values()) == 1
    everything = set(np.concatenate(groups["code"] + groups["law"]).tolist())
    assert len(everything - seen - set(rest)) < 5 * LENGTH  # of four cuttings, and the end of the file


def test_a_document_that_moves_to_another_group_is_not_read_twice(base):
    path, groups, old = base
    sampler = loader(old)
    before = Counter(flat(read(sampler, 18)))
    moved = {"law": groups["law"][:15], "code": groups["code"] + groups["law"][15:]}
    new = write_corpus(path / "new", moved)
    after, told = carried(sampler, old, new)
    rest = Counter(flat(rest_of_epoch(after, told)))
    assert not set(rest) & set(before) and max(rest.values()) == 1


def test_a_complete_epoch_leaves_only_what_is_new(base):
    path, groups, old = base
    sampler = loader(old, 1)
    rows = len(old.sequences("law", "train", LENGTH))
    read(sampler, rows, {"law": 1.0, "code": 0.0})
    fresh = documents(200, 10)
    new = write_corpus(path / "new", groups | {"law": groups["law"] + fresh})
    after, told = carried(sampler, old, new)
    rest = set(flat({"law": rest_of_epoch(after, told)["law"]}))
    tail = set(np.concatenate(groups["law"])[rows * LENGTH :].tolist())
    assert rest <= set(np.concatenate(fresh).tolist()) | tail
    same = write_corpus(path / "same", groups)
    assert carried(sampler, old, same)[1]["law"].left == 0


@pytest.mark.parametrize("stop", [0, 1, 7, 30, 61])
def test_resume_anywhere_after_a_change_and_any_ranks(base, stop):
    path, groups, old = base
    new = write_corpus(path / "new", {"law": groups["law"][5:] + documents(300, 9), "code": groups["code"]})
    sampler = loader(old)
    read(sampler, 15)
    whole, _ = carried(sampler, old, new, batch=4)
    first, _ = carried(sampler, old, new, batch=4)
    read(whole, stop)
    read(first, stop)
    saved = json.loads(json.dumps(first.state_dict()))
    ahead = read(whole, 40)
    parts = []
    for rank in range(2):
        second = loader(new, rank=rank, world=2)
        second.load_state_dict(saved)
        parts.append(read(second, 40))
        assert json.dumps(second.state_dict()) == json.dumps(whole.state_dict())
    for name, rows in ahead.items():
        assert sorted(np.concatenate([part[name] for part in parts]).tolist()) == sorted(rows.tolist())


def test_the_batch_due_next_is_that_of_the_rest(base):
    path, groups, old = base
    new = write_corpus(path / "new", {"law": groups["law"][3:], "code": groups["code"] + documents(300, 3)})
    sampler = loader(old)
    read(sampler, 12)
    after, told = carried(sampler, old, new)
    ahead = after.upcoming(told["law"].left + 2)[0]
    peeked = after.peek({"law": 0.5, "code": 0.5})
    assert np.array_equal(peeked.tokens, next(after.segment({"law": 0.5, "code": 0.5}, 1)).tokens)
    after, _ = carried(sampler, old, new)
    drawn = read(after, 200, {"law": 1.0, "code": 0.0})["law"]
    assert np.array_equal(ahead, drawn[: len(ahead)])


def test_counts_and_deficits_stay_whole(base):
    path, groups, old = base
    sampler = loader(old)
    read(sampler, 13, {"law": 0.371, "code": 0.629})
    split = {
        "a": groups["law"][::2],
        "b": groups["law"][1::2],
        "code": groups["code"],
        "new": documents(400, 4),
    }
    new = write_corpus(path / "new", split)
    after, _ = carried(sampler, old, new, a=("law",), b=("law",))
    plan = after.state_dict()["plan"]
    assert sum(plan["drawn"]) == 13 * 4 and plan["drawn"][3] == 0
    assert sum(plan["base"]) == pytest.approx(0, abs=1e-12)
    removed = write_corpus(path / "fewer", {"code": groups["code"]})
    after, told = carried(sampler, old, removed)
    assert list(told) == ["code"] and after.drawn.tolist() == [sampler.drawn[1]]


def test_a_position_of_other_data_is_refused(base):
    path, groups, old = base
    new = write_corpus(path / "new", {"law": groups["law"][3:], "code": groups["code"]})
    with pytest.raises(InputError, match="belongs to other data"):
        carried(loader(new), old, new)
    (path / "old" / "law" / "documents.npz").unlink()
    with pytest.raises(InputError, match=r"old.*tokenise again"):
        carried(loader(old), old, new)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_nothing_is_repeated_or_lost_through_any_two_changes(tmp_path_factory, data):
    path = tmp_path_factory.mktemp("any")
    pool = documents(0, 24, seed=data.draw(st.integers(0, 3)))
    names = ["a", "b", "c", "d"]

    def grouping(number):
        """Every document in one of up to three groups (at last also in none), in any order."""
        chosen = data.draw(st.permutations(names))[: data.draw(st.integers(1, 3))]
        order = data.draw(st.permutations(range(len(pool))))
        places = [*chosen, None] if number == 2 else chosen
        where = {k: data.draw(st.sampled_from(places)) for k in range(len(pool))}
        own = {name: [document(500 + 50 * number + 10 * j + k, 59) for k in range(3)]
               for j, name in enumerate(chosen)}  # fmt: skip
        groups = {name: [pool[k] for k in order if where[k] == name] + own[name] for name in chosen}
        return write_corpus(path / str(number), groups), groups

    corpus, _ = grouping(0)
    sampler, seen, waste = loader(corpus), Counter(), 0
    for number in (1, 2):
        for rows in read(sampler, data.draw(st.integers(0, 2))).values():
            seen.update(rows.ravel().tolist())
        new, groups = grouping(number)
        unknown = [name for name in new.groups if name not in corpus.groups]
        sampler, told = carried(sampler, corpus, new, **dict.fromkeys(unknown, corpus.groups))
        corpus, waste = new, waste + len(new.groups)
    rest = Counter(flat(rest_of_epoch(sampler, told)))
    assert max(rest.values()) == max(seen.values(), default=1) == 1 and not set(rest) & set(seen)
    ends = [
        np.concatenate(docs)[len(corpus.sequences(name, "train", LENGTH)) * LENGTH :]
        for name, docs in groups.items()
    ]
    lost = set(np.concatenate([part for docs in groups.values() for part in docs]).tolist())
    lost -= {*rest, *seen, *np.concatenate(ends).tolist()}
    assert len(lost) < LENGTH * waste
