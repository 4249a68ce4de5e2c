"""Plays a plan: Chargebee's side on the site itself, the bank's side through Exact's control interface."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any
from urllib.parse import urlsplit

import httpx

from simulators.chargebee.app import ChargebeeSimulator
from simulators.chargebee.invoices import run_scheduled_jobs
from simulators.chargebee.settings import WebhookEndpoint

from .actions import Ledger, Receipt, perform
from .month import set_up_catalogue
from .plan import Plan

DIVISION = 100_001
RECEIVER_SECONDS = 60.0
RECEIPT_PAUSE_SECONDS = 0.25
LOSE_ANSWERS = ("SalesEntries", "SalesInvoices", "GeneralJournalEntries")  # whichever of them a division books with


@dataclass
class Player:
    """One play of one month; `play` runs it, the rest can be looked at meanwhile."""

    chargebee: ChargebeeSimulator
    plan: Plan
    exact_url: str
    play_seconds: float = 10.0
    receipts_seconds: float = 900.0
    started: asyncio.Event = field(default_factory=asyncio.Event)
    ledger: Ledger = field(default_factory=Ledger)
    entered: int = 0
    refused_receipts: list[dict[str, str]] = field(default_factory=list)
    played: bool = False
    finished: bool = False

    async def play(self) -> None:
        """Wait for the start and for somebody to receive the webhooks, then play to the end."""
        await self.started.wait()
        await _wait_for_receiver(self.chargebee.sender.endpoints)
        async with httpx.AsyncClient(base_url=self.exact_url, timeout=20.0, trust_env=False) as exact:
            await self._close_period_before(exact)
            receipts = asyncio.create_task(self._enter_receipts(exact))
            try:
                await self._play_steps(exact)
                self.played = True
                await receipts
            finally:
                receipts.cancel()
        self.finished = True

    async def _close_period_before(self, exact: httpx.AsyncClient) -> None:
        before = date(self.plan.year, self.plan.month, 1) - timedelta(days=1)
        body = {"division": DIVISION, "journal": None, "year": before.year, "period": before.month, "open": False}
        (await exact.post("/_simulator/periods", json=body)).raise_for_status()

    async def _play_steps(self, exact: httpx.AsyncClient) -> None:
        site = self.chargebee.site
        set_up_catalogue(site)
        steps = self.plan.in_order()
        loses_an_answer = len(steps) * 2 // 5
        for number, step in enumerate(steps):
            if number == loses_an_answer:
                for endpoint in LOSE_ANSWERS:
                    fault = {"fault": "lose_answer", "method": "POST", "path_contains": endpoint, "times": 1}
                    (await exact.post("/_simulator/faults", json=fault)).raise_for_status()
            site.clock.advance_to(step.at)
            run_scheduled_jobs(site)
            perform(site, step.action, self.ledger)
            await asyncio.sleep(self.play_seconds / len(steps))

    async def _enter_receipts(self, exact: httpx.AsyncClient) -> None:
        """Enter each receipt as soon as its receivable is there, until all are entered or the time is over."""
        done = 0
        deadline = asyncio.get_running_loop().time() + self.play_seconds + self.receipts_seconds
        waiting: list[Receipt] = []
        while asyncio.get_running_loop().time() < deadline:
            waiting += self.ledger.receipts[done:]
            done = len(self.ledger.receipts)
            waiting = [receipt for receipt in waiting if not await self._enter(exact, receipt)]
            if self.played and not waiting and done == len(self.ledger.receipts):
                return
            await asyncio.sleep(RECEIPT_PAUSE_SECONDS)

    async def _enter(self, exact: httpx.AsyncClient, receipt: Receipt) -> bool:
        """Enter a receipt; False when its receivable is not there yet. A refusal is kept and not tried again."""
        body = {
            "division": DIVISION,
            "your_ref": receipt.invoice_number,
            "amount_minor": receipt.amount_minor,
            "date": self.chargebee.site.local_date(receipt.at).isoformat(),
        }
        answer = await exact.post("/_simulator/bank-receipts", json=body)
        if answer.status_code == 404:
            return False
        if answer.is_success:
            self.entered += 1
        else:
            self.refused_receipts.append({"number": receipt.invoice_number, "why": answer.text})
        return True

    def progress(self) -> dict[str, Any]:
        """Counts for a progress bar; documents that the connector itself made are not among them."""
        site, sender = self.chargebee.site, self.chargebee.sender
        own = [each for each in site.all("transaction") if each["gateway"] != "not_applicable"]
        return {
            "documents_total": self.plan.documents,
            "documents_created": len(site.all("invoice")) + len(site.all("credit_note")) + len(own),
            "webhooks_sent": sender.sent,
            "webhooks_pending": sender.pending,
            "receipts_total": self.plan.receipts,
            "receipts_entered": self.entered,
            "receipts_refused": self.refused_receipts,
            "finished": self.finished and sender.pending == 0,
        }


async def _wait_for_receiver(endpoints: Sequence[WebhookEndpoint]) -> None:
    """Wait until the first endpoint accepts connections; after a minute the retries of webhooks have to do."""
    if not endpoints:
        return
    parts = urlsplit(endpoints[0].url)
    deadline = asyncio.get_running_loop().time() + RECEIVER_SECONDS
    while asyncio.get_running_loop().time() < deadline:
        try:
            _, writer = await asyncio.open_connection(parts.hostname, parts.port or 80)
        except OSError:
            await asyncio.sleep(0.1)
        else:
            writer.close()
            return
