"""What a bookkeeper does by hand in Exact, since it has no call for matching, and the laws that both books keep to afterwards."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from contextlib import suppress
from datetime import date
from decimal import Decimal
from typing import Any

import sqlalchemy as sa
from support.payment_world import World
from support.payment_years import Year, cents

from contracts import facts
from contracts.envelope import Message
from mapper.configuration import mappings_of
from mapper.control_command import proofs_of
from mapper.history import PagedStore
from payment_matcher import unequal
from payment_matcher.intents import WRITTEN_OFF
from payment_matcher.lines import MONEY_OF, Line
from payment_matcher.tables import intents
from simulators.chargebee import payments
from simulators.chargebee.errors import ApiError
from simulators.exact import journal_entries, receivables
from simulators.exact.wire import Row

Document = tuple[str, str, str]
_GONE = ("late_failure", "failure", "in_progress")


class Bookkeeper:
    """Knows which terms of Exact stand for which document of Chargebee, and matches them as Chargebee has it."""

    def __init__(self, world: World) -> None:
        self.world = world
        self._moved: dict[str, Any] = {}
        self._transactions: defaultdict[str, set[str]] = defaultdict(set)

    def terms(self, number: str, suffix: str = "") -> list[Row]:
        """The open items that a booking of a document has in Exact, in whatever entry."""
        found = []
        for fact in self._posted():
            if (fact.document.number, fact.document.suffix) != (number, suffix) or fact.document.kind == "exchange_difference":
                continue
            for term in receivables.terms_of(self.world.exact, _uuid(self.world, fact.entry_id)):
                named = re.search(rf"(?<![\w-]){re.escape(fact.your_ref)}(?![\w/-])", term.get("Description") or "")
                if term["TransactionType"] in (20, 21) or named:
                    found.append(term)
        return found

    async def differs(self) -> set[str]:
        """The customers of whom the connector says that the books differ: what is due, or money that Chargebee does not have."""
        async with self.world.matcher.reading() as connection:
            found = {each.customer_id for each in await unequal.read(connection, until=self.world.clock.now())}
        return found | {str(self.world.site.get("invoice", number)["customer_id"]) for number in await self._told()}

    async def _told(self) -> set[str]:
        """The invoices with which Exact matched money that Chargebee does not have, as the connector says."""
        query = sa.select(intents.c.number).where(intents.c.outcome == "money_without_debt")
        async with self.world.matcher.reading() as connection:
            return set(await connection.scalars(query))

    async def open_wrong_matches(self, year: Year) -> None:
        """Open matches of money with documents that Chargebee does not have it on, once the connector says that books differ."""
        if year.customer_id not in await self.differs():
            return
        told = await self._told()
        numbers = [each["id"] for each in (*year.invoices(), *year.notes(), *year.money())]
        of_term = {term["ID"]: number for number in numbers for suffix in ("", "R") for term in self.terms(number, suffix)}
        right = await self._recorded_on()
        lines = {str(entry_id): line_id for line_id, entry_id in self._moved.items()}
        groups: defaultdict[Any, list[Row]] = defaultdict(list)
        for term in self.world.exact.table(receivables.TERMS):
            if term["Status"] == receivables.MATCHED:
                groups[term["match_id"]].append(term)
        for group in groups.values():
            documents = [of_term[term["ID"]] for term in group if term["ID"] in of_term]
            money = [term for term in group if term["ID"] not in of_term]
            of_line = [lines.get(str(term["TransactionEntryID"]), str(term["TransactionID"])) for term in money]
            is_right = all(right[number] & {line, ""} for number in documents for line in of_line) and not told & {*documents}
            if money and not (documents and is_right):
                self._open(group)

    async def _recorded_on(self) -> defaultdict[str, set[str]]:
        """Of which bank lines Chargebee has payments on each invoice; an empty line where Exact had matched it by itself."""
        is_payment = intents.c.transaction_id.is_not(None) & (intents.c.transaction_id != WRITTEN_OFF)
        async with self.world.matcher.reading() as connection:
            rows = (await connection.execute(sa.select(intents.c.number, intents.c.term_id).where(is_payment))).all()
        found: defaultdict[str, set[str]] = defaultdict(set)
        for row in rows:
            found[row.number].add(row.term_id.removeprefix(MONEY_OF) if row.term_id.startswith(MONEY_OF) else "")
        return found

    def _open(self, terms: list[Row]) -> None:
        empty = dict.fromkeys(("EndDate", "EndYear", "EndPeriod", "LastPaymentDate", "match_id"))
        for term in terms:
            changes = {**empty, "Status": receivables.OPEN, "IsFullyPaid": False}
            self.world.exact.update(receivables.TERMS, term["ID"], changes)

    def _posted(self) -> list[facts.EntryPosted]:
        return [each for each in self.world.said if isinstance(each, facts.EntryPosted)]

    def take_own_matches_back(self) -> None:
        """Open again what Exact matched among our own documents by equal amounts, for it cannot know what belongs together."""
        division = self.world.exact
        ours = {_uuid(self.world, fact.entry_id) for fact in self._posted()}
        groups: defaultdict[Any, list[Row]] = defaultdict(list)
        for term in division.table(receivables.TERMS):
            if term["Status"] == receivables.MATCHED:
                groups[term["match_id"]].append(term)
        for group in groups.values():
            if all(term["TransactionEntryID"] in ours for term in group):
                self._open(group)

    async def match(self, year: Year) -> None:
        """Match a customer's open items as Chargebee has them."""
        for money in year.money():
            number = money["id"]
            if money["status"] in _GONE or money["type"] == "payment_reversal":
                mate = self.terms(money.get("reference_transaction_id") or number)
                self._settle(self.terms(number, "R" if money["status"] == "late_failure" else ""), mate, money["amount"])
        decided = await self._decided()
        by_exact = {each["id"] for each in year.money() if (each.get("reference_number") or "").startswith("KP-")} - set(decided)
        free = [line_id for line_id in year.received if line_id not in decided.values()]

        def source(number: str) -> list[Row]:
            # Read anew each time, since a part that was matched leaves the rest as a part of its own.
            if number in by_exact:
                return [term for line_id in free for term in self._of_line(line_id)]
            return self._of_line(decided[number]) if number in decided else self.terms(number)

        applied: Counter[tuple[str, str]] = Counter()
        for money in year.money():
            for link in money.get("linked_invoices", ()) if money["status"] == "success" and not money["deleted"] else ():
                # A bank line that was decided about twice may have paid one invoice twice.
                of_line = (str(link["invoice_id"]), decided.get(money["id"], str(money["id"])))
                applied[of_line] += link["applied_amount"]
                self._settle(self.terms(link["invoice_id"]), source(money["id"]), applied[of_line])
            for link in money.get("linked_credit_notes", ()):
                self._settle(source(money["id"]), self.terms(link["cn_id"]), link["applied_amount"])
        self._settle_differences(year)
        for note in year.notes():
            for allocation in note["allocations"]:
                self._settle(self.terms(allocation["invoice_id"]), self.terms(note["id"]), allocation["allocated_amount"])

    async def _decided(self) -> dict[str, str]:
        """The bank lines that payments in Chargebee were decided of, by transaction; what was in suspense is booked off it."""
        query = sa.select(intents.c.transaction_id, intents.c.term_id).where(intents.c.term_id.startswith(MONEY_OF))
        async with self.world.matcher.reading() as connection:
            rows = (await connection.execute(query.where(intents.c.transaction_id.is_not(None)))).all()
        self._transactions = defaultdict(set)
        for row in rows:
            self._transactions[row.term_id.removeprefix(MONEY_OF)].add(row.transaction_id)
        for line in await self.world.lines():
            if line.gl_account == "1660" and line.recorded_hundredths and line.line_id not in self._moved:
                self._moved[line.line_id] = self._move(line)
        return {row.transaction_id: row.term_id.removeprefix(MONEY_OF) for row in rows}

    def _of_line(self, line_id: str) -> list[Row]:
        if line_id in self._moved:
            return receivables.terms_of(self.world.exact, self._moved[line_id])
        return [each for each in self.world.exact.table(receivables.TERMS) if str(each["TransactionID"]) == line_id]

    def _move(self, line: Line) -> Any:
        """Book what was recorded of a line off the suspense account, onto the account of the customer who paid.

        Each payment that it became has a line of its own: in one sum, Exact would match it with an invoice of that amount, a part
        of which was paid otherwise.
        """
        division = self.world.exact
        recorded = [each for each in self.world.site.all("transaction") if each["id"] in self._transactions[line.line_id]]
        name = self.world.site.get("customer", recorded[0]["customer_id"])["company"]
        (account,) = [row for row in division.table("crm/Accounts") if row["Name"] == name]
        suspense, debtors = (division.by_code("financial/GLAccounts", code) for code in ("1660", "1300"))
        assert suspense is not None
        assert debtors is not None
        amounts = [Decimal(each["amount"]) / 100 for each in recorded]
        assert sum(amounts) * 100 == line.recorded_hundredths
        sent = [{"GLAccount": suspense["ID"], "AmountFC": sum(amounts), "Description": "overboeking"}]
        of_customer = {"GLAccount": debtors["ID"], "Account": account["ID"], "Description": "overboeking"}
        sent += [{**of_customer, "AmountFC": -amount} for amount in amounts]
        entry = journal_entries.create(division, {"JournalCode": "90", "GeneralJournalEntryLines": sent})
        return entry["EntryID"]

    def _settle(self, debts: list[Row], payments_: list[Row], amount_minor: int) -> None:
        """Match so much of what is open of two documents, in their own currency."""
        division, left = self.world.exact, Decimal(amount_minor) / 100
        groups = {each["match_id"] for each in payments_ if each["Status"] == receivables.MATCHED}
        matched = [each for each in debts if each["Status"] == receivables.MATCHED and each["match_id"] in groups]
        left -= sum((abs(each["AmountFC"]) for each in matched), Decimal(0))
        for debt in debts:
            for credit in payments_:
                one, other = (division.table(receivables.TERMS).get(each["ID"]) for each in (debt, credit))
                if one is None or other is None or left <= 0:
                    continue
                if {one["Status"], other["Status"]} != {receivables.OPEN} or one["AmountDC"] * other["AmountDC"] >= 0:
                    continue
                part = min(left, abs(one["AmountFC"]), abs(other["AmountFC"]))
                receivables.match_part(division, one, other, part)
                left -= part

    def _settle_differences(self, year: Year) -> None:
        """Match what brings the debtor to zero in euros with what it belongs to, as one sees it in Exact by its reference."""
        for fact in self._posted():
            if fact.document.kind == "application" and fact.document.customer_id == year.customer_id:
                for term in receivables.terms_of(self.world.exact, _uuid(self.world, fact.entry_id)):
                    if term["Status"] == receivables.OPEN:
                        settled = {"Status": receivables.MATCHED, "IsFullyPaid": True, "match_id": term["ID"]}
                        self.world.exact.update(receivables.TERMS, term["ID"], settled)

    def delete_what_was_taken_back(self, said: list[Message]) -> int:
        """Do in Chargebee what the connector says about a match that was taken back in Exact; returns how many there were."""
        told = [each for each in said if isinstance(each, facts.PaymentNotRecorded) and each.code == "taken_back"]
        for each in told:
            named = re.findall(r"txn_\w+", each.sentence)
            transaction = self.world.site.get("transaction", named[0])
            if not transaction["deleted"]:
                with suppress(ApiError):  # an invoice with credits keeps its payments: it is matched again in Exact
                    payments.delete_offline_transaction(self.world.site, named[0])
        return len(told)


