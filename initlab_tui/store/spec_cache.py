"""Parses the specs of runs, only once for specs that differ only in the seed, because parsing is slow."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from initlab_tui.domain.spec import RunSpec


class SpecCache:
    """The specs parsed so far, by spec hash."""

    def __init__(self) -> None:
        self._by_spec_hash: dict[str, RunSpec] = {}

    def get(self, spec_hash: str, seed: int, text: str) -> RunSpec:
        """Return the spec with this spec hash and seed; `text` is its JSON."""
        from initlab_tui.domain.spec import RunSpec  # importing pydantic is slow, and process monitors need no spec

        known = self._by_spec_hash.get(spec_hash)
        if known is None:
            known = self._by_spec_hash[spec_hash] = RunSpec.from_json(text)
        return known if known.seed == seed else known.model_copy(update={"seed": seed})
