"""What the payment-matcher adds to `kruispost`: the bank lines that nobody matched, and what a person decides about them.

Light on purpose: `kruispost --help` imports this module for the first line of each command.
"""

from __future__ import annotations

from typing import Annotated, Literal

import typer

AsJson = Annotated[bool, typer.Option("--json", help="print JSON instead of text")]
Lang = Annotated[Literal["en", "nl"], typer.Option("--lang", help="en or nl")]
LineId = Annotated[str, typer.Argument(metavar="ID", help="the line's id as the list shows it, or its beginning")]
Site = Annotated[str | None, typer.Option(help="the Chargebee site of the invoices, where several have the same number")]
Customer = Annotated[str | None, typer.Option(help="SITE/CUSTOMER whose the rest is, where the line does not say it")]
Besides = Annotated[
    bool,
    typer.Option(
        "--although-payment-stands",
        help="record the line besides a payment that may be of the same money and stands in Chargebee",
    ),
]
WRONG = 1

matches = typer.Typer(
    help="Bank lines that nobody matched in Exact: list them, and decide. Exit code 1 while one is open.",
    add_completion=False,
    pretty_exceptions_enable=False,
    invoke_without_command=True,
)


@matches.callback()
def listing(
    context: typer.Context,
    state: Annotated[
        Literal["open", "accepted", "recorded", "dismissed", "settled", "gone", "to_match", "all"],
        typer.Option(help="only lines in this state; to_match: recorded in Chargebee, still to be matched in Exact"),
    ] = "open",
    customer: Annotated[str | None, typer.Option(help="only lines of this customer's id, or with this in the name")] = None,
    amount: Annotated[str | None, typer.Option(help="only lines of this amount, such as 121.00, whole or what is left")] = None,
    text: Annotated[str | None, typer.Option(help="only lines with this in their text")] = None,
    reason: Annotated[
        str | None, typer.Option(help="only open lines that wait for this reason, such as unknown_customer")
    ] = None,
    division: Annotated[int | None, typer.Option(help="only this division")] = None,
    days: Annotated[
        int | None,
        typer.Option(min=1, help="money that stands in Exact for so many days or longer, on debtors or suspense, in any state"),
    ] = None,
    limit: Annotated[int, typer.Option(min=0, help="show at most so many lines; the totals count all")] = 25,
    lang: Lang = "en",
    as_json: AsJson = False,
) -> None:
    """List the bank lines that wait for a decision, with the invoices that they may pay and the evidence for it."""
    if context.invoked_subcommand is not None:
        return
    from payment_matcher.matches_list import Wish, show_matches

    about: dict[str, str | None] = {"customer": customer, "amount": amount, "text": text, "reason": reason}
    wish = Wish(state="all" if days and state == "open" else state, division=division, days=days, limit=limit, **about)
    raise typer.Exit(WRONG if show_matches(wish, lang, as_json=as_json) else 0)


@matches.command()
def accept(
    line: LineId,
    invoices: Annotated[
        list[str] | None, typer.Argument(metavar="[INVOICE]...", help="what it pays, in this order; else the only proposal")
    ] = None,
    excess: Annotated[bool, typer.Option("--excess", help="it pays no invoice: keep all of it for the customer")] = False,
    customer: Customer = None,
    site: Site = None,
    besides: Besides = False,
    lang: Lang = "en",
    as_json: AsJson = False,
) -> None:
    """Record a line in Chargebee: on the invoices up to what is due, and the rest as an excess payment of the customer."""
    from payment_matcher.matches_decide import Choice, accept_line

    choice = Choice(line=line, site=site, customer=customer, although_payment_stands=besides)
    raise typer.Exit(0 if accept_line(choice, invoices or [], lang, excess_only=excess, as_json=as_json) else WRONG)


@matches.command()
def split(
    line: LineId,
    amounts: Annotated[list[str], typer.Argument(metavar="INVOICE=AMOUNT...", help="such as INV-1=50.00; excess=9.00 is kept")],
    customer: Customer = None,
    site: Site = None,
    besides: Besides = False,
    lang: Lang = "en",
    as_json: AsJson = False,
) -> None:
    """Record exactly these amounts of a line in Chargebee; what is not named stays in the inbox."""
    from payment_matcher.matches_decide import Choice, split_line

    choice = Choice(line=line, site=site, customer=customer, although_payment_stands=besides)
    raise typer.Exit(0 if split_line(choice, amounts, lang, as_json=as_json) else WRONG)


@matches.command()
def dismiss(
    line: LineId,
    why: Annotated[str, typer.Option(help="why it is nothing for Chargebee; kept beside the line")],
    lang: Lang = "en",
    as_json: AsJson = False,
) -> None:
    """Put a line aside that is no receipt of Chargebee's customers, or that is dealt with elsewhere."""
    from payment_matcher.matches_decide import dismiss_line

    raise typer.Exit(0 if dismiss_line(line, why, lang, as_json=as_json) else WRONG)


@matches.command()
def undo(line: LineId, lang: Lang = "en", as_json: AsJson = False) -> None:
    """Take a decision back; once it is recorded in Chargebee, say what to do there, and exit with 1."""
    from payment_matcher.matches_decide import undo_line

    raise typer.Exit(0 if undo_line(line, lang, as_json=as_json) else WRONG)


@matches.command()
def unequal(
    days: Annotated[int, typer.Option(min=0, help="leave out what changed in Chargebee within so many days")] = 2,
    division: Annotated[int | None, typer.Option(help="only this division")] = None,
    limit: Annotated[int, typer.Option(min=0, help="show at most so many documents; the total counts all")] = 25,
    lang: Lang = "en",
    as_json: AsJson = False,
) -> None:
    """List invoices and credit notes open in Exact otherwise than in Chargebee; exit code 1 when one needs a person."""
    from payment_matcher.unequal_list import show_unequal

    raise typer.Exit(WRONG if show_unequal(days, division, limit, lang, as_json=as_json) else 0)