def _uuid(world: World, text: str) -> Any:
    return next(term["TransactionEntryID"] for term in _terms_by_entry(world)[text]) if text in _terms_by_entry(world) else None


def _terms_by_entry(world: World) -> dict[str, list[Row]]:
    found: defaultdict[str, list[Row]] = defaultdict(list)
    for term in world.exact.table(receivables.TERMS):
        found[str(term["TransactionEntryID"])].append(term)
    return found


class Laws:
    """What holds at the end of a year; each answer lists what is wrong, so that a failure shows all of it."""

    def __init__(self, bookkeeper: Bookkeeper) -> None:
        self.bookkeeper = bookkeeper
        self.world = bookkeeper.world

    def open_minor(self, number: str) -> int:
        """What is open in Exact of a document's bookings, in the document's currency; positive is to be received."""
        terms = [term for suffix in ("", "R") for term in self.bookkeeper.terms(number, suffix)]
        return -sum(cents(term["AmountFC"]) for term in terms if term["Status"] == receivables.OPEN)

    def documents(self, year: Year) -> list[str]:
        """Both systems show the same amount due, given or kept for every document."""
        wrong = []
        for invoice in year.invoices():
            expected = 0 if invoice["status"] == "voided" else invoice["amount_due"]
            wrong += self._differs(year, invoice["id"], expected)
        for note in year.notes():
            wrong += self._differs(year, note["id"], -note["amount_available"] if note["status"] == "refund_due" else 0)
        for money in year.money():
            if money["gateway"] == "stripe":
                kept = money.get("amount_unused", 0) if money["status"] == "success" else 0
                back = any(each.get("reference_transaction_id") == money["id"] for each in year.money())
                wrong += self._differs(year, money["id"], 0 if back else -kept)
        return wrong

    async def unequal(self) -> list[str]:
        """The connector finds the same, without being told what happened."""
        async with self.world.matcher.reading() as connection:
            found = await unequal.read(connection, until=self.world.clock.now())
        return [f"{each.number}: listed as {each.open_hundredths} for {each.due_hundredths}" for each in found]

    def _differs(self, year: Year, number: str, expected: int) -> list[str]:
        shown = self.open_minor(number)
        return [] if shown == expected else [f"{year.customer_id} {number}: Exact has {shown}, Chargebee {expected}"]

    async def receipts(self, years: list[Year]) -> list[str]:
        """Every cent received is on exactly one of invoice, excess and inbox, or named as money that a person has to look at."""
        shown = {line.line_id: line for line in await self.world.lines()}
        money = [each for year in years for each in year.money()]
        ours = [each for each in money if (each.get("reference_number") or "").startswith("KP-") and not each["deleted"]]
        recorded = sum(each["amount"] for each in ours)
        lines = [(line_id, amount) for year in years for line_id, amount in year.received.items()]
        left = sum(shown[line_id].left_hundredths for line_id, _ in lines if line_id in shown)
        named, total = await self._named(), sum(amount for _, amount in lines)
        told = f"received {total}, recorded {recorded}, inbox {left}, named {named}"
        wrong = [] if total == recorded + left + named else [told]
        references = [each["reference_number"] for each in ours]
        return wrong + [f"{one} twice" for one in references if references.count(one) > 1]

    async def _named(self) -> int:
        """What a person was told of since it stands in Exact and nowhere in Chargebee."""
        query = sa.select(sa.func.sum(intents.c.amount_minor)).where(intents.c.outcome == "money_without_debt")
        async with self.world.matcher.reading() as connection:
            return int(await connection.scalar(query) or 0)

    async def gateway(self, years: list[Year]) -> list[str]:
        """The control account is its open items: what the gateway took, gave back and did not pay out, each named.

        Exact has it in euros at each movement's own rate, with the exchange differences on it.
        """
        truth: Counter[str] = Counter()
        balance = 0
        for money in (each for year in years for each in year.money()):
            if money["gateway"] == "stripe" and money["status"] == "success":
                sign = 1 if money["type"] == "payment" else -1
                truth[money["currency_code"]] += sign * money["amount"]
                value = Decimal(money["amount"]) * Decimal(str(money["exchange_rate"]))
                balance += sign * int(value.quantize(Decimal(1), "ROUND_HALF_UP"))
        paid_out = sum(year.paid_out_minor for year in years)
        truth["EUR"] -= paid_out
        lines = list(self.world.exact.table("financialtransaction/TransactionLines"))
        shown = sum(cents(line["AmountDC"]) for line in lines if line["GLAccountCode"] == "1290")
        wrong = [] if shown == balance - paid_out else [f"1290: Exact has {shown}, the gateway {balance - paid_out}"]
        async with self.world.mapper.database.reading() as connection:
            store = PagedStore(self.world.mapper.database, connection)
            found = await proofs_of(store, mappings_of(self.world.settings), None, date.max)
        proofs = {place.currency: proof for place, proof in found.items()}
        for currency, proof in proofs.items():
            named = sum(each.amount_minor for each in proof.open)
            if not proof.is_sound or proof.balance_minor != truth[currency] or named != truth[currency]:
                wrong.append(f"{currency}: proof has {proof.balance_minor}, named {named}, the gateway {truth[currency]}")
        return wrong

    def currencies(self, years: list[Year]) -> list[str]:
        """Who owes nothing in another currency owes nothing of it in euros either, whatever the rates were."""
        lines = [
            each for each in self.world.exact.table("financialtransaction/TransactionLines") if each["GLAccountCode"] == "1300"
        ]
        wrong = []
        for year in years:
            (account,) = [row["ID"] for row in self.world.exact.table("crm/Accounts") if row["Name"] == year.name] or [None]
            mine = [line for line in lines if line["Account"] == account]
            owed = sum(cents(line["AmountFC"]) for line in mine if line["Currency"] == "USD")
            foreign = [line for line in mine if line["Currency"] == "USD" or " USD 0." in (line["Description"] or "")]
            in_euros = sum(cents(line["AmountDC"]) for line in foreign)
            if owed == 0 and in_euros != 0:
                wrong.append(f"{year.customer_id}: owes no dollars, and {in_euros} euro cents of them")
        return wrong

    def tolerance(self, years: list[Year]) -> list[str]:
        """What was written off is on the account of bad debt, to the cent."""
        given_up = sum(each["write_off_amount"] for year in years for each in year.invoices())
        lines = list(self.world.exact.table("financialtransaction/TransactionLines"))
        shown = sum(cents(line["AmountDC"]) for line in lines if line["GLAccountCode"] == "4700")
        return [] if shown == given_up else [f"4700: Exact has {shown}, Chargebee wrote off {given_up}"]
