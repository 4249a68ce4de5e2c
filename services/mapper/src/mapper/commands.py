"""What the mapper adds to `kruispost`. Most only read the mapper's own tables; no service needs to run for any of them.

Light on purpose: `kruispost --help` imports this module for the first line of each command.
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Literal

import typer

AsJson = Annotated[bool, typer.Option("--json", help="print JSON instead of text")]
Language = Annotated[Literal["en", "nl"], typer.Option("--lang", help="en or nl")]
Division = Annotated[int | None, typer.Option(help="only this division")]
Site = Annotated[str | None, typer.Option(help="only this Chargebee site")]
Customer = Annotated[str | None, typer.Option(help="only documents of this customer of Chargebee")]
WRONG = 1


def plan(
    number: Annotated[str | None, typer.Option(help="only the document with this number")] = None,
    division: Division = None,
    site: Site = None,
    customer: Customer = None,
    state: Annotated[
        Literal["held", "waiting", "refused", "planned"] | None, typer.Option(help="only documents in this state")
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="what is booked as well, as today's mapping would book it")] = False,
    limit: Annotated[int, typer.Option(min=0, help="show at most so many entries; the totals count all")] = 25,
    lang: Language = "en",
    as_json: AsJson = False,
) -> None:
    """Show what would be booked now, as journals in debit and credit. Writes nothing. Exit code 1 while something is held."""
    from mapper.plan_command import Wish, show_plan

    wish = Wish(number=number, division=division, site=site, customer=customer, state=state, everything=everything, limit=limit)
    raise typer.Exit(WRONG if show_plan(wish, lang, as_json=as_json) else 0)


def explain(
    number: Annotated[str, typer.Argument(help="an invoice number, a credit note's or a transaction's id")],
    site: Site = None,
    lang: Language = "en",
    as_json: AsJson = False,
) -> None:
    """Tell line by line which rule booked a document where, and where every cent went. Exit code 1 for one that is held."""
    from mapper.explain_command import show_explanation

    raise typer.Exit(0 if show_explanation(number, site, lang, as_json=as_json) else WRONG)


def diff(
    new: Annotated[Path, typer.Argument(help="the changed kruispost.yaml, to be compared with the present one")],
    first: Annotated[datetime | None, typer.Option("--from", formats=["%Y-%m-%d"], help="documents from this day on")] = None,
    to: Annotated[datetime | None, typer.Option("--to", formats=["%Y-%m-%d"], help="documents up to and with this day")] = None,
    number: Annotated[str | None, typer.Option(help="only the document with this number")] = None,
    division: Annotated[int | None, typer.Option(help="only documents that were for this division")] = None,
    site: Site = None,
    customer: Customer = None,
    against: Annotated[
        Literal["rules", "booked"], typer.Option(help="compare with what the present rules make, or with what was booked")
    ] = "rules",
    change: Annotated[str | None, typer.Option(help="list only this kind, such as newly_held, account or vat")] = None,
    account: Annotated[str | None, typer.Option(help="list only what differs on this account, VAT code or cost centre")] = None,
    limit: Annotated[int, typer.Option(min=0, help="list at most so many documents; the sums count all")] = 25,
    list_to: Annotated[Path | None, typer.Option(help="write the whole list to this file, a line of JSON a document")] = None,
    lang: Language = "en",
    as_json: AsJson = False,
) -> None:
    """Show what a changed mapping would change over all history. Writes nothing, calls nobody. Exit code 1 for a difference."""
    from mapper.comparison import CHANGES
    from mapper.diff_command import show_diff
    from mapper.differences import Wish
    from mapper.history import Selection

    if change is not None and change not in CHANGES:
        raise typer.BadParameter(f"{change} is none of {', '.join(CHANGES)}", param_hint="--change")
    wish = Wish(
        new=new,
        selection=Selection(number=number, division=division, site=site, customer=customer),
        first=first.date() if first is not None else None,
        to=to.date() if to is not None else None,
        against_booked=against == "booked",
        change=next((each for each in CHANGES if each == change), None),
        account=account,
        limit=limit,
        list_to=list_to,
    )
    raise typer.Exit(WRONG if show_diff(wish, lang, as_json=as_json) else 0)


def retry(
    number: Annotated[str | None, typer.Argument(help="the number of one document; else --code chooses")] = None,
    code: Annotated[str | None, typer.Option(help="all that wait or are held for this reason, such as exact_refused")] = None,
    site: Site = None,
    lang: Language = "en",
    as_json: AsJson = False,
) -> None:
    """Decide anew about what is held, once its cause is mended in Exact or Chargebee. Exit code 1 while any of it is held."""
    from mapper.retry_command import retry_documents

    if number is None and code is None:
        raise typer.BadParameter("say which: a number, or --code and a reason")
    raise typer.Exit(0 if retry_documents(number, code, site, lang, as_json=as_json) else WRONG)


def rebook(
    first: Annotated[datetime | None, typer.Option("--from", formats=["%Y-%m-%d"], help="documents from this day on")] = None,
    to: Annotated[datetime | None, typer.Option("--to", formats=["%Y-%m-%d"], help="documents up to and with this day")] = None,
    number: Annotated[str | None, typer.Option(help="only the document with this number")] = None,
    division: Division = None,
    site: Site = None,
    mapping: Annotated[str | None, typer.Option(help="only what this state of the mapping booked, as `explain` names it")] = None,
    most: Annotated[int, typer.Option(min=1, help="book at most so many documents anew; each takes two calls to Exact")] = 1_000,
    yes: Annotated[bool, typer.Option("--yes", help="book them back and anew; without this nothing is changed")] = False,
    lang: Language = "en",
    as_json: AsJson = False,
) -> None:
    """Correct what was booked under wrong rules: reversed, and booked by today's. Exit code 1 while something differs."""
    from mapper.history import Selection
    from mapper.rebook_command import Wish
    from mapper.rebook_command import rebook as run

    wish = Wish(
        selection=Selection(number=number, division=division, site=site),
        first=first.date() if first is not None else None,
        to=to.date() if to is not None else None,
        mapping_version=mapping,
        most=most,
        install=yes,
    )
    raise typer.Exit(0 if run(wish, lang, as_json=as_json) else WRONG)


