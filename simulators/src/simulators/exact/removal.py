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
    for line in division.table(ledger.LINES).where("EntryID", entry_id):
        division.delete(ledger.LINES, line["ID"], ledger.ENTITY_TRANSACTION_LINES)
    for term in division.table(receivables.TERMS).where("TransactionEntryID", entry_id):
        division.delete(receivables.TERMS, term["ID"], ledger.ENTITY_PAYMENT_TERMS)
