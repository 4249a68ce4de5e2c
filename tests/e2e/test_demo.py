"""The business month, played end to end as a new user would: nothing lost, nothing doubled, both books equal to the cent."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

DOCUMENTS = 300
PROMISED_ZERO = ("lost", "doubled", "unexplained_cents", "rate_limited", "error_blocks", "waiting")


def play(directory: Path, *arguments: str, documents: int = DOCUMENTS, seconds: int = 420):
    """Run the demo command in a directory of its own and return its report."""
    command = [sys.executable, "-m", "console", "demo", "--directory", str(directory), "--documents", str(documents), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=seconds, check=False)
    report = directory / "report.json"
    assert report.exists(), f"no report; the demo said:\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}"
    figures = json.loads(report.read_text())
    assert done.returncode == 0, f"exit {done.returncode}: {json.dumps(figures, indent=1)[:3000]}\n{done.stdout[-2000:]}"
    return figures


@pytest.mark.slow
@pytest.mark.timeout(480)
@pytest.mark.parametrize("engine", ["embedded", pytest.param("rabbitmq", marks=[pytest.mark.broker, pytest.mark.postgres])])
def test_a_business_month_ends_with_equal_books(engine, tmp_path):
    report = play(tmp_path / "demo", "--engine", engine)
    assert report["documents"] >= DOCUMENTS
    assert {name: report[name] for name in PROMISED_ZERO} == dict.fromkeys(PROMISED_ZERO, 0)
    assert report["write_calls_per_invoice"] == 1.0
    assert report["calls_at_once"] == 1
    # The month holds exactly one product without a mapping; everything else is booked or set aside by rule.
    assert report["held_reasons"] == {"no_revenue_account": 1}
    assert report["booked"] + report["held"] + report["set_aside"] == report["documents"]
    assert report["receipts_recorded"] > 0