def deferred(
    division: Division = None,
    first: Annotated[str | None, typer.Option("--from", help="from this period on, such as 2026-01")] = None,
    to: Annotated[str | None, typer.Option("--to", help="up to and with this period")] = None,
    month: Annotated[str | None, typer.Option(help="only this period")] = None,
    documents: Annotated[bool, typer.Option("--documents", help="with every document behind the figures")] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="print CSV instead of text")] = False,
    lang: Language = "en",
    as_json: AsJson = False,
) -> None:
    """Show the roll-forward of deferred revenue: opening, invoiced, released, credited and closing, by account and period."""
    from mapper.deferred_command import Wish, show_deferred

    wish = Wish(division=division, first=month or first, last=month or to, with_documents=documents)
    show_deferred(wish, lang, form="json" if as_json else "csv" if as_csv else "text")


def import_settlement(
    file: Annotated[Path, typer.Argument(help="the file as the gateway exports it; see docs/settlements.md")],
    gateway: Annotated[Literal["stripe", "mollie", "adyen", "gocardless"], typer.Option(help="whose report it is")],
    account: Annotated[str, typer.Option(help="Chargebee's id of the gateway account, as control_accounts name it")],
    site: Annotated[str | None, typer.Option(help="the Chargebee site of that account, where there are several")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="read and check the file, and import nothing")] = False,
    lang: Language = "en",
    as_json: AsJson = False,
) -> None:
    """Read a gateway's settlement file and book its payouts and fees, each once. Exit code 1 while one of them is held."""
    from mapper.settlement_command import Wish
    from mapper.settlement_command import import_settlement as take

    wish = Wish(file=file, gateway=gateway, account=account, site=site, dry_run=dry_run)
    raise typer.Exit(0 if take(wish, lang, as_json=as_json) else WRONG)


