"""A small file system that a test can fill; mounting it needs root."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest


@contextlib.contextmanager
def small_disk(folder: Path, *, megabytes: int) -> Iterator[Path]:
    """Mount an empty file system of this size at a new folder; skip the test if that is not possible."""
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}M,mode=700", "none", str(folder)]
    mounted = subprocess.run(command, capture_output=True)
    if mounted.returncode:
        pytest.skip(f"cannot mount a small file system here: {mounted.stderr.decode().strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)  # noqa: S607


def fill(folder: Path, *, leaving: int, name: str = "filler") -> Path:
    """Write a file that leaves this many bytes free, also if others write at the same time, and return it."""
    filler, size = folder / name, 0
    descriptor = os.open(filler, os.O_CREAT | os.O_WRONLY)
    try:
        for chunk in (1 << 20, 1 << 16, 1 << 12):
            while _free(folder) >= leaving + chunk:
                with contextlib.suppress(OSError):
                    os.posix_fallocate(descriptor, size, chunk)
                    size += chunk
    finally:
        os.close(descriptor)
    return filler


def _free(folder: Path) -> int:
    found = os.statvfs(folder)
    return found.f_bavail * found.f_frsize
