"""What the operating system says about the CPU."""

from __future__ import annotations

import platform
from pathlib import Path

CPUINFO = Path("/proc/cpuinfo")


def name() -> str:
    """Return the model of the CPU."""
    return next(iter(_values("model name")), platform.processor() or platform.machine())


def instructions() -> str:
    """Return a text that differs between CPUs for which different machine code may be compiled."""
    described = sorted(set(_values("model name", "flags", "Features"))) or [name()]
    return "\n".join([platform.machine(), *described])


def _values(*fields: str) -> list[str]:
    lines = CPUINFO.read_text().splitlines() if CPUINFO.is_file() else []  # only Linux has this file
    pairs = (line.partition(":") for line in lines)
    return [value.strip() for field, _, value in pairs if field.strip() in fields]