def control_accounts(
    on: Annotated[datetime | None, typer.Option(formats=["%Y-%m-%d"], help="as it stood at the end of this day")] = None,
    division: Division = None,
    days: Annotated[int, typer.Option(min=0, help="a charge that was not paid out after so many days is late")] = 14,
    everything: Annotated[bool, typer.Option("--all", help="list every charge that was not paid out")] = False,
    lang: Language = "en",
    as_json: AsJson = False,
) -> None:
    """Prove each control account: its balance is what the gateway has not paid out, each by name. Exit code 1 if not."""
    from mapper.control_command import Wish, show_control_accounts

    wish = Wish(on=on.date() if on is not None else None, division=division, days=days, everything=everything)
    raise typer.Exit(0 if show_control_accounts(wish, lang, as_json=as_json) else WRONG)


def reconcile(
    first: Annotated[datetime, typer.Option("--from", formats=["%Y-%m-%d"], help="from this day on")],
    to: Annotated[datetime, typer.Option("--to", formats=["%Y-%m-%d"], help="up to and with this day")],
    division: Division = None,
    by: Annotated[Literal["day", "customer", "vat", "account"], typer.Option(help="what the columns are summed by")] = "day",
    csv_file: Annotated[Path | None, typer.Option("--csv", help="write every document of these days to this file")] = None,
    wait: Annotated[
        float, typer.Option(min=0, help="seconds to wait for a fresh reading of Exact's ledger; 0: take what was read")
    ] = 300.0,
    everything: Annotated[bool, typer.Option("--all", help="list what is explained as well")] = False,
    lang: Language = "en",
    as_json: AsJson = False,
) -> None:
    """Compare Chargebee, our bookings and Exact to the cent. Exit code 1 while a difference is not explained, 2 if not done."""
    from mapper.reconcile_command import Options
    from mapper.reconcile_command import reconcile as run

    options = Options(
        division=division,
        first=first.date(),
        last=to.date(),
        by=by,
        patience_seconds=wait,
        everything=everything,
        csv_file=csv_file,
    )
    raise typer.Exit(0 if run(options, lang, as_json=as_json) else WRONG)


def shadow(
    first: Annotated[datetime, typer.Option("--from", formats=["%Y-%m-%d"], help="documents from this day on")],
    to: Annotated[datetime, typer.Option("--to", formats=["%Y-%m-%d"], help="up to and with this day")],
    division: Division = None,
    csv_file: Annotated[Path | None, typer.Option("--csv", help="write every document of these days to this file")] = None,
    wait: Annotated[
        float, typer.Option(min=0, help="seconds to wait for a fresh reading of Exact's ledger; 0: take what was read")
    ] = 300.0,
    everything: Annotated[bool, typer.Option("--all", help="list what is the same as well")] = False,
    lang: Language = "en",
    as_json: AsJson = False,
) -> None:
    """Compare what another connector booked in Exact with what ours would be. Writes nothing. Exit code 1 for a difference."""
    from mapper.shadow_command import Wish, show_shadow

    wish = Wish(
        division=division,
        first=first.date(),
        last=to.date(),
        patience_seconds=wait,
        everything=everything,
        csv_file=csv_file,
    )
    raise typer.Exit(0 if show_shadow(wish, lang, as_json=as_json) else WRONG)


