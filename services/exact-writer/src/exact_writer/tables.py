"""What the writer keeps beside its event log. Instants are unix seconds; a division is Exact's number of an administration."""

from __future__ import annotations

import sqlalchemy as sa

metadata = sa.MetaData()

_big = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_seconds = sa.Float(53)

# The command journal. `envelope` is the command as it came; `is_open` is false once it is posted or refused. Commands of mode
# ledger with one `batch_key` fit into one entry of Exact's; `batch_id` names the call they were sent with: its first command.
# `work_class` and `site` say whose turn it is, and are not part of what is booked. `is_linked`: somebody else booked the entry.
commands = sa.Table(
    "commands",
    metadata,
    sa.Column("sequence", _big, primary_key=True, autoincrement=True),
    sa.Column("command_id", sa.Text(), nullable=False, unique=True),
    sa.Column("division", sa.BigInteger(), nullable=False),
    sa.Column("kind", sa.Text(), nullable=False),
    sa.Column("customer_ref", sa.Text(), nullable=False),
    sa.Column("your_ref", sa.Text(), nullable=False),
    sa.Column("state", sa.Text(), nullable=False),
    sa.Column("is_open", sa.Boolean(), nullable=False),
    sa.Column("attempts", sa.Integer(), nullable=False, server_default="0"),
    sa.Column("not_before", _seconds, nullable=False, server_default="0"),
    sa.Column("planned_at", _seconds, nullable=False),
    sa.Column("sent_at", _seconds, nullable=True),
    sa.Column("epoch", sa.BigInteger(), nullable=True),
    sa.Column("exact_id", sa.Text(), nullable=True),
    sa.Column("exact_number", sa.BigInteger(), nullable=True),
    sa.Column("code", sa.Text(), nullable=True),
    sa.Column("message", sa.Text(), nullable=True),
    sa.Column("envelope", sa.LargeBinary(), nullable=False),
    sa.Column("batch_key", sa.Text(), nullable=True),
    sa.Column("batch_id", sa.Text(), nullable=True),
    sa.Column("work_class", sa.Text(), nullable=False, server_default="today"),
    sa.Column("site", sa.Text(), nullable=False, server_default=""),
    sa.Column("is_linked", sa.Boolean(), nullable=False, server_default=sa.false()),
    sa.Index("commands_batch_key", "division", "is_open", "batch_key", "work_class", "sequence"),
    sa.Index("commands_batch_id", "division", "batch_id"),
    sa.Index("commands_work_class", "division", "is_open", "work_class", "site", "sequence"),
    sa.Index("commands_customer", "division", "customer_ref", "is_open", "work_class", "sequence"),
    sa.Index("commands_planned", "division", "planned_at"),
    sa.Index("commands_exact_id", "division", "exact_id"),
    sa.Index("commands_your_ref", "division", "your_ref"),
)

# PDFs on their way to entries, each named after the command that booked its entry. A PDF is fetched only when it can be attached
# soon, and `content` is emptied as soon as it is.
attachments = sa.Table(
    "attachments",
    metadata,
    sa.Column("sequence", _big, primary_key=True, autoincrement=True),
    sa.Column("command_id", sa.Text(), nullable=False, unique=True),
    sa.Column("division", sa.BigInteger(), nullable=False),
    sa.Column("state", sa.Text(), nullable=False),
    sa.Column("is_open", sa.Boolean(), nullable=False),
    sa.Column("asks", sa.Integer(), nullable=False, server_default="0"),
    sa.Column("attempts", sa.Integer(), nullable=False, server_default="0"),
    sa.Column("not_before", _seconds, nullable=False, server_default="0"),
    sa.Column("sent_at", _seconds, nullable=True),
    sa.Column("document_id", sa.Text(), nullable=True),
    sa.Column("content", sa.LargeBinary(), nullable=True),
    sa.Column("code", sa.Text(), nullable=True),
    sa.Column("message", sa.Text(), nullable=True),
    sa.Column("of_command", sa.Text(), nullable=True),  # a list's: the first command of the entry that it hangs on
    sa.Column("file_name", sa.Text(), nullable=True),
    sa.Column("is_asked", sa.Boolean(), nullable=False, server_default=sa.false()),  # by a person, so that it goes first
    sa.Index("attachments_open", "division", "is_open", "state", "sequence"),
    sa.Index("attachments_asked", "division", "is_open", "is_asked", "state", "sequence"),
)

