"""`kruispost control-accounts`: what is on each control account, and the proof that the gateways still have it."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import msgspec
import typer

from backbone.clock import SystemClock
from backbone.command_database import CHECK_AND_MIGRATE, run_command
from backbone.configuration import load_configuration
from backbone.settings import Settings
from bookkeeping.control_accounts import BookedMovement, BookedPayout, Direction, PaidOutLine, Proof, ProofMaker
from bookkeeping.mapping import Mapping
from bookkeeping.money import format_minor
from contracts import chargebee
from contracts.commands import PostEntry
from contracts.settlements import LineKind, Payout, SettledLine
from mapper import control_transfers
from mapper.configuration import mappings_of
from mapper.history import Kept, PagedStore, Selection, documents
from mapper.reading import ask
from mapper.store import ISSUED
from mapper.wording import Language, say

_RESERVES: frozenset[LineKind] = frozenset(("other", "fee"))
_MONEY: dict[str, Direction] = {"payment": "in", "refund": "out"}
_LISTED = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """Up to which day, which division, and after how many days a gateway should have paid a charge out."""

    on: date | None
    division: int | None
    days: int
    everything: bool


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """A control account as one gateway account and currency use it."""

    division: int
    account: str
    gateway_account: str
    currency: str


@dataclass(frozen=True, slots=True)
class _Gateway:
    division: int
    gateway_account: str
    currency: str


def show_control_accounts(wish: Wish, lang: Language, *, as_json: bool) -> bool:
    """Print the proof of every control account; return whether all of them are sound. Raises KruispostError."""
    settings = Settings()
    mappings = mappings_of(load_configuration(settings.config))
    on = wish.on or SystemClock().now().date()

    async def question(store: PagedStore) -> dict[Place, Proof]:
        return await proofs_of(store, mappings, wish.division, on)

    proofs = _after_transfers(settings, ask(settings, question), on)
    due = on - timedelta(days=wish.days)
    if as_json:
        shown = [_as_dict(place, proof, due) for place, proof in proofs.items()]
        typer.echo(json.dumps({"on": on.isoformat(), "accounts": shown}, indent=2, default=str))
    for place, proof in proofs.items() if not as_json else ():
        for line in _lines(place, proof, due, lang, everything=wish.everything):
            typer.echo(line)
    if not proofs and not as_json:
        typer.echo(say("no_control_movements", lang))
    return all(proof.is_sound and not proof.older_than(due) for proof in proofs.values())


def _after_transfers(settings: Settings, proofs: dict[Place, Proof], on: date) -> dict[Place, Proof]:
    """Take off what a person booked from one control account to another already, as Exact's ledger shows."""
    if not control_transfers.are_named(proofs):
        return proofs
    seen = run_command(control_transfers.read(settings, proofs, on), "Exact's ledger cannot be read", CHECK_AND_MIGRATE)
    for division, lines in seen.items():
        proofs = control_transfers.with_transfers(proofs, control_transfers.transfers_in(division, lines))
    return proofs


async def proofs_of(store: PagedStore, mappings: dict[int, Mapping], division: int | None, on: date) -> dict[Place, Proof]:
    """Prove each control account up to a day: what was booked on it, under whatever mapping, beside the files."""
    makers: defaultdict[_Gateway, ProofMaker] = defaultdict(ProofMaker)
    async for kept in documents(store, Selection(division=division, states=ISSUED)):
        kind = kept.key.kind
        if kind not in _MONEY and kind != "payout":
            continue
        booked = [msgspec.json.decode(row.command, type=PostEntry) for row in kept.rows if row.state in ISSUED and row.command]
        booked = [command for command in booked if command.entry_date <= on]
        if not booked or booked[0].division not in mappings:
            continue
        if kind == "payout":
            await _take_payout(store, kept, booked, makers)
        else:
            await _take_money(store, kept, booked, makers)
    proofs = {
        Place(of.division, account, of.gateway_account, of.currency): maker.prove(account)
        for of, maker in makers.items()
        for account in maker.accounts
    }
    return dict(sorted(proofs.items()))


async def _take_money(store: PagedStore, kept: Kept, booked: list[PostEntry], makers: dict[_Gateway, ProofMaker]) -> None:
    money = await store.resource(kept.key.site, "transaction", kept.key.number, chargebee.Transaction)
    if money is None:
        return
    for (account, currency), amount in _on_control(booked).items():
        if amount:  # booked and booked back again, it is no longer there
            movement = BookedMovement(
                number=kept.key.number,
                direction=_MONEY[kept.key.kind],
                day=booked[0].entry_date,
                amount_minor=amount,
                gateway_id=money.id_at_gateway,
                account=account,
            )
            makers[_Gateway(booked[0].division, money.gateway_account_id or "", currency)].movements.append(movement)


