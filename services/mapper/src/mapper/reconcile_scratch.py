"""What a reconciliation gathers, kept in a file that is gone with it, so that memory does not grow with the documents."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from types import TracebackType
from typing import Any, Literal, Self

from bookkeeping.number_series import Gap, gaps, numbered
from bookkeeping.reconciliation import EXPLAINED, Kind
from mapper.drift_decisions import Accepted, Signature, signature_of

Side = Literal["chargebee", "logs", "exact"]
Mark = Literal["shown", "judged"]
_BATCH = 500
_SCHEMA = """
CREATE TABLE sums (key TEXT, currency TEXT, chargebee INTEGER DEFAULT 0, logs INTEGER DEFAULT 0, exact INTEGER DEFAULT 0,
  PRIMARY KEY (key, currency)) WITHOUT ROWID;
CREATE TABLE findings (place INTEGER PRIMARY KEY, kind TEXT, explained INTEGER, name TEXT, code TEXT, document TEXT,
  number TEXT, currency TEXT, amount INTEGER, details TEXT);
CREATE TABLE series (site TEXT, kind TEXT, prefix TEXT, value INTEGER, text TEXT, in_range INTEGER, reason TEXT,
  PRIMARY KEY (site, kind, prefix, value)) WITHOUT ROWID;
CREATE TABLE marks (name TEXT, what TEXT, PRIMARY KEY (name, what)) WITHOUT ROWID;
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """A difference with the document behind it; `name` is that of its sentence, `code` a reason that has a name of its own.

    `amount_minor` is by how much the sides differ, in minor units; `details` are what the sentence says.
    """

    kind: Kind
    name: str
    document: str
    number: str
    currency: str = ""
    amount_minor: int = 0
    code: str = ""
    details: dict[str, Any] = field(default_factory=dict)

    @property
    def is_explained(self) -> bool:
        """Whether nobody has to look at it."""
        return self.kind in EXPLAINED


@dataclass(frozen=True, slots=True)
class Sum:
    """One row of the three columns, in minor units."""

    key: str
    currency: str
    chargebee_minor: int
    logs_minor: int
    exact_minor: int

    @property
    def is_equal(self) -> bool:
        """Whether all three say the same."""
        return self.chargebee_minor == self.logs_minor == self.exact_minor


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """The numbers of one kind of document in the range: how many there are, and why those that are not booked are not."""

    site: str
    kind: str
    first: str
    last: str
    numbers: int
    booked: int
    reasons: dict[str, int]
    missing: tuple[Gap, ...]
    prefix: str


