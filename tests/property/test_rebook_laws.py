"""Under the rules that booked it nothing differs, and what is booked anew comes to the books that the new rules had made.

`rebook`, `diff --against booked` and `explain` make every document again, after all that happened to it and to others since.
"""

from __future__ import annotations

import copy
import os
import random
from collections import Counter
from collections.abc import Collection, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from support.engines import database_for
from support.lives import BEGIN, OVER, SITE, Life, section
from support.mapper_stage import Stage
from support.months import DIVISION

from backbone.configuration import Configuration
from backbone.database import Database
from backbone.telemetry import Telemetry
from bookkeeping.deferral import schedule
from contracts.commands import PostEntry
from mapper import differences
from mapper.configuration import mappings_of
from mapper.explaining import Explainer
from mapper.history import Kept, PagedStore, Selection, documents
from mapper.plan import Cause, Planner
from mapper.rebook_command import Wish, Wrong, in_order, wrong_of
from mapper.store import Store
from mapper.subjects import Subjects

LIVES = int(os.environ.get("KRUISPOST_LIVES", "8"))
SELECTION = Selection()
EVERYTHING = Wish(selection=SELECTION, first=None, to=None, mapping_version=None, most=1_000_000, install=True)
AGAINST_BOOKED = differences.Wish(
    new=Path("new.yaml"),
    selection=SELECTION,
    first=None,
    to=None,
    against_booked=True,
    change=None,
    account=None,
    limit=0,
    list_to=None,
)
Document = tuple[str, str]


def configured(rules: dict[str, Any]) -> Configuration:
    sites = {SITE: {"time_zone": "Europe/Amsterdam", "division": DIVISION}}
    return Configuration.model_validate({"version": 1, "sites": sites, "divisions": {DIVISION: rules}})


def other_rules(seed: int, rules: dict[str, Any]) -> dict[str, Any]:
    """The rules of a seed with something else in them."""
    luck, new = random.Random(f"other {seed}"), copy.deepcopy(rules)
    changed = luck.choice(
        [{"account"}, {"defer"}, {"vat"}, {"discounts"}, {"dimension"}, {"debtors"}, {"account", "defer", "vat"}]
    )
    for rule in new["revenue"]:
        if "account" in changed and luck.random() < 1 / 2:
            rule["account"] = f"85{rule['account'][2:]}"
        if "defer" in changed and luck.random() < 1 / 2:
            rule["defer"] = not rule["defer"]
        if "dimension" in changed and luck.random() < 1 / 2:
            rule["cost_center"] = "NL"
    if "vat" in changed:
        new["vat"][0]["code"] = "4"
    if "discounts" in changed and new.pop("discounts", None) is None:
        new["discounts"] = {"posting": "gross", "rules": [{"account": "8090"}]}
    if "debtors" in changed:
        new["receivable_account"] = "1310"
    return new


async def differing(database: Database, configuration: Configuration) -> list[tuple[str, str, Any]]:
    """What the three commands say, of all but what was changed in Chargebee since and is left to a person."""
    subjects = Subjects(configuration, mappings_of(configuration))
    found: list[tuple[str, str, Any]] = []
    async with database.reading() as connection:
        wrong = await wrong_of(database, connection, subjects, EVERYTHING, OVER)
        found += [("rebook", each.key.number, each.code or each.differences) for each in wrong]
        store = PagedStore(database, connection)
        comparer = differences.Comparer(store, subjects, subjects, OVER, AGAINST_BOOKED)
        explainer = Explainer(store, subjects, configuration, OVER)
        async for kept in documents(store, SELECTION):
            if is_left_to_a_person(kept):
                continue
            other = await comparer.of(kept)
            found += [("diff", kept.key.number, other.changes)] if other is not None else []
            found += [("explain", kept.key.number, each.changes) for each in await explainer.of(kept) if each.changes]
    return found


def is_left_to_a_person(kept: Kept) -> bool:
    return kept.last is not None and kept.last.code == "changed_after_booking"


@pytest.mark.parametrize("seed", range(LIVES))
async def test_nothing_differs_under_the_rules_that_booked_it(seed: int, tmp_path: Path):
    configuration = configured(section(seed))
    async with database_for("sqlite", tmp_path, "mapper") as database:
        stage = Stage(database, configuration)
        life = Life(seed)
        await life.play(stage)
        assert await stage.entries()
        assert await differing(database, configuration) == [], life.names


