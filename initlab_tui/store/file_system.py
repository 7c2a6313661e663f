"""Finds out whether a store lies on a network file system, where SQLite's WAL does not work.

A WAL needs memory that all its processes share, which a network file system does not provide: programs there end with
SIGBUS or "locking protocol". https://www.sqlite.org/wal.html, https://www.sqlite.org/useovernet.html
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

MOUNTS = Path("/proc/self/mounts")
# Anything in user space may be remote (sshfs, s3fs, gcsfuse), except FUSE's driver for local disks (fuseblk).
_NETWORK = re.compile(
    r"(nfs\d?|lustre|wekafs|cifs|smb\w*|afs|ncpfs?|ceph|glusterfs|gpfs|mmfs|beegfs\w*|panfs|pvfs2|orangefs|ocfs2|gfs2?"
    r"|9p|virtiofs|drvfs|davfs\d?|webdav|acfs|afpfs|fuse|fuse\..+|macfuse|osxfuse)",
    re.IGNORECASE,
)
_ESCAPED = re.compile(r"\\([0-7]{3})")


@dataclass(frozen=True)
class FileSystem:
    """A file system: its type, such as ext4 or nfs4, empty if unknown, and where it is mounted."""

    kind: str
    mounted: Path

    @property
    def is_network(self) -> bool:
        return _NETWORK.fullmatch(self.kind) is not None


def find_file_system(path: Path) -> FileSystem:
    """Return the file system that a file is on; the file itself need not exist."""
    resolved = Path(os.path.realpath(path))
    found = FileSystem("", Path("/"))
    for mounted in _mounts():
        # Of several mounts at one place, the last one is visible.
        if resolved.is_relative_to(mounted.mounted) and len(mounted.mounted.parts) >= len(found.mounted.parts):
            found = mounted
    return found


def _mounts() -> Iterable[FileSystem]:
    try:
        return list(_parse(MOUNTS.read_text(errors="surrogateescape")))
    except OSError:  # not Linux
        import psutil  # slow

        return [FileSystem(each.fstype, Path(each.mountpoint)) for each in psutil.disk_partitions(all=True)]


def _parse(text: str) -> Iterator[FileSystem]:
    for line in text.splitlines():
        fields = line.split(" ")
        if len(fields) > 2:
            place = _ESCAPED.sub(lambda match: chr(int(match[1], 8)), fields[1])
            yield FileSystem(fields[2], Path(place))
