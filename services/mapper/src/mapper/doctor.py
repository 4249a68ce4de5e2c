"""What the mapper adds to `kruispost doctor`: how the mapping and the live division fit, with the place in the file."""

from __future__ import annotations

from datetime import date
from typing import Any

from backbone.command_database import UnreadableError
from backbone.configuration import Configuration
from backbone.settings import Settings
from contracts.master_data import MasterData
from mapper.catalogue_check import Catalogue, names_coupons, names_fields, unseen
from mapper.history import PagedStore
from mapper.live_check import complaints
from mapper.live_words import placed
from mapper.proposal import propose
from mapper.reading import ask, asked
from mapper.wording import Language


def first_mapping(settings: Settings, data: MasterData) -> str:
    """Return a proposed kruispost.yaml for a division, with the product families that the mapper has seen."""

    async def families(store: PagedStore) -> dict[str, str]:
        return await store.families()

    try:
        seen = ask(settings, families)
    except UnreadableError:
        seen = {}  # nothing has come in from Chargebee yet
    return propose(data, seen)


async def products(settings: Settings, configuration: Configuration, lang: Language) -> tuple[int, list[dict[str, Any]]]:
    """Return how many names of products and coupons were looked up in what Chargebee has shown, and what is wrong with which.

    Raises UnreadableError, or what the database raises.
    """

    async def catalogues(store: PagedStore) -> dict[str, Catalogue]:
        return await store.catalogues(coupons=names_coupons(configuration), fields=names_fields(configuration))

    found = unseen(configuration, await asked(settings, catalogues))
    return found.named, [placed(configuration, complaint, lang) for complaint in found.complaints]


def examine(configuration: Configuration, data: MasterData, today: date, lang: Language) -> list[dict[str, Any]]:
    """Return what is wrong with the section of one division: code, line and path in the file, sentence and advice."""
    found = complaints(data.division, configuration.divisions[data.division], data, today)
    return [placed(configuration, complaint, lang) for complaint in found]
