from datetime import datetime

from simulators.exact.refusals import Findings
from simulators.exact.wire import Row
from simulators.exact.world import Division

_STATUS = "read/financial/JournalStatusList"
_PERIODS = "financial/FinancialPeriods"


def period_of(division: Division, day: datetime) -> tuple[int, int] | None:
    """(year, period) of a date in the period-date table; None outside all financial years."""
    for row in division.table(_PERIODS):
        if row["StartDate"] <= day <= row["EndDate"]:
            return row["FinYear"], row["FinPeriod"]
    return None


def period_row(division: Division, year: int, period: int) -> Row | None:
    """The row of the period-date table."""
    for row in division.table(_PERIODS):
        if row["FinYear"] == year and row["FinPeriod"] == period:
            return row
    return None


def is_open(division: Division, journal: str, year: int, period: int) -> bool:
    """Whether this journal may still be booked in this period."""
    row = division.table(_STATUS).get((journal, period, year))
    return row is not None and row["Status"] == 0


def reporting_period(
    division: Division, findings: Findings, journal: str, day: datetime, given: tuple[int | None, int | None]
) -> tuple[int, int] | None:
    """The period an entry is booked in: the given one, else that of the date. What is wrong goes into `findings`.

    A date outside the financial years says `Verplicht: Boekjaar`, a period that does not exist
    `Onbekend: Boekjaar (Periode-datum tabel)`, a closed one `Periode is afgesloten`.
    """
    year, period = given
    natural = period_of(division, day)
    if year is None and period is None:
        if natural is None:
            findings.add("mandatory", "financial_year")
            return None
        year, period = natural
    if year is None:
        year = natural[0] if natural else day.year
    if period is None:
        period = natural[1] if natural and natural[0] == year else 1
    if period_row(division, year, period) is None:
        findings.add("unknown", "period_table")
        return None
    if not is_open(division, journal, year, period) or (
        division.settings.old_date_with_open_period == "refused" and (natural is None or not is_open(division, journal, *natural))
    ):
        findings.add("period_closed")
    return year, period


def set_status(division: Division, journal: str | None, year: int, period: int, *, opened: bool) -> int:
    """Opens or closes a period for one journal, or for all; returns how many journals changed."""
    changed = 0
    for row in list(division.table(_STATUS)):
        if row["Year"] != year or row["Period"] != period or journal not in (None, row["Journal"]):
            continue
        status = 0 if opened else 1
        if row["Status"] == status:
            continue
        key = (row["Journal"], row["Period"], row["Year"])
        text = "Open" if opened else "Afgesloten"
        division.table(_STATUS).change(key, {"Status": status, "StatusDescription": text})
        division.notify("JournalStatusList", division.world.next_id())
        changed += 1
    return changed
