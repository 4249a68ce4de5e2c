"""What in a division's mapping would fail or be booked wrongly in the division as it stands. Pure: no database, no calls."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import date
from difflib import get_close_matches

from backbone.journal_configuration import PURPOSES, Journals, JournalsOfCurrency
from backbone.mapping_configuration import DivisionConfiguration
from backbone.rule_configuration import RevenueRule
from contracts.master_data import Journal, Ledger, MasterData
from mapper.live_rights import rights_complaints
from mapper.live_vat import vat_complaints
from mapper.live_words import Complaint, Step, named_things

# Chargebee's tax_exempt_reason, and what a rule says of a line that has none.
REASONS_FOR_NO_TAX = (
    *("tax_not_configured", "region_non_taxable", "export", "customer_exempt", "product_exempt", "zero_rated", "reverse_charge"),
    *("high_value_physical_goods", "zero_value_item", "tax_not_configured_external_provider", "none"),
)
DEBTORS = 20
PAYMENT_SERVICE = 16
SALES, RETURNS, GENERAL = 20, 21, 90
_TYPES = {"invoices": frozenset((SALES,)), "credit_notes": frozenset((SALES, RETURNS))}  # of all others: general
MANDATORY, NOT_USED = 1, 2
# Cash, bank, payment service, debtors, prepayments of debtors, creditors, VAT: Exact keeps these by itself or by other entries.
_NOT_FOR_RESULTS = frozenset((10, 12, 16, 20, 21, 22, 24))
_NOT_FOR_CONTROL = frozenset((20, 21, 22, 24))


def complaints(number: int, configuration: DivisionConfiguration, data: MasterData, today: date) -> list[Complaint]:
    """Compare a division's section with its master data, in the order of the file; so is a needed part that is unreadable."""
    section = _Section(number, configuration, data)
    found = list(rights_complaints(section.path(), configuration, data))
    found += section.division(today)
    found += section.journals()
    found += section.accounts()
    found += section.dimensions()
    found += section.payment_conditions()
    found += section.currencies()
    found += section.reasons()
    if section.knows("vat_codes"):
        found += vat_complaints(section.path(), configuration, data)
    return found


