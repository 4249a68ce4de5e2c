"""How a command ends: the journal, the account book and the fact that tells it, in one transaction of the caller's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from backbone.clock import Clock
from backbone.database import Database
from backbone.telemetry import Telemetry
from contracts.commands import PostEntry, SaveAccount
from contracts.facts import AccountRefused, AccountSaved, EntryPosted, EntryRefused
from exact_writer import account_book, announce, attachments, custom_fields, journal, payloads, precheck, receivables
from exact_writer.account_book import Known
from exact_writer.journal import Work
from exact_writer.lookup import Found
from exact_writer.mirror import Mirror
from exact_writer.precheck import Problem
from exact_writer.refusals import action
from exact_writer.words import Told, say


class Outcomes:
    """Writes down how commands of one division ended. A command ends once; its envelope is the cause of the fact."""

    def __init__(
        self, division: int, currency: str, *, database: Database, clock: Clock, mirror: Mirror, telemetry: Telemetry
    ) -> None:
        self._division = division
        self._currency = currency
        self._database = database
        self._clock = clock
        self._mirror = mirror
        self._telemetry = telemetry

    async def account_saved(
        self, connection: AsyncConnection, work: Work, command: SaveAccount, known: Known, epoch: int, *, created: bool
    ) -> None:
        """The customer stands in Exact."""
        account_id = known.account_id
        await journal.mark(connection, self._division, work.command_id, epoch, "posted", exact_id=account_id)
        await account_book.remember(self._database, connection, self._division, command.customer_ref, known)
        await self._mirror.accounts.note_customer(connection, account_id)
        await custom_fields.wish(self._database, connection, self._division, account_id, command.custom_fields)
        fact = AccountSaved(division=self._division, customer_ref=command.customer_ref, account_id=account_id, created=created)
        await announce.account(connection, fact, work.envelope, self._clock.now())
        self._telemetry.count("commands_finished", type="account", outcome="saved")

    async def posted(
        self,
        connection: AsyncConnection,
        work: Work,
        command: PostEntry,
        entry_id: str,
        entity: Mapping[str, Any],
        epoch: int,
        *,
        found: bool = False,
        linked_journal: str | None = None,
    ) -> None:
        """The entry stands in Exact; `entity` is Exact's answer, whose period is told when it names one.

        `linked_journal` is where somebody else booked it; it was not posted then.
        """
        booked = [(work, command)]
        await self.all_posted(connection, booked, entry_id, entity, epoch, found=found, linked_journal=linked_journal)

    async def all_posted(
        self,
        connection: AsyncConnection,
        booked: Sequence[tuple[Work, PostEntry]],
        entry_id: str,
        entity: Mapping[str, Any],
        epoch: int,
        *,
        found: bool = False,
        linked_journal: str | None = None,
    ) -> None:
        """The same of an entry that these commands share."""
        now = self._clock.now()
        values = {
            "exact_id": entry_id,
            "exact_number": int(entity.get("EntryNumber") or 0),
            "is_linked": linked_journal is not None,
        }
        command_ids = [work.command_id for work, _ in booked]
        await journal.mark_all(connection, self._division, command_ids, epoch, "posted", **values)
        told = [
            (self._fact_of(work, command, entry_id, entity, found=found, linked_journal=linked_journal), work.envelope)
            for work, command in booked
        ]
        await announce.entries(connection, told, now)
        for work, command in booked:
            if command.pdf:
                # Only a sales invoice that was made final has one: that of Exact's own print.
                printed = str(entity["Document"]) if entity.get("Document") and work.kind == "document" else None
                await attachments.plan(self._database, connection, self._division, work.command_id, document_id=printed)
            if found:
                await receivables.tell_again(connection, self._division, entry_id, command, now)
            self._telemetry.count("commands_finished", type=command.kind, outcome="posted")

    def _fact_of(
        self,
        work: Work,
        command: PostEntry,
        entry_id: str,
        entity: Mapping[str, Any],
        *,
        found: bool,
        linked_journal: str | None,
    ) -> EntryPosted:
        is_linked = linked_journal is not None
        year, period = precheck.period_of(command, self._mirror) or (None, None)
        return EntryPosted(
            division=self._division,
            command_id=command.command_id,
            document=command.document,
            entry_id=entry_id,
            entry_number=int(entity.get("EntryNumber") or 0),
            journal=linked_journal or command.journal,
            your_ref=command.your_ref,
            reporting_year=entity.get("ReportingYear") or entity.get("FinancialYear") or year,
            reporting_period=entity.get("ReportingPeriod") or entity.get("FinancialPeriod") or period,
            exchange_rate=command.exchange_rate or _rate_in(entity, command, self._currency),
            found=found,
            mapping_version=command.mapping_version,
            booked_as=work.kind if work.kind in {"document", "ledger"} and not is_linked else "entry",
            is_linked=is_linked,
        )

    async def refused_unsent(self, work: Work, epoch: int, problem: Problem) -> None:
        """Exact would refuse the command, so that no call is made."""
        async with self._database.transaction() as connection:
            await self.refused(connection, work, epoch, problem.code, problem.told.and_then(action(problem.code)))

    async def failed(self, connection: AsyncConnection, work: Work, epoch: int, times: int) -> None:
        """Exact failed so often that the command is given up; nothing was booked."""
        told = say("exact_failure", times=times).and_then(action("exact_failure"))
        await self.refused(connection, work, epoch, "exact_failure", told)

    async def doubtful(self, connection: AsyncConnection, work: Work, command: PostEntry, seen: Found, epoch: int) -> None:
        """Exact has an entry with the command's reference that is not what was asked for: a person has to look at it."""
        wanted, number, reference = payloads.total(command), seen.number, command.your_ref
        if seen.amount == wanted:
            told = say("reference_taken_by_another", number=number, reference=reference)
        else:
            found, asked = (f"{amount or 0:,.{command.decimals}f}" for amount in (seen.amount, wanted))
            currency = seen.currency or command.currency
            amounts = {"found": f"{found} {currency}", "wanted": f"{asked} {command.currency}"}
            told = say("reference_taken", number=number, reference=reference, **amounts)
        await self.refused(connection, work, epoch, "reference_taken", told.and_then(action("reference_taken")))

    async def refused(self, connection: AsyncConnection, work: Work, epoch: int, code: str, told: Told | str) -> None:
        """The command cannot be carried out, in our words or in Exact's own.

        A period that Exact calls closed is told before, so that the entry is not planned for it again.
        """
        command, now = work.command, self._clock.now()
        message, dutch = (told.english, told.dutch) if isinstance(told, Told) else (told, "")
        await journal.mark(connection, self._division, work.command_id, epoch, "refused", code=code, message=message)
        self._telemetry.count("commands_finished", type=work.kind, outcome="refused")
        if isinstance(command, SaveAccount):
            refusal = AccountRefused(
                division=self._division, customer_ref=command.customer_ref, code=code, message=message, message_nl=dutch
            )
            await announce.account(connection, refusal, work.envelope, now)
            return
        period = precheck.period_of(command, self._mirror)
        if code == "period_closed" and period is not None:
            await self._mirror.observe_closed(connection, command, *period)
        fact = EntryRefused(
            division=self._division,
            command_id=command.command_id,
            document=command.document,
            code=code,
            message=message,
            message_nl=dutch,
        )
        await announce.entries(connection, [(fact, work.envelope)], now)


def _rate_in(entity: Mapping[str, Any], command: PostEntry, division_currency: str) -> Decimal | None:
    """Exact's own rate of an entry, as its answer has it, which may be 1; a currency that is the division's has none."""
    given = entity.get("Rate") if command.kind == "sales" else entity.get("ExchangeRate")
    if given is None or command.currency == division_currency or entity.get("Currency") != command.currency:
        return None
    return Decimal(str(given))
