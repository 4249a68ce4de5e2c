"""The mirror of Exact's master data in one division: what is there, what is blocked, which periods are open.

Read at the start, once a day, and when a command names something that is not there. Ledgers and accounts come by their sync
endpoints, which send only what changed; the others have none and come page by page. What was deleted comes from sync/Deleted,
and everything is read anew after the division was moved, since row versions start anew then.
"""

from __future__ import annotations

from collections.abc import Container, Iterable
from datetime import date
from typing import Any, Final

import msgspec
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from backbone.clock import Clock
from backbone.database import Database
from backbone.mapping_configuration import DivisionConfiguration
from backbone.telemetry import log
from contracts.commands import PostEntry
from contracts.facts import PeriodObserved
from exact_writer import announce, ledger_lines, master_records, odata, payment_terms, versions_base, watched_years
from exact_writer.account_mirror import AccountMirror
from exact_writer.calls import DivisionCalls, NotAllowedNowError
from exact_writer.client import ForbiddenError
from exact_writer.master_records import SOURCES, STATUSES, Kind, Record
from exact_writer.row_versions import NEVER, Follower, Rows
from exact_writer.tables import master_data, mirror_state

DAY_SECONDS: Final = 86_400.0
# A period that was opened again is seen within the hour, in a year that is not watched within the day; a closed one by the
# first refusal.
PERIODS_SECONDS: Final = 3_600.0
MOVES_SECONDS: Final = 21_600.0  # while row versions have started anew, nothing that changes is seen
DELETIONS_SECONDS: Final = 21_600.0  # what a person deleted is missed by nobody else: as often as the ledger is read of itself
_FRESH_SECONDS: Final = {"period": PERIODS_SECONDS, "division": MOVES_SECONDS, "deleted": DELETIONS_SECONDS}
AGAIN_SECONDS: Final = 60.0  # how old a part must be before something missing in it is worth a call
DELETIONS_KEPT_SECONDS: Final = 55 * DAY_SECONDS  # Exact keeps its log of deletions for two months
CLOSED: Final = 1
PAYMENT_TERMS: Final = "payment_term"
ALL_PERIODS: Final = "all_periods"
NO_RIGHT: Final = "no_right_to_"
ALL_PERIODS_SECONDS: Final = DAY_SECONDS - PERIODS_SECONDS  # so that none is older than a day
AT_START: Final[tuple[Kind, ...]] = ("division", "ledger", "journal", "vat_code", "account", "deleted", "period")
# Without the right to these the connector works, but does not notice what they say.
_OPTIONAL: Final[tuple[Kind, ...]] = ("division", "deleted")
_FOLLOWED: Final = tuple(kind for kind, source in SOURCES.items() if source.is_sync)
_ACCOUNTS, _CONTACTS, _LEDGERS, _PAYMENT_TERMS = 2, 5, 7, 10  # sync/Deleted EntityType


