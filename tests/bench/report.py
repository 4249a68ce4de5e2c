"""The report of measurements: one object of figure name to value, unit, ceiling and ratio, and when and of which code it is."""

from __future__ import annotations

import json
import os
import platform
import subprocess
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from backbone.clock import SystemClock

Figures = Mapping[str, Mapping[str, Any]]


def merge(path: Path, measured: Figures, version: str) -> None:
    """Put figures in the place of those of the same names; all others stay, each with its own time and version."""
    now = SystemClock().now().isoformat(timespec="seconds")
    machine = {"cores": os.cpu_count(), "python": platform.python_version(), "system": platform.platform()}
    rows = {name: {**row, "measured_at": now, "version": version, **machine} for name, row in measured.items()}
    _write(path, _read(path) | rows)


def keep(path: Path, names: Collection[str]) -> None:
    """Forget figures that nothing measures any more."""
    _write(path, {name: row for name, row in _read(path).items() if name in names})


def version_of_code(root: Path) -> str:
    """The commit that is checked out, with `-dirty` where files differ from it; `unknown` without git."""
    command = ["git", "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"]
    try:
        told = subprocess.run(command, cwd=root, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return told.stdout.strip()


def _read(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text())
    except (FileNotFoundError, ValueError):
        return {}
    return {name: row for name, row in found.items() if isinstance(row, dict) and "value" in row}


def _write(path: Path, figures: Mapping[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    whole = path.with_suffix(".part")
    whole.write_text(json.dumps(dict(sorted(figures.items())), indent=2) + "\n")
    whole.replace(path)  # what is there stays whole when this is interrupted
