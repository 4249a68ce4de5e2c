"""The script of a month: what happens when, in words that a site can carry out."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from simulators.chargebee.invoices import InvoiceSpec
from simulators.chargebee.pricing import LineSpec


@dataclass(frozen=True)
class AddCustomer:
    """A customer signs up."""

    customer_id: str
    members: dict[str, Any]


@dataclass(frozen=True)
class ChangeCustomer:
    """A customer changes something that has no document."""

    customer_id: str
    members: dict[str, Any]


@dataclass(frozen=True)
class Bill:
    """An invoice is made; `key` names it within the plan. `collect` charges the card in the same operation."""

    key: str
    spec: InvoiceSpec
    collect: bool = False
    subscription: dict[str, Any] | None = None
    why: str = ""
    unmapped: bool = False


@dataclass(frozen=True)
class Collect:
    """The card of a customer is charged for an invoice; it may be declined."""

    invoice_key: str
    declined: bool = False
    exchange_rate: str | None = None


@dataclass(frozen=True)
class ClosePending:
    """A pending invoice gets its last lines and is sent."""

    invoice_key: str
    extra_lines: Sequence[LineSpec] = ()


@dataclass(frozen=True)
class Credit:
    """A credit note is made for a part of an invoice, in thousandths."""

    key: str
    invoice_key: str
    kind: str
    per_mille: int = 1_000
    reason: str = "Product Unsatisfactory"


@dataclass(frozen=True)
class Refund:
    """The money of a refundable credit note goes back to the card."""

    credit_key: str


@dataclass(frozen=True)
class UseCredit:
    """What a refundable credit note is worth is used for a later invoice."""

    credit_key: str
    invoice_key: str


@dataclass(frozen=True)
class PayByBank:
    """A customer transfers what is due; the money shows up in Exact's bank book, not in Chargebee."""

    invoice_key: str


Action = AddCustomer | ChangeCustomer | Bill | Collect | ClosePending | Credit | Refund | UseCredit | PayByBank


@dataclass(frozen=True)
class Step:
    """An action at an instant in seconds since 1970; steps of one instant keep their order."""

    at: int
    order: int
    action: Action


@dataclass
class Plan:
    """A month under construction, and its finished steps in order of time."""

    year: int
    month: int
    steps: list[Step] = field(default_factory=list)
    documents: int = 0
    """Invoices, credit notes, payments (declined ones too) and refunds that the steps make in Chargebee."""

    receipts: int = 0

    def add(self, at: int, action: Action) -> None:
        """Add an action, counting the documents it makes."""
        self.steps.append(Step(at, len(self.steps), action))
        if isinstance(action, Bill):
            self.documents += 2 if action.collect else 1
        elif isinstance(action, Collect | Credit | Refund):
            self.documents += 1
        elif isinstance(action, PayByBank):
            self.receipts += 1

    def in_order(self) -> list[Step]:
        """The steps by time, then by the order in which they were planned."""
        return sorted(self.steps, key=lambda step: (step.at, step.order))
