"""More is kept of ledgers, journals and VAT codes: what an entry is checked against before a call."""

from __future__ import annotations

from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # Ledgers come by their changes only, so they are read anew from the beginning; the others would be within a day.
    op.execute("DELETE FROM mirror_state WHERE kind IN ('ledger', 'journal', 'vat_code')")