# Which customer is which account of Exact. `account_id` is empty while a customer was only refused. `origin` says how it became
# that: created, matched or linked by a person (then `link` is the code named). `sent` is what was last sent of each property.
accounts = sa.Table(
    "accounts",
    metadata,
    sa.Column("division", sa.BigInteger(), primary_key=True),
    sa.Column("customer_ref", sa.Text(), primary_key=True),
    sa.Column("account_id", sa.Text(), nullable=True),
    sa.Column("fingerprint", sa.Text(), nullable=False),
    sa.Column("origin", sa.Text(), nullable=False, server_default="created"),
    sa.Column("link", sa.Text(), nullable=True),
    sa.Column("sent", sa.LargeBinary(), nullable=True),
    sa.Index("accounts_by_id", "division", "account_id"),
)

# Which item code of a sales invoice's line is which item of Exact's.
items = sa.Table(
    "items",
    metadata,
    sa.Column("division", sa.BigInteger(), primary_key=True),
    sa.Column("code", sa.Text(), primary_key=True),
    sa.Column("item_id", sa.Text(), nullable=False),
)

# The mirror of Exact's accounts, also of those that others made.
exact_accounts = sa.Table(
    "exact_accounts",
    metadata,
    sa.Column("division", sa.BigInteger(), primary_key=True),
    sa.Column("account_id", sa.Text(), primary_key=True),
    sa.Column("record", sa.LargeBinary(), nullable=False),
)

# What an account can be recognised by: its code, search code, VAT number and e-mail (compared without case), and the e-mail of
# its contacts. `source_id` is the account or the contact that says so.
account_marks = sa.Table(
    "account_marks",
    metadata,
    sa.Column("division", sa.BigInteger(), primary_key=True),
    sa.Column("source_id", sa.Text(), primary_key=True),
    sa.Column("kind", sa.Text(), primary_key=True),
    sa.Column("value", sa.Text(), primary_key=True),
    sa.Column("account_id", sa.Text(), nullable=False),
    sa.Index("account_marks_value", "division", "kind", "value"),
)

# The mirror of Exact's other master data: one row a ledger, journal, VAT code, cost centre, cost unit, period or period status.
master_data = sa.Table(
    "master_data",
    metadata,
    sa.Column("division", sa.BigInteger(), primary_key=True),
    sa.Column("kind", sa.Text(), primary_key=True),
    sa.Column("code", sa.Text(), primary_key=True),
    sa.Column("record", sa.LargeBinary(), nullable=False),
)

# How far each part of the mirror is: the highest row version seen, and when it was last read.
mirror_state = sa.Table(
    "mirror_state",
    metadata,
    sa.Column("division", sa.BigInteger(), primary_key=True),
    sa.Column("kind", sa.Text(), primary_key=True),
    sa.Column("timestamp", sa.BigInteger(), nullable=False, server_default="0"),
    sa.Column("read_at", _seconds, nullable=False),
)

# The ledger as sync/Financial/TransactionLines shows it, also of entries that are not ours, each line by its id, which never
# changes. Debit is positive. Amounts are hundredths, whatever the currency: `dc` of the division's, `fc` of the entry's own.
# Line 0 is the entry's header. `day` is the entry's date, but of a line of deferred revenue the day on which it is released.
ledger_lines = sa.Table(
    "ledger_lines",
    metadata,
    sa.Column("division", sa.BigInteger(), primary_key=True),
    sa.Column("line_id", sa.Text(), primary_key=True),
    sa.Column("timestamp", sa.BigInteger(), nullable=False),
    sa.Column("entry_id", sa.Text(), nullable=False),
    sa.Column("entry_number", sa.BigInteger(), nullable=False),
    sa.Column("line_number", sa.Integer(), nullable=False),
    sa.Column("line_type", sa.Integer(), nullable=False),
    sa.Column("type", sa.Integer(), nullable=False),
    sa.Column("journal", sa.Text(), nullable=False),
    sa.Column("day", sa.Date(), nullable=False),
    sa.Column("year", sa.Integer(), nullable=False),
    sa.Column("period", sa.Integer(), nullable=False),
    sa.Column("account", sa.Text(), nullable=False),
    sa.Column("relation_id", sa.Text(), nullable=True),
    sa.Column("dc_hundredths", sa.BigInteger(), nullable=False),
    sa.Column("currency", sa.Text(), nullable=False),
    sa.Column("fc_hundredths", sa.BigInteger(), nullable=False),
    sa.Column("vat_code", sa.Text(), nullable=True),
    sa.Column("vat_fc_hundredths", sa.BigInteger(), nullable=True),
    sa.Column("cost_center", sa.Text(), nullable=True),
    sa.Column("cost_unit", sa.Text(), nullable=True),
    sa.Column("your_ref", sa.Text(), nullable=True),
    sa.Column("description", sa.Text(), nullable=True),
    sa.Column("payment_reference", sa.Text(), nullable=True),
    sa.Column("invoice_number", sa.BigInteger(), nullable=True),
    sa.Column("modified_at", _seconds, nullable=True),
    sa.Column("modifier", sa.Text(), nullable=True),
    sa.Index("ledger_lines_entry", "division", "entry_id"),
    sa.Index("ledger_lines_day", "division", "day", "entry_id"),
    sa.Index("ledger_lines_reference", "division", "your_ref"),
    sa.Index("ledger_lines_timestamp", "division", "timestamp"),
    sa.Index("ledger_lines_relation", "division", "relation_id", "day"),
    sa.Index("ledger_lines_number", "division", "entry_number"),
)

