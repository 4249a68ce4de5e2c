"""Playing the business month by the demo's own command, as a user would."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

PROMISED_ZERO = ("lost", "doubled", "unexplained_cents", "rate_limited", "error_blocks", "waiting")


def play(directory: Path, *arguments: str, documents: int, seconds: int = 420) -> dict[str, Any]:
    """Run the demo command in a directory of its own and return its report; fails when the books cannot be signed.

    The month is played in two seconds, which is as long as the services need for it anyway.
    """
    options = ("--directory", str(directory), "--documents", str(documents), "--play-seconds", "2")
    command = [sys.executable, "-m", "console", "demo", *options, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=seconds, check=False)
    report = directory / "report.json"
    assert report.exists(), f"no report; the demo said:\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}"
    figures: dict[str, Any] = json.loads(report.read_text())
    assert done.returncode == 0, f"exit {done.returncode}: {json.dumps(figures, indent=1)[:3000]}\n{done.stdout[-2000:]}"
    assert {name: figures[name] for name in PROMISED_ZERO} == dict.fromkeys(PROMISED_ZERO, 0)
    assert figures["booked"] + figures["held"] + figures["set_aside"] == figures["documents"]
    return figures
