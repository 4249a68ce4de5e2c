"""Every case of tests/golden, from Chargebee's resources through mapper and writer into Exact's ledger, equal to the cent."""

import itertools
import json
from pathlib import Path
from typing import Any

import pytest
from support import golden, golden_stage
from support.golden_stage import Case

from contracts import facts


def alike(case: Case) -> str:
    """What cases must share to be booked in one administration."""
    _, booking, closed = case
    policy = {"period_policy": booking["period_policy"]} if "period_policy" in booking else {}
    settings = {**booking.get("with", {}), **policy}
    return json.dumps([settings, closed, sorted(golden.divisions_of(booking))], sort_keys=True, default=str)


GROUPS = {key: list(group) for key, group in itertools.groupby(sorted(golden.cases(), key=alike), key=alike)}


@pytest.mark.parametrize("group", GROUPS.values(), ids=[group[0][0] for group in GROUPS.values()])
async def test_a_case_stands_in_the_ledger_as_it_says(group: list[Case], tmp_path: Path):
    settings, closed, _ = json.loads(alike(group[0]))
    sites = {f"site{number}": case for number, case in enumerate(group)}
    wrong = {}
    bookings = {site: booking for site, (_, booking, _) in sites.items()}
    async with golden_stage.chain(golden_stage.configured(settings, bookings), closed, tmp_path) as chain:
        await golden_stage.play(chain, bookings)
        for site, (name, booking, _) in sites.items():
            if said := await difference(chain, site, booking):
                wrong[name] = said
        refused = await chain.refusals()
    assert not wrong, json.dumps({"wrong": wrong, "refused": refused}, indent=1)


async def difference(chain: golden_stage.Chain, site: str, booking: dict[str, Any]) -> str | None:
    document = booking["document"]
    suffix = "R" if "reversed_on" in booking else ""
    about = (document["number"], document["kind"])
    told = [each for each in await chain.told_of(site) if (each.document.number, each.document.kind) == about]
    for name, kind in (("held", facts.DocumentHeld), ("set_aside", facts.DocumentSetAside)):
        if name in booking:
            codes = [each.code for each in told if isinstance(each, kind)]
            # Weeks pass in the stage: a wait that lasts too long is told once more, with the same reason and what to do.
            return None if list(dict.fromkeys(codes)) == [booking[name]] else f"{name} {codes or told}"
    if not any(isinstance(each, facts.DocumentPlanned) for each in told):
        return f"not planned: {told}"
    journal = booking.get("in_exact") or booking.get("journal_in_division_currency") or booking["journal"]
    if document.get("currency", "EUR") != "EUR" and "journal_in_division_currency" not in booking:
        return None
    division = booking.get("division", golden.DIVISION)
    entry = await chain.entry(site, document["number"], document["kind"], suffix, division)
    if isinstance(entry, str):
        return entry
    booked, wanted = golden_stage.written(entry["lines"]), golden_stage.expected(journal)
    if booked != wanted:
        return f"booked {booked}, wanted {wanted}"
    if "released" not in booking:
        return None
    deferred, to_defer = golden_stage.released(entry["deferral"]), golden_stage.expected_releases(booking, "8000")
    return None if deferred == to_defer else f"deferred {deferred}, wanted {to_defer}"
