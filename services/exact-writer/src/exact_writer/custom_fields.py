"""Exact's own custom fields of accounts, which only its edition Premium has: one call for one field of one account.

A call writes one value and nothing else, so one whose answer was lost is simply sent again, once the lost one can no longer
undo a newer value. What Exact does not take keeps nothing from being booked: it is told by `kruispost doctor`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from backbone.clock import Clock
from backbone.crash_points import crash_point
from backbone.customer_configuration import CustomersConfiguration
from backbone.database import Database
from backbone.telemetry import Telemetry, log
from exact_writer import attachments, odata
from exact_writer.calls import DivisionCalls
from exact_writer.client import ForbiddenError, NotFoundError, RefusedError, Request, UnknownError
from exact_writer.schedule import ENDPOINTS as WRITTEN
from exact_writer.tables import custom_fields
from exact_writer.timing import Timing

UPDATE: Final = "customfield/UpdateCustomField"
SHOWN: Final = "customfield/CustomFields"
ENDPOINTS: Final = frozenset((UPDATE, SHOWN))
DAY_SECONDS: Final = 86_400.0
NEVER: Final = float("inf")
WITHOUT: Final = "Exact does not let us write custom fields: they need its edition Premium and the right to extensibility."
GONE: Final = "Exact has no such account any more."


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """A value that one field of one account is to have."""

    account_id: str
    name: str
    value: str


async def wish(
    database: Database, connection: AsyncConnection, division: int, account_id: str, values: Mapping[str, str]
) -> None:
    """Note what the fields of an account are to show; one that is noted so already costs no call."""
    for name, value in sorted(values.items()):
        insert = database.insert(custom_fields).values(
            division=division, account_id=account_id, name=name, value=value, state="waiting"
        )
        changed = insert.on_conflict_do_update(
            index_elements=["division", "account_id", "name"],
            set_={"value": value, "state": "waiting", "reason": ""},
            where=custom_fields.c.value != value,
        )
        await connection.execute(changed)


async def count_waiting(connection: AsyncConnection, division: int) -> int:
    """How many calls it takes to write what waits."""
    waits = (custom_fields.c.division == division, custom_fields.c.state == "waiting")
    return int(await connection.scalar(sa.select(sa.func.count()).select_from(custom_fields).where(*waits)) or 0)


async def complaints(connection: AsyncConnection, division: int) -> list[tuple[str, str, int]]:
    """The fields that some accounts lack: by name the reason, and of how many accounts."""
    vain = (custom_fields.c.division == division, custom_fields.c.reason != "")
    named = (custom_fields.c.name, custom_fields.c.reason)
    statement = sa.select(*named, sa.func.count().label("accounts")).where(*vain).group_by(*named).order_by(*named)
    return [(row.name, row.reason, row.accounts) for row in await connection.execute(statement)]


class CustomFields:
    """Writes the custom fields of one division's accounts when there is nothing to book, or when it is their turn."""

    def __init__(
        self,
        division: int,
        wishes: CustomersConfiguration,
        *,
        database: Database,
        clock: Clock,
        calls: DivisionCalls,
        telemetry: Telemetry,
        timing: Timing,
    ) -> None:
        self._division = division
        self._names = tuple(sorted(wishes.custom_fields))
        component = wishes.custom_field_component
        # By the name of a field; empty until Exact has shown them.
        self._components: dict[str, str] = dict.fromkeys(self._names, component) if component is not None else {}
        self._database = database
        self._clock = clock
        self._calls = calls
        self._telemetry = telemetry
        self._timing = timing
        self._paused_until = 0.0
        self._is_new = True

    async def turn(self, epoch: int, *, is_owed: bool = False) -> float | None:
        """Write one field: None when something was done, else the instant from which there may be something to do.

        One that `is_owed` a call goes even when the minute has few left. Raises CallError only for what stands in the way of
        every call, such as a limit or a refused token.
        """
        now = self._now()
        closed = [until for endpoint, until in self._calls.closed_endpoints().items() if endpoint in ENDPOINTS]
        wait = max([self._paused_until, *closed]) if self._names else NEVER
        if wait > now:
            return wait
        await self._try_again(epoch)
        async with self._database.reading() as connection:
            wanted = await self._next(connection, now)
            if wanted is None:
                return await self._next_instant(connection)
        room_at = self._calls.room_for_extras_at(is_owed=is_owed)
        if room_at is not None:
            return room_at
        try:
            await self._write(wanted, epoch)
        except (ForbiddenError, NotFoundError) as error:
            # It says nothing of our bookings, and each try counts against the error limit.
            self._calls.forbidden -= ENDPOINTS
            self._paused_until = self._now() + DAY_SECONDS
            log.warning("custom fields are not ours to write", division=self._division, reason=error.message)
            await self._note(wanted, epoch, "waiting", WITHOUT, self._paused_until)
        except (UnknownError, odata.UnreadableAnswerError) as error:
            self._paused_until = self._now() + self._timing.longest_request_seconds
            log.warning("whether a custom field was written is unknown", division=self._division, reason=str(error))
        return None

    async def _try_again(self, epoch: int) -> None:
        """After a restart, which a changed mapping takes, what was in vain is tried at once and not a day later."""
        if not self._is_new:
            return
        vain = (custom_fields.c.division == self._division, custom_fields.c.state == "waiting", custom_fields.c.reason != "")
        async with self._database.transaction() as connection:
            await attachments.check_lease(connection, self._division, epoch)
            await connection.execute(sa.update(custom_fields).where(*vain).values(not_before=0.0))
        self._is_new = False

    async def _next(self, connection: AsyncConnection, now: float) -> Wanted | None:
        ready = (*self._waiting(), custom_fields.c.not_before <= now)
        columns = (custom_fields.c.account_id, custom_fields.c.name, custom_fields.c.value)
        ordered = sa.select(*columns).where(*ready).order_by(custom_fields.c.not_before, *columns[:2]).limit(1)
        row = (await connection.execute(ordered)).one_or_none()
        return None if row is None else Wanted(account_id=row.account_id, name=row.name, value=row.value)

    async def _next_instant(self, connection: AsyncConnection) -> float:
        found = await connection.scalar(sa.select(sa.func.min(custom_fields.c.not_before)).where(*self._waiting()))
        return float(found) if found is not None else NEVER

    def _waiting(self) -> tuple[sa.ColumnElement[bool], ...]:
        """What waits under the names that the mapping has now."""
        of_division = custom_fields.c.division == self._division
        return of_division, custom_fields.c.state == "waiting", custom_fields.c.name.in_(self._names)

    async def _write(self, wanted: Wanted, epoch: int) -> None:
        reason = "" if wanted.name in self._components else await self._learn(wanted)
        if reason == GONE:
            await self._note(wanted, epoch, "refused", reason)
            return
        if reason:
            await self._note_all(wanted.name, epoch, reason)
            return
        body = {
            "LinkId": wanted.account_id,
            "BusinessComponentName": self._components[wanted.name],
            "PropertyName": wanted.name,
            "Value": wanted.value,
        }
        # Whoever comes after a death in between leaves this field alone until the call can have no effect any more.
        await self._note(wanted, epoch, "waiting", "", self._now() + self._timing.longest_request_seconds)
        crash_point("exact_writer.custom_field_noted")
        request = Request(method="POST", endpoint=UPDATE, path=UPDATE, body=msgspec.json.encode(body))
        try:
            await self._calls.read(request)
        except RefusedError as error:
            await self._note(wanted, epoch, "refused", f"Exact does not take the value: {error.message}")
            return
        await self._note(wanted, epoch, "written")

    async def _learn(self, wanted: Wanted) -> str:
        """Ask Exact once what its fields of accounts are called; why a field is not to be written, empty when it is."""
        endpoint = WRITTEN["account"]
        select, by_id = ("ID", "CustomField"), f"ID eq {odata.guid(wanted.account_id)}"
        found = await self._calls.read_all(endpoint, odata.query(endpoint, select=select, filter_by=by_id))
        if not found:
            return GONE
        address = found[0].get("CustomField")
        if not isinstance(address, str) or not address:
            return WITHOUT
        shown = await self._calls.read_all(SHOWN, odata.path_of(address))
        self._components |= {str(row["PropertyName"]): str(row["BusinessComponentName"]) for row in shown}
        if wanted.name in self._components:
            return ""
        names = ", ".join(sorted(self._components)) or "none"
        return (
            f"Exact shows no custom field of this name with accounts, but {names}; where it shows a field only once it has a "
            "value, write custom_field_component."
        )

    async def _note(self, wanted: Wanted, epoch: int, state: str, reason: str = "", not_before: float = 0.0) -> None:
        """Write down how a field stands, unless another value is wanted by now: that one may go at once."""
        of_field = (custom_fields.c.account_id == wanted.account_id, custom_fields.c.name == wanted.name)
        values: dict[str, Any] = {"state": state, "reason": reason, "not_before": not_before}
        async with self._database.transaction() as connection:
            await attachments.check_lease(connection, self._division, epoch)
            update = sa.update(custom_fields).where(custom_fields.c.division == self._division, *of_field)
            await connection.execute(update.where(custom_fields.c.value == wanted.value).values(values))
            if state != "waiting":
                await connection.execute(update.where(custom_fields.c.value != wanted.value).values(not_before=0.0))
        if state != "waiting":
            self._telemetry.count("custom_fields_finished", outcome=state)

    async def _note_all(self, name: str, epoch: int, reason: str) -> None:
        """Leave every account's field of this name alone for a day: the mapping or Exact has to be changed."""
        waits = (custom_fields.c.division == self._division, custom_fields.c.state == "waiting", custom_fields.c.name == name)
        async with self._database.transaction() as connection:
            await attachments.check_lease(connection, self._division, epoch)
            values = {"reason": reason, "not_before": self._now() + DAY_SECONDS}
            await connection.execute(sa.update(custom_fields).where(*waits).values(values))

    def _now(self) -> float:
        return self._clock.now().timestamp()
