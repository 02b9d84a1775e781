"""Checkpoints: round trip, and every way in which the file may be unusable."""

from __future__ import annotations

import errno
import hashlib
import io
import os
import resource
import struct
from pathlib import Path
from typing import Any

import pytest
import torch

from aioli.errors import InputError
from aioli.training.checkpoint import load_checkpoint, save_checkpoint, weights_sha256


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "checkpoint.pt"
    save_checkpoint(path, "run-a", content())
    return path


def content() -> dict[str, Any]:
    return {"weights": {"w": torch.linspace(0, 1, 1000)}, "plain": '{"x": 0.1}', "step": 7}


def test_round_trip(path: Path) -> None:
    loaded = load_checkpoint(path, "run-a")
    assert torch.equal(loaded["weights"]["w"], content()["weights"]["w"])
    assert loaded["step"] == 7 and loaded["plain"] == '{"x": 0.1}'
    assert [p.name for p in path.parent.iterdir()] == ["checkpoint.pt"]


def test_every_truncation_is_named(path: Path) -> None:
    data = path.read_bytes()
    for length in (1, 7, 8, 20, 51, 52, 53, len(data) // 2, len(data) - 1):
        path.write_bytes(data[:length])
        with pytest.raises(InputError, match=r"truncated.*delete .*checkpoint.pt to start"):
            load_checkpoint(path, "run-a")


def test_every_flipped_byte_is_noticed(path: Path) -> None:
    data = bytearray(path.read_bytes())
    for position in (0, 5, 9, 15, 25, 51, 60, len(data) // 2, len(data) - 1):
        damaged = data.copy()
        damaged[position] ^= 0x10
        path.write_bytes(damaged)
        with pytest.raises(InputError, match=r"not a checkpoint|version|truncated|corrupt"):
            load_checkpoint(path, "run-a")


def test_appended_bytes_empty_and_foreign_files_are_refused(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"x")
    with pytest.raises(InputError, match="corrupt"):
        load_checkpoint(path, "run-a")
    for foreign in (b"", b"PK\x03\x04 something else"):
        path.write_bytes(foreign)
        with pytest.raises(InputError, match="not a checkpoint of Aioli; delete"):
            load_checkpoint(path, "run-a")


def test_another_version_is_refused_by_name(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[8:12] = struct.pack("<I", 99)
    path.write_bytes(data)
    with pytest.raises(InputError, match=r"version 99, this Aioli reads version 1: continue with the Aioli"):
        load_checkpoint(path, "run-a")


def test_another_run_is_refused(path: Path) -> None:
    with pytest.raises(InputError, match=r"belongs to run run-a, this is run run-b: use the config"):
        load_checkpoint(path, "run-b")


def test_code_is_never_loaded(path: Path) -> None:
    class Evil:
        def __reduce__(self) -> tuple[Any, ...]:
            return os.getenv, ("HOME",)

    save_checkpoint(path, "run-a", {"evil": Evil()})
    with pytest.raises(Exception, match="Weights only load failed"):
        load_checkpoint(path, "run-a")


def test_a_failed_write_leaves_the_previous_checkpoint(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = path.read_bytes()

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        save_checkpoint(path, "run-a", content())
    assert path.read_bytes() == before
    assert [p.name for p in path.parent.iterdir()] == ["checkpoint.pt"]


@pytest.mark.parametrize("limit", [30, 3_000, 100_000])
def test_a_disk_that_fills_up_leaves_the_previous_checkpoint(path: Path, limit: int) -> None:
    before, limits = path.read_bytes(), resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limits[1]))
    try:
        with pytest.raises(OSError, match="File too large"):
            save_checkpoint(path, "run-a", {"weights": {str(i): torch.ones(9_000) for i in range(9)}})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert path.read_bytes() == before
    assert [p.name for p in path.parent.iterdir()] == ["checkpoint.pt"]


def test_the_layout_is_the_one_that_the_module_describes(path: Path) -> None:
    data = path.read_bytes()
    payload = data[52:]
    header = struct.pack("<8sIQ", b"AIOLICKP", 1, len(payload)) + hashlib.sha256(payload).digest()
    assert data[:52] == header
    buffer = io.BytesIO()
    torch.save({"run": "run-a", "content": content()}, buffer)
    assert payload == buffer.getvalue()


def test_the_hash_of_weights_sees_a_single_bit() -> None:
    model = torch.nn.Linear(4, 4)
    before = weights_sha256(model)
    assert before == weights_sha256(model)
    with torch.no_grad():
        model.bias[0] = torch.nextafter(model.bias[0], torch.tensor(9.0))
    assert weights_sha256(model) != before
