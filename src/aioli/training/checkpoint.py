"""One file that holds a whole run, written atomically and checked before a byte of it is used.

Layout: 8 bytes of magic, version and payload length (little-endian, 4 and 8 bytes), SHA-256 of the
payload (32 bytes), payload (what `torch.save` writes; tensors and plain values only, never code).
"""

from __future__ import annotations

import hashlib
import os
import struct
from io import BufferedReader
from pathlib import Path
from typing import Any, BinaryIO, cast

import torch
from torch import nn

from aioli.errors import InputError
from aioli.files import replacing

__all__ = ["load_checkpoint", "save_checkpoint", "weights_sha256"]

MAGIC = b"AIOLICKP"
VERSION = 1
HEADER = struct.Struct("<8sIQ32s")


class _Hashing:
    """Passes on to a file what torch writes, and hashes it; an error is kept until torch is done.

    torch's writer is not made for exceptions from the file beneath it.
    """

    def __init__(self, file: BinaryIO) -> None:
        self.file, self.digest, self.length = file, hashlib.sha256(), 0
        self.error: OSError | None = None

    def write(self, data: bytes | memoryview) -> int:
        size = memoryview(data).nbytes
        if self.error is None:
            try:
                self.file.write(data)
            except OSError as error:
                self.error = error
            self.digest.update(data)
            self.length += size
        return size

    def flush(self) -> None:
        pass


def save_checkpoint(path: Path, run: str, content: dict[str, Any]) -> None:
    """Write `content` (tensors, numbers, strings, lists, dicts) of the run with id `run` to `path`.

    One tensor at a time goes to the disk; no second copy of the model is made.

    Raises:
        OSError: it could not be written (a full disk); the previous checkpoint is intact.
    """
    with replacing(path) as file:
        file.write(bytes(HEADER.size))
        payload = _Hashing(file)
        torch.save({"run": run, "content": content}, cast(BinaryIO, payload))
        if payload.error is not None:
            raise payload.error
        file.seek(0)
        file.write(HEADER.pack(MAGIC, VERSION, payload.length, payload.digest.digest()))


def load_checkpoint(path: Path, run: str) -> dict[str, Any]:
    """The content that `save_checkpoint` wrote for the run with id `run`; tensors are on the CPU.

    Raises:
        InputError: a truncated or corrupt file, another format or version, or another run's checkpoint.
    """
    remedy = f"delete {path} to start the run again from step 0"
    with path.open("rb") as file:
        _check_file(file, path, remedy)
        saved = torch.load(file, weights_only=True, map_location="cpu")
    if saved["run"] != run:
        raise InputError(
            f"the checkpoint {path} belongs to run {saved['run']}, this is run {run}: use the config it "
            f"was made with, give another directory, or {remedy}"
        )
    return saved["content"]


def _check_file(file: BufferedReader, path: Path, remedy: str) -> None:
    """Check header, length and hash, and leave the file at the beginning of its payload."""
    head = file.read(HEADER.size)
    if head[: len(MAGIC)] != MAGIC[: len(head)] or not head:
        raise InputError(f"{path} is not a checkpoint of Aioli; {remedy}")
    if len(head) < HEADER.size:
        raise InputError(f"the checkpoint {path} is truncated: it has {len(head)} bytes; {remedy}")
    _, version, length, digest = HEADER.unpack(head)
    if version != VERSION:
        raise InputError(
            f"the checkpoint {path} has version {version}, this Aioli reads version {VERSION}: "
            f"continue with the Aioli that wrote it, or {remedy}"
        )
    found = os.fstat(file.fileno()).st_size - HEADER.size
    if found < length:
        raise InputError(
            f"the checkpoint {path} is truncated: {found} bytes of content where {length} were "
            f"written; {remedy}"
        )
    if found > length or hashlib.file_digest(file, "sha256").digest() != digest:
        raise InputError(f"the checkpoint {path} is corrupt: its checksum does not match; {remedy}")
    file.seek(HEADER.size)


def weights_sha256(model: nn.Module) -> str:
    """SHA-256 over the names and the bytes of all weights: equal only for bit-identical models."""
    digest = hashlib.sha256()
    for name, weight in model.state_dict().items():
        digest.update(name.encode())
        digest.update(weight.detach().cpu().contiguous().view(torch.uint8).numpy())
    return digest.hexdigest()
