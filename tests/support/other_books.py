"""What another connector, or a person, has in the Exact stand-in beside us."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
from support.command_line import kruispost_here
from support.exact_server import ExactServer
from support.whole_month import DIVISION, Month, events_of_month
from support.writer_stage import writer_environment


def first_days() -> list[dict[str, Any]]:
    """The first days of the month: invoices, a card payment, a credit note."""
    events = events_of_month(documents=14)
    last = next(place for place, event in enumerate(events) if event["content"].get("invoice", {}).get("id") == "INV-15")
    return events[:last]


def customers_of(events: list[dict[str, Any]]) -> dict[str, str]:
    """The customer of each invoice."""
    shown = [event["content"]["invoice"] for event in events if "invoice" in event["content"]]
    return {invoice["id"]: invoice["customer_id"] for invoice in shown}


async def run(month: Month, *arguments: str) -> Any:
    """Give a command within this process, which saves the seconds that starting one takes."""
    settings = month.writer.settings
    values = {**writer_environment(settings.exact_url), "data_dir": settings.data_dir, "ledger_seconds": 0}
    if settings.database_url is not None:
        values["database_url"] = settings.database_url
    variables = {f"KRUISPOST_{name.upper()}": str(value) for name, value in values.items()}
    return await asyncio.to_thread(kruispost_here, *arguments, directory=month.directory, settings=variables)


class Others:
    """Writes into Exact as somebody else."""

    def __init__(self, server: ExactServer) -> None:
        self._server = server
        self._division = server.simulator.world.divisions[DIVISION]

    async def _post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        token = (await self._server.control("tokens", client_id="other-app"))["access_token"]
        headers = {"Authorization": f"Bearer {token}", "Accept": "application/json"}
        async with httpx.AsyncClient(base_url=self._server.url, headers=headers) as http:
            answer = await http.post(f"/api/v1/{DIVISION}/{path}", json=body)
        assert answer.is_success, answer.text
        made: dict[str, Any] = answer.json()["d"]
        return made

    async def account(self, code: str) -> str:
        """A customer with this code."""
        return str((await self._post("crm/Accounts", {"Name": f"Klant {code}", "Code": code, "Status": "C"}))["ID"])

    async def sale(
        self,
        account: str,
        net: float,
        vat: float,
        day: str,
        *,
        ledger: str = "8020",
        code: str = "2",
        of: tuple[str | None, str | None] = (None, None),
        **heading: Any,
    ) -> int:
        """A sales entry of one line, `of` a cost centre and unit; returns its number."""
        row = self._division.by_code("financial/GLAccounts", ledger)
        assert row is not None
        line = {
            "GLAccount": str(row["ID"]),
            "AmountFC": net,
            "VATCode": code,
            "VATAmountFC": vat,
            "CostCenter": of[0],
            "CostUnit": of[1],
        }
        body = {"Customer": account, "Journal": "70", "EntryDate": day, "SalesEntryLines": [line], **heading}
        return int((await self._post("salesentry/SalesEntries", body))["EntryNumber"])

    async def money(self, account: str, amount: float, day: str, text: str) -> int:
        """What was paid, as a general entry; returns its number."""
        debts, control = (self._division.by_code("financial/GLAccounts", code) for code in ("1300", "1290"))
        assert debts is not None
        assert control is not None
        lines = [
            {"GLAccount": str(debts["ID"]), "Account": account, "AmountFC": -amount, "Date": day, "Description": text},
            {"GLAccount": str(control["ID"]), "AmountFC": amount, "Date": day, "Description": text},
        ]
        body = {"JournalCode": "90", "GeneralJournalEntryLines": lines}
        return int((await self._post("generaljournalentry/GeneralJournalEntries", body))["EntryNumber"])

    def references(self) -> list[str]:
        """The references of all sales in Exact, each as often as it stands there."""
        return sorted(str(row["YourRef"]) for row in self._division.table("salesentry/SalesEntries") if row.get("YourRef"))
