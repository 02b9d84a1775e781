"""Splits by content: shares, copies, small groups and cutting."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from aioli.data.settings import SplitSettings
from aioli.data.splits import (
    DUPLICATE,
    IN_TARGET,
    TEST,
    TRAIN,
    VALIDATION,
    assign,
    block_size,
    cut,
    key,
)

NONE = np.empty(0, np.uint64)


def keys(numbers: list[int]) -> np.ndarray:
    return np.array([key(f"document {number}") for number in numbers], np.uint64)


sources = st.lists(st.lists(st.integers(0, 40), max_size=30), min_size=1, max_size=4)
shares = st.floats(0.02, 0.45)


@given(sources, sources, shares, shares)
def test_copies_never_cross_splits(
    groups: list[list[int]], targets: list[list[int]], validation: float, test: float
) -> None:
    named = {f"g{k}": keys(numbers) for k, numbers in enumerate(groups)}
    held_sets = {f"t{k}": keys(numbers) for k, numbers in enumerate(targets)}
    held = np.unique(np.concatenate([NONE, *held_sets.values()]))
    result = assign(named, held_sets, held, SplitSettings(validation, test))
    for kind in (named, held_sets):
        splits: dict[int, set[int]] = {}
        for name, values in kind.items():
            for value, code in zip(values.tolist(), result[name].codes.tolist(), strict=True):
                if code <= TEST:
                    splits.setdefault(value, set()).add(code)
        assert all(len(codes) == 1 for codes in splits.values())
    for name, values in named.items():
        codes = result[name].codes
        assert (codes[np.isin(values, held)] == IN_TARGET).all()
        held_out = values[(codes == VALIDATION) | (codes == TEST)]
        assert held_out.size == np.unique(held_out).size
        assert not np.isin(values[codes == TRAIN], held).any()
    for name in held_sets:
        assert not (result[name].codes == TRAIN).any()


@given(st.lists(st.integers(0, 10**6), min_size=3, max_size=30, unique=True), shares, shares)
def test_three_documents_fill_three_splits(numbers: list[int], validation: float, test: float) -> None:
    codes = assign({"g": keys(numbers)}, {}, NONE, SplitSettings(validation, test))["g"].codes
    assert set(codes.tolist()) == {TRAIN, VALIDATION, TEST}


@given(st.lists(st.integers(0, 10**6), min_size=2, max_size=30, unique=True))
def test_two_documents_fill_a_target(numbers: list[int]) -> None:
    held = keys(numbers)
    codes = assign({}, {"t": held}, held, SplitSettings())["t"].codes
    assert set(codes.tolist()) == {VALIDATION, TEST}


def test_a_move_in_a_small_group_is_followed_by_the_others() -> None:
    small, large = keys(list(range(3))), keys(list(range(2000)))
    result = assign({"small": small, "large": large}, {}, NONE, SplitSettings())
    assert (result["small"].codes == result["large"].codes[:3]).all()


def test_shares_copies_and_counts() -> None:
    many = keys([*range(20000), *range(20000)])
    result = assign({"g": many}, {}, NONE, SplitSettings(0.1, 0.02))["g"]
    first, again = result.codes[:20000], result.codes[20000:]
    assert abs((first == VALIDATION).mean() - 0.1) < 0.01
    assert abs((first == TEST).mean() - 0.02) < 0.005
    assert ((first == TRAIN) == (again == TRAIN)).all()
    assert (again[first != TRAIN] == DUPLICATE).all()
    assert result.kept_copies == (first == TRAIN).sum()


def test_a_larger_share_only_adds_to_what_is_held_out() -> None:
    many = keys(list(range(5000)))
    small = assign({"g": many}, {}, NONE, SplitSettings(0.05, 0.05))["g"].codes
    large = assign({"g": many}, {}, NONE, SplitSettings(0.1, 0.05))["g"].codes
    assert (large[small != TRAIN] == small[small != TRAIN]).all()


@given(st.text(alphabet="ab \n", max_size=300), st.integers(1, 40))
def test_blocks_joined_are_the_document(text: str, block: int) -> None:
    blocks = list(cut(text, block))
    assert "".join(blocks) == text
    assert all(0 < len(part) <= 1.5 * block for part in blocks)
    numbers = np.arange(len(text))
    assert np.array_equal(np.concatenate([NONE, *cut(numbers, block)]), numbers)


def test_blocks_end_at_line_ends() -> None:
    text = "".join(f"line {k}\n" for k in range(100))
    assert all(part.endswith("\n") for part in cut(text, 50))


def test_only_groups_of_few_documents_are_cut() -> None:
    sizes = np.full(20, 10**6)
    assert block_size(keys(list(range(20))), sizes, (0.05, 0.05), tokens=False) == 0
    assert block_size(keys(list(range(19))), sizes[:19], (0.05, 0.05), tokens=False) == 65536
    assert block_size(keys([1]), sizes[:1], (0.05, 0.05), tokens=False) == 5000
    assert block_size(keys([1]), np.array([2000]), (0.05, 0.05), tokens=False) == 1024
    assert block_size(keys([1]), np.array([2000]), (0.05, 0.05), tokens=True) == 256
    assert block_size(keys([1] * 30), np.full(30, 10**6), (0.05, 0.05), tokens=False) == 5000


def test_the_key_ignores_white_space_and_token_types() -> None:
    assert key("a  b\r\nc") == key(" a b c\n") != key("ab c")
    assert key(np.array([1, 2], np.uint16)) == key(np.array([1, 2], np.int64)) != key(np.array([2, 1]))
