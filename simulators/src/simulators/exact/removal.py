import uuid

from simulators.exact import ledger, receivables
from simulators.exact.periods import is_open
from simulators.exact.refusals import Findings
from simulators.exact.wire import Row
from simulators.exact.world import Division


def check(division: Division, entry: Row, journal: str, period: tuple[int, int]) -> None:
    """Raises `Refusal` when an entry may not be taken away: it is settled, processed, or its period is closed."""
    findings = Findings()
    if not is_open(division, journal, *period):
        findings.add("period_closed")
    if entry.get("Status", 20) != 20 or receivables.is_matched(division, entry["EntryID"]):
        findings.add("processed")
    findings.raise_if_any()


def forget(division: Division, entry_id: uuid.UUID) -> None:
    """Takes the ledger lines and terms of an entry away and writes both into sync/Deleted."""
    log(division, take_out(division, entry_id))


def take_out(division: Division, entry_id: uuid.UUID) -> list[tuple[str, int, uuid.UUID]]:
    """Takes the ledger lines and terms of an entry away without a trace; returns (table, entity type, key) of each."""
    taken = []
    for table, reference, kind in (
        (ledger.LINES, "EntryID", ledger.ENTITY_TRANSACTION_LINES),
        (receivables.TERMS, "TransactionEntryID", ledger.ENTITY_PAYMENT_TERMS),
    ):
        for row in division.table(table).where(reference, entry_id):
            division.delete(table, row["ID"], None)
            taken.append((table, kind, row["ID"]))
    return taken


def log(division: Division, taken: list[tuple[str, int, uuid.UUID]]) -> None:
    """Writes into sync/Deleted what was taken out and has not come back under the same key."""
    for table, kind, key in taken:
        if division.table(table).get(key) is None:
            division.log_deletion(key, kind)