class _Section:
    """One division's section beside its master data."""

    def __init__(self, number: int, configuration: DivisionConfiguration, data: MasterData) -> None:
        self._number = number
        self._configuration = configuration
        self._data = data
        self._unknown = {each.part for each in data.unreadable}
        self._ledgers = {each.code: each for each in data.ledgers}
        self._journals = {each.code: each for each in data.journals}

    def path(self, *steps: Step) -> tuple[Step, ...]:
        return ("divisions", self._number, *steps)

    def knows(self, part: str) -> bool:
        """Tell whether Exact gave a part; what was not given is not judged."""
        return part not in self._unknown

    def division(self, today: date) -> Iterator[Complaint]:
        if self._data.is_blocked:
            yield Complaint(path=self.path(), code="division_blocked", values={"division": self._number})
        actual, code = self._data.currency, self._configuration.currency
        if actual is not None and actual != code:
            values: dict[str, object] = {"actual": actual, "code": code}
            yield Complaint(path=self.path("currency"), code="wrong_division_currency", values=values)
        if self.knows("periods") and not any(each.starts <= today <= each.ends for each in self._data.periods):
            yield Complaint(path=self.path(), code="no_periods", values={"year": today.year})

    def journals(self) -> Iterator[Complaint]:
        if not self.knows("journals"):
            return
        journals, own = self._configuration.journals, self._configuration.currency
        # In mode ledger, what has deferred revenue goes as a sales entry all the same, and so does what Exact gives the rate of.
        at_own_rate = self._configuration.exchange_rates.policy == "exact"
        by_itself = at_own_rate or any(rule.defer for rule in self._configuration.revenue)
        unused = set[str]() if self._configuration.book_payments else {"payments"}
        if self._configuration.mode == "ledger" and not by_itself:
            unused |= {"invoices", "credit_notes"}
        sections: list[tuple[tuple[Step, ...], Journals | JournalsOfCurrency, str]] = [((), journals, own)]
        sections += [(("currencies", currency), named, currency) for currency, named in journals.currencies.items()]
        sections += [(("dated", index), dated, dated.currency or own) for index, dated in enumerate(journals.dated)]
        for steps, section, currency in sections:
            for purpose in PURPOSES:
                code = getattr(section, purpose, None)
                if code is not None and (currency != own or purpose not in unused):
                    types = _TYPES.get(purpose, frozenset((GENERAL,)))
                    yield from self._journal(("journals", *steps, purpose), purpose, code, types, currency)

    def _journal(
        self, steps: tuple[Step, ...], purpose: str, code: str, types: frozenset[int], currency: str
    ) -> Iterator[Complaint]:
        settlements = self._configuration.settlements
        with_vat = {"ledger", "settlements"} if settlements is not None and settlements.fee_vat.code is not None else {"ledger"}

        def fits(journal: Journal) -> bool:
            takes = journal.allows_other_currencies or journal.currency in (None, currency)
            return not journal.is_blocked and journal.type in types and takes and (purpose not in with_vat or journal.allows_vat)

        candidates = named_things(each for each in self._data.journals if fits(each))
        journal = self._journals.get(code)
        values: dict[str, object] = {"code": code, "candidates": candidates, "purpose": purpose}
        if journal is None:
            yield Complaint(path=self.path(*steps), code="no_such_journal", values=values)
            return
        values |= {"description": journal.description, "type": journal.type, "wanted": min(types)}
        if journal.is_blocked:
            yield Complaint(path=self.path(*steps), code="journal_blocked", values=values)
        elif journal.type not in types:
            code = "payment_service_journal" if journal.type == PAYMENT_SERVICE else "wrong_journal_type"
            yield Complaint(path=self.path(*steps), code=code, values=values)
        elif purpose in with_vat and not journal.allows_vat:
            yield Complaint(path=self.path(*steps), code="journal_without_vat", values=values)
        elif not fits(journal):
            values |= {"actual": journal.currency, "currency": currency}
            yield Complaint(path=self.path(*steps), code="journal_of_other_currency", values=values)

    def accounts(self) -> Iterator[Complaint]:
        if not self.knows("ledgers"):
            return
        configuration = self._configuration
        yield from self._debtor(("receivable_account",), configuration.receivable_account)
        for index, debtor in enumerate(configuration.debtors):
            yield from self._debtor(("debtors", index, "account"), debtor.account)
        yield from self._policies()
        for index, rule in enumerate(configuration.revenue):
            yield from self._account(("revenue", index, "account"), rule.account, "revenue", _NOT_FOR_RESULTS)
            yield from self._uses(("revenue", index), rule.account, rule)
        for index, discount in enumerate(configuration.discounts.rules):
            yield from self._account(("discounts", "rules", index, "account"), discount.account, "discounts", _NOT_FOR_RESULTS)
        for index, control in enumerate(configuration.control_accounts):
            steps = ("control_accounts", index, "account")
            yield from self._account(steps, control.account, "control", _NOT_FOR_CONTROL)
            yield from self._uses(steps, control.account, None)

    def _policies(self) -> Iterator[Complaint]:
        configuration = self._configuration
        if configuration.rounding is not None:
            yield from self._plain(("rounding", "account"), configuration.rounding.account, "rounding")
            yield from self._without_vat(("rounding", "account"), configuration.rounding.account)
        if configuration.write_offs is not None:
            yield from self._plain(("write_offs", "account"), configuration.write_offs.account, "loss")
        if configuration.settlements is not None:
            named = configuration.settlements
            yield from self._account(("settlements", "payout_account"), named.payout_account, "control", _NOT_FOR_CONTROL)
            yield from self._plain(("settlements", "fee_account"), named.fee_account, "fees")
            if named.chargeback_fee_account is not None:
                yield from self._plain(("settlements", "chargeback_fee_account"), named.chargeback_fee_account, "fees")
        if configuration.exchange_differences is not None:
            yield from self._plain(("exchange_differences", "account"), configuration.exchange_differences.account, "exchange")
            yield from self._without_vat(("exchange_differences", "account"), configuration.exchange_differences.account)
        if configuration.withheld_taxes is not None:
            account = configuration.withheld_taxes.account
            yield from self._account(("withheld_taxes", "account"), account, "withheld", _NOT_FOR_CONTROL)

    def _without_vat(self, steps: tuple[Step, ...], code: str) -> Iterator[Complaint]:
        """Find an account whose lines on sales entries, which name no VAT code, get VAT by a code of the account's own."""
        ledger, rounding = self._ledgers.get(code), self._configuration.rounding
        given = rounding.vat_code if rounding is not None else None
        own = next((each for each in self._data.vat_codes if ledger is not None and each.code == ledger.vat_code), None)
        if ledger is not None and given is None and own is not None and own.percentage:
            free = named_things(each for each in self._data.vat_codes if not each.percentage and not each.is_blocked)
            values: dict[str, object] = {"code": code, "description": ledger.description, "actual": own.code, "candidates": free}
            yield Complaint(path=self.path(*steps), code="account_with_own_vat_code", values=values)

    def _debtor(self, steps: tuple[Step, ...], code: str) -> Iterator[Complaint]:
        def fits(ledger: Ledger) -> bool:
            return not ledger.is_blocked and ledger.type == DEBTORS

        ledger = self._ledgers.get(code)
        yield from self._there(steps, code, fits)
        if ledger is not None and not ledger.is_blocked and ledger.type != DEBTORS:
            yield Complaint(path=self.path(*steps), code="not_a_debtor_account", values=self._about(ledger, fits))

    def _plain(self, steps: tuple[Step, ...], code: str, purpose: str) -> Iterator[Complaint]:
        yield from self._account(steps, code, purpose, _NOT_FOR_RESULTS)
        yield from self._uses(steps, code, None)

    def _account(self, steps: tuple[Step, ...], code: str, purpose: str, wrong: frozenset[int]) -> Iterator[Complaint]:
        def fits(ledger: Ledger) -> bool:
            return not ledger.is_blocked and ledger.type not in wrong and _is_alike(ledger, purpose)

        ledger = self._ledgers.get(code)
        yield from self._there(steps, code, fits)
        if ledger is not None and not ledger.is_blocked and ledger.type in wrong:
            values = {**self._about(ledger, fits), "purpose": purpose}
            yield Complaint(path=self.path(*steps), code="wrong_account_type", values=values)

    def _there(self, steps: tuple[Step, ...], code: str, fits: Callable[[Ledger], bool]) -> Iterator[Complaint]:
        ledger = self._ledgers.get(code)
        if ledger is None:
            values: dict[str, object] = {
                "code": code,
                "candidates": named_things(each for each in self._data.ledgers if fits(each)),
            }
            yield Complaint(path=self.path(*steps), code="no_such_account", values=values)
        elif ledger.is_blocked:
            yield Complaint(path=self.path(*steps), code="account_blocked", values=self._about(ledger, fits))

    def _about(self, ledger: Ledger, fits: Callable[[Ledger], bool]) -> dict[str, object]:
        candidates = named_things(each for each in self._data.ledgers if fits(each))
        return {"code": ledger.code, "description": ledger.description, "type": ledger.type, "candidates": candidates}

    def _uses(self, steps: tuple[Step, ...], code: str, rule: RevenueRule | None) -> Iterator[Complaint]:
        """Compare what an account asks of cost centres and units with what a line on it gets."""
        ledger = self._ledgers.get(code)
        if ledger is None:
            return
        kinds = (
            ("cost_center", ledger.cost_center_use, rule.cost_center if rule is not None else None, self._data.cost_centers),
            ("cost_unit", ledger.cost_unit_use, rule.cost_unit if rule is not None else None, self._data.cost_units),
        )
        for name, use, given, known in kinds:
            values: dict[str, object] = {"code": code, "description": ledger.description, "candidates": named_things(known)}
            # Where a list of rules may give one, which lines it covers is only known of a document.
            may_be_given = rule is not None and bool(getattr(self._configuration, f"{name}s"))
            if use == MANDATORY and given is None and not may_be_given:
                yield Complaint(path=self.path(*steps), code=f"{name}_mandatory", values=values)
            if use == NOT_USED and given is not None:
                yield Complaint(path=self.path(*steps, name), code=f"{name}_not_used", values=values)

    def dimensions(self) -> Iterator[Complaint]:
        for name, part, known in (
            ("cost_center", "cost_centers", self._data.cost_centers),
            ("cost_unit", "cost_units", self._data.cost_units),
        ):
            codes = {each.code for each in known}
            named: list[tuple[tuple[Step, ...], str | None]] = [
                (("revenue", index, name), getattr(rule, name)) for index, rule in enumerate(self._configuration.revenue)
            ]
            named += [((part, index, "code"), rule.code) for index, rule in enumerate(getattr(self._configuration, part))]
            for steps, code in named:
                if code is not None and code not in codes and self.knows(part):
                    values: dict[str, object] = {"code": code, "candidates": named_things(known)}
                    yield Complaint(path=self.path(*steps), code=f"no_such_{name}", values=values)

    def payment_conditions(self) -> Iterator[Complaint]:
        rules = self._configuration.payment_conditions.rules if self._configuration.payment_conditions is not None else ()
        known = {each.code for each in self._data.payment_conditions}
        for index, rule in enumerate(rules):
            if rule.code not in known and self.knows("payment_conditions"):
                path = self.path("payment_conditions", "rules", index, "code")
                values: dict[str, object] = {"code": rule.code, "candidates": named_things(self._data.payment_conditions)}
                yield Complaint(path=path, code="no_such_payment_condition", values=values)

    def reasons(self) -> Iterator[Complaint]:
        """Find what is almost a reason of Chargebee's for no VAT; another one may be newer than this release."""
        for part in ("revenue", "vat"):
            for index, rule in enumerate(getattr(self._configuration, part)):
                reason = rule.when.reason
                meant = get_close_matches(reason or "", REASONS_FOR_NO_TAX, n=1) if reason not in REASONS_FOR_NO_TAX else []
                if meant:
                    path = self.path(part, index, "when", "reason")
                    yield Complaint(path=path, code="no_such_reason", values={"code": reason, "candidates": meant[0]})

    def currencies(self) -> Iterator[Complaint]:
        configuration, told = self._configuration, {each.code for each in self._data.currencies}
        named: list[tuple[tuple[Step, ...], str | None]] = [(("currency",), configuration.currency)]
        named += [(("journals", "currencies", currency), currency) for currency in configuration.journals.currencies]
        dated = enumerate(configuration.journals.dated)
        named += [(("journals", "dated", index, "currency"), each.currency) for index, each in dated if each.currency is not None]
        named += [(("revenue", index, "when"), rule.when.currency) for index, rule in enumerate(configuration.revenue)]
        named += [
            (("control_accounts", index, "currency"), control.currency)
            for index, control in enumerate(configuration.control_accounts)
            if control.currency != "*"
        ]
        others = [(steps, code) for steps, code in named if code not in (None, configuration.currency)]
        has_account = configuration.exchange_differences is not None or configuration.exchange_rates.policy == "exact"
        if others and configuration.book_payments and not has_account:
            place, other = others[0]
            yield Complaint(path=self.path(*place), code="no_exchange_differences", values={"code": other})
        for steps, code in named:
            if code is not None and code not in told and self.knows("currencies"):
                told.add(code)  # once is enough
                yield Complaint(path=self.path(*steps), code="no_such_currency", values={"code": code})


def _is_alike(ledger: Ledger, purpose: str) -> bool:
    """Tell whether an account is worth naming for a purpose: revenue accounts for revenue, costs for losses."""
    types = {
        "revenue": (110,),
        "discounts": (110,),
        "rounding": (110, 120, 121, 122, 123),
        "loss": (120, 121, 122, 123),
        "fees": (120, 121, 122, 123),
        "exchange": (110, 120, 121, 122, 123),
    }
    return ledger.type in types.get(purpose, (90,))
