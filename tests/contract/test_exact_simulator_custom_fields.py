"""Custom fields of accounts in the Exact stand-in: one call for one value, and both positions of what is not known."""

from __future__ import annotations

from typing import Any

import pytest
from support.exact_simulator import ExactClient, exact, message

from simulators.exact.settings import CustomField

UPDATE = "customfield/UpdateCustomField"
FIELDS = (CustomField("Account", "Segment", 10), CustomField("Account", "Team"))


def field(link: str, **other: str) -> dict[str, str]:
    return {"LinkId": link, "BusinessComponentName": "Account", "PropertyName": "Segment", "Value": "Retail", **other}


async def shown(client: ExactClient, account: str) -> dict[str, Any]:
    (row,) = await client.rows("crm/Accounts", filter=f"ID eq guid'{account}'", select="ID,CustomField")
    path = row["CustomField"].partition(f"/{client.division}/")[2]
    return {each["PropertyName"]: each["Value"] for each in await client.rows(path)}


@pytest.mark.parametrize(("switch", "unset"), [("listed", {"Team": None}), ("left_out", {})])
async def test_a_value_is_written_over_and_read_by_the_link_of_its_account(switch: str, unset: dict[str, None]):
    async with exact(custom_fields=FIELDS, unset_custom_fields=switch) as client:
        account = await client.customer()
        assert (await client.post(UPDATE, field(account))).status_code == 201
        assert (await client.post(UPDATE, field(account, Value="Food"))).status_code == 201
        assert await shown(client, account) == {"Segment": "Food", **unset}


@pytest.mark.parametrize(
    ("other", "said"),
    [
        ({"Value": ""}, "Verplicht: Value"),
        ({"PropertyName": "Sector"}, "Ongeldige referentie: Vrij veld"),
        ({"BusinessComponentName": "Contact"}, "Ongeldige referentie: Vrij veld"),
        ({"LinkId": "00000000-0000-4000-8000-000000000000"}, "Ongeldige referentie: Relatie"),
        ({"Value": "Groothandel"}, "Te lang: Vrij veld"),
    ],
)
async def test_what_does_not_fit_is_refused_and_changes_nothing(other: dict[str, str], said: str):
    async with exact(custom_fields=FIELDS) as client:
        account = await client.customer()
        assert message(await client.post(UPDATE, field(account, **other))) == said
        assert await shown(client, account) == {"Segment": None, "Team": None}


@pytest.mark.parametrize(("switch", "status"), [("forbidden", 403), ("not_found", 404)])
async def test_an_edition_without_custom_fields_has_no_link_and_takes_none(switch: str, status: int):
    async with exact(without_custom_fields=switch) as client:
        account = await client.customer()
        assert (await client.post(UPDATE, field(account))).status_code == status
        assert (await client.get(f"customfield/CustomFields(guid'{account}')")).status_code == status
        (row,) = await client.rows("crm/Accounts", filter=f"ID eq guid'{account}'", select="ID,CustomField")
        assert row["CustomField"] is None
