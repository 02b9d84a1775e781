"""One file that holds a whole run, written atomically and checked before a byte of it is used.

Layout: 8 bytes of magic, version and payload length (little-endian, 4 and 8 bytes), SHA-256 of the
payload (32 bytes), payload (what `torch.save` writes; tensors and plain values only, never code).
"""

from __future__ import annotations

import hashlib
import io
import struct
from pathlib import Path
from typing import Any

import torch
from torch import nn

from aioli.errors import InputError
from aioli.files import replace_file

__all__ = ["load_checkpoint", "save_checkpoint", "weights_sha256"]

MAGIC = b"AIOLICKP"
VERSION = 1
HEADER = struct.Struct("<8sIQ32s")


def save_checkpoint(path: Path, run: str, content: dict[str, Any]) -> None:
    """Write `content` (tensors, numbers, strings, lists, dicts) of the run with id `run` to `path`.

    Raises:
        OSError: it could not be written (a full disk); the previous checkpoint is intact.
    """
    buffer = io.BytesIO()
    torch.save({"run": run, "content": content}, buffer)
    payload = buffer.getbuffer()
    header = HEADER.pack(MAGIC, VERSION, len(payload), hashlib.sha256(payload).digest())
    replace_file(path, b"".join((header, payload)))


def load_checkpoint(path: Path, run: str) -> dict[str, Any]:
    """The content that `save_checkpoint` wrote for the run with id `run`; tensors are on the CPU.

    Raises:
        InputError: a truncated or corrupt file, another format or version, or another run's checkpoint.
    """
    data = path.read_bytes()
    remedy = f"delete {path} to start the run again from step 0"
    if data[: len(MAGIC)] != MAGIC[: len(data)] or not data:
        raise InputError(f"{path} is not a checkpoint of Aioli; {remedy}")
    if len(data) < HEADER.size:
        raise InputError(f"the checkpoint {path} is truncated: it has {len(data)} bytes; {remedy}")
    _, version, length, digest = HEADER.unpack_from(data)
    if version != VERSION:
        raise InputError(
            f"the checkpoint {path} has version {version}, this Aioli reads version {VERSION}: "
            f"continue with the Aioli that wrote it, or {remedy}"
        )
    payload = memoryview(data)[HEADER.size :]
    if len(payload) < length:
        raise InputError(
            f"the checkpoint {path} is truncated: {len(payload)} bytes of content where {length} were "
            f"written; {remedy}"
        )
    if len(payload) > length or hashlib.sha256(payload).digest() != digest:
        raise InputError(f"the checkpoint {path} is corrupt: its checksum does not match; {remedy}")
    saved = torch.load(io.BytesIO(payload), weights_only=True, map_location="cpu")
    if saved["run"] != run:
        raise InputError(
            f"the checkpoint {path} belongs to run {saved['run']}, this is run {run}: use the config it "
            f"was made with, give another directory, or {remedy}"
        )
    return saved["content"]


def weights_sha256(model: nn.Module) -> str:
    """SHA-256 over the names and the bytes of all weights: equal only for bit-identical models."""
    digest = hashlib.sha256()
    for name, weight in model.state_dict().items():
        digest.update(name.encode())
        digest.update(weight.detach().cpu().contiguous().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