class Scratch:
    """The scratch file. Use it as a context."""

    def __init__(self) -> None:
        self._file = sqlite3.connect("")  # a file without a name, which SQLite removes by itself
        self._file.executescript("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA cache_size = -8000;" + _SCHEMA)
        self._sums: dict[tuple[str, str], list[int]] = {}
        self._findings: list[tuple[Any, ...]] = []
        self._series: list[tuple[Any, ...]] = []
        self._accepted: dict[Signature, Accepted] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._file.close()

    def add(self, key: str, currency: str, side: Side, amount_minor: int) -> None:
        """Add an amount to one of the three columns."""
        if not amount_minor:
            return
        row = self._sums.setdefault((key, currency), [0, 0, 0])
        row[("chargebee", "logs", "exact").index(side)] += amount_minor
        if len(self._sums) >= _BATCH:
            self._flush_sums()

    def accept(self, accepted: Iterable[Accepted]) -> None:
        """Say which differences stand by a person's decision."""
        self._accepted.update((each.signature, each) for each in accepted)

    def note(self, finding: Finding) -> Finding:
        """Keep a finding; returns it as it is kept, which is explained where a person accepted it."""
        by = self._accepted.get(signature_of(finding.number, finding.name, finding.details))
        if by is not None and not finding.is_explained:
            details = {**finding.details, "who": by.who, "why": by.why, "when": by.at.date().isoformat()}
            finding = replace(finding, kind="accepted", details=details)
        row = (finding.kind, finding.is_explained, finding.name, finding.code, finding.document, finding.number)
        self._findings.append((*row, finding.currency, finding.amount_minor, json.dumps(finding.details)))
        if len(self._findings) >= _BATCH:
            self._flush_findings()
        return finding

    def number(self, site: str, kind: str, number: str, *, in_range: bool, reason: str) -> None:
        """Keep a number of a series; `reason` is empty for one that is booked."""
        found = numbered(number)
        if found is None:
            return
        self._series.append((site, kind, found.prefix, found.value, number, in_range, reason))
        if len(self._series) >= _BATCH:
            self._flush_series()

    def mark(self, name: Mark, whats: Iterable[str]) -> None:
        """Remember documents that Chargebee showed, or commands whose entries were judged."""
        self._file.executemany("INSERT OR IGNORE INTO marks VALUES (?, ?)", [(name, what) for what in whats])

    def is_marked(self, name: Mark, what: str) -> bool:
        """Tell whether it was remembered."""
        return self._file.execute("SELECT 1 FROM marks WHERE name = ? AND what = ?", (name, what)).fetchone() is not None

    def sums(self) -> Iterator[Sum]:
        """Give the three columns in the order of their keys."""
        self._flush_sums()
        for row in self._file.execute("SELECT key, currency, chargebee, logs, exact FROM sums ORDER BY key, currency"):
            yield Sum(*row)

    def totals(self) -> Iterator[Sum]:
        """Give the sums of the columns, a row a currency."""
        self._flush_sums()
        columns = "currency, sum(chargebee), sum(logs), sum(exact)"
        for row in self._file.execute(f"SELECT {columns} FROM sums GROUP BY currency ORDER BY currency"):  # noqa: S608 - a constant
            yield Sum("", *row)

    def findings(self, *, explained: bool | None = None) -> Iterator[Finding]:
        """Give the findings, those that are not explained first."""
        self._flush_findings()
        where = "" if explained is None else f"WHERE explained = {int(explained)}"
        columns = "kind, name, document, number, currency, amount, code, details"
        query = f"SELECT {columns} FROM findings {where} ORDER BY explained, kind, document, number, place"  # noqa: S608 - constants
        for kind, name, document, number, currency, amount, code, details in self._file.execute(query):
            yield Finding(
                kind=kind,
                name=name,
                document=document,
                number=number,
                currency=currency,
                amount_minor=amount,
                code=code,
                details=json.loads(details),
            )

    def counts(self) -> list[tuple[Kind, str, str, int, int]]:
        """Give for each kind, code and currency of explained findings how many there are and their amount."""
        self._flush_findings()
        query = (
            "SELECT kind, code, currency, count(*), sum(amount) FROM findings WHERE explained = 1 "
            "GROUP BY kind, code, currency ORDER BY kind, code, currency"
        )
        return list(self._file.execute(query))

    def unexplained(self) -> int:
        """Return how many findings somebody has to look at."""
        self._flush_findings()
        return int(self._file.execute("SELECT count(*) FROM findings WHERE explained = 0").fetchone()[0])

    def series(self) -> Iterator[Series]:
        """Give each series that has more than one number in the range."""
        self._flush_series()
        heads = self._file.execute(
            "SELECT site, kind, prefix, min(value), max(value) FROM series WHERE in_range = 1 "
            "GROUP BY site, kind, prefix HAVING count(*) > 1 ORDER BY site, kind, prefix"
        ).fetchall()
        for site, kind, prefix, low, high in heads:
            yield self._one_series(site, kind, prefix, low, high)

    def _one_series(self, site: str, kind: str, prefix: str, low: int, high: int) -> Series:
        where, names = "WHERE site = ? AND kind = ? AND prefix = ? AND value BETWEEN ? AND ?", (site, kind, prefix, low, high)

        def select(what: str, rest: str = "") -> sqlite3.Cursor:
            return self._file.execute(f"SELECT {what} FROM series {where} {rest}", names)  # noqa: S608 - texts of this class

        reasons = dict(select("reason, count(*)", "GROUP BY reason ORDER BY reason"))
        return Series(
            site=site,
            kind=kind,
            prefix=prefix,
            first=select("text", "ORDER BY value LIMIT 1").fetchone()[0],
            last=select("text", "ORDER BY value DESC LIMIT 1").fetchone()[0],
            numbers=sum(reasons.values()),
            booked=reasons.pop("", 0),
            reasons=reasons,
            missing=tuple(gaps(row[0] for row in select("value", "ORDER BY value"))),
        )

    def _flush_sums(self) -> None:
        self._file.executemany(
            "INSERT INTO sums VALUES (?, ?, ?, ?, ?) ON CONFLICT (key, currency) DO UPDATE SET "
            "chargebee = chargebee + excluded.chargebee, logs = logs + excluded.logs, exact = exact + excluded.exact",
            [(*key, *amounts) for key, amounts in self._sums.items()],
        )
        self._sums.clear()

    def _flush_findings(self) -> None:
        self._file.executemany("INSERT INTO findings VALUES (NULL, ?, ?, ?, ?, ?, ?, ?, ?, ?)", self._findings)
        self._findings.clear()

    def _flush_series(self) -> None:
        # A number that was used again has several documents; one of them that is booked is enough.
        self._file.executemany(
            "INSERT INTO series VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET "
            "in_range = max(in_range, excluded.in_range), reason = min(reason, excluded.reason)",
            self._series,
        )
        self._series.clear()
