"""Parses the specs of runs, only once for specs that differ only in the seed, because parsing is slow."""

from __future__ import annotations

from typing import TYPE_CHECKING

from initlab_tui.domain.errors import InvalidInputError

if TYPE_CHECKING:
    from initlab_tui.domain.spec import RunSpec


class SpecCache:
    """The specs parsed so far, by their hash and their JSON without the seed, which is its last field."""

    def __init__(self) -> None:
        self._parsed: dict[tuple[str, str], RunSpec] = {}

    def get(self, spec_hash: str, seed: int, text: str) -> RunSpec:
        """Return the spec with this spec hash and seed; `text` is its JSON.

        Raises:
            InvalidInputError: if the text is not that of a spec with this hash and this seed.
        """
        known = self.check(spec_hash, seed, text)
        return known if known.seed == seed else known.model_copy(update={"seed": seed})

    def check(self, spec_hash: str, seed: int, text: str) -> RunSpec:
        """Return the same spec with any seed, which takes a tenth of the time of a copy.

        Raises:
            InvalidInputError: as for `get`.
        """
        shared = text.removesuffix(f'"seed":{seed}}}')
        known = self._parsed.get((spec_hash, shared)) if shared != text else None
        if known is None:
            known = _parse(spec_hash, seed, text)
            if shared != text:
                self._parsed[spec_hash, shared] = known
        return known


def _parse(spec_hash: str, seed: int, text: str) -> RunSpec:
    from initlab_tui.domain.spec import RunSpec  # importing pydantic is slow, and process monitors need no spec

    spec = RunSpec.from_json(text)
    if spec.spec_hash != spec_hash:
        raise InvalidInputError.of("spec", f"the spec has the hash {spec.spec_hash}, not the one in its row")
    if spec.seed != seed:
        raise InvalidInputError.of("spec", f"the spec has the seed {spec.seed}, not the one in its row")
    return spec
