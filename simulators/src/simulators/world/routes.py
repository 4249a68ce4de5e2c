"""What the world tells about itself, on the port of the Chargebee stand-in, without authentication.

- POST /_simulator/start: begin to play, where the world was told to wait
- GET /_simulator/progress: counts for a progress bar, `finished` at the end
- GET /_simulator/documents: all documents of Chargebee and what should become of each
- GET /_simulator/comparison: both books compared
- GET /_simulator/books: Chargebee's invoices, credit notes and transactions, and Exact's ledger, to be judged by somebody else
- GET /_simulator/catalogue: what a mapping must cover: families, items, prices, taxes, gateway accounts
"""

from dataclasses import asdict
from typing import Any

import httpx
from fastapi import APIRouter

from .comparison import compare
from .player import DIVISION, Player
from .products import FAMILIES, PRODUCTS, STRIPE_EUR, STRIPE_USD, UNMAPPED_ITEM_PRICE
from .truth import documents


def routes(player: Player) -> APIRouter:
    """The routes of one play."""
    router = APIRouter(prefix="/_simulator")
    site = player.chargebee.site

    async def ledger() -> dict[str, Any]:
        async with httpx.AsyncClient(base_url=player.exact_url, timeout=60.0, trust_env=False) as exact:
            answer = await exact.get("/_simulator/ledger", params={"division": DIVISION})
        return dict(answer.raise_for_status().json())

    @router.post("/start")
    async def start() -> dict[str, bool]:
        player.started.set()
        return {"started": True}

    @router.get("/progress")
    async def progress() -> dict[str, Any]:
        return player.progress()

    @router.get("/documents")
    async def all_documents() -> list[dict[str, Any]]:
        return [asdict(document) for document in documents(site, player.ledger)]

    @router.get("/comparison")
    async def comparison() -> dict[str, Any]:
        return compare(documents(site, player.ledger), site, await ledger())

    @router.get("/books")
    async def books() -> dict[str, Any]:
        resources = {kind: site.all(kind) for kind in ("invoice", "credit_note", "transaction")}
        return {"chargebee": resources, "exact": await ledger()}

    @router.get("/catalogue")
    async def catalogue() -> dict[str, Any]:
        return catalogue_of_the_month()

    return router


def catalogue_of_the_month() -> dict[str, Any]:
    """All that can stand on a document of the month, as a mapping has to know it."""
    return {
        "families": FAMILIES,
        "item_prices": [asdict(product) for product in PRODUCTS],
        "unmapped_item_price": UNMAPPED_ITEM_PRICE,
        "taxes": [
            {"country": "NL", "rate": "21"},
            {"country": "NL", "rate": "9"},
            {"country": "DE", "rate": "19"},
            {"country": "FR", "rate": "20"},
        ],
        "tax_exempt_reasons": ["reverse_charge", "export"],
        "gateway_accounts": {STRIPE_EUR: "EUR", STRIPE_USD: "USD"},
        "currencies": ["EUR", "USD"],
    }
