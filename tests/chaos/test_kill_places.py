"""Killed at every commit, publish, ack and HTTP call that a service makes, each place once: the books are the same to the cent.

The places come from a trace of a small business in virtual time, in each mode, once over bad lines, where lost answers are looked
up and calls are made again, and once beside other people, who book, consent and change things as well. `make test` kills at a few
of them, `make chaos` at all.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from support.kill_places import Death, Place, Setting, beside_other_people, dealt, run

EVERYWHERE = os.environ.get("KRUISPOST_CHAOS") == "everywhere"
FEW = 3
TOGETHER = 5  # deaths of one run, far from each other
BESIDE = "beside other people"
SETTINGS = {
    "entry": Setting.of("entry"),
    "document": Setting.of("document"),
    "ledger, daily payments": Setting.of("ledger", "daily"),
    "bad lines": Setting.of("entry", faults_per_mille=150),
    BESIDE: Setting.of("entry", story=beside_other_people, link_before="2027-01-01"),
}
# Without these a trace would be worth nothing: it must have seen each service do each kind of step that it does at all.
STEPS = {
    "ingest": {"commit", "publish", "ack", "GET", "POST"},
    "mapper": {"commit", "publish", "ack"},
    "exact-writer": {"commit", "publish", "ack", "GET", "POST", "PUT"},
    "payment-matcher": {"commit", "publish", "ack", "GET", "POST"},
    "console": {"commit", "ack"},
}
# And these commits, which nothing but other people's doings lead to.
RARE = {
    *(f"exact_writer/linking.py:{name}" for name in ("look", "_read_at", "_decide", "_link")),
    *("exact_writer/post.py:_adopt", "exact_writer/vault.py:spoil", "exact_writer/mirror.py:_follow_deletions"),
}

pytestmark = [pytest.mark.slow, pytest.mark.timeout(7_200 if EVERYWHERE else 600)]
_killed: set[Place] = set()  # a place that one setting has in common with another needs to be a death once only


@pytest.mark.parametrize("name", SETTINGS if EVERYWHERE else ["entry"])
def test_a_death_anywhere_changes_nothing(name: str, tmp_path: Path, tell: Callable[[str], None]) -> None:
    setting = SETTINGS[name]
    calm, wrong = run(tmp_path / "calm", setting)
    assert not wrong
    if name == BESIDE:
        assert {place.code for place in calm.passes if place.step == "before commit"} >= RARE
    else:
        for service, steps in STEPS.items():
            seen = {place.step.split()[1] for place in calm.passes if place.service == service}
            assert seen >= steps, (service, seen)
    deaths = calm.deaths(_killed)
    if not EVERYWHERE:
        deaths = deaths[len(deaths) // FEW // 2 :: len(deaths) // FEW]
    wrongs: dict[tuple[Place, ...], list[str]] = {}
    runs = dealt(deaths, TOGETHER)
    for number, together in enumerate(runs):
        tell(f"run {number + 1} of {len(runs)}, with {len(together)} of {len(deaths)} deaths")
        wrongs |= _wrong_after(tmp_path / str(number), setting, together)
    _killed.update(death.place for death in deaths)
    assert not wrongs, wrongs


def _wrong_after(directory: Path, setting: Setting, deaths: list[Death]) -> dict[tuple[Place, ...], list[str]]:
    """What is wrong after these deaths; where one of them alone is enough for it, after that one."""
    watch, wrong = run(directory, setting, deaths)
    missed = [death for death in deaths if death.place not in watch.died]
    if not wrong and not missed:
        return {}
    if len(deaths) == 1:
        return {(deaths[0].place,): wrong or ["it was not passed again: the run is not the same"]}
    found: dict[tuple[Place, ...], list[str]] = {}
    for number, death in enumerate(deaths if wrong else missed):
        found |= _wrong_after(directory / str(number), setting, [death])
    return found or ({tuple(death.place for death in deaths): wrong} if wrong else {})