def export(
    first: Annotated[datetime | None, typer.Option("--from", formats=["%Y-%m-%d"], help="entries from this day on")] = None,
    to: Annotated[datetime | None, typer.Option("--to", formats=["%Y-%m-%d"], help="entries up to and with this day")] = None,
    file: Annotated[Path | None, typer.Option("--out", help="the file to write")] = None,
    division: Division = None,
    verify: Annotated[Path | None, typer.Option(help="check this file instead; no database is needed")] = None,
    noted: Annotated[str | None, typer.Option(help="with --verify: a hash noted earlier, which the file must have")] = None,
    xaf: Annotated[int | None, typer.Option(help="write the Dutch audit file (XAF 3.2) of this financial year instead")] = None,
    wait: Annotated[float, typer.Option(min=0, help="with --xaf: seconds to wait for a fresh reading of Exact's ledger")] = 300.0,
    log: Annotated[
        Literal["ingest", "mapper", "exact-writer", "payment-matcher"] | None,
        typer.Option(help="write the whole event log of this service instead"),
    ] = None,
    lang: Language = "en",
) -> None:
    """Write what was booked as CSV with a chain of hashes, or check such a file. Exit code 1 for one that was changed."""
    from mapper.export_command import Options, export_audit_file, export_log
    from mapper.export_command import export as run
    from mapper.export_command import verify as check

    if verify is not None:
        raise typer.Exit(0 if check(verify, lang, noted) else WRONG)
    if log is not None and file is not None:
        export_log(log, file, lang)
        return
    if xaf is not None and file is not None:
        export_audit_file(xaf, file, division, wait, lang)
        return
    if first is None or to is None or file is None:
        raise typer.BadParameter("say which days and where to: --from, --to and --out; or --verify FILE")
    run(Options(division=division, first=first.date(), last=to.date(), file=file), lang)


def replay(
    service: Annotated[
        Literal["mapper", "exact-writer", "ingest", "payment-matcher"], typer.Argument(help="whose state is made anew")
    ],
    until: Annotated[
        datetime | None, typer.Option(formats=["%Y-%m-%dT%H:%M:%S", "%Y-%m-%d"], help="only up to this moment, in UTC")
    ] = None,
    keep: Annotated[
        Path | None, typer.Option(help="leave the result in this directory, for `explain` and `plan` under KRUISPOST_DATA_DIR")
    ] = None,
    yes: Annotated[
        bool, typer.Option("--yes", help="put it in the place of what the service has; stop the mapper first")
    ] = False,
    wait: Annotated[float, typer.Option(min=1, help="seconds that Exact's ledger may take, for exact-writer")] = 600.0,
    limit: Annotated[int, typer.Option(min=0, help="list at most so many bookings that differ")] = 25,
    lang: Language = "en",
    as_json: AsJson = False,
) -> None:
    """Make a service's state anew, of now or of a moment. Writes only with --yes. Exit code 1 while the mapper's differs.

    mapper: from all logs, beside what it has. exact-writer, after its database was lost: from what the mapper asked of it and
    from Exact's ledger; what Exact has is adopted by its reference, and nothing is posted before it was looked for. With --keep,
    of any service: its state as the logs tell it, up to --until, in a database of its own to look at.
    """
    from mapper.replay_command import Wish
    from mapper.replay_command import replay as run
    from mapper.replay_past import show_past
    from mapper.replay_writer import replay_writer

    if service in ("ingest", "payment-matcher") or (service == "exact-writer" and (until is not None or keep is not None)):
        if keep is None or yes:
            raise typer.BadParameter("such a state is only to look at: name a directory for it by --keep, and leave out --yes")
        show_past(service, until.replace(tzinfo=UTC) if until is not None else None, keep, lang, as_json=as_json)
        return
    if service == "exact-writer":
        replay_writer(lang, wait, install=yes, as_json=as_json)
        return
    if yes and until is not None:
        raise typer.BadParameter("a state of the past is only to look at; leave out --yes or --until")
    moment = until.replace(tzinfo=UTC) if until is not None else None
    wish = Wish(until=moment, keep=keep, install=yes, limit=limit)
    raise typer.Exit(0 if run(wish, lang, as_json=as_json) else WRONG)
