"""The lock of an output directory; see `aioli.locks`."""

from aioli.locks import LOCK, PATIENCE, DirectoryLock

__all__ = ["LOCK", "PATIENCE", "DirectoryLock"]
