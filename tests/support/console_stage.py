"""A console's projection for tests, with messages to tell it."""

from datetime import UTC, date, datetime

from support.facts import SITE

from backbone.configuration import Configuration
from console import queries
from console.projection import Projection
from contracts import facts
from contracts.envelope import seal

CONFIGURATION = Configuration.model_validate({"version": 1, "sites": {SITE: {"time_zone": "Europe/Amsterdam"}}, "divisions": {}})
DOCUMENT = facts.DocumentRef(
    site=SITE,
    kind="invoice",
    number="INV-1",
    customer_id="CUST1",
    currency="EUR",
    total_minor=12_100,
    document_date=date(2026, 10, 5),
)
PLANNED = facts.DocumentPlanned(document=DOCUMENT, division=100001, command_id="c", mapping_version="m", explanation=("by rule",))
HELD = facts.DocumentHeld(document=DOCUMENT, code="no_revenue_account", sentence="No rule.", action="Add one.")
POSTED = facts.EntryPosted(
    division=100001, command_id="c", document=DOCUMENT, entry_id="e", entry_number=26700001, journal="70", your_ref="INV-1"
)


class Stage:
    """A projection and the minutes that go by."""

    def __init__(self, database):
        self.database = database
        self.projection = Projection(database, CONFIGURATION)
        self.minute = 0

    async def hear(self, *messages, minute=None):
        for message in messages:
            self.minute = self.minute + 1 if minute is None else minute
            time = datetime(2026, 10, 5, 10, self.minute, tzinfo=UTC)
            sealed = seal(message, source="test", subject="s", key="k", time=time, distinguisher=f"{self.minute}{message.TYPE}")
            async with self.database.transaction() as connection:
                await self.projection.handle(connection, sealed, message)

    async def state(self, number="INV-1"):
        async with self.database.reading() as connection:
            return [(row["state"], row["code"], row["entry_number"]) for row in await queries.life_of(connection, number)]
