"""The business month, played end to end as a new user would: nothing lost, nothing doubled, both books equal to the cent."""

import pytest
from support.month import play

DOCUMENTS = 300
ENGINES = ["embedded", pytest.param("rabbitmq", marks=[pytest.mark.broker, pytest.mark.postgres])]


@pytest.mark.slow
@pytest.mark.timeout(480)
@pytest.mark.parametrize("engine", ENGINES)
def test_a_business_month_ends_with_equal_books(engine, tmp_path):
    report = play(tmp_path / "demo", "--engine", engine, documents=DOCUMENTS)
    assert report["documents"] >= DOCUMENTS
    assert report["write_calls_per_invoice"] == 1.0
    assert report["calls_at_once"] == 1
    # The month holds exactly one product without a mapping; everything else is booked, or set aside by rule.
    assert report["held_reasons"] == {"no_revenue_account": 1}
    assert report["receipts_recorded"] > 0
