"""Recognises the runs that this user queued, so that a store from somebody else starts no training.

A queued run is signed with a secret key, which the user's processes share and no store contains. Workers claim only
runs whose signature is right, so a run that was put into the file in another way is held.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import hmac
import os
import secrets
from pathlib import Path

import platformdirs

from initlab_tui.domain.errors import InvalidInputError
from initlab_tui.store import paths

KEY_BYTES = 32


def sign(*parts: object) -> str:
    """Return the signature of what a run does: spec, data file, import folder, device and threads.

    Raises:
        InvalidInputError: if the key cannot be read or created.
    """
    message = "\0".join("" if part is None else str(part) for part in parts)
    return hmac.new(_key(_key_file()), message.encode(), hashlib.sha256).hexdigest()


def is_own(signature: bytes | None, *parts: bytes | None) -> bool:
    """Return whether this user signed a run; used as a function in SQL, with BLOBs, because any text may be invalid."""
    # Text that is not UTF-8 was never signed.
    texts = [None if part is None else part.decode(errors="replace") for part in parts]
    return signature is not None and hmac.compare_digest(signature, sign(*texts).encode())


def _key_file() -> Path:
    return platformdirs.user_state_path("initlab-tui") / "queue.key"


@functools.lru_cache(maxsize=8)
def _key(file: Path) -> bytes:
    try:
        return _read(file) or _create(file)
    except OSError as error:
        problem = f"the key that marks runs as your own cannot be created: {file}: {error.strerror}"
        raise InvalidInputError.of("store", f"{problem}; make its folder writable, or set XDG_STATE_HOME") from None


def _read(file: Path) -> bytes | None:
    with contextlib.suppress(FileNotFoundError):
        descriptor = os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        with os.fdopen(descriptor, "rb") as opened:
            status = os.fstat(descriptor)
            if status.st_uid == os.geteuid() and not status.st_mode & 0o077 and status.st_size == KEY_BYTES:
                return opened.read()
        file.unlink()  # somebody else may know it
    return None


def _create(file: Path) -> bytes:
    """Create the key under another name first, so that no process reads half of it."""
    paths.private_folder(file.parent)
    key = secrets.token_bytes(KEY_BYTES)
    temporary = file.with_name(f"{file.name}.{secrets.token_hex(4)}")
    with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, paths.PRIVATE_FILE), "wb") as opened:
        opened.write(key)
    try:
        os.link(temporary, file)
    except FileExistsError:  # another process was faster
        return _read(file) or key
    finally:
        temporary.unlink()
    return key
