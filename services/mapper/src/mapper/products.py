"""Chargebee's products, of both of its catalogues, as the rules see them."""

from __future__ import annotations

from bookkeeping.documents import Product
from contracts import chargebee

ACCOUNTING_FIELDS = ("sku", "accounting_code", *(f"accounting_category{number}" for number in range(1, 5)))


def product_of(resource: chargebee.ItemPrice | chargebee.CatalogProduct, item: chargebee.Item | None) -> Product:
    """Return what the rules ask of a product; the family stands on the price or on its item, fields of the price go first."""
    if isinstance(resource, chargebee.CatalogProduct):
        return Product(price_id=resource.id, fields={**_accounting(resource), **resource.custom_field_texts})
    family = resource.item_family_id or (item.item_family_id if item is not None else None)
    fields = {**(item.custom_field_texts if item is not None else {}), **resource.custom_field_texts}
    if resource.accounting_detail is not None:
        fields |= _accounting(resource.accounting_detail)
    return Product(price_id=resource.id, item_id=resource.item_id, family_id=family, fields=fields)


def _accounting(detail: chargebee.AccountingDetail | chargebee.CatalogProduct) -> dict[str, str]:
    return {name: value for name in ACCOUNTING_FIELDS if (value := getattr(detail, name))}
