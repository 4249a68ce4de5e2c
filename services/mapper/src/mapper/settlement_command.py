"""`kruispost import-settlement`: reads a gateway's file and books its payouts, each once however often it is imported.

It writes into the mapper's own log, as `retry` does; a running mapper carries it on.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from typing import Literal
from zoneinfo import ZoneInfo

import msgspec
import typer

from backbone import event_log
from backbone.clock import Clock, SystemClock
from backbone.command_database import check_installed, run_command
from backbone.configuration import Configuration, load_configuration
from backbone.database import Database
from backbone.settings import Settings
from backbone.telemetry import Telemetry
from bookkeeping.mapping import Mapping
from bookkeeping.money import format_minor
from contracts.envelope import derived_id, seal
from contracts.facts import PayoutImported
from contracts.settlements import Payout
from mapper import payout_accounts
from mapper.configuration import mappings_of
from mapper.gateways import FoundPayout, read_payouts
from mapper.plan import SOURCE, Cause, Planner
from mapper.reading import SERVICE
from mapper.settlement_dutch import in_dutch
from mapper.settlement_files import SettlementFileError
from mapper.store import Key, Store
from mapper.subjects import Subjects
from mapper.wording import Language, say

KIND = "payout"
Outcome = Literal["planned", "held", "waiting", "set_aside", "refused", "booked", "known", "not_imported"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """Which file of which gateway account of which site; with `dry_run` nothing is written."""

    file: Path
    gateway: str
    account: str
    site: str | None
    dry_run: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Imported:
    """What became of a payout; amounts in minor units."""

    payout: str
    day: str
    currency: str
    paid_minor: int
    fees_minor: int
    movements: int
    outcome: Outcome
    code: str | None = None


def import_settlement(wish: Wish, lang: Language, *, as_json: bool) -> bool:
    """Import a file and print what became of each payout; return whether none is held. Raises KruispostError."""
    try:
        return _import_file(wish, lang, as_json=as_json)
    except SettlementFileError as error:
        raise (in_dutch(error) if lang == "nl" else error) from error


def _import_file(wish: Wish, lang: Language, *, as_json: bool) -> bool:
    settings = Settings()
    check_installed(settings, SERVICE)
    configuration = load_configuration(settings.config)
    site = _site(wish, configuration)
    zone = ZoneInfo(configuration.sites[site].time_zone)
    payouts = [_payout(found, wish.account, zone) for found in read_payouts(wish.gateway, wish.file)]
    digest = hashlib.sha256(wish.file.read_bytes()).hexdigest()
    imported = run_command(
        _import(settings, configuration, site, payouts, digest, dry_run=wish.dry_run), "The mapper's database cannot be used"
    )
    if as_json:
        typer.echo(json.dumps({"payouts": [asdict(each) for each in imported]}, indent=2))
    else:
        for line in _report(imported, lang):
            typer.echo(line)
    return not any(each.outcome in ("held", "waiting", "refused") for each in imported)


def _site(wish: Wish, configuration: Configuration) -> str:
    names = list(configuration.sites)
    if wish.site is None and len(names) == 1:
        return names[0]
    if wish.site not in configuration.sites:
        raise SettlementFileError(f"The configuration has the sites {', '.join(names)}; name the one of this gateway by --site.")
    return wish.site


def _payout(found: FoundPayout, account: str, zone: ZoneInfo) -> Payout:
    # Noon of its day on the site's clock, so that every zone cuts the same day out of it.
    noon = datetime.combine(found.day, time(12), tzinfo=zone)
    charged_back = sum(line.fee for line in found.lines if line.kind == "chargeback")
    return Payout(
        id=found.number,
        currency_code=found.currency,
        date=int(noon.timestamp()),
        amount=found.paid_minor,
        gateway_account_id=account,
        fees=found.fees_minor - charged_back,
        fees_tax=found.fees_tax_minor,
        chargeback_fees=charged_back,
        lines=found.lines,
    )


async def _import(
    settings: Settings, configuration: Configuration, site: str, payouts: Sequence[Payout], digest: str, *, dry_run: bool
) -> list[Imported]:
    clock = SystemClock()
    planner = Planner(Subjects(configuration, mappings_of(configuration)), clock, Telemetry())
    database = Database.open(settings, SERVICE)
    try:
        async with database.reading() as connection:
            store = Store(database, connection)
            known = {each.id: await _known(store, site, each) for each in payouts}
            if not all(known.values()):
                await _check_account(store, mappings_of(configuration).values(), site, payouts[0].gateway_account_id)
        return [
            await _take(database, planner, clock, site, payout, digest, is_known=known[payout.id], dry_run=dry_run)
            for payout in payouts
        ]
    finally:
        await database.close()


async def _known(store: Store, site: str, payout: Payout) -> bool:
    """Tell whether a payout was imported before; raises SettlementFileError when it says something else now."""
    before = await store.resource(site, KIND, payout.id, Payout)
    if before is None:
        return False
    if before.gateway_account_id != payout.gateway_account_id:
        told = [f"gateway account {each.gateway_account_id}" for each in (before, payout)]
    elif _as_said(before) != _as_said(payout):
        told = [_as_said(each) for each in (before, payout)]
    elif before.lines != payout.lines:
        told = [f"{len(before.lines)} movements", f"{len(payout.lines)}, or others"]
    else:
        return True
    raise SettlementFileError(
        f"Payout {payout.id} was imported before with {told[0]}, and this file says {told[1]}; nothing was imported. Ask the"
        " gateway which one is right."
    )


def _as_said(payout: Payout) -> str:
    """Return day and amounts of a payout in words."""
    amounts = (payout.amount, payout.fees + payout.chargeback_fees, payout.chargeback_fees, payout.fees_tax)
    paid, fees, charged_back, tax = (format_minor(each, payout.currency_code) for each in amounts)
    of_fees = f"{fees} of fees" + (f" ({charged_back} for chargebacks)" if payout.chargeback_fees else "")
    return f"{payout.currency_code} {paid} of {_day(payout)} with {of_fees}" + (f" and {tax} of VAT" if payout.fees_tax else "")


def _day(payout: Payout) -> str:
    # Its instant is noon on the site's clock, which is the same day in UTC but for zones more than twelve hours ahead.
    return (datetime.fromtimestamp(payout.date, UTC) + timedelta(hours=2)).date().isoformat()


async def _check_account(store: Store, mappings: Collection[Mapping], site: str, account: str) -> None:
    """Raise SettlementFileError for an account that no money went over and that no control account names: a slip of the pen.

    What was booked under it could not be imported under the right one any more.
    """
    if any(control.gateway_account == account for mapping in mappings for control in mapping.control_accounts):
        return
    known = set[str]()
    async for found in payout_accounts.gateway_accounts(store, site):
        if found == account:
            return
        known.add(found)
    names = ", ".join(sorted(known)) or "none"
    raise SettlementFileError(
        f"No payment over gateway account {account} is known of site {site} (known: {names}), so nothing was imported. Name the"
        " right one by --account; one that is new stands under control_accounts first."
    )


async def _take(
    database: Database,
    planner: Planner,
    clock: Clock,
    site: str,
    payout: Payout,
    digest: str,
    *,
    is_known: bool,
    dry_run: bool,
) -> Imported:
    """Book one payout in a transaction of its own: what was imported stays, and the file can be imported again for the rest."""
    if dry_run or is_known:
        return _imported(payout, "known" if is_known else "not_imported")
    fact = PayoutImported(
        site=site,
        event_id=digest,
        event_type="settlement_file",
        occurred_at=payout.date,
        resource_version=1,
        resource=payout,
    )
    key = Key(site, KIND, payout.id)
    envelope = seal(
        fact,
        source=SOURCE,
        subject=f"{site}/{KIND}/{payout.id}",
        key=f"{site}/{KIND}",
        time=clock.now(),
        distinguisher=derived_id(KIND, site, payout.id),
    )
    async with database.transaction() as connection:
        store = Store(database, connection)
        await store.share(alone=True)
        if not await store.fold(KIND, fact, payout.id, payout):
            return _imported(payout, "known")  # somebody imported the same file at this moment
        await event_log.append(connection, f"{KIND}/{site}/{payout.id}", 0, [envelope])
        await planner.plan(store, key, Cause(envelope))
        row = await store.document(key)
    if row is None:
        raise KeyError(key)
    return _imported(payout, row.state, row.code)


def _imported(payout: Payout, outcome: str, code: str | None = None) -> Imported:
    return Imported(
        payout=payout.id,
        day=_day(payout),
        currency=payout.currency_code,
        paid_minor=payout.amount,
        fees_minor=payout.fees + payout.chargeback_fees,
        movements=len(payout.lines),
        outcome=msgspec.convert(outcome, Outcome),
        code=code,
    )


def _report(imported: Sequence[Imported], lang: Language) -> list[str]:
    lines = []
    for each in imported:
        paid, fees = (format_minor(amount, each.currency) for amount in (each.paid_minor, each.fees_minor))
        reason = f" ({each.code})" if each.code else ""
        what = say("payout_line", lang, payout=each.payout, day=each.day, currency=each.currency, paid=paid, fees=fees)
        lines.append(f"{what}: {say(f'payout_{each.outcome}', lang)}{reason}")
    return lines
