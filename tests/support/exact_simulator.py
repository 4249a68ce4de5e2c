"""A client for the Exact Online stand-in, in process, with a clock that tests turn by hand."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx

from simulators.exact.app import Simulator, create_app
from simulators.exact.settings import ExactSettings

START_SECONDS = 1_773_136_800.0  # 2026-03-10T10:00:00Z, a whole minute


class Clock:
    """Seconds since 1970 that move only when a test says so."""

    def __init__(self, seconds: float = START_SECONDS) -> None:
        self.seconds = seconds

    def __call__(self) -> float:
        return self.seconds

    def forward(self, seconds: float) -> None:
        """Lets time pass."""
        self.seconds += seconds


class ExactClient:
    """Calls the stand-in as an app would: one token, JSON both ways."""

    def __init__(self, http: httpx.AsyncClient, simulator: Simulator, clock: Clock, division: int) -> None:
        self.http = http
        self.simulator = simulator
        self.clock = clock
        self.division = division
        self.token = ""

    def headers(self, **more: str) -> dict[str, str]:
        """The headers of an ordinary call."""
        return {"Authorization": f"Bearer {self.token}", "Accept": "application/json", **more}

    async def login(self) -> dict[str, str]:
        """Takes a fresh pair of tokens."""
        tokens: dict[str, str] = (await self.control("tokens")).json()
        self.token = tokens["access_token"]
        return tokens

    async def get(self, path: str, **options: str) -> httpx.Response:
        """Reads a resource; `options` are query options without their dollar sign."""
        params = {f"${name}": value for name, value in options.items()}
        return await self.http.get(f"/api/v1/{self.division}/{path}", params=params, headers=self.headers())

    async def rows(self, path: str, **options: str) -> list[dict[str, Any]]:
        """All rows of a resource, page after page."""
        answer = await self.get(path, **options)
        assert answer.status_code == 200, answer.text
        rows: list[dict[str, Any]] = []
        while True:
            data = answer.json()["d"]
            if isinstance(data, list):
                return rows + data
            rows += data["results"]
            if "__next" not in data:
                return rows
            answer = await self.http.get(data["__next"], headers=self.headers())
            assert answer.status_code == 200, answer.text

    async def post(self, path: str, body: Any, **headers: str) -> httpx.Response:
        """Creates something."""
        return await self.http.post(f"/api/v1/{self.division}/{path}", json=body, headers=self.headers(**headers))

    async def put(self, path: str, body: Any) -> httpx.Response:
        """Changes something."""
        return await self.http.put(f"/api/v1/{self.division}/{path}", json=body, headers=self.headers())

    async def delete(self, path: str) -> httpx.Response:
        """Deletes something."""
        return await self.http.delete(f"/api/v1/{self.division}/{path}", headers=self.headers())

    async def control(self, path: str, **body: Any) -> httpx.Response:
        """Asks the control interface."""
        return await self.http.post(f"/_simulator/{path}", json=body)

    async def ledger(self) -> dict[str, Any]:
        """The books of the division, in cents."""
        answer = await self.http.get("/_simulator/ledger", params={"division": self.division})
        books: dict[str, Any] = answer.json()
        return books

    async def calls(self) -> dict[str, Any]:
        """What the stand-in counted."""
        counted: dict[str, Any] = (await self.http.get("/_simulator/calls")).json()
        return counted

    async def gl(self, code: str) -> str:
        """The GUID of a ledger account."""
        row = self.simulator.world.divisions[self.division].by_code("financial/GLAccounts", code)
        assert row is not None
        return str(row["ID"])

    async def customer(self, name: str = "Fietsenmaker De Bel", **more: Any) -> str:
        """A new customer; returns its GUID."""
        answer = await self.post("crm/Accounts", {"Name": name, "Status": "C", "Country": "NL", **more})
        assert answer.status_code == 201, answer.text
        key: str = answer.json()["d"]["ID"]
        return key

    async def line(self, amount: Any = 100, gl: str = "8000", vat: str | None = "2", **more: Any) -> dict[str, Any]:
        """A line of a sales entry."""
        line: dict[str, Any] = {"GLAccount": await self.gl(gl), "AmountFC": amount, **more}
        return line | ({"VATCode": vat} if vat else {})

    async def sell(self, customer: str, your_ref: str, *lines: dict[str, Any], **more: Any) -> httpx.Response:
        """Posts a sales entry dated 2 March 2026 unless told otherwise."""
        body = {
            "Customer": customer,
            "Journal": "70",
            "EntryDate": "2026-03-02",
            "YourRef": your_ref,
            "SalesEntryLines": list(lines) or [await self.line()],
            **more,
        }
        return await self.post("salesentry/SalesEntries", body)


@asynccontextmanager
async def exact(division: int = 100001, **settings: Any) -> AsyncIterator[ExactClient]:
    """A stand-in in process with one logged-in client."""
    clock = Clock()
    app = create_app(ExactSettings(**{"clock": clock, **settings}))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://exact.test") as http:
        client = ExactClient(http, app.state.simulator, clock, division)
        await client.login()
        try:
            yield client
        finally:
            await client.simulator.webhooks.stop()


def message(answer: httpx.Response) -> str:
    """The text in an OData error body."""
    text: str = answer.json()["error"]["message"]["value"]
    return text
