"""Which division a document goes to: by the routes of its site, else by its business entity, else by the site's division."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from backbone.configuration import Configuration
from bookkeeping.conditions import Question
from bookkeeping.documents import CreditNote, Document, DocumentLine, Invoice, VatReclaim, WithheldTax
from bookkeeping.line_rules import waiting_for_subscription
from bookkeeping.rejections import Rejection, reject
from bookkeeping.rules import WITHOUT_PRODUCT, ProductNeeded, Rules, SubscriptionNeeded
from mapper.line_rules import RouteRule, route_rules
from mapper.store import Key, Store

if TYPE_CHECKING:
    from mapper.subjects import Subject

NO_LINE = DocumentLine(description="", entity_type=WITHOUT_PRODUCT, product_id=None, amount_minor=0)
Load = Callable[[Store, Key], Awaitable["Subject | None"]]


class Routing:
    """Routes the documents of every site. Raises AmbiguousRulesError for routes that contradict each other."""

    def __init__(self, configuration: Configuration, load: Load) -> None:
        self._load = load
        self._sites = configuration.sites
        self._routes = {
            name: Rules(route_rules(site), noun="routes") for name, site in configuration.sites.items() if site.routes
        }
        # Conditions that only a document with lines can meet; money that settles none is not sent anywhere by them.
        self._by_line = {
            name: any(
                rule.when.names_product() or rule.when.type or rule.when.fields or rule.when.customer for rule in rules.rules
            )
            or rules.asks_subscriptions
            for name, rules in self._routes.items()
        }
        self.asks_subscriptions = any(rules.asks_subscriptions for rules in self._routes.values())

    def known_entities(self, name: str) -> set[str]:
        """Return the business entities of a site that the configuration names."""
        site = self._sites[name]
        return {*site.business_entities, *(route.when.business_entity for route in site.routes if route.when.business_entity)}

    def by_entity(self, name: str, entity: str | None) -> int | None:
        """Return the division of a business entity, or the site's own for documents without one."""
        site = self._sites[name]
        return site.business_entities.get(entity) if entity else site.division

    async def division_of(
        self, store: Store, name: str, document: Document | None, entity: str | None, label: str
    ) -> int | Rejection:
        """Return the division of a document, or why it has none; one that could not be translated goes by its entity alone.

        An entity that nobody named never goes to another's division.
        """
        routes = self._routes.get(name)
        found: int | Rejection | None = None
        if routes is not None and document is not None and (not entity or entity in self.known_entities(name)):
            found = await self._routed(store, name, routes, document, entity, label)
        if found is None:
            found = self.by_entity(name, entity)
        if found is None:
            setting = f"business_entities.{entity}" if entity else "division"
            return reject("unknown_business_entity", document=label, entity=entity or "(none)", site=name, setting=setting)
        return found

    async def _routed(
        self, store: Store, name: str, routes: Rules[RouteRule], document: Document, entity: str | None, label: str
    ) -> int | Rejection | None:
        followed = await self._followed(store, name, document, label)
        if followed is not None:
            return followed
        if isinstance(document, VatReclaim):
            document = document.note
        if isinstance(document, Invoice | CreditNote):
            return await self._of_lines(store, name, routes, document, entity, label)
        if self._by_line[name]:
            return reject("route_undecided", document=label, site=name)
        country = document.debtor.country if document.debtor is not None else None
        answer = routes.find(_question(document, entity, NO_LINE, country), None)
        return answer.division if isinstance(answer, RouteRule) else None

    async def _followed(self, store: Store, name: str, document: Document, label: str) -> int | Rejection | None:
        """Return the division of the documents that this one credits or settles, None where it is about no other."""
        if isinstance(document, VatReclaim):
            document = document.note
        if isinstance(document, Invoice):
            return None
        if isinstance(document, CreditNote):
            numbers = [document.reference_invoice] if document.reference_invoice and document.reference_known else []
        elif isinstance(document, WithheldTax):
            numbers = [document.invoice]
        else:
            numbers = [settled.number for settled in document.settlements]
        divisions: set[int] = set()
        for number in numbers:
            other = await self._load(store, Key(name, "invoice", number)) or await self._load(
                store, Key(name, "credit_note", number)
            )
            if other is None or other.division is None:
                waits_for = f"invoice:{number}"
                if other is not None and isinstance(other.translated, Rejection):
                    waits_for = other.translated.waits_for or waits_for
                return reject("route_unknown", waits_for=waits_for, document=label, other=number)
            divisions.add(other.division)
        if len(divisions) > 1:
            return _disagree(divisions, label, name)
        return next(iter(divisions), None)

    async def _of_lines(
        self, store: Store, name: str, routes: Rules[RouteRule], document: Invoice | CreditNote, entity: str | None, label: str
    ) -> int | Rejection | None:
        products = await store.products(name, {line.product_id for line in document.lines if line.product_id is not None})
        found: set[int | None] = set()
        for line in document.lines or (NO_LINE,):
            asked = _question(document, entity, line, document.customer_country)
            answer = routes.find(asked, products.get(line.product_id or ""))
            if isinstance(answer, SubscriptionNeeded):
                return waiting_for_subscription(line, label)
            if isinstance(answer, ProductNeeded):
                product = answer.product_id
                return reject("waiting_for_product", waits_for=f"product:{product}", product=product, line="", document=label)
            found.add(answer.division if answer is not None else None)
        divisions = {self.by_entity(name, entity) if division is None else division for division in found}
        if len(divisions) > 1:
            return _disagree(divisions, label, name)
        return next(iter(divisions), None)


def _question(document: Document, entity: str | None, line: DocumentLine, country: str | None) -> Question:
    of_sale = document if isinstance(document, Invoice | CreditNote) else None
    return Question(
        entity_type=line.entity_type,
        product_id=line.product_id,
        currency="" if isinstance(document, VatReclaim) else document.currency,
        country=country,
        reason=None,
        day=document.document_date,
        customer="business" if of_sale is not None and of_sale.is_business else "consumer",
        fields=of_sale.custom_fields if of_sale is not None else {},
        subscription_fields=None if line.awaits_subscription else line.subscription_fields or {},
        business_entity=entity,
    )


def _disagree(divisions: set[int | None] | set[int], label: str, name: str) -> Rejection:
    listed = ", ".join(sorted("none" if division is None else str(division) for division in divisions))
    return reject("routes_disagree", document=label, divisions=listed, site=name)
