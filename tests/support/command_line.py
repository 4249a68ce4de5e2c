"""`kruispost` as people start it: a process of its own, with its exit code and both outputs."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path


def environment(directory: Path, settings: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return an environment in which nothing of this machine's own settings is left; data and configuration in `directory`."""
    return {
        **{name: value for name, value in os.environ.items() if not name.startswith("KRUISPOST_")},
        "KRUISPOST_CONFIG": str(directory / "kruispost.yaml"),
        "KRUISPOST_DATA_DIR": str(directory / "data"),
        "KRUISPOST_EXACT_URL": "http://127.0.0.1:9",
        "KRUISPOST_CHARGEBEE_URL": "http://127.0.0.1:9",
        "COLUMNS": "200",
        **(settings or {}),
    }


def kruispost(*arguments: str, directory: Path, settings: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Run `python -m console <arguments>` to its end."""
    return subprocess.run(
        [sys.executable, "-m", "console", *arguments],
        env=environment(directory, settings),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
