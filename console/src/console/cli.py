"""`kruispost`: the command line.

Exit codes of every command: 0 done and well, 1 done and something is wrong (the output says what), 2 it could not be done.
"""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from pydantic import ValidationError

from backbone.clock import SystemClock
from backbone.configuration import json_schema, load_configuration
from backbone.errors import KruispostError, reason_of
from backbone.settings import Settings
from backbone.telemetry import configure_logging
from console import answers, bad_debts, moves, show
from console.answers import DATABASE_ERRORS, Filters, UnusableError
from console.folding import State
from console.live import NotLookedAtError, master_data_of, proposal_for
from console.login import LoginError, log_in
from console.probing import check_division
from console.probing import probe as try_keys
from console.sentences import Language
from console.service_commands import ServiceCommands
from console.words import say
from contracts.facts import DocumentKind
from contracts.topology import topology as declared_topology

WRONG, IMPOSSIBLE = 1, 2
MANY = 100_000
MOMENTS = ["%Y-%m-%dT%H:%M:%S", "%Y-%m-%d"]
SERVICES = ("ingest", "mapper", "exact-writer", "payment-matcher", "console")

app = typer.Typer(
    name="kruispost",
    cls=ServiceCommands,
    no_args_is_help=True,
    add_completion=False,
    help=__doc__,
    pretty_exceptions_enable=False,
)
out = show.screen()
ConsoleUrl = Annotated[
    str | None,
    typer.Option("--console-url", envvar="KRUISPOST_CONSOLE_URL", help="ask the console there instead of reading the database"),
]
WriterUrl = Annotated[str | None, typer.Option(help="where exact-writer listens (default: this machine)")]
Lang = Annotated[Language, typer.Option("--lang", help="en or nl")]
AsJson = Annotated[bool, typer.Option("--json", help="print JSON instead of text")]


def main() -> None:
    """Run the command line; errors of ours become one sentence on standard error and exit code 2."""
    try:
        app()
    except (UnusableError, LoginError, KruispostError, ValidationError) as error:
        typer.echo(str(error), err=True)
        raise SystemExit(IMPOSSIBLE) from error


def _print_json(value: Any) -> None:
    typer.echo(json.dumps(value, indent=2, ensure_ascii=False, default=str))


@app.command()
def run() -> None:
    """Run all services in this one process until it is stopped."""
    from backbone.process import run_all

    raise typer.Exit(run_all(SERVICES))


@app.command()
def demo(
    engine: Annotated[Literal["embedded", "rabbitmq"], typer.Option(help="embedded, or PostgreSQL and RabbitMQ")] = "embedded",
    seed: Annotated[int, typer.Option(help="the same seed plays the same month")] = 42,
    documents: Annotated[int, typer.Option(min=20, help="play at least so many documents")] = 300,
    directory: Annotated[Path, typer.Option(help="where logs and the report go; it is emptied first")] = Path("var/demo"),
    kill: Annotated[str | None, typer.Option(help="kill -9 this service half-way (embedded: the one process)")] = None,
    crash_at: Annotated[str | None, typer.Option(help="let a service die at a named point: service=point:n")] = None,
    mode: Annotated[
        Literal["entry", "document", "ledger"], typer.Option(help="sales entries, sales invoices, or many in one general entry")
    ] = "entry",
    pdfs: Annotated[bool, typer.Option("--pdfs", help="attach Chargebee's PDF to every invoice and credit note, too")] = False,
    play_seconds: Annotated[float, typer.Option(min=0, help="how long the month takes")] = 10.0,
    patience_seconds: Annotated[float, typer.Option(help="give up after this long")] = 240.0,
    as_json: AsJson = False,
) -> None:
    """Play a business month on both simulators and compare the books. Exit code 0 only when a controller could sign."""
    from console.demo import DemoOptions
    from console.demo import demo as play

    options = DemoOptions(
        engine=engine,
        seed=seed,
        documents=documents,
        directory=directory,
        kill=kill,
        crash_at=crash_at,
        mode=mode,
        pdfs=pdfs,
        play_seconds=play_seconds,
        patience_seconds=patience_seconds,
    )
    raise typer.Exit(play(options, as_json=as_json))


