"""What is thought of a bank line: its proposals, whether anything is left to judge, and why it waits for a person. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from bookkeeping.matching import BankLine, Match, OpenInvoice, OpenInvoices, Proposal
from payment_matcher.lines import Line, StoredProposal
from payment_matcher.open_invoices import customer_key, of_key

Reason = Literal[
    "over_recorded",
    "no_money",
    "money_left",
    "amount_not_whole",
    "unknown_customer",
    "names_settled",
    "other_currency",
    "nothing_open",
    "due_again",
    "equally_likely",
    "to_judge",
    "decided_before",
    "payment_stands",
    "certain",
]


@dataclass(frozen=True)
class Judgement:
    """What the ladder says of a line; `is_certain` only where the first proposal needs nobody's judgement."""

    proposals: tuple[StoredProposal, ...]
    reason: Reason
    is_certain: bool


class Judge:
    """Knows the open invoices of one division, and judges its lines by them."""

    def __init__(
        self,
        invoices: Sequence[OpenInvoice],
        ibans: Iterable[tuple[str, str]],
        tolerances: Mapping[str, int],
        taken: Collection[tuple[str, str]] = (),
    ) -> None:
        """Index them; `tolerances` in minor units by currency, `taken` are site and number of what is being paid already."""
        self._index = OpenInvoices(invoices, ibans)
        self._tolerances = tolerances
        self._taken = {*taken}
        self._currencies: dict[str, set[str]] = {}
        for invoice in invoices:
            self._currencies.setdefault(invoice.customer_id, set()).add(invoice.currency)

    def judge(self, line: Line) -> Judgement:
        """Judge one line; of two certain ones for one invoice only the first stays certain."""
        if line.recorded_hundredths and line.left_hundredths < 0:
            return Judgement((), "over_recorded", is_certain=False)
        if line.total_hundredths <= 0:
            return Judgement((), "no_money" if line.total_hundredths == 0 else "money_left", is_certain=False)
        left_minor = line.left_minor
        if left_minor is None:
            return Judgement((), "amount_not_whole", is_certain=False)
        customer = customer_key(line.site, line.customer_id) if line.customer_id else ""
        match = self._index.match(
            BankLine(
                text=line.text,
                amount_minor=left_minor,
                currency=line.currency,
                payer_name="" if customer else line.account_name,
                iban=line.iban,
                customer_id=customer,
            ),
            self._tolerances.get(line.currency, 0),
        )
        proposals = tuple(_stored(proposal) for proposal in match.proposals)
        reason = self._reason(line, customer, match)
        if reason in {"certain", "decided_before"}:
            self._taken |= {(proposals[0].site, number) for number in proposals[0].numbers}
        return Judgement(proposals, reason, is_certain=reason == "certain")

    def _reason(self, line: Line, customer: str, match: Match) -> Reason:
        if not match.proposals:
            owed = self._currencies.get(customer, set())
            if owed and line.currency not in owed:
                return "other_currency"
            return "nothing_open" if customer else "unknown_customer"
        first, *others = match.proposals
        named = {(of_key(invoice.customer_id)[0], invoice.number) for invoice in first.invoices}
        # A part that Exact has matched already tells that a person is at work on the line.
        if match.certain and not line.recorded_hundredths and not line.matched_hundredths and not named & self._taken:
            # Somebody took back what was decided, or that Exact had matched it, or Chargebee refused it: what the line says by
            # itself was not the whole truth, and a payment of it may stand in Chargebee still.
            return "decided_before" if line.round or line.was_matched else "certain"
        equal = others and (others[0].strength, abs(others[0].difference_minor)) == (first.strength, abs(first.difference_minor))
        return "equally_likely" if equal else "to_judge"


def _stored(proposal: Proposal) -> StoredProposal:
    site, customer_id = of_key(proposal.invoices[0].customer_id)
    return StoredProposal(
        site=site,
        customer_id=customer_id,
        numbers=tuple(invoice.number for invoice in proposal.invoices),
        dues_minor=tuple(invoice.due_minor for invoice in proposal.invoices),
        evidence=tuple(str(one) for one in proposal.evidence),
        difference_minor=proposal.difference_minor,
    )