# How far the reading of a division's ledger is. Everything up to `timestamp` was read, and every deletion up to
# `deleted_timestamp`; lines come first, then (`in_deletions`) what was deleted. `next_page` is the address of the page to which a
# reading under way comes; `until` and `in_order` are what row_versions.Position says of it. `highest` is the highest row version
# that was ever seen. Who needs fresh lines raises `asks`; a reading that began at that count and
# came to its end makes `answered` reach it, and `read_at` tells when it began. `sees_deletions`: Exact lets us read those.
ledger_readings = sa.Table(
    "ledger_readings",
    metadata,
    sa.Column("division", sa.BigInteger(), primary_key=True),
    sa.Column("timestamp", sa.BigInteger(), nullable=False, server_default="1"),
    sa.Column("highest", sa.BigInteger(), nullable=False, server_default="1"),
    sa.Column("until", sa.BigInteger(), nullable=False, server_default="1"),
    sa.Column("in_order", sa.Boolean(), nullable=False, server_default=sa.true()),
    sa.Column("next_page", sa.Text(), nullable=True),
    sa.Column("deleted_timestamp", sa.BigInteger(), nullable=False, server_default="1"),
    sa.Column("in_deletions", sa.Boolean(), nullable=False, server_default=sa.false()),
    sa.Column("sees_deletions", sa.Boolean(), nullable=False, server_default=sa.true()),
    sa.Column("asks", sa.Integer(), nullable=False, server_default="0"),
    sa.Column("answering", sa.Integer(), nullable=False, server_default="0"),
    sa.Column("answered", sa.Integer(), nullable=False, server_default="0"),
    sa.Column("begun_at", _seconds, nullable=True),
    sa.Column("read_at", _seconds, nullable=True),
)

# Receivables as sync/Cashflow/PaymentTerms last showed them, also of entries that are not ours, each with its line of the ledger.
receivables = sa.Table(
    "receivables",
    metadata,
    sa.Column("division", sa.BigInteger(), primary_key=True),
    sa.Column("term_id", sa.Text(), primary_key=True),
    sa.Column("entry_id", sa.Text(), nullable=False),
    sa.Column("timestamp", sa.BigInteger(), nullable=False),
    sa.Column("record", sa.LargeBinary(), nullable=False),
    sa.Column("line_id", sa.Text(), nullable=True),
    sa.Index("receivables_entry", "division", "entry_id"),
)

# What Exact's webhooks said and the writer has not asked for yet: the part of what it reads from Exact that changed, and the
# thing by its GUID, empty when there were many.
hints = sa.Table(
    "hints",
    metadata,
    sa.Column("sequence", _big, primary_key=True, autoincrement=True),
    sa.Column("division", sa.BigInteger(), nullable=False),
    sa.Column("part", sa.Text(), nullable=False),
    sa.Column("key", sa.Text(), nullable=False),
    sa.Column("heard_at", _seconds, nullable=False),
    sa.Index("hints_division", "division", "sequence"),
)

REFUSED = "refused"