@app.command()
def status(
    state: Annotated[State | None, typer.Option(help="how it stands")] = None,
    kind: Annotated[DocumentKind | None, typer.Option(help="what it is in Chargebee")] = None,
    code: Annotated[str | None, typer.Option(help="a reason, such as no_revenue_account")] = None,
    receipt: Annotated[str | None, typer.Option(help="what became of the receipt: recorded, or a code such as voided")] = None,
    limit: Annotated[int, typer.Option(min=1, help="list at most so many documents")] = 25,
    lang: Lang = "en",
    console_url: ConsoleUrl = None,
    as_json: AsJson = False,
) -> None:
    """Say what is booked, waiting or held and why.

    Exit code 1 while something waits for a person: a document or a reversal that is held, or a division without a connection.
    """
    filtered = any(value is not None for value in (state, kind, code, receipt))
    filters = Filters(state=state if filtered else "held", kind=kind, code=code, receipt=receipt, limit=limit)
    counts, listed = answers.status(Settings(), console_url, filters)
    if as_json:
        _print_json({**counts, "documents": listed})
    else:
        show.summary(out, counts, lang)
        show.documents(out, listed, lang, held=not filtered)
    held = counts["states"].get("held", 0) + counts["reversals"].get("held", 0)
    unconnected = any(connection["state"] != "connected" for connection in counts["connections"])
    raise typer.Exit(WRONG if held or unconnected else 0)


@app.command()
def trace(
    number: Annotated[str, typer.Argument(help="an invoice number, a credit note's or a transaction's id")],
    lang: Lang = "en",
    console_url: ConsoleUrl = None,
    as_json: AsJson = False,
) -> None:
    """Tell the life of one document. Exit code 1 when nobody knows it."""
    found = answers.life_of(Settings(), console_url, number)
    if as_json:
        _print_json({"documents": found})
    elif not found:
        words = "No document has the number {number}; it has not come in, or its number is written differently."
        typer.echo(say(words, lang, number=number), err=True)
    else:
        show.life(out, found, lang)
    raise typer.Exit(0 if found else WRONG)


@app.command("bad-debts")
def show_bad_debts(lang: Lang = "en", console_url: ConsoleUrl = None, as_json: AsJson = False) -> None:
    """List the VAT of written-off debts: how much, when it may be reclaimed, and whether it was.

    Exit code 1 while one is held for a person.
    """
    filters = Filters(state=None, kind=bad_debts.KIND, code=None, receipt=None, limit=MANY)
    listed = bad_debts.calendar(answers.documents(Settings(), console_url, filters), SystemClock().now().date())
    if as_json:
        _print_json({"bad_debts": listed})
    else:
        show.bad_debts(out, listed, lang)
    raise typer.Exit(WRONG if any(row["state"] == "held" for row in listed) else 0)


@app.command("moves")
def show_moves(
    first: Annotated[str | None, typer.Option("--from", help="moved into this period or a later one, such as 2026-03")] = None,
    to: Annotated[str | None, typer.Option("--to", help="moved into this period or an earlier one")] = None,
    division: Annotated[int | None, typer.Option(help="only this division")] = None,
    lang: Lang = "en",
    console_url: ConsoleUrl = None,
    as_json: AsJson = False,
) -> None:
    """List what is reported in another period than its date says, and the VAT that missed a return which was filed.

    Exit code 1 while VAT of a filed return is listed: whether to correct the return is for the controller to decide.
    """
    listed = answers.moved(Settings(), console_url, moves.Span(division=division, first=first, last=to))
    missed = moves.missed_returns(listed)
    if as_json:
        _print_json({"moves": listed, "vat_after_filing": missed})
    else:
        show.moves(out, listed, missed, lang)
    raise typer.Exit(WRONG if missed else 0)


