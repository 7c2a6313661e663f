"""The checkpoints of a run: everything that it needs to continue from a step.

A checkpoint is an npz archive of named arrays, with the owner (the hash and the seed of the spec), the step, the totals
until then and a SHA-256 of all this, which is checked when it is read. The last two are kept, so that there is another
one if the newest is damaged.
"""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from initlab_tui.data.arrays import UNREADABLE
from initlab_tui.domain.events import Checkpointed
from initlab_tui.store.database import Store
from initlab_tui.store.files import checkpoint_name, previous_checkpoint_name
from initlab_tui.store.progress import Totals
from initlab_tui.store.runs import Run

DAMAGED = (*UNREADABLE, TypeError)  # exceptions when reading a damaged file
STATE = "state/"  # before the names of the variables

Arrays = dict[str, npt.NDArray[Any]]


@dataclass(frozen=True)
class Checkpoint:
    """A step, the state of the network and the optimizer after it, and the totals; None in those of version 0.1.0."""

    at: Checkpointed
    totals: Totals | None


@dataclass(frozen=True)
class Found:
    """The newest usable checkpoint of a run, None if there is none, and why the others were refused, by file name."""

    checkpoint: Checkpoint | None
    refused: Mapping[str, str]


def write(store: Store, run: Run, event: Checkpointed, totals: Totals) -> None:
    """Write a checkpoint and keep the one before; when this returns, it is on disk.

    Raises:
        OSError: if it cannot be written; the earlier checkpoints are unchanged.
    """
    arrays: Arrays = {
        "owner": np.array(run.owner),
        "step": np.array(event.step),
        "totals": np.array(json.dumps(asdict(totals))),
        **{f"{STATE}{name}": array for name, array in event.state.items()},
    }
    arrays["digest"] = np.array(_digest(arrays))
    members: dict[str, Any] = dict(arrays)
    with store.files.replaced(checkpoint_name(run.id), keep_as=previous_checkpoint_name(run.id)) as file:
        np.savez(file, **members)


def read(store: Store, run: Run) -> Found:
    """Read the newest checkpoint of a run that is complete, undamaged and its own."""
    refused: dict[str, str] = {}
    for name in (checkpoint_name(run.id), previous_checkpoint_name(run.id)):
        try:
            with store.files.opened(name) as file:
                owner, checkpoint = _load(file)
        except FileNotFoundError:
            if run.checkpoint and name == checkpoint_name(run.id):
                refused[name] = f"{name} is missing"
        except DAMAGED as error:
            refused[name] = f"{name} is damaged: {error or type(error).__name__}"
        else:
            # A migration may have changed the hash of the spec since the checkpoint was written.
            if owner in (run.owner, run.checkpoint_owner):
                return Found(checkpoint, refused)
            refused[name] = f"{name} is the checkpoint of another run"
    return Found(None, refused)


def _load(file: BinaryIO) -> tuple[str, Checkpoint]:
    """Read the owner and the checkpoint from a file.

    Raises:
        one of DAMAGED: if the file is damaged.
    """
    with zipfile.ZipFile(file) as members:
        if any(member.compress_type != zipfile.ZIP_STORED for member in members.infolist()):
            raise ValueError("it is compressed, which checkpoints are not")
        if broken := members.testzip():
            raise ValueError(f"{broken} has a wrong check sum")
    file.seek(0)
    with np.load(file, allow_pickle=False) as archive:
        arrays: Arrays = {name: archive[name] for name in archive.files}
    if "digest" not in arrays:
        return _unnamed(arrays)
    digest = str(arrays.pop("digest"))
    if digest != _digest(arrays):
        raise ValueError("its content does not have the digest that it was written with")
    state = {name.removeprefix(STATE): array for name, array in arrays.items() if name.startswith(STATE)}
    totals = Totals(**json.loads(str(arrays["totals"])))
    return str(arrays["owner"]), Checkpoint(Checkpointed(int(arrays["step"]), state), totals)


def _unnamed(arrays: Arrays) -> tuple[str, Checkpoint]:
    """Return a checkpoint of version 0.1.0: owner, step, and the state in the order of the variables."""
    owner, step, *names = (f"arr_{number}" for number in range(len(arrays)))
    state = {name: arrays[name] for name in names}
    return str(arrays[owner]), Checkpoint(Checkpointed(int(arrays[step]), state), None)


def _digest(arrays: Arrays) -> str:
    digest = hashlib.sha256()
    for name, array in sorted(arrays.items()):
        digest.update(f"{name} {array.dtype.str} {array.shape}\n".encode())
        digest.update(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)
    return digest.hexdigest()
