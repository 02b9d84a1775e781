"""Files replaced in one step, and what the system says when they cannot be."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

import pytest

from aioli.errors import InputError
from aioli.files import replace_file, replacing, write_errors_explained


@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o644), (0o077, 0o600), (0o002, 0o664)])
def test_a_new_file_has_the_permissions_that_the_user_set(tmp_path: Path, umask: int, mode: int) -> None:
    before = os.umask(umask)
    try:
        replace_file(tmp_path / "new" / "file", "é")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "new" / "file").stat().st_mode) == mode
    assert (tmp_path / "new" / "file").read_bytes() == b"\xc3\xa9"


def test_the_file_and_then_the_directory_reach_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, synced = tmp_path / "file", []

    def record(descriptor: int) -> None:
        synced.append((stat.S_ISDIR(os.fstat(descriptor).st_mode), path.exists()))

    monkeypatch.setattr(os, "fsync", record)
    replace_file(path, b"x")
    assert synced == [(False, False), (True, True)]


def test_a_file_system_that_cannot_sync_directories(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(descriptor: int) -> None:
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "Invalid argument")

    monkeypatch.setattr(os, "fsync", refuse)
    replace_file(tmp_path / "file", b"x")
    assert (tmp_path / "file").read_bytes() == b"x"


def test_what_fails_half_way_leaves_the_old_file_alone(tmp_path: Path) -> None:
    path = tmp_path / "file"
    replace_file(path, "old")
    with pytest.raises(KeyboardInterrupt), replacing(path) as file:
        file.write(b"new")
        raise KeyboardInterrupt
    assert path.read_text() == "old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
def test_a_full_disk_is_named_with_what_to_do(tmp_path: Path, code: int) -> None:
    with (
        pytest.raises(InputError, match=r"no room left while writing to .* \(.*\): free some space"),
        write_errors_explained(tmp_path, "free some space"),
    ):
        raise OSError(code, os.strerror(code))


def test_only_refusals_within_the_directory_are_explained(tmp_path: Path) -> None:
    inside, outside = tmp_path / "runs" / "x", tmp_path / "elsewhere"
    with (
        pytest.raises(InputError, match=r"cannot write to .*runs: Permission denied .*runs/x"),
        write_errors_explained(tmp_path / "runs", ""),
    ):
        raise PermissionError(errno.EACCES, "Permission denied", str(inside))
    with pytest.raises(PermissionError), write_errors_explained(tmp_path / "runs", ""):
        raise PermissionError(errno.EACCES, "Permission denied", str(outside))
    with pytest.raises(FileNotFoundError), write_errors_explained(tmp_path / "runs", ""):
        inside.read_bytes()