async def _take_payout(store: PagedStore, kept: Kept, booked: list[PostEntry], makers: dict[_Gateway, ProofMaker]) -> None:
    payout = await store.resource(kept.key.site, "payout", kept.key.number, Payout)
    if payout is None:
        return
    whole = payout.amount + payout.fees + payout.chargeback_fees
    maker = makers[_Gateway(booked[0].division, payout.gateway_account_id, payout.currency_code)]
    # Behind the transfer and the fees comes what they are taken off; where the fees were paid to the gateway it is nothing.
    before = sum(map(bool, (payout.amount, payout.fees, payout.chargeback_fees)))
    taken: Counter[str] = Counter()
    for entry_line in booked[0].lines[before:]:
        taken[entry_line.gl_account] -= entry_line.amount_minor
    main = next(iter(taken), None)
    maker.payouts.append(
        BookedPayout(
            number=payout.id,
            day=booked[0].entry_date,
            amount_minor=whole,
            has_lines=bool(payout.lines),
            account=main,
            elsewhere=tuple((account, amount) for account, amount in taken.items() if account != main),
        )
    )
    maker.lines += [
        PaidOutLine(payout=payout.id, direction=_direction(line), ids=line.ids, amount_minor=line.amount) for line in payout.lines
    ]


def _direction(line: SettledLine) -> Direction | None:
    """Return which way money went: a won dispute and a refund that failed come in again. None for a reserve."""
    if line.kind in _RESERVES:
        return None
    return "in" if line.amount > 0 else "out"


def _on_control(booked: list[PostEntry]) -> Counter[tuple[str, str]]:
    """Sum what entries of money put on control accounts, by account and currency: all that is not on a debtor."""
    sums: Counter[tuple[str, str]] = Counter()
    for command in booked:
        for line in command.lines:
            if not line.is_receivable:
                sums[line.gl_account, command.currency] += line.amount_minor
    return sums


def _as_dict(place: Place, proof: Proof, due: date) -> dict[str, Any]:
    late = {each.number for each in proof.older_than(due)}
    return {
        "division": place.division,
        "account": place.account,
        "gateway_account": place.gateway_account,
        "currency": place.currency,
        "balance_minor": proof.balance_minor,
        "open": [
            {"number": each.number, "day": each.day, "amount_minor": each.amount_minor, "is_late": each.number in late}
            for each in proof.open
        ],
        "reserve_minor": proof.reserve_minor,
        "paid_out_by_sum": [
            {"number": each.number, "day": each.day, "amount_minor": each.amount_minor} for each in proof.covered
        ],
        "payouts_without_lines": [{"payout": each.number, "amount_minor": each.amount_minor} for each in proof.undetailed],
        "not_booked": [{"payout": each.payout, "ids": each.ids, "amount_minor": each.amount_minor} for each in proof.strange],
        "differing": [
            {"number": booked.number, "booked_minor": booked.amount_minor, "payout": line.payout, "paid_minor": line.amount_minor}
            for booked, line in proof.differing
        ],
        "paid_out_over": [{"account": each.account, "amount_minor": each.amount_minor} for each in proof.elsewhere],
        "unexplained_minor": proof.unexplained_minor,
        "is_sound": proof.is_sound and not proof.older_than(due),
    }


def _lines(place: Place, proof: Proof, due: date, lang: Language, *, everything: bool) -> list[str]:
    def money(amount_minor: int) -> str:
        return format_minor(amount_minor, place.currency)

    late = proof.older_than(due)
    lines = [
        say(
            "control_heading",
            lang,
            account=place.account,
            division=place.division,
            gateway=place.gateway_account or "*",
            balance=f"{place.currency} {money(proof.balance_minor)}",
        ),
        say("control_open", lang, count=len(proof.open), amount=money(sum(each.amount_minor for each in proof.open))),
    ]
    shown = proof.open if everything else proof.open[:_LISTED]
    for each in shown:
        mark = f"  {say('control_late', lang)}" if each in late else ""
        lines.append(f"    {each.day}  {each.number:<24}{money(each.amount_minor):>14}{mark}")
    if len(shown) < len(proof.open):
        lines.append("    " + say("control_more", lang, count=len(proof.open) - len(shown)))
    if proof.reserve_minor:
        lines.append(say("control_reserve", lang, amount=money(proof.reserve_minor)))
    for other in proof.elsewhere:
        here, there = (place.account, other.account) if other.amount_minor > 0 else (other.account, place.account)
        lines.append(say("control_elsewhere", lang, amount=money(abs(other.amount_minor)), former=here, account=there))
    if proof.covered:
        together = money(sum(each.amount_minor for each in proof.covered))
        words = {"count": len(proof.covered), "last": proof.covered[-1].day, "amount": together}
        lines.append(say("control_covered", lang, **words))
    else:
        lines += [
            say("control_undetailed", lang, payout=payout.number, amount=money(-payout.amount_minor))
            for payout in proof.undetailed
        ]
    for line in proof.strange:
        words = {"payout": line.payout, "ids": ", ".join(line.ids) or "?", "amount": money(line.amount_minor)}
        lines.append(say("control_strange", lang, **words))
    for booked, line in proof.differing:
        paid, amounts = line.payout, (money(booked.amount_minor), money(line.amount_minor))
        lines.append(say("control_differing", lang, number=booked.number, payout=paid, booked=amounts[0], paid=amounts[1]))
    if proof.unexplained_minor:
        lines.append(say("control_unexplained", lang, amount=money(proof.unexplained_minor)))
    sound = proof.is_sound and not late
    lines.append(say("control_sound" if sound else "control_unsound", lang, count=len(late)))
    return [*lines, ""]
