"""Open invoices and bank lines that people typed, each with the invoice it really pays: slips, part texts and decoys."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from random import Random

from stdnum import iso11649
from stdnum.be import ogm_vcs

from bookkeeping.matching import BankLine, OpenInvoice

PRICES = (990, 2900, 4900, 12100, 12100, 12100, 36300, 145200)
WORDS = [
    "Noord",
    "Zuid",
    "Anker",
    "Linde",
    "Molen",
    "Haven",
    "Duin",
    "Veld",
    "Bron",
    "Kade",
    "Berg",
    "Ster",
    "Zon",
    "Maan",
    "Vos",
    "Reiger",
    "Eik",
    "Beuk",
    "Wilg",
    "Roos",
]
KINDS = (
    "clean",
    "separated",
    "reference",
    "ogm",
    "slip",
    "swapped",
    "letter",
    "part",
    "nothing",
    "partial_amount",
    "excess",
    "several",
)
DECOYS = ("neighbour", "paid_before", "other_payer", "stranger", "date_and_phone")


@dataclass(frozen=True, slots=True)
class Told:
    """A bank line, how it was made, and the numbers of the invoices it pays (none for money of a stranger)."""

    line: BankLine
    kind: str
    pays: frozenset[str]


@dataclass(frozen=True, slots=True)
class Debtor:
    """A customer with the IBAN he pays from; `known` when he paid from it before."""

    customer_id: str
    name: str
    iban: str
    known: bool


class World:
    """Open invoices of customers who owe one to four each, half of them alike in amount."""

    def __init__(self, seed: int, invoices: int) -> None:
        """Make `invoices` open invoices, the same ones for the same seed."""
        self.random = random = Random(seed)
        self.debtors: dict[str, Debtor] = {}
        self.invoices: list[OpenInvoice] = []
        while len(self.invoices) < invoices:
            at = len(self.debtors)
            name = f"{random.choice(WORDS)}{random.choice(WORDS).lower()} {random.choice(WORDS)} {at:x} BV"
            debtor = Debtor(f"cust{at}", name, f"NL{at % 89 + 10}BANK{at:010d}", random.random() < 0.7)
            self.debtors[debtor.customer_id] = debtor
            for _ in range(random.randint(1, 4)):
                due = random.choice(PRICES) if random.random() < 0.5 else random.randint(500, 500_000)
                number = f"INV-{100_000 + 3 * len(self.invoices) + random.randint(0, 1)}"
                day = date(2026, 1, 1) + timedelta(days=random.randint(0, 300))
                self.invoices.append(OpenInvoice(number, debtor.customer_id, debtor.name, due, "EUR", day))
        self.by_customer: dict[str, list[OpenInvoice]] = {}
        for invoice in self.invoices:
            self.by_customer.setdefault(invoice.customer_id, []).append(invoice)

    def ibans(self) -> list[tuple[str, str]]:
        """Return the IBANs that customers paid from before."""
        return [(one.iban, one.customer_id) for one in self.debtors.values() if one.known]

    def lines(self, count: int) -> list[Told]:
        """Return bank lines of every kind, some of them decoys."""
        return [self.told(self.random.choice((*KINDS, *DECOYS))) for _ in range(count)]

    def told(self, kind: str) -> Told:
        """Return one line of a kind for an invoice by chance."""
        random = self.random
        invoice = random.choice(self.invoices)
        debtor, digits = self.debtors[invoice.customer_id], invoice.number[4:]
        at, amount, pays = random.randrange(1, 5), invoice.due_minor, frozenset((invoice.number,))
        wrong = digits[:at] + random.choice([one for one in "0123456789" if one != digits[at]]) + digits[at + 1 :]
        swapped = digits[:at] + digits[at + 1] + digits[at] + digits[at + 2 :] if at < 5 else digits
        ogm = f"{int(digits):010d}"
        texts = {
            "clean": f"Factuur {invoice.number}",
            "separated": f"betaling INV {digits[:3]}.{digits[3:]} dank u",
            "reference": f"RF{_rf(digits)}INV{digits}",
            "ogm": f"+++{ogm[:3]}/{ogm[3:7]}/{ogm[7:]}{ogm_vcs.calc_check_digits(ogm)}+++",
            "slip": f"INV-{wrong}",
            "swapped": f"fact. INV-{swapped}",
            "letter": f"INV-{digits.replace('0', 'O')}",
            "part": f"nota {digits[-4:]}",
            "nothing": random.choice(("", "abonnement", "betaling oktober")),
            "partial_amount": f"eerste deel {invoice.number}",
            "excess": f"{invoice.number} met dank",
            "date_and_phone": f"dd 2026-10-{at:02d} tel 020-{random.randint(1_000_000, 9_999_999)}",
            "other_payer": f"Factuur {invoice.number}",
            "stranger": f"order {random.randint(100_000, 999_999)}",
            "paid_before": f"INV-{random.randint(10_000, 99_000)}",
        }
        name, iban = debtor.name, debtor.iban
        if random.random() < 0.2:
            name = name.replace("e", "", 1).upper()
        if kind == "several":
            some = self.by_customer[debtor.customer_id]
            pays, amount = frozenset(one.number for one in some), sum(one.due_minor for one in some)
            texts["several"] = " en ".join(one.number for one in some)
        elif kind == "neighbour":  # the number of another invoice by a slip: the right one is of the same customer
            other = random.choice(self.by_customer[debtor.customer_id])
            beside = sum(one != another for one, another in zip(other.number, invoice.number, strict=True)) == 1
            texts["neighbour"] = f"Factuur {other.number}" if beside or other.due_minor != amount else ""
        elif kind == "partial_amount":
            amount = max(1, amount * random.randint(10, 90) // 100)
        elif kind == "excess":
            amount += random.randint(1, 5_000)
        elif kind == "other_payer":  # a stranger wrote this customer's number, with the amount by chance
            payer = random.choice([one for one in self.debtors.values() if one.known and one.customer_id != debtor.customer_id])
            name, iban, pays = payer.name, payer.iban, frozenset()
        elif kind == "stranger":
            name, iban, pays = f"Vreemdeling {random.randint(1, 9_999)}", f"DE{random.randint(10**19, 10**20)}", frozenset()
        return Told(BankLine(texts[kind], amount, "EUR", name, iban), kind, pays)


def _rf(digits: str) -> str:
    return next(f"{check:02d}" for check in range(100) if iso11649.is_valid(f"RF{check:02d}INV{digits}"))
