"""What the mapper does with each fact it hears."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import date
from functools import partial

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from backbone.database import Database
from backbone.errors import OnceMore
from bookkeeping.mapping import Mapping
from bookkeeping.periods import Period
from bookkeeping.rejections import reject
from bookkeeping.telling import InTwo
from bookkeeping.write_offs import normal_reason
from contracts import chargebee, facts
from contracts.commands import EntryLine, PostEntry
from contracts.coupon_codes import CouponCodeObserved
from contracts.envelope import Envelope, Message
from mapper.applications import fold_applications
from mapper.coupon_sets import KIND as COUPON_CODE
from mapper.custom_fields import custom_fields_of
from mapper.decision import OWN_PAYMENT
from mapper.linked import as_posted
from mapper.lives import fold_document, waits_for
from mapper.plan import Cause, Planner
from mapper.store import Key, Refusal, Row, StandstillNeeded, Store
from mapper.subjects import kind_of
from mapper.subscriptions import held_for_a_field
from mapper.translate_money import OFFLINE_GATEWAY
from mapper.withheld import fold_withheld

ATTEMPTS = 3
VAT_RECLAIM = "vat_reclaim"
EXCHANGE_DIFFERENCE = "exchange_difference"
WAITED_FOR = ("invoice", "credit_note", "payment", "refund")
OF_THEIR_OWN = ("exists_otherwise", "withdrawn")  # refusals that are no complaint of Exact
HELD_FOR_PERIODS = ("period_closed", "period_question", "answer_too_early", "no_financial_year")
DocumentFact = facts.InvoiceObserved | facts.CreditNoteObserved | facts.TransactionObserved | facts.PayoutImported
Product = facts.ItemObserved | facts.ItemPriceObserved | facts.PlanObserved | facts.AddonObserved
MANY_DOCUMENTS_HANG_ON = Product | CouponCodeObserved | facts.PeriodObserved


class Mapper:
    """Folds facts and lets the planner decide about the documents that a fact may have changed."""

    def __init__(self, database: Database, planner: Planner, mappings: dict[int, Mapping]) -> None:
        self._database = database
        self._planner = planner
        self._mappings = mappings
        self._withholding = any(mapping.withheld_tax_account is not None for mapping in mappings.values())

    async def handle(self, connection: AsyncConnection, envelope: Envelope, message: Message) -> None:
        """Handle one fact in the transaction of `connection`; facts that booking does not look at change nothing.

        Raises OnceMore where it turns out that no other may be handled meanwhile.
        """
        store = Store(self._database, connection)
        await store.share(alone=isinstance(message, MANY_DOCUMENTS_HANG_ON))
        try:
            await self.take(store, envelope, message)
        except StandstillNeeded as needed:
            raise OnceMore(self.handle_alone) from needed

    async def handle_alone(self, connection: AsyncConnection, envelope: Envelope, message: Message) -> None:
        """Handle one fact while no other is handled."""
        store = Store(self._database, connection)
        await store.share(alone=True)
        await self.take(store, envelope, message)

    async def take(self, store: Store, envelope: Envelope, message: Message) -> None:
        """Do the same in a store that the caller has, and that shares its data as it has to."""
        cause = Cause(envelope)
        match message:
            case facts.Observed():
                await self._observed(store, message, cause)
            case facts.EntryPosted():
                await self._posted(store, message, cause)
            case facts.EntryRefused():
                await self._refused(store, message, cause)
            case facts.AccountRefused():
                await self._account_refused(store, message, cause)
            case facts.AccountSaved():
                await store.set_refusal(message.division, message.customer_ref, None)
            case facts.PeriodObserved():
                await self._period(store, message, cause)
            case facts.PaymentRecorded():
                await self._own_payment(store, message)
            case _:
                pass

    async def _observed(self, store: Store, fact: facts.Observed, cause: Cause) -> None:
        match fact:
            case facts.InvoiceObserved() | facts.CreditNoteObserved() | facts.TransactionObserved() | facts.PayoutImported():
                await self._document(store, fact, cause)
            case facts.CustomerObserved():
                await self._customer(store, fact, cause)
            case facts.ItemObserved() | facts.ItemPriceObserved() | facts.PlanObserved() | facts.AddonObserved():
                await self._product(store, fact, cause)
            case facts.SubscriptionObserved():
                await self._subscription(store, fact, cause)
            case CouponCodeObserved():
                if await store.fold(COUPON_CODE, fact, fact.resource.id, fact.resource):
                    await self._plan_all(store, await store.waiting_for(fact.site, f"{COUPON_CODE}:{fact.resource.id}"), cause)
            case _:
                pass

    async def _document(
        self,
        store: Store,
        fact: DocumentFact,
        cause: Cause,
    ) -> None:
        resource = msgspec.structs.replace(fact.resource, deleted=fact.deleted or fact.resource.deleted)
        if isinstance(resource, chargebee.Document) and (custom_fields := _custom_fields(cause)):
            resource = msgspec.structs.replace(resource, custom_field_texts=custom_fields)
        stored_as = fact.TYPE.split(".")[1]
        if isinstance(resource, chargebee.Document):
            keys = await fold_document(store, stored_as, fact, resource)
        else:
            is_news = await store.fold(stored_as, fact, resource.id, resource)
            kind = kind_of(resource) if isinstance(resource, chargebee.Transaction) else stored_as
            keys = [Key(fact.site, kind, resource.id)] if is_news else []
        if isinstance(resource, chargebee.CreditNote) and self._writes_off(resource):
            keys += [replace(key, kind=VAT_RECLAIM) for key in keys]
        if keys and isinstance(resource, chargebee.Invoice) and (self._withholding or resource.linked_taxes_withheld):
            keys += await fold_withheld(store, fact, resource)
        if isinstance(resource, chargebee.Transaction) and await self._may_differ(store, fact.site, resource):
            keys += [replace(key, kind=EXCHANGE_DIFFERENCE) for key in keys]
        if keys and self._is_foreign(resource):
            keys += await fold_applications(store, fact, resource)
        for key in keys:
            await self._planner.plan(store, key, cause)
        if keys:
            await self._wake(store, fact.site, stored_as, resource, cause)

    async def _wake(self, store: Store, site: str, stored_as: str, resource: chargebee.Wire, cause: Cause) -> None:
        """Decide anew about what waited for a document to be seen, or for its booking where there will be none."""
        if isinstance(resource, chargebee.Transaction) and self._is_foreign(resource):
            await self._plan_all(store, await store.waiting_for(site, waits_for(resource.id)), cause)
        if not isinstance(resource, chargebee.Document):
            return
        identity = resource.number if isinstance(resource, chargebee.CreditNote) else resource.id
        await self._plan_all(store, await store.waiting_for(site, f"{stored_as}:{identity}"), cause)
        if resource.deleted or resource.status == "voided":
            await self._plan_all(store, await store.waiting_for(site, waits_for(identity)), cause)

    async def _may_differ(self, store: Store, site: str, money: chargebee.Transaction) -> bool:
        """Tell whether money in another currency came in, or came in before and failed since."""
        if not self._is_foreign(money) or money.gateway in (None, OFFLINE_GATEWAY):
            return False
        return money.status == "success" or await store.document(Key(site, EXCHANGE_DIFFERENCE, money.id)) is not None

    def _is_foreign(self, resource: chargebee.Wire) -> bool:
        """Tell whether a document may be in another currency than that of the division which it is booked in."""
        if not isinstance(resource, chargebee.Document | chargebee.Transaction):
            return False
        currency = resource.currency_code
        return currency != resource.base_currency_code or any(each.currency != currency for each in self._mappings.values())

    def _writes_off(self, note: chargebee.CreditNote) -> bool:
        reason = normal_reason(note.create_reason_code or note.reason_code)
        return note.type == "adjustment" and any(mapping.writes_off(reason) for mapping in self._mappings.values())

    async def _customer(self, store: Store, fact: facts.CustomerObserved, cause: Cause) -> None:
        customer = msgspec.structs.replace(fact.resource, deleted=fact.deleted or fact.resource.deleted)
        if custom_fields := _custom_fields(cause):
            customer = msgspec.structs.replace(customer, custom_field_texts=custom_fields)
        if not await store.fold("customer", fact, customer.id, customer):
            return
        for division in await store.divisions_of(f"{fact.site}/{customer.id}"):
            await self._planner.send_account(store, fact.site, customer, division, cause)
        # Not only what waits for the customer: its country and VAT number decide about other holds, too.
        for state in ("waiting", "held"):
            await self._plan_all(store, await store.of_customer(fact.site, customer.id, state), cause)

    async def _product(self, store: Store, fact: Product, cause: Cause) -> None:
        stored_as = fact.TYPE.split(".")[1]
        product: chargebee.Item | chargebee.ItemPrice | chargebee.CatalogProduct = fact.resource
        if custom_fields := _custom_fields(cause):
            product = msgspec.structs.replace(product, custom_field_texts=custom_fields)
        if not await store.fold(stored_as, fact, product.id, product):
            return
        prices = [fact.resource.id]
        if isinstance(fact, facts.ItemObserved):
            prices = await store.prices_of_item(fact.site, fact.resource.id)
        for price in prices:
            await self._plan_all(store, await store.waiting_for(fact.site, f"product:{price}"), cause)

    async def _subscription(self, store: Store, fact: facts.SubscriptionObserved, cause: Cause) -> None:
        subscription = fact.resource
        if custom_fields := _custom_fields(cause):
            subscription = msgspec.structs.replace(subscription, custom_field_texts=custom_fields)
        is_news = await store.fold("subscription", fact, subscription.id, subscription)
        if not is_news or not self._planner.asks_subscriptions:
            return
        waiting = await store.waiting_for(fact.site, f"subscription:{subscription.id}")
        held = await held_for_a_field(store, fact.site, subscription)
        await self._plan_all(store, list(dict.fromkeys((*waiting, *held))), cause)

    async def _plan_all(self, store: Store, keys: list[Key], cause: Cause) -> None:
        for key in keys:
            await self._planner.plan(store, key, cause, again=True)

    async def _posted(self, store: Store, fact: facts.EntryPosted, cause: Cause) -> None:
        row = await store.document_of_command(fact.command_id)
        if row is None:
            return  # booked before this mapper's state was rebuilt; its command comes again with the same id
        # A change that was told before is told anew, or taken back, since a person is to see it beside the entry.
        await store.save(replace(as_posted(row, fact), told=None if row.told is None else ""))
        # It may have been voided or changed while its entry was under way, and a reversal is followed by the new state.
        await self._planner.plan(store, row.key, cause)
        if row.key.kind in WAITED_FOR:
            await self._plan_all(store, await store.waiting_for(row.key.site, waits_for(row.key.number)), cause)

    async def _refused(self, store: Store, fact: facts.EntryRefused, cause: Cause) -> None:
        row = await store.document_of_command(fact.command_id)
        if row is None or row.state == "booked":
            return
        if fact.code == "period_closed" and row.command is not None:
            await self._period_was_closed(store, row, fact, cause)
            return
        if fact.code == "no_financial_year" and row.command is not None:
            command = msgspec.json.decode(row.command, type=PostEntry)
            day = max([command.entry_date, *(line.to_date for line in command.lines if line.to_date is not None)])
            name = _name_of(fact.document)
            decision = reject("no_financial_year", document=name, date=day.isoformat(), division=command.division)
            await self._planner.hold(store, row, fact.document, decision, cause, state="refused")
            return
        await self._hold_refused(store, row, fact, cause)
        if fact.code == "withdrawn":
            await self._planner.plan(store, row.key, cause)  # other rules may hold since it was decided

    async def _hold_refused(self, store: Store, row: Row, fact: facts.EntryRefused, cause: Cause) -> None:
        code = fact.code if fact.code in OF_THEIR_OWN else "exact_refused"
        decision = reject(
            code,
            document=_name_of(fact.document),
            number=fact.document.number,
            message=InTwo(fact.message, fact.message_nl or fact.message),
        )
        await self._planner.hold(store, row, fact.document, decision, cause, state="refused")

    async def _period_was_closed(self, store: Store, row: Row, fact: facts.EntryRefused, cause: Cause) -> None:
        """Plan a document anew whose period closed between the plan and the call."""
        command = msgspec.json.decode(row.command or b"", type=PostEntry)
        periods = await store.periods(command.division, command.journal)
        tried = periods.of(command.entry_date)
        if command.reporting_year is not None and command.reporting_period is not None:
            tried = periods.numbered(command.reporting_year, command.reporting_period)
        if tried is None and row.attempt < ATTEMPTS:
            decision = reject("waiting_for_periods", document=_name_of(fact.document))
            await self._planner.hold(store, row, fact.document, decision, cause, state="refused")
            return
        if tried is None or row.attempt >= ATTEMPTS:
            await self._hold_refused(store, row, fact, cause)
            return
        if any(_reaches_beyond(line, tried) for line in command.lines):
            # Exact does not say whether the entry's own period is closed or one that revenue is released in.
            if not any(_meets(command, period.starts, period.ends) for period in periods if not period.is_open):
                decision = reject("waiting_for_periods", document=_name_of(fact.document))
                await self._planner.hold(store, row, fact.document, decision, cause, state="refused")
                return
        else:
            await store.fold_period(_closed(command, tried))
        await store.save(replace(row, state="refused", code="period_closed"))
        await self._planner.plan(store, row.key, cause, again=True)

    async def _account_refused(self, store: Store, fact: facts.AccountRefused, cause: Cause) -> None:
        refusal = Refusal(fact.code, fact.message, fact.message_nl or fact.message)
        await store.set_refusal(fact.division, fact.customer_ref, refusal)
        site, _, customer_id = fact.customer_ref.partition("/")
        for key in await store.of_customer(site, customer_id, "planned"):
            row = await store.document(key)
            if row is not None and row.division == fact.division and row.command is not None:
                ref = msgspec.json.decode(row.command, type=PostEntry).document
                await self._planner.hold_for_customer(store, row, ref, refusal, cause)

    async def _period(self, store: Store, fact: facts.PeriodObserved, cause: Cause) -> None:
        is_news = await store.fold_period(fact)
        for key in await store.held_by(fact.division, "waiting_for_periods"):
            row = await store.document(key)
            command = msgspec.json.decode(row.command, type=PostEntry) if row and row.command else None
            # Periods come one by one: only its own says whether it must move, or that Exact has opened it meanwhile; a closed
            # one says so too where revenue was to be released in it.
            own = command is not None and fact.starts <= command.entry_date <= fact.ends
            whole = command is None and fact.ends == fact.known_until  # decided before the list was in, which it is now
            if own or whole or (command is not None and not fact.is_open and _meets(command, fact.starts, fact.ends)):
                await self._planner.plan(store, key, cause, again=True)
        if fact.is_open and is_news and await store.held_by(fact.division, *HELD_FOR_PERIODS):
            for code in HELD_FOR_PERIODS:
                await self._plan_all(store, await store.held_by(fact.division, code), cause)

    async def _own_payment(self, store: Store, fact: facts.PaymentRecorded) -> None:
        """Note that a transaction in Chargebee is ours, before or after it comes back as a webhook."""
        key = Key(fact.document.site, "payment", fact.transaction_id)
        if await store.document(key) is None:
            await store.save(
                Row(key=key, customer_id=fact.document.customer_id, division=None, state="set_aside", code=OWN_PAYMENT)
            )

    async def replan_changed_mapping(self, stop: asyncio.Event) -> None:
        """Take up a changed mapping; runs once, when the service starts."""
        await self.take_up_mapping(stop)
        await stop.wait()

    async def take_up_mapping(self, stop: asyncio.Event) -> None:
        """Decide anew about what is held under an older mapping, and send anew the customers that were linked or refused."""
        versions = {division: mapping.version for division, mapping in self._mappings.items()}
        for division, version in [*versions.items(), (None, " ".join(versions.values()))]:
            async with self._database.reading() as connection:
                keys = await Store(self._database, connection).held_under_other_mapping(division, version)
            for key in sorted(keys, key=lambda each: each.kind != "invoice"):  # what takes one back may wait for it
                if stop.is_set():
                    return
                async with self._database.transaction() as connection:
                    store = Store(self._database, connection)
                    await store.share(alone=True)  # an upgrade of a shared lock could meet another and stop both
                    await partial(self._planner.plan, again=True)(store, key, Cause(None, f"mapping {version} "))
        await self._send_customers_again(stop)

    async def _send_customers_again(self, stop: asyncio.Event) -> None:
        """Send the customers that a person linked to another account since, and those that were refused: a cause may be gone."""
        for division, mapping in self._mappings.items():
            async with self._database.reading() as connection:
                store = Store(self._database, connection)
                refused = set(await store.customers_of(division, refused=True))
                known = await store.customers_of(division, refused=False) if mapping.customers.links else []
            linked = {ref for ref in known if mapping.customers.link(*ref.split("/", 1)) is not None}
            for customer_ref in sorted(refused | linked):
                if stop.is_set():
                    return
                site, customer_id = customer_ref.split("/", 1)
                async with self._database.transaction() as connection:
                    store = Store(self._database, connection)
                    customer = await store.resource(site, "customer", customer_id, chargebee.Customer)
                    if customer is not None:
                        cause, again = Cause(None, f"mapping {mapping.version} "), customer_ref in refused
                        await self._planner.send_account(store, site, customer, division, cause, again=again)


def _custom_fields(cause: Cause) -> dict[str, str]:
    return custom_fields_of(bytes(cause.envelope.data)) if cause.envelope is not None else {}


def _name_of(document: facts.DocumentRef) -> str:
    return f"{document.kind.replace('_', ' ')} {document.number}"


def _reaches_beyond(line: EntryLine, period: Period) -> bool:
    if line.from_date is None or line.to_date is None:
        return False
    return line.from_date < period.starts or line.to_date > period.ends


def _meets(command: PostEntry, starts: date, ends: date) -> bool:
    """Whether the entry, or the release of one of its lines, falls within these days."""
    ranges = [(line.from_date, line.to_date) for line in command.lines if line.from_date is not None and line.to_date is not None]
    return any(first <= ends and starts <= last for first, last in [*ranges, (command.entry_date, command.entry_date)])


def _closed(command: PostEntry, period: Period) -> facts.PeriodObserved:
    return facts.PeriodObserved(
        division=command.division,
        journal=command.journal,
        year=period.year,
        period=period.number,
        starts=period.starts,
        ends=period.ends,
        is_open=False,
    )
