"""Random years of payments through the real connector: no cent is lost, doubled or without a name."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from support.payment_books import Bookkeeper, Laws
from support.payment_world import World, payment_world
from support.payment_years import Year

YEARS = 3
STEPS = 3  # a customer's events, most of a month apart
ROUNDS = (2, 4)  # at least and at most, until the bookkeeper has matched, and what followed from it

# Years of twelve events that once did not hold, with payments booked one by one and by the day. In 2042 money that a person
# moved off suspense was recorded twice: where it was decided to be, and on the invoice of the same amount that Exact matched it
# with. In 3006 and 3008 what was left of a receipt was told by other invoices or not at all; in 3021 a payout took nothing off
# its control account. In 3049 money was recorded again whose payment stood in Chargebee still; in 3107 more was told to be
# without a debt than Chargebee lacked, and another invoice got so much less. The others asked for a person to be told which
# invoices stand open otherwise than in Chargebee.
TWICE = 2042
EACH = (2001, 2003, 2005, 2009, 2014, 2015, 2024, 2026, 2027, 2030, 3107)
DAILY = (3006, 3008, 3010, 3021, 3023, 3049)
LONG = os.environ.get("KRUISPOST_CHAOS") == "everywhere"
MORE = range(4000, 4000 + int(os.environ.get("KRUISPOST_YEARS", "20"))) if LONG else ()
EXAMPLES = [(TWICE, "each"), *([(seed, "each") for seed in (*EACH, *MORE)] if LONG else [])]
EXAMPLES += [(seed, "daily") for seed in (*DAILY, *MORE)] if LONG else []
SETTINGS: dict[str, dict[str, Any]] = {"each": {}, "daily": {"payments": "daily"}}


async def live(world: World, years: list[Year], bookkeeper: Bookkeeper, steps: int) -> None:
    """Let the years happen; people decide about some of the inbox, and do what they are told to."""
    for _ in range(steps):
        for year in years:
            await year.step()
        heard = len(world.said)
        await world.settle()
        bookkeeper.delete_what_was_taken_back(world.said[heard:])
        for year in years:
            await year.look_at_inbox()
        world.pass_days(25)
    await world.settle()
    # A gateway pays out what was known of a charge when it was taken, not what failed since.
    await world.tell([payout for year in years if (payout := year.payout()) is not None])


async def close(world: World, years: list[Year], bookkeeper: Bookkeeper) -> None:
    """Match in Exact what Exact cannot match by itself, as both books say."""
    least, most = ROUNDS
    for number in range(most):
        if number >= least and not await bookkeeper.differs():
            break
        heard = len(world.said)
        world.pass_days(2)
        await world.settle()
        bookkeeper.take_own_matches_back()
        for year in years:
            await bookkeeper.open_wrong_matches(year)
            await bookkeeper.match(year)
        await world.settle()
        bookkeeper.delete_what_was_taken_back(world.said[heard:])
    await world.settle()


async def wrong_after(directory: Path, seeds: Sequence[int], steps: int, **settings: Any) -> list[str]:
    """Let the years of some customers happen in one world, and say what does not hold at the end."""
    async with payment_world(directory, **settings) as world:
        years = [Year(seed, world) for seed in seeds]
        bookkeeper = Bookkeeper(world)
        await live(world, years, bookkeeper, steps)
        await close(world, years, bookkeeper)
        laws = Laws(bookkeeper)
        wrong = [each for year in years for each in laws.documents(year)]
        wrong += [*await laws.unequal(), *await laws.receipts(years), *await laws.gateway(years)]
        return [*wrong, *laws.tolerance(years), *laws.currencies(years)]


@pytest.mark.parametrize(("first", "how"), [(0, "each"), (100, "daily")], ids=["each", "daily"])
async def test_every_cent_of_a_year_has_one_place_in_both_books(first: int, how: str, tmp_path: Path) -> None:
    wrong = await wrong_after(tmp_path, range(first, first + YEARS), STEPS, **SETTINGS[how])
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize(("seed", "how"), EXAMPLES)
async def test_every_cent_of_a_whole_year_has_one_place_in_both_books(seed: int, how: str, tmp_path: Path) -> None:
    wrong = await wrong_after(tmp_path, [seed], 12, **SETTINGS[how])
    assert not wrong, "\n".join(wrong)
