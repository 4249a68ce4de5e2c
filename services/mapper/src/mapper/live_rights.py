"""What Exact does not let the app read, where a setting needs it: a scope is missing, or the licence has it not. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from backbone.mapping_configuration import DivisionConfiguration
from contracts.master_data import MasterData, Part
from mapper.live_words import Complaint, Step

Needed = tuple[Step, ...] | None


def rights_complaints(path: tuple[Step, ...], configuration: DivisionConfiguration, data: MasterData) -> Iterator[Complaint]:
    """Name each setting that needs what is unreadable; what the mapping does without is no complaint."""
    for each in data.unreadable:
        need = _NEEDS.get(each.part)
        place = need(configuration) if need is not None else ()
        if place is None:
            continue
        package = f" (package {data.package})" if data.package else ""
        values: dict[str, object] = {"endpoint": each.endpoint, "reason": each.reason.rstrip("."), "package": package}
        yield Complaint(path=(*path, *place), code="part_unreadable", values=values)


def _dimension(name: str) -> Callable[[DivisionConfiguration], Needed]:
    def need(configuration: DivisionConfiguration) -> Needed:
        rules = enumerate(configuration.revenue)
        by_rule: Needed = next((("revenue", index, name) for index, rule in rules if getattr(rule, name) is not None), None)
        return by_rule or ((f"{name}s",) if getattr(configuration, f"{name}s") else None)

    return need


def _contacts(configuration: DivisionConfiguration) -> Needed:
    if "email" not in configuration.customers.match:
        return None
    return ("customers", "match") if "match" in configuration.customers.model_fields_set else ()


def _documents(configuration: DivisionConfiguration) -> Needed:
    lists = configuration.mode == "ledger" and configuration.pdf.lists
    if configuration.pdf.policy in ("always", "business"):
        return ("pdf", "policy")
    return ("mode",) if lists else None


def _general_entries(configuration: DivisionConfiguration) -> Needed:
    journals = configuration.journals
    if configuration.book_payments:
        return ("journals", "payments")
    named = ("write_offs", "ledger", "settlements")
    return next((("journals", name) for name in named if getattr(journals, name) is not None), None)


def _in_mode_document(configuration: DivisionConfiguration) -> Needed:
    return ("mode",) if configuration.mode == "document" else None


# Where a part is needed by one setting only, that setting's place, or None while it is not used. All else is always needed.
_NEEDS: Final[dict[Part, Callable[[DivisionConfiguration], Needed]]] = {
    "cost_centers": _dimension("cost_center"),
    "cost_units": _dimension("cost_unit"),
    "payment_conditions": lambda each: ("payment_conditions",) if each.payment_conditions is not None else None,
    "contacts": _contacts,
    "general_entries": _general_entries,
    "sales_invoices": _in_mode_document,
    "items": _in_mode_document,
    "documents": _documents,
}