@app.command()
def doctor(
    live: Annotated[
        bool | None,
        typer.Option(help="the divisions in Exact must be looked at, or are left alone; without this, where that is possible"),
    ] = None,
    writer_url: WriterUrl = None,
    propose: Annotated[
        int | None, typer.Option(metavar="DIVISION", help="print a first kruispost.yaml for this division of Exact instead")
    ] = None,
    probe: Annotated[
        int | None,
        typer.Option(metavar="DIVISION", help="try in this test division whether Exact keeps keys of ours; it writes there"),
    ] = None,
    agreed: Annotated[
        int | None, typer.Option(metavar="DIVISION", help="with --probe: its number once more, in place of being asked")
    ] = None,
    even_if_booked: Annotated[bool, typer.Option(help="with --probe: also in a division that the mapping books in")] = False,
    lang: Annotated[Language, typer.Option(help="en or nl")] = "en",
    as_json: AsJson = False,
) -> None:
    """Check configuration, secrets and systems, and the mapping against the division in Exact. Only --probe writes anything.

    Exit code 1 for a finding. Looking at a division takes nine reading calls.
    """
    if probe is not None:
        raise typer.Exit(_probe(probe, agreed, lang, is_forced=even_if_booked, as_json=as_json))
    if propose is not None:
        text = _proposal(propose, writer_url)
        if as_json:
            _print_json({"division": propose, "configuration": text})
        else:
            typer.echo(text, nl=False)
        return
    from console.doctor import Look, examine

    findings = asyncio.run(examine(Look(live=live, writer_url=writer_url, lang=lang)))
    if as_json:
        _print_json({"findings": [finding.as_dict() for finding in findings]})
    else:
        show.findings(out, findings, lang)
    raise typer.Exit(0 if all(finding.is_well for finding in findings) else WRONG)


def _proposal(division: int, writer_url: str | None) -> str:
    settings = Settings()
    try:
        return proposal_for(settings, asyncio.run(master_data_of(settings, writer_url, division)))
    except NotLookedAtError as error:
        raise UnusableError(f"Division {division} was not looked at: {error}; connect with `kruispost login` first.") from error


def _probe(division: int, agreed: int | None, lang: Language, *, is_forced: bool, as_json: bool) -> int:
    if as_json and agreed != division:
        raise UnusableError(f"With --json nobody can be asked; say --agreed {division} when it may be written to.")
    settings = Settings()
    check_division(settings, division, is_forced=is_forced)

    def agree(plan: list[str]) -> bool:
        if not as_json:
            for line in plan:
                out.print(line, soft_wrap=True)
        answer = str(agreed) if agreed is not None else typer.prompt(say("Type the division's number to agree", lang))
        return str(answer).strip() == str(division)

    report = asyncio.run(try_keys(settings, division, lang, agree))
    if as_json:
        _print_json(report)
    else:
        show.trials(out, report)
    if not report["agreed"]:
        return IMPOSSIBLE
    return WRONG if report["left"] or any(each["outcome"] == "unclear" for each in report["trials"]) else 0


@app.command()
def login(
    writer_url: WriterUrl = None,
    code: Annotated[
        str | None, typer.Option(help="the address that the browser came back to, when it could not be opened")
    ] = None,
    wait_seconds: Annotated[float, typer.Option(help="how long to wait for the consent")] = 300.0,
    as_json: AsJson = False,
) -> None:
    """Connect to Exact: print the address of its consent page and wait until the writer has its token."""
    settings = Settings()
    port = 0 if writer_url else settings.port_of("ingest" if settings.amqp_url is None else "exact-writer")
    address = log_in(
        settings,
        writer_url or f"http://127.0.0.1:{port}",
        came_back_to=code,
        wait_seconds=wait_seconds,
        tell=lambda words: typer.echo(words, err=as_json),
    )
    if as_json:
        _print_json({"connected": True, "writer": address})
    else:
        typer.echo("Connected: the writer has its token.")


@app.command("topology")
def show_topology(as_json: AsJson = False) -> None:
    """Print every exchange, queue and binding of this installation."""
    declared = declared_topology(load_configuration(Settings().config).divisions)
    if as_json:
        import msgspec

        typer.echo(msgspec.json.format(msgspec.json.encode(declared)).decode())
    else:
        show.topology(out, declared)


