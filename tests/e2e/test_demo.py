"""The business month, played end to end as a new user would: nothing lost, nothing doubled, both books equal to the cent."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest
from support.month import play

FEWER = 120  # every kind of document is among them; `make demo` plays more of the same
SHARING = 240  # fewer come too far apart to share entries
ENGINES = ["embedded", pytest.param("rabbitmq", marks=[pytest.mark.broker, pytest.mark.postgres])]


@pytest.mark.slow
@pytest.mark.timeout(480)
@pytest.mark.parametrize("engine", ENGINES)
def test_a_business_month_ends_with_equal_books(engine, tmp_path):
    report = play(tmp_path / "demo", "--engine", engine, documents=FEWER)
    assert report["documents"] >= FEWER
    assert report["write_calls_per_invoice"] == 1.0
    assert report["calls_at_once"] == 1
    # The month holds exactly one product without a mapping; everything else is booked, or set aside by rule.
    assert report["held_reasons"] == {"no_revenue_account": 1}
    assert report["receipts_recorded"] > 0


@pytest.mark.slow
@pytest.mark.timeout(560)
@pytest.mark.parametrize(
    ("mode", "options", "fewest", "most"),
    [("document", ("--engine", "embedded"), 1.5, 2.3), ("ledger", ("--engine", "rabbitmq", "--pdfs"), 0.02, 0.99)],
    ids=["document", "ledger with pdfs"],
)
@pytest.mark.broker
@pytest.mark.postgres
def test_the_other_ways_to_book_end_with_equal_books_too(mode, options, fewest, most, tmp_path):
    documents = SHARING if mode == "ledger" else FEWER
    report = play(tmp_path / "demo", "--mode", mode, "--patience-seconds", "400", *options, documents=documents, seconds=500)
    assert report["mode"] == mode
    assert report["held_reasons"] == {"no_revenue_account": 1}
    assert report["receipts_recorded"] > 0
    assert fewest <= report["write_calls_per_invoice"] <= most
    assert (report["shared_entries"] > 0) == (mode == "ledger")
    assert report["pdfs_attached"] > 0 or mode != "ledger"


@pytest.mark.slow
def test_who_ends_the_demo_ends_what_it_started(tmp_path):
    directory = tmp_path / "demo"
    command = [sys.executable, "-m", "console", "demo", "--directory", str(directory), "--documents", str(FEWER)]
    demo = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    started: dict[str, int] = {}
    try:
        deadline = time.monotonic() + 60
        while len(started) < 2 and time.monotonic() < deadline:
            time.sleep(0.1)
            if (directory / "processes.json").exists():
                started |= json.loads((directory / "processes.json").read_text() or "{}")
        demo.send_signal(signal.SIGTERM)
        assert demo.wait(timeout=60) == 128 + signal.SIGTERM
    finally:
        demo.kill()
        demo.wait()
        left = [name for name, pid in started.items() if _ended(pid)]
    assert started
    assert left == []


def _ended(pid: int) -> bool:
    """Whether a process was still there and had to be ended."""
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return False
    return True
