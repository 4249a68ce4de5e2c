"""The items of Exact that lines of sales invoices name: looked up by their code, made where they are missing, and remembered.

An item's code is unique in Exact, so that making it again after a lost answer cannot make a second one.
"""

from __future__ import annotations

import sqlalchemy as sa

from backbone.database import Database
from contracts.commands import PostEntry
from exact_writer import odata, payloads
from exact_writer.calls import DivisionCalls
from exact_writer.client import RefusedError, Request, UnknownError
from exact_writer.mirror import Mirror
from exact_writer.tables import items

ENDPOINT = "logistics/Items"


class Items:
    """The items of one division."""

    def __init__(self, division: int, *, database: Database, calls: DivisionCalls, mirror: Mirror) -> None:
        self._division = division
        self._database = database
        self._calls = calls
        self._mirror = mirror
        self._known: dict[str, str] = {}

    async def of(self, command: PostEntry) -> dict[str, str]:
        """The GUIDs of all items of a command, by their codes; costs two calls for each new one. Raises what calls raise."""
        accounts = {line.item_code: line.gl_account for line in command.lines if line.item_code is not None}
        missing = [code for code in accounts if code not in self._known]
        if missing:
            async with self._database.reading() as connection:
                where = (items.c.division == self._division, items.c.code.in_(missing))
                rows = await connection.execute(sa.select(items.c.code, items.c.item_id).where(*where))
                self._known |= {row.code: row.item_id for row in rows}
        for code in missing:
            if code not in self._known:
                item_id = await self._found(code) or await self._made(code, accounts[code])
                async with self._database.transaction() as connection:
                    values = {"division": self._division, "code": code, "item_id": item_id}
                    await connection.execute(self._database.insert(items).values(values).on_conflict_do_nothing())
                self._known[code] = item_id
        return {code: self._known[code] for code in accounts}

    async def _found(self, code: str) -> str | None:
        path = odata.query(ENDPOINT, select=("ID", "Code"), filter_by=f"Code eq {odata.text(code)}")
        answer = await self._calls.read(Request(method="GET", endpoint=ENDPOINT, path=path))
        return next((str(row["ID"]) for row in odata.rows(answer.body) if odata.code(row["Code"]) == code), None)

    async def _made(self, code: str, gl_account: str) -> str:
        body = payloads.encode(payloads.item(code, gl_account, self._mirror.ledgers()))
        try:
            answer = await self._calls.read(Request(method="POST", endpoint=ENDPOINT, path=ENDPOINT, body=body))
        except RefusedError:
            # An earlier call whose answer was lost may have had its effect only now: then Exact says that the code exists.
            found = await self._found(code)
            if found is None:
                raise
            return found
        item_id = odata.entity(answer.body).get("ID")
        if not item_id:
            raise UnknownError("Exact made an item and did not name it", status=answer.status, headers=answer.headers)
        return str(item_id)
