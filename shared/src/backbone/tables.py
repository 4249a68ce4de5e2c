"""The tables that every service has: its event log, its inbox and its checkpoints."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

metadata = sa.MetaData()

_big = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

event_log = sa.Table(
    "event_log",
    metadata,
    sa.Column("sequence", _big, primary_key=True, autoincrement=True),
    # The transaction that wrote the row. Sequences are handed out before the commit, so that a later number may become visible
    # earlier; together with the oldest running transaction this column tells readers how far they may safely read.
    sa.Column("transaction_id", sa.BigInteger(), nullable=False),
    sa.Column("stream", sa.Text(), nullable=False),
    sa.Column("version", sa.Integer(), nullable=False),
    sa.Column("message_id", sa.Text(), nullable=False),
    sa.Column("type", sa.Text(), nullable=False),
    sa.Column("body", sa.LargeBinary(), nullable=False),
    sa.UniqueConstraint("stream", "version", name="event_log_stream_version"),
    sa.Index("event_log_position", "transaction_id", "sequence"),
)

inbox = sa.Table(
    "inbox",
    metadata,
    sa.Column("consumer", sa.Text(), primary_key=True),
    sa.Column("message_id", sa.Text(), primary_key=True),
    sa.Column("handled_at", sa.DateTime(timezone=True), server_default=sa.func.current_timestamp(), nullable=False),
)

checkpoints = sa.Table(
    "checkpoints",
    metadata,
    sa.Column("name", sa.Text(), primary_key=True),
    sa.Column("position", sa.Text(), nullable=False),
)

# What is restored into another PostgreSQL cluster carries transaction numbers of the old one, which may be far ahead of the new
# one's. This offset (one row) is added to the new cluster's numbers, so that positions only ever grow.
event_log_offset = sa.Table(
    "event_log_offset",
    metadata,
    sa.Column("only_row", sa.Boolean(), primary_key=True, server_default=sa.true()),
    sa.Column("transaction_offset", sa.BigInteger(), nullable=False),
)

_POSTGRESQL = (
    """
    CREATE FUNCTION event_log_transaction() RETURNS bigint LANGUAGE sql STABLE
      RETURN (SELECT pg_current_xact_id()::text::bigint + transaction_offset FROM event_log_offset)
    """,
    "ALTER TABLE event_log ALTER COLUMN transaction_id SET DEFAULT event_log_transaction()",
    """
    CREATE FUNCTION event_log_never_changes() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
      RAISE EXCEPTION 'the event log only grows: append a correcting fact instead' USING ERRCODE = 'restrict_violation';
    END $$
    """,
    """
    CREATE TRIGGER event_log_no_change BEFORE UPDATE OR DELETE ON event_log
      FOR EACH ROW EXECUTE FUNCTION event_log_never_changes()
    """,
    """
    CREATE TRIGGER event_log_no_truncate BEFORE TRUNCATE ON event_log
      FOR EACH STATEMENT EXECUTE FUNCTION event_log_never_changes()
    """,
)
_SQLITE = (
    """
    CREATE TRIGGER event_log_no_update BEFORE UPDATE ON event_log
      BEGIN SELECT RAISE(ABORT, 'the event log only grows: append a correcting fact instead'); END
    """,
    """
    CREATE TRIGGER event_log_no_delete BEFORE DELETE ON event_log
      BEGIN SELECT RAISE(ABORT, 'the event log only grows: append a correcting fact instead'); END
    """,
)


def create_common(op: Any) -> None:
    """Create the tables above, within a migration (`op` is alembic's)."""
    connection = op.get_bind()
    metadata.create_all(connection, checkfirst=False)
    connection.execute(event_log_offset.insert().values(transaction_offset=0))
    for statement in _SQLITE if connection.dialect.name == "sqlite" else _POSTGRESQL:
        connection.exec_driver_sql(statement)
    if connection.dialect.name == "sqlite":
        return
    # lz4 makes reading the bodies several times faster, but a server may have been built without it.
    compressions = connection.scalar(sa.text("SELECT enumvals FROM pg_settings WHERE name = 'default_toast_compression'")) or []
    if "lz4" in compressions:
        connection.execute(sa.text("ALTER TABLE event_log ALTER COLUMN body SET COMPRESSION lz4"))
