"""The day of each booking, so that those of some days are found without reading all of them."""

from datetime import date

import msgspec
import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

PAGE = 1_000


class _Command(msgspec.Struct):
    entry_date: date


_commands = msgspec.json.Decoder(_Command)


def upgrade() -> None:
    op.add_column("documents", sa.Column("entry_date", sa.Date(), nullable=True))
    connection = op.get_bind()
    names = ("site", "kind", "number", "suffix")
    table = sa.table("documents", *map(sa.column, (*names, "command")), sa.column("entry_date", sa.Date()))
    key = [table.c[name] for name in names]
    where = [table.c[name] == sa.bindparam(f"the_{name}") for name in names]
    change = sa.update(table).where(*where).values(entry_date=sa.bindparam("the_day", type_=sa.Date()))
    after: tuple[str, ...] | None = None
    while True:
        statement = sa.select(*key, table.c.command).where(table.c.command.is_not(None)).order_by(*key).limit(PAGE)
        if after is not None:
            statement = statement.where(sa.tuple_(*key) > sa.tuple_(*(sa.literal(value) for value in after)))
        page = connection.execute(statement).all()
        rows = [
            {**{f"the_{name}": getattr(row, name) for name in names}, "the_day": _commands.decode(row.command).entry_date}
            for row in page
        ]
        if rows:
            connection.execute(change, rows)
        if len(page) < PAGE:
            break
        after = tuple(page[-1][: len(names)])
    op.create_index("documents_of_days", "documents", ["division", "entry_date"])
