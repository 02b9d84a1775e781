"""Drawing speed: `python -m benchmarks.loader [--quick]` prints one JSON object as its last line.

The same memory-mapped groups, batch and proportions for every contender, on one thread, in turns of a few
hundred steps so that all of them see the same moments of a shared machine; a ratio is the median over
turns. `gather` is the bound: one `np.take` a group on indices drawn beforehand. `_int64` adds the copy into
the int64 tensor a model wants; the peer, one torch Dataset call a sequence, always pays that.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import ConcatDataset, DataLoader, Dataset, WeightedRandomSampler

from aioli.data.loader import Loader
from aioli.data.plan import advance, retarget, start, step_counts
from aioli.data.shuffle import Shuffle

PROPORTIONS = np.array([0.5, 0.2, 0.1, 0.07, 0.05, 0.05, 0.03])
BATCH = 32
Maps = dict[str, NDArray[np.uint16]]


class Rows(Dataset[torch.Tensor]):
    """One group for the peer."""

    def __init__(self, rows: NDArray[np.uint16]) -> None:
        self.rows = rows

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> torch.Tensor:
        return torch.from_numpy(self.rows[index].astype(np.int64))


def write_maps(directory: Path, tokens: int) -> list[Path]:
    rng = np.random.default_rng(0)
    paths = [directory / f"{group}.bin" for group in range(PROPORTIONS.size)]
    for path in paths:
        rng.integers(0, 4096, tokens, dtype=np.uint16).tofile(path)
    return paths


def open_maps(paths: list[Path], length: int) -> Maps:
    maps: Maps = {}
    for path in paths:
        flat = np.memmap(path, np.uint16, mode="r")
        flat.sum()  # read once, so that every contender finds the pages in memory
        maps[path.stem] = flat[: flat.size // length * length].reshape(-1, length)
    return maps


def gather(maps: Maps, steps: int) -> Iterator[NDArray[np.uint16]]:
    """The bound: counts and indices are drawn before the clock starts (at the first `next`)."""
    rng = np.random.default_rng(1)
    arrays = [np.asarray(rows) for rows in maps.values()]
    length = arrays[0].shape[1]
    plan = []
    for counts in step_counts(retarget(start(len(arrays)), PROPORTIONS, BATCH), steps):
        ends = np.cumsum(counts).tolist()
        plan.append(
            [
                (rows, rng.integers(0, len(rows), end - begin), slice(begin, end))
                for rows, begin, end in zip(arrays, [0, *ends], ends, strict=False)
                if end > begin
            ]
        )
    yield np.empty((0, length), np.uint16)
    for parts in plan:
        tokens = np.empty((BATCH, length), np.uint16)
        for rows, index, part in parts:
            rows.take(index, 0, tokens[part], "clip")
        yield tokens


def ours(maps: Maps, steps: int) -> Iterator[NDArray[np.uint16]]:
    for batch in Loader(maps, BATCH, seed=0).segment(PROPORTIONS, steps):
        yield batch.tokens


def as_int64(batches: Iterator[NDArray[np.uint16]]) -> Iterator[torch.Tensor]:
    """Into one tensor, used again: what a loop does before the copy to its device."""
    tensor, array = torch.empty(0), np.empty(0)
    for tokens in batches:
        if array.shape != tokens.shape:
            tensor = torch.empty(tokens.shape, dtype=torch.int64)
            array = tensor.numpy()
        array[...] = tokens
        yield tensor


def peer(maps: Maps, steps: int) -> Iterator[torch.Tensor]:
    """WeightedRandomSampler over a ConcatDataset, as users do it without a mixing library."""
    weights = np.concatenate(
        [np.full(len(rows), p / len(rows)) for p, rows in zip(PROPORTIONS, maps.values(), strict=True)]
    )
    sampler = WeightedRandomSampler(weights.tolist(), steps * BATCH)
    data = ConcatDataset([Rows(rows) for rows in maps.values()])
    yield from DataLoader(data, BATCH, sampler=sampler)


CONTENDERS: dict[str, Callable[[Maps, int], Iterator[Any]]] = {
    "gather": gather,
    "aioli": ours,
    "gather_int64": lambda maps, steps: as_int64(gather(maps, steps)),
    "aioli_int64": lambda maps, steps: as_int64(ours(maps, steps)),
    "peer_int64": peer,
}


def compare(maps: Maps, steps: int, turns: int) -> dict[str, Any]:
    """Median tokens per second of each contender, and its median ratio to the gather of the same turn."""
    streams = {name: make(maps, steps * (turns + 1) + 1) for name, make in CONTENDERS.items()}
    for stream in streams.values():  # a warm-up turn, and what each prepares before its first batch
        for _ in islice(stream, steps):
            pass
    seconds: dict[str, list[float]] = {name: [] for name in streams}
    for _ in range(turns):
        for name, stream in streams.items():
            begin = perf_counter()
            for _ in islice(stream, steps):
                pass
            seconds[name].append(perf_counter() - begin)
    tokens = steps * BATCH * next(iter(maps.values())).shape[1]
    spent = {name: np.array(times) for name, times in seconds.items()}

    def ratio(name: str, bound: str) -> float:
        return round(float(np.median(spent[bound] / spent[name])), 3)

    return {
        "tokens_per_second": {name: round(tokens / float(np.median(t))) for name, t in spent.items()},
        "microseconds_per_batch": {
            name: round(float(np.median(t)) / steps * 1e6, 2) for name, t in spent.items()
        },
        "aioli_to_gather": ratio("aioli", "gather"),
        "aioli_to_gather_int64": ratio("aioli_int64", "gather_int64"),
        "aioli_to_peer_int64": ratio("aioli_int64", "peer_int64"),
    }


def drawing(groups: int, turns: int) -> dict[str, float]:
    """Microseconds a sequence: planning the counts, and finding the shuffled rows."""
    p = np.random.default_rng(0).dirichlet(np.ones(groups)) if groups != 7 else PROPORTIONS
    plan, steps = retarget(start(groups), p / p.sum(), BATCH), 8192 // BATCH
    shuffle = Shuffle([str(j) for j in range(groups)], [16_390] * groups, seed=0)
    spent: dict[str, list[float]] = {"plan": [], "shuffle": []}
    for _ in range(turns):
        begin = perf_counter()
        counts = step_counts(plan, steps)
        planned = advance(plan, counts)
        middle = perf_counter()
        shuffle.rows_at(plan.drawn, counts.sum(axis=0))
        spent["plan"].append(middle - begin)
        spent["shuffle"].append(perf_counter() - middle)
        plan = planned
    return {name: round(float(np.median(times)) / (steps * BATCH) * 1e6, 4) for name, times in spent.items()}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="smaller maps and fewer turns")
    quick = parser.parse_args().quick
    torch.set_num_threads(1)
    turns, tokens = (5, 4_000_000) if quick else (25, 16_800_000)
    result: dict[str, Any] = {
        "batch": BATCH,
        "proportions": PROPORTIONS.tolist(),
        "map_tokens": tokens,
        "turns": turns,
        "lengths": {},
    }
    with tempfile.TemporaryDirectory() as directory:
        paths = write_maps(Path(directory), tokens)
        for length in (512, 1024):
            maps = open_maps(paths, length + 1)
            result["lengths"][length] = found = compare(maps, 512, turns)
            print(f"T={length}: {found}")
    result["microseconds_per_sequence"] = {groups: drawing(groups, turns) for groups in (7, 100, 1000)}
    print(json.dumps(result))


if __name__ == "__main__":
    main()