class Mirror:
    """The mirror of one division, in memory for looking things up and in the database across restarts."""

    def __init__(
        self, division: int, configuration: DivisionConfiguration, *, database: Database, clock: Clock, calls: DivisionCalls
    ) -> None:
        self._division = division
        self._database = database
        self._clock = clock
        self._calls = calls
        self._follower = Follower(division, database=database, clock=clock, calls=calls)
        self.currency = configuration.currency
        self._journals = sorted(configuration.journals.codes())
        self.accounts = AccountMirror(division, database)
        self.versions_base = 0  # added to row versions that are told, so that they keep growing over a move of the division
        self._records: dict[Kind, dict[str, Record]] = {}
        self._read_at: dict[Kind, float] = {}
        self._all_periods_at = NEVER  # when the periods of all years were read last
        self._refused: set[Kind] = set()  # parts whose last look Exact refused: each more of them counts against the error limit
        self._no_journals: set[str] = set()  # what was looked for in vain since the journals were last read

    async def load(self) -> None:
        """Take up what was read before. Accounts stay in the database: there may be very many."""
        records: dict[Kind, dict[str, Record]] = {kind: {} for kind in SOURCES}
        read_at: dict[Any, float] = {}
        async with self._database.reading() as connection:
            self.versions_base = await versions_base.of(connection, self._division)
            rows = await connection.execute(sa.select(master_data).where(master_data.c.division == self._division))
            for row in rows:
                records[row.kind][row.code] = msgspec.json.decode(bytes(row.record), type=Record)
            for row in await connection.execute(sa.select(mirror_state).where(mirror_state.c.division == self._division)):
                if row.read_at > NEVER and row.kind != versions_base.KIND:
                    read_at[row.kind] = row.read_at
        self._all_periods_at, self._refused = read_at.pop(ALL_PERIODS, NEVER), set()
        for kind in _OPTIONAL:
            refused_at = read_at.pop(f"{NO_RIGHT}{kind}", NEVER)
            if refused_at > read_at.get(kind, NEVER):
                read_at[kind] = refused_at
                self._refused.add(kind)
        self._records, self._read_at = records, read_at

    def find(self, kind: Kind, code: str) -> Record | None:
        """One thing by its code."""
        return self._records[kind].get(code)

    def ledgers(self) -> dict[str, str]:
        """The GUID of every ledger by its code."""
        return {code: record.id for code, record in self._records["ledger"].items()}

    def period_of(self, journal: str, day: date) -> tuple[int, int] | None:
        """The year and the period of a day, as the division divides its years."""
        for code, record in self._records["period"].items():
            if record.starts and record.ends and record.starts <= day <= record.ends and code.startswith(f"{journal}/"):
                _, year, period = code.rsplit("/", 2)
                return int(year), int(period)
        return None

    def has_periods(self, journal: str) -> bool:
        """Whether the mirror knows the periods of a journal: those of the configuration were read."""
        return any(code.startswith(f"{journal}/") for code in self._records["period"])

    def has_period(self, journal: str, year: int, period: int) -> bool:
        """Whether the division has a period."""
        return f"{journal}/{year}/{period}" in self._records["period"]

    def is_period_closed(self, journal: str, year: int, period: int) -> bool:
        """Whether the mirror knows that a journal takes no entries in a period."""
        record = self._records["period"].get(f"{journal}/{year}/{period}")
        return record is not None and not record.is_open

    def stale(self, closed: Container[str] = ()) -> Kind | None:
        """A part that has to be read: never read yet, or not for long and of an endpoint that the error limit does not close."""
        now = self._now()
        for kind in (*AT_START, *(kind for kind in self._read_at if kind not in AT_START)):
            if kind not in SOURCES or now < self._read_at.get(kind, float("-inf")) + _FRESH_SECONDS.get(kind, DAY_SECONDS):
                continue
            if kind not in self._read_at or not any(endpoint in closed for endpoint in master_records.endpoints(kind)):
                return kind
        return None

    def is_worth_reading(self, kind: Kind, planned_at: float) -> bool:
        """Whether something missing may have come to Exact since this part was read: then one call may find it."""
        read_at = self._read_at.get(kind)
        return read_at is None or (planned_at > read_at and self._now() > read_at + AGAIN_SECONDS)

    def is_older_than(self, kind: Kind, seconds: float) -> bool:
        """Whether a part was read longer ago than that, or never."""
        read_at = self._read_at.get(kind)
        return read_at is None or self._now() > read_at + seconds

    async def refresh(self, kind: Kind, *, is_at_interval: bool = False) -> None:
        """Read one part; raises what DivisionCalls.read raises. What was read by then of a list of changes stays.

        `is_at_interval`: nothing says that something changed, so that of periods the years that are watched suffice.
        """
        if kind == "journal":
            self._no_journals.clear()
        if kind == "period" and not is_at_interval:
            self._all_periods_at = NEVER
        try:
            await self._refresh(kind)
        except (ForbiddenError, NotAllowedNowError) as error:
            if kind not in _OPTIONAL or (isinstance(error, NotAllowedNowError) and error.why != "errors"):
                raise
            endpoint = SOURCES[kind].endpoint
            self._calls.forbidden.discard(endpoint)
            self._read_at[kind] = self._now()  # each try counts against the error limit, that of a next start as well
            self._refused.add(kind)
            async with self._database.transaction() as connection:
                await self._note_read(connection, f"{NO_RIGHT}{kind}")
            log.warning("deletions or moves are not seen", division=self._division, endpoint=endpoint, reason=str(error))

    async def look_for_a_move(self, older_than_seconds: float) -> bool:
        """Look whether the division was moved unless that was done since; whether that took a call. Raises what `refresh` raises.

        Where Exact refused the last look, or its endpoint is closed, the look at the interval is the next: whoever asks reads on.
        """
        is_closed = SOURCES["division"].endpoint in self._calls.blocked_endpoints()
        if is_closed or "division" in self._refused or not self.is_older_than("division", older_than_seconds):
            return False
        await self.refresh("division")
        return True

    async def learn_journals(self, codes: Iterable[str]) -> None:
        """Read the journals again before rows are stored that name one which is not known; raises what `refresh` raises.

        Rows are not read twice, so what came by a journal of today would be lost. A code that is not found then is not looked
        for again before the journals are read anew: it costs at most one call a day.
        """
        unknown = {code for code in set(codes) - self._no_journals if code and self.find("journal", code) is None}
        if unknown:
            await self._refresh("journal")
            self._no_journals |= {code for code in unknown if self.find("journal", code) is None}

    async def read_all(self, endpoint: str, path: str) -> list[dict[str, Any]]:
        """All rows of a list, page after page."""
        return await self._calls.read_all(endpoint, path)

    async def _refresh(self, kind: Kind) -> None:
        source = SOURCES[kind]
        if kind == "period":
            await self._refresh_periods()
        elif kind == "division":
            await self._look_for_a_move()
        elif kind == "account":
            _, is_whole = await self._follower.known(kind)
            at_end = None if is_whole else self._note_gone_accounts
            await self._follower.follow(kind, source.endpoint, source.select, self.accounts.store_accounts, at_end=at_end)
        elif kind == "contact":
            await self._follower.follow(kind, source.endpoint, source.select, self.accounts.store_contacts)
        elif kind == "deleted":
            await self._follow_deletions()
        elif source.is_sync:
            await self._follower.follow(kind, source.endpoint, source.select, self._store_ledgers)
            await self._reload_ledgers()
        else:
            rows = await self.read_all(source.endpoint, odata.query(source.endpoint, select=source.select))
            found = dict(master_records.records(kind, rows))
            async with self._database.transaction() as connection:
                await self._clear(connection, kind)
                await self._store(connection, kind, found)
                await self._note_read(connection, kind)
            self._records[kind] = found
        self._read_at[kind] = self._now()
        self._refused.discard(kind)

    async def _store_ledgers(self, connection: AsyncConnection, rows: Rows) -> None:
        await self._store(connection, "ledger", dict(master_records.records("ledger", rows)))

    async def _note_gone_accounts(self, connection: AsyncConnection, rows: Rows) -> None:
        del rows  # after the whole list it matters only what was in none of its pages
        await self.accounts.note_missing(connection)

    async def _look_for_a_move(self) -> None:
        source = SOURCES["division"]
        path = odata.query(source.endpoint, select=source.select, filter_by=f"Code eq {self._division}")
        rows = await self.read_all(source.endpoint, path)
        code = str(self._division)
        known = self._records["division"].get(code)
        found = Record(moved=master_records.moved(rows[0])) if rows else known or Record(moved=(None, None))
        async with self._database.transaction() as connection:
            if known is not None and known.moved != found.moved:
                await self._forget(connection, with_terms=True)
            await self._store(connection, "division", {code: found})
            await self._note_read(connection, "division")
        if known is not None and known.moved != found.moved:
            log.warning("the division was moved, so everything is read anew", division=self._division)
            self._forgotten()
            async with self._database.reading() as connection:
                self.versions_base = await versions_base.of(connection, self._division)
        self._records["division"][code] = found

    async def _follow_deletions(self) -> None:
        source = SOURCES["deleted"]
        read_at = self._read_at.get("deleted", NEVER)
        if NEVER < read_at < self._now() - DELETIONS_KEPT_SECONDS:
            log.warning("deletions of more than two months ago are gone, so everything is read anew", division=self._division)
            async with self._database.transaction() as connection:
                await self._forget(connection, with_terms=False)
            self._forgotten()
        await self._follower.follow("deleted", source.endpoint, source.select, self._take_deletions)
        await self._reload_ledgers()

    async def _take_deletions(self, connection: AsyncConnection, rows: Rows) -> None:
        keys: dict[int, list[str]] = {}
        for row in rows:
            keys.setdefault(int(row["EntityType"] or 0), []).append(str(row["EntityKey"]))
        await self.accounts.note_gone(connection, keys.get(_ACCOUNTS, []))
        await self.accounts.drop_contacts(connection, keys.get(_CONTACTS, []))
        gone = frozenset(keys.get(_LEDGERS, []))
        codes = [code for code, record in self._records["ledger"].items() if record.id in gone]
        where = (master_data.c.division == self._division, master_data.c.kind == "ledger", master_data.c.code.in_(codes))
        await connection.execute(sa.delete(master_data).where(*where))
        terms = {
            str(row["EntityKey"]): self.versions_base + int(row["Timestamp"])
            for row in rows
            if int(row["EntityType"] or 0) == _PAYMENT_TERMS
        }
        await payment_terms.forget_deleted(connection, self._division, terms, self._clock.now())

    async def _forget(self, connection: AsyncConnection, *, with_terms: bool) -> None:
        """Have all lists of changes read from their beginning; with payment terms only when their row versions started anew."""
        ours = mirror_state.c.division == self._division
        if with_terms:
            await versions_base.put_above(self._database, connection, self._division, self._now())
            await ledger_lines.start_anew(self._database, connection, self._division)
        gone = [*_FOLLOWED, *((PAYMENT_TERMS,) if with_terms else ())]
        await connection.execute(sa.delete(mirror_state).where(ours, mirror_state.c.kind.in_(gone)))
        await self._clear(connection, "ledger")
        await self.accounts.clear(connection)

    def _forgotten(self) -> None:
        self._records["ledger"] = {}
        for kind in _FOLLOWED:
            self._read_at.pop(kind, None)

    async def _reload_ledgers(self) -> None:
        where = (master_data.c.division == self._division, master_data.c.kind == "ledger")
        async with self._database.reading() as connection:
            rows = await connection.execute(sa.select(master_data.c.code, master_data.c.record).where(*where))
            self._records["ledger"] = {row.code: msgspec.json.decode(bytes(row.record), type=Record) for row in rows}

    async def observe_closed(self, connection: AsyncConnection, command: PostEntry, year: int, period: int) -> None:
        """Note that Exact refused a period as closed, and tell it; the next look at the periods will correct what is wrong.

        Where the entry defers revenue into other periods Exact does not say which one is closed: then only the look is hastened.
        """
        code = f"{command.journal}/{year}/{period}"
        known = self._records["period"].get(code)
        if known is None or not known.is_open:
            return
        is_told = not any(watched_years.reaches_beyond(line, known) for line in command.lines)
        watched = self._watched()
        if not is_told or (watched is not None and not watched.has(year)):
            self._all_periods_at = NEVER
            await self._note_read(connection, ALL_PERIODS, NEVER)
        if is_told:
            await self._tell_periods(connection, {code: msgspec.structs.replace(known, is_open=False)})
        # Stored, since a writer that takes over within that minute would look an hour later only.
        soon = min(self._read_at.get("period", 0.0), self._now() - PERIODS_SECONDS + AGAIN_SECONDS)
        await self._note_read(connection, "period", soon)

    def _watched(self) -> watched_years.Watched | None:
        return watched_years.watched(self._records["period"], self._clock.now().date())

    async def _refresh_periods(self) -> None:
        """Read the periods and their states: once a day those of all years, and of a journal that is new to us."""
        source = SOURCES["period"]
        is_known = all(self.has_periods(journal) for journal in self._journals)
        years = self._watched() if is_known and self._now() < self._all_periods_at + ALL_PERIODS_SECONDS else None
        of_years = years.filter_by("FinYear") if years is not None else None
        periods = await self.read_all(source.endpoint, odata.query(source.endpoint, select=source.select, filter_by=of_years))
        which = " or ".join(f"Journal eq {odata.text(journal)}" for journal in self._journals)
        if years is not None:
            which = f"({which}) and ({years.filter_by('Year')})"
        select = ("Journal", "Year", "Period", "Status")
        statuses = await self.read_all(STATUSES, odata.query(STATUSES, select=select, filter_by=which))
        closed = {
            (odata.code(row["Journal"]), int(row["Year"]), int(row["Period"])) for row in statuses if int(row["Status"]) == CLOSED
        }
        records = {}
        for row in periods:
            year, period = int(row["FinYear"]), int(row["FinPeriod"])
            starts, ends = odata.day_in(row["StartDate"]), odata.day_in(row["EndDate"])
            for journal in self._journals:
                is_open = (journal, year, period) not in closed
                records[f"{journal}/{year}/{period}"] = Record(starts=starts, ends=ends, is_open=is_open)
        changed = {code: record for code, record in records.items() if self._records["period"].get(code) != record}
        missing = self._records["period"].keys() - records.keys()
        gone = {code for code in missing if years is None or years.has(watched_years.year_of(code))}
        async with self._database.transaction() as connection:
            where = (master_data.c.division == self._division, master_data.c.kind == "period", master_data.c.code.in_(gone))
            await connection.execute(sa.delete(master_data).where(*where))
            await self._tell_periods(connection, changed)
            await self._note_read(connection, "period")
            if years is None:
                await self._note_read(connection, ALL_PERIODS)
                self._all_periods_at = self._now()
        for code in gone:
            del self._records["period"][code]

    async def _tell_periods(self, connection: AsyncConnection, changed: dict[str, Record]) -> None:
        reach, facts = dict[str, date](), list[PeriodObserved]()
        for code, record in {**self._records["period"], **changed}.items():
            journal = code.rsplit("/", 2)[0]
            reach[journal] = max(reach.get(journal, date.min), record.ends or date.min)
        # In the order of time, so that the first open period after a closed one is told before later ones.
        for code, record in sorted(changed.items(), key=lambda item: item[1].starts or date.min):
            journal, year, period = code.rsplit("/", 2)
            if record.starts is None or record.ends is None:
                continue
            fact = PeriodObserved(
                division=self._division,
                journal=journal,
                year=int(year),
                period=int(period),
                starts=record.starts,
                ends=record.ends,
                is_open=record.is_open,
                known_until=reach[journal],
            )
            facts.append(fact)
        await announce.periods(connection, facts, self._clock.now())
        await self._store(connection, "period", changed)
        self._records["period"].update(changed)

    async def _clear(self, connection: AsyncConnection, kind: Kind) -> None:
        await connection.execute(
            sa.delete(master_data).where(master_data.c.division == self._division, master_data.c.kind == kind)
        )

    async def _store(self, connection: AsyncConnection, kind: Kind, records: dict[str, Record]) -> None:
        bodies = {code: msgspec.json.encode(record) for code, record in records.items()}
        if rows := [{"division": self._division, "kind": kind, "code": code, "record": body} for code, body in bodies.items()]:
            insert, key = self._database.insert(master_data), ["division", "kind", "code"]
            upsert = insert.on_conflict_do_update(index_elements=key, set_={"record": insert.excluded.record})
            await connection.execute(upsert, rows)

    async def _note_read(self, connection: AsyncConnection, kind: str, at: float | None = None) -> None:
        values = {"timestamp": 0, "read_at": self._now() if at is None else at}
        insert = self._database.insert(mirror_state).values(division=self._division, kind=kind, **values)
        await connection.execute(insert.on_conflict_do_update(index_elements=["division", "kind"], set_=values))
        if kind in SOURCES:
            self._read_at[kind] = values["read_at"]

    def _now(self) -> float:
        return self._clock.now().timestamp()
