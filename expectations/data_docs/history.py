"""The results that are kept: one JSON file each, ``<gate>/<run>/<time>/all.json``, as Great Expectations writes it."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

KEPT_RESULTS = 20
"""Results that are kept of each gate: ten hours of the schedule."""


def kept(*folders: Path) -> list[Path]:
    """Return the results in the folders that are to be kept, the newest first."""
    of_gate: dict[str, list[tuple[str, Path]]] = defaultdict(list)
    for folder in folders:
        for path in folder.glob("*/*/*/*.json"):
            gate, _, checked_at, _ = path.relative_to(folder).parts
            of_gate[gate].append((checked_at, path))
    newest = [entry for entries in of_gate.values() for entry in sorted(entries, reverse=True)[:KEPT_RESULTS]]
    return [path for _, path in sorted(newest, reverse=True)]
