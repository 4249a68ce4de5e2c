"""Killed at every commit, publish, ack and HTTP call that a service makes, each place once: the books are the same to the cent.

The places come from a trace of a small business in virtual time, in each mode, and once over bad lines, where lost answers are
looked up and calls are made again. `make test` kills at a few of them, `make chaos` at all.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from support.kill_places import Place, Setting, run

EVERYWHERE = os.environ.get("KRUISPOST_CHAOS") == "everywhere"
FEW = 3
SETTINGS = {
    "entry": Setting.of("entry"),
    "document": Setting.of("document"),
    "ledger, daily payments": Setting.of("ledger", "daily"),
    "bad lines": Setting.of("entry", faults_per_mille=150),
}
# Without these a trace would be worth nothing: it must have seen each service do each kind of step that it does at all.
STEPS = {
    "ingest": {"commit", "publish", "ack", "GET", "POST"},
    "mapper": {"commit", "publish", "ack"},
    "exact-writer": {"commit", "publish", "ack", "GET", "POST", "PUT"},
    "payment-matcher": {"commit", "publish", "ack", "GET", "POST"},
    "console": {"commit", "ack"},
}

pytestmark = [pytest.mark.slow, pytest.mark.timeout(7_200 if EVERYWHERE else 600)]
_killed: set[Place] = set()  # a place that one setting has in common with another needs to be a death once only


@pytest.mark.parametrize("name", SETTINGS if EVERYWHERE else ["entry"])
def test_a_death_anywhere_changes_nothing(name: str, tmp_path: Path) -> None:
    setting = SETTINGS[name]
    calm, wrong = run(tmp_path / "calm", setting)
    assert not wrong
    for service, steps in STEPS.items():
        seen = {place.step.split()[1] for place in calm.passes if place.service == service}
        assert seen >= steps, (service, seen)
    places = [each for each in sorted(calm.passes.items()) if each[0] not in _killed]
    chosen = places if EVERYWHERE else places[len(places) // FEW // 2 :: len(places) // FEW]
    wrongs = {}
    for number, (place, times) in enumerate(chosen):
        watch, wrong = run(tmp_path / str(number), setting, (place, (times + 1) // 2))
        assert watch.died, f"{place} was not passed again: the run is not the same"
        if wrong:
            wrongs[place] = wrong
        _killed.add(place)
    assert not wrongs, wrongs
