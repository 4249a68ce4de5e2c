"""Kill -9 of each service in the middle of the month, on both engines: the books end as if nothing had happened.

`make test` kills where most is at stake, `make chaos` everywhere.
"""

import os

import pytest
from support.month import play

DOCUMENTS = 60
FETCH_AND_ATTACH = ("ingest", "exact-writer")
EVERYWHERE = os.environ.get("KRUISPOST_CHAOS") == "everywhere"
SERVICES = ["exact-writer", *(["ingest", "mapper", "payment-matcher", "console"] if EVERYWHERE else [])]

# Embedded, all services share a process; it dies while the one named is between two steps that must not come apart.
# That a message is published twice when a relay dies is also tried at every place of tests/chaos/test_kill_places.py.
POINTS = ["mapper=mapper.before_commit:60"]
MORE_POINTS = [
    "exact-writer=exact_writer.after_call:50",
    "mapper=relay.published:10",
    "ingest=ingest.event_committed:40",
    "payment-matcher=payment-matcher.called:3",
    "console=console.committed:100",
]


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("point", [*POINTS, *(MORE_POINTS if EVERYWHERE else [])])
def test_the_embedded_process_dies_in_the_middle_of_each_service(point, tmp_path):
    report = play(tmp_path / "demo", "--crash-at", point, documents=DOCUMENTS)
    assert report["restarts"] == {"kruispost": 1}


@pytest.mark.slow
@pytest.mark.broker
@pytest.mark.postgres
@pytest.mark.timeout(300)
@pytest.mark.parametrize("service", SERVICES)
def test_a_service_of_its_own_is_killed_in_the_middle(service, tmp_path):
    pdfs = ["--pdfs"] if service in FETCH_AND_ATTACH else []
    report = play(tmp_path / "demo", "--engine", "rabbitmq", "--kill", service, *pdfs, documents=DOCUMENTS)
    assert report["restarts"] == {service: 1}
    assert bool(report["pdfs_attached"]) == bool(pdfs)