# The topics of Exact's webhooks: when each was last heard (0: never), and how our subscription stands. `state` is empty where it
# was never looked at, `subscribed`, or `refused` with the reason; it was looked at last at `checked_at`.
webhook_topics = sa.Table(
    "webhook_topics",
    metadata,
    sa.Column("division", sa.BigInteger(), primary_key=True),
    sa.Column("topic", sa.Text(), primary_key=True),
    sa.Column("heard_at", _seconds, nullable=False, server_default="0"),
    sa.Column("state", sa.Text(), nullable=False, server_default=""),
    sa.Column("reason", sa.Text(), nullable=False, server_default=""),
    sa.Column("checked_at", _seconds, nullable=False, server_default="0"),
)

# Exact's own custom fields of accounts, by their name in Exact: the value that is wanted, and how it stands, which is waiting,
# written or refused. Nothing is sent before `not_before`; `reason` is why the last try was in vain.
custom_fields = sa.Table(
    "custom_fields",
    metadata,
    sa.Column("division", sa.BigInteger(), primary_key=True),
    sa.Column("account_id", sa.Text(), primary_key=True),
    sa.Column("name", sa.Text(), primary_key=True),
    sa.Column("value", sa.Text(), nullable=False),
    sa.Column("state", sa.Text(), nullable=False),
    sa.Column("not_before", _seconds, nullable=False, server_default="0"),
    sa.Column("reason", sa.Text(), nullable=False, server_default=""),
    sa.Index("custom_fields_state", "division", "state", "not_before"),
)

# The tokens, encrypted; `obtained_at` and `expires_in_seconds` stay readable, so that nothing is decrypted to know the time.
# `tries` are those to renew them that are not known to have worked, and there is no other before `retry_at`.
tokens = sa.Table(
    "tokens",
    metadata,
    sa.Column("client_id", sa.Text(), primary_key=True),
    sa.Column("sealed", sa.LargeBinary(), nullable=False),
    sa.Column("obtained_at", _seconds, nullable=False),
    sa.Column("expires_in_seconds", _seconds, nullable=False),
    sa.Column("consent_needed", sa.Text(), nullable=True),
    sa.Column("tries", sa.Integer(), nullable=False, server_default="0"),
    sa.Column("retry_at", _seconds, nullable=False, server_default="0"),
)

oauth_states = sa.Table(
    "oauth_states",
    metadata,
    sa.Column("state", sa.Text(), primary_key=True),
    sa.Column("created_at", _seconds, nullable=False),
)

# Sites whose history a person paused: what of it was not sent yet waits.
paused_history = sa.Table("paused_history", metadata, sa.Column("site", sa.Text(), primary_key=True))

# Who may act in a division: the epoch grows with every new holder, and every claim checks it. `budget` survives a restart here.
# What is planned before `looks_first_until` is looked for in Exact before it is posted: a loss left that in doubt.
# `failing` are the endpoints at which writes failed in a row.
divisions = sa.Table(
    "divisions",
    metadata,
    sa.Column("division", sa.BigInteger(), primary_key=True),
    sa.Column("epoch", sa.BigInteger(), nullable=False, server_default="0"),
    sa.Column("budget", sa.LargeBinary(), nullable=True),
    sa.Column("connection_state", sa.Text(), nullable=True),
    sa.Column("connection_reason", sa.Text(), nullable=True),
    sa.Column("looks_first_until", _seconds, nullable=True),
    sa.Column("failing", sa.LargeBinary(), nullable=True),
)

# Answers that Exact counts as errors, within the last hour.
counted_errors = sa.Table(
    "counted_errors",
    metadata,
    sa.Column("sequence", _big, primary_key=True, autoincrement=True),
    sa.Column("division", sa.BigInteger(), nullable=False),
    sa.Column("endpoint", sa.Text(), nullable=False),
    sa.Column("at", _seconds, nullable=False),
    sa.Index("counted_errors_at", "division", "at"),
)

# What Exact does with the key that a POST carries, by endpoint, as `kruispost doctor --probe` found it out in a division.
client_keys = sa.Table(
    "client_keys",
    metadata,
    sa.Column("endpoint", sa.Text(), primary_key=True),
    sa.Column("trait", sa.Text(), nullable=False),
    sa.Column("division", sa.BigInteger(), nullable=False),
    sa.Column("tried_at", _seconds, nullable=False),
)