async def book_anew(stage: Stage, configuration: Configuration) -> list[Wrong]:
    """Do what `rebook --yes` does, and let Exact post all of it; return what it found."""
    subjects = Subjects(configuration, mappings_of(configuration))
    async with stage.database.reading() as connection:
        found = await wrong_of(stage.database, connection, subjects, EVERYTHING, OVER)
    planner = Planner(subjects, stage.clock, Telemetry())
    for wrong in in_order(found):
        async with stage.database.transaction() as connection:
            store = Store(stage.database, connection)
            await store.share(alone=True)
            assert await planner.take_back_wrong(store, wrong.last, Cause(None, f"rebook {wrong.last.command_id} "))
    return found


@pytest.mark.parametrize("seed", range(LIVES))
async def test_what_is_booked_anew_comes_to_the_books_of_the_new_rules(seed: int, tmp_path: Path):
    """No month is closed, since what is reported in another one stays there, and a change is corrected, not left to a person."""
    rules = section(seed) | {"changes": "correct"}
    new = other_rules(seed, rules)
    life = Life(seed, closes=False)
    made = []
    for name in ("rebooked", "fresh"):
        directory = tmp_path / name
        directory.mkdir()
        async with database_for("sqlite", directory, "mapper") as database:
            stage = Stage(database, configured(rules if name == "rebooked" else new))
            await life.play(stage)
            if name == "rebooked":
                later = Stage(database, configured(new))
                later.posted = stage.posted
                later.clock.advance((OVER - BEGIN).days * 86_400)
                await later.start()
                await book_anew(later, configured(new))
                await life.end(later)
                assert await differing(database, configured(new)) == [], life.names
            made.append(await stage.entries())
    rebooked, fresh = made
    # What was voided or changed stays booked and booked back by the rules of before: over all months that is nothing.
    undone = {document_of(each) for each in fresh if "R" in each.document.suffix}
    assert books(rebooked, undone) == books(fresh, undone)
    one, other = (months(each, undone, rules["deferral"]["schedule"]) for each in made)
    assert {place: sum_ for place, sum_ in one.items() if abs(sum_ - other[place]) > CENTS} == {}
    assert {place: sum_ for place, sum_ in other.items() if abs(sum_ - one[place]) > CENTS} == {}


CENTS = 40  # parts of months are rounded one by one


def document_of(entry: PostEntry) -> Document:
    return entry.document.kind, entry.document.number


def books(entries: Sequence[PostEntry], undone: Collection[Document]) -> Counter[tuple[str, ...]]:
    """What each account and VAT code gets in each month, by the dates of the entries; of what was undone, in all together."""
    sums: Counter[tuple[str, ...]] = Counter()
    for entry in entries:
        sales = entry.kind == "sales"
        sign = -1 if sales else 1
        head = ("" if document_of(entry) in undone else f"{entry.entry_date:%Y-%m}", entry.currency)
        for line in entry.lines:
            vat_minor = line.vat_amount_minor or 0
            sums[*head, line.gl_account, line.vat_code or "", line.cost_center or ""] += sign * line.amount_minor
            sums[*head, "VAT", line.vat_code or ""] += sign * vat_minor
            if sales:
                sums[*head, entry.receivable_account or ""] += line.amount_minor + vat_minor
    return Counter({place: amount for place, amount in sums.items() if amount})


def months(entries: Sequence[PostEntry], undone: Collection[Document], method: Any) -> Counter[tuple[str, ...]]:
    """What each account shows in each month once Exact has released what was deferred."""
    sums: Counter[tuple[str, ...]] = Counter()
    for entry in (each for each in entries if document_of(each) not in undone):
        sign = -1 if entry.kind == "sales" else 1
        for line in entry.lines:
            parts: list[tuple[int, date]] = [(line.amount_minor, entry.entry_date)]
            if line.from_date is not None and line.to_date is not None:
                parts = [
                    (each.amount_minor, each.first) for each in schedule(line.amount_minor, line.from_date, line.to_date, method)
                ]
            for amount, day in parts:
                sums[f"{day:%Y-%m}", entry.currency, line.gl_account] += sign * amount
    return sums
