"""What a person booked in Exact from one control account to another, after the mapping named another one.

Exact's ledger shows it, as the writer read it last; no call is made for it. An entry has to take off one account what it puts on
the other, in one currency, so that nothing else that a person books on control accounts is taken for a transfer.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from datetime import date
from typing import Protocol, TypeVar

from sqlalchemy.exc import SQLAlchemyError

from backbone.errors import KruispostError
from backbone.settings import Settings
from bookkeeping.control_accounts import Proof
from bookkeeping.money import decimals_of
from contracts.ledger import LedgerLine
from mapper.reconcile_sources import open_sources

_HUNDREDTHS = 100
Pair = tuple[int, str, str, str]  # division, from, to, currency


class Place(Protocol):
    """A control account as one gateway account and currency use it."""

    @property
    def division(self) -> int:
        """The administration."""

    @property
    def account(self) -> str:
        """The code of the ledger account."""

    @property
    def currency(self) -> str:
        """What is counted in."""


Of = TypeVar("Of", bound=Place)


def are_named(proofs: Mapping[Of, Proof]) -> bool:
    """Whether something is to be booked from one account to another, so that Exact's ledger has to be looked at."""
    return any(proof.elsewhere for proof in proofs.values())


async def read(settings: Settings, proofs: Mapping[Of, Proof], on: date) -> dict[int, list[LedgerLine]]:
    """Read what no command of ours booked on those control accounts; nothing where none here reads Exact's ledger."""
    accounts: defaultdict[int, set[str]] = defaultdict(set)
    for place, proof in proofs.items():
        if proof.elsewhere:
            accounts[place.division] |= {place.account, *(each.account for each in proof.elsewhere)}
    found: dict[int, list[LedgerLine]] = {}
    try:
        async with open_sources(settings) as sources:
            for division, named in sorted(accounts.items()):
                found[division] = await sources.ledger.strangers_on(division, sorted(named), on)
    except (KruispostError, SQLAlchemyError):
        # Without the ledger the amount stays named, which is what was booked here.
        return {}
    return found


def transfers_in(division: int, lines: Iterable[LedgerLine]) -> Counter[Pair]:
    """Sum what entries move from one account to another, in minor units: each pair of accounts in one direction only."""
    entries: defaultdict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    for line in lines:
        to_hundredths = _HUNDREDTHS if decimals_of(line.currency) == 0 else 1
        entries[line.entry_id, line.currency][line.account] += line.fc_hundredths // to_hundredths
    moved: Counter[Pair] = Counter()
    for (_, currency), sums in entries.items():
        accounts = sorted(account for account, amount in sums.items() if amount)
        if len(accounts) == 2 and not sum(sums.values()):  # noqa: PLR2004 (from one to the other)
            first, second = accounts
            moved[division, first, second, currency] += sums[second]
    return moved


def with_transfers(proofs: Mapping[Of, Proof], moved: Counter[Pair]) -> dict[Of, Proof]:
    """Take what was booked by hand off what is named, of each gateway account in turn; what is booked too much is named, too."""
    found = dict(proofs)
    for (division, first, second, currency), amount in sorted(moved.items()):
        for here, other, sign in ((first, second, 1), (second, first, -1)):
            left = sign * amount
            places = [at for at in found if (at.division, at.account, at.currency) == (division, here, currency)]
            for number, at in enumerate(places, 1):
                named = sum(each.amount_minor for each in found[at].elsewhere if each.account == other)
                part = left if number == len(places) else max(min(left, named), 0) if left > 0 else min(max(left, named), 0)
                found[at] = found[at].with_transfer(other, part)
                left -= part
    return found