@app.command("dead-letters")
def show_dead_letters(
    queue: Annotated[str | None, typer.Option(help="only this queue, such as mapper.0")] = None,
    limit: Annotated[int, typer.Option(min=1, help="show at most so many of each queue")] = 50,
    as_json: AsJson = False,
) -> None:
    """List the messages that no retry could help, with their reason. Exit code 1 when there are any."""
    from console.dead_letters import dead_letters

    found = asyncio.run(dead_letters(Settings(), queue, limit))
    if as_json:
        _print_json({"dead_letters": [each.as_dict() for each in found]})
    for each in found if not as_json else ():
        day = each.died_at.strftime("%Y-%m-%d %H:%M") if each.died_at is not None else "-"
        typer.echo(f"{each.queue}  {each.message_id}  {day}  {each.type} of {each.subject}")
        typer.echo(f"    {each.code}: {each.sentence}")
    if not found and not as_json:
        typer.echo("There are no dead letters.")
    raise typer.Exit(WRONG if found else 0)


@app.command()
def requeue(
    message_ids: Annotated[list[str] | None, typer.Argument(help="message ids, as `kruispost dead-letters` shows them")] = None,
    queue: Annotated[str | None, typer.Option(help="only from this queue")] = None,
    everything: Annotated[bool, typer.Option("--all", help="every dead letter, where no ids are given")] = False,
    as_json: AsJson = False,
) -> None:
    """Put dead letters back into their queues, once their cause is mended. Exit code 1 when one of the ids is not there."""
    from console.dead_letters import put_back

    if bool(message_ids) == everything:
        raise typer.BadParameter("say which: message ids, or --all")
    moved = asyncio.run(put_back(Settings(), queue, set(message_ids) if message_ids else None))
    if as_json:
        _print_json({"requeued": moved})
    else:
        typer.echo(f"{len(moved)} put back")
    raise typer.Exit(WRONG if set(message_ids or ()) - set(moved) else 0)


@app.command()
def republish(
    service: Annotated[Literal["all", "ingest", "mapper", "exact-writer", "payment-matcher"], typer.Argument(help="whose log")],
    to: Annotated[str | None, typer.Option(help="only to this consumer, such as payment-matcher, console or mapper")] = None,
    first: Annotated[
        datetime | None, typer.Option("--from", formats=MOMENTS, help="what was said from this moment on, in UTC")
    ] = None,
    until: Annotated[datetime | None, typer.Option(formats=MOMENTS, help="what was said up to this moment, in UTC")] = None,
    check: Annotated[bool, typer.Option("--check", help="only say what never came to whom; nothing is sent")] = False,
    as_json: AsJson = False,
) -> None:
    """Send once more what a service said, from its log. Whoever heard it drops it; whoever lost it has it again.

    With --check: name what never came to whom, and the command that sends just that; exit code 1 when there is any.
    Not for a writer that lost its database: `kruispost replay exact-writer` comes first.
    """
    from console.republish import Range
    from console.republish import republish as run
    from console.unheard import check as look

    moments = [each.replace(tzinfo=UTC) if each is not None else None for each in (first, until)]
    services = tuple(each for each in SERVICES if each != "console") if service == "all" else (service,)
    told, lines = (look if check else run)(Range(services=services, first=moments[0], last=moments[1], consumer=to))
    _print_json(told) if as_json else typer.echo("\n".join(lines))
    raise typer.Exit(WRONG if told.get("unheard") else 0)


@app.command("config-schema")
def config_schema() -> None:
    """Print the JSON schema of kruispost.yaml, for editors."""
    _print_json(json_schema())


@app.command()
def migrate(as_json: AsJson = False) -> None:
    """Bring the database of every service up to date."""
    from backbone.migrate import migrate_all

    settings = Settings()
    configure_logging(settings.log_format)
    try:
        asyncio.run(migrate_all(settings))
    except DATABASE_ERRORS as error:
        raise UnusableError(
            f"The database did not answer ({reason_of(error)}); start it, or correct KRUISPOST_DATABASE_URL."
        ) from error
    if as_json:
        _print_json({"migrated": True})
