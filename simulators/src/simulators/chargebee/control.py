"""How tests and demonstrations steer the stand-in, without authentication.

- POST /_simulator/faults {"fault": "lose_answer|drop_before|status|delay|html_502|lock_timeout|rate_limit",
  "method"?, "path_contains"?, "times"?, "skip"?, "status"?, "seconds"?}
- POST /_simulator/webhook-endpoints {"url", "username"?, "password"?}: deliver later events there
- POST /_simulator/webhooks/resend {"event_id"}: deliver one event again
- GET /_simulator/webhooks: {"sent", "pending", "dropped", "failed": [event ids]}
- GET /_simulator/payments: all transactions, oldest first, those recorded through the API included
- GET /_simulator/calls: {"total", "by_endpoint", "rate_limited", "concurrent_max"}
- POST /_simulator/clock {"seconds"}: let time pass; jobs whose time has come are run
"""

from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, HTTPException, Request

from .admission import Fault
from .invoices import run_scheduled_jobs
from .settings import WebhookEndpoint

if TYPE_CHECKING:
    from .app import ChargebeeSimulator

router = APIRouter(prefix="/_simulator")


def _app(request: Request) -> "ChargebeeSimulator":
    app: ChargebeeSimulator = request.app
    return app


@router.post("/faults")
async def add_fault(request: Request) -> dict[str, int]:
    """Let coming requests meet a disturbance; 422 for one that does not exist."""
    try:
        fault = Fault.parse(await request.json())
    except TypeError as error:
        raise HTTPException(422, str(error)) from None
    faults = _app(request).faults
    faults.waiting.append(fault)
    return {"waiting": len(faults.waiting)}


@router.post("/webhook-endpoints")
async def add_endpoint(request: Request) -> dict[str, int]:
    """Deliver events from now on to one more endpoint; Chargebee allows five."""
    members = await request.json()
    endpoints = _app(request).sender.endpoints
    if len(endpoints) >= 5:
        raise HTTPException(422, "a site has at most five webhook endpoints")
    number = len(endpoints) + 1
    endpoints.append(WebhookEndpoint(**{"id": f"whv2_AzZlAiTestEndpoint{number:02d}", **members}))
    return {"endpoints": number}


@router.post("/webhooks/resend")
async def resend(request: Request) -> dict[str, bool]:
    """Deliver one event again, as a person does from the event log."""
    event_id = (await request.json())["event_id"]
    if not _app(request).sender.resend(event_id):
        raise HTTPException(404, f"there is no event {event_id}")
    return {"resent": True}


@router.get("/webhooks")
async def webhooks(request: Request) -> dict[str, Any]:
    """Counts of deliveries, and the events whose last retry failed."""
    sender = _app(request).sender
    return {"sent": sender.sent, "pending": sender.pending, "dropped": sender.dropped, "failed": sender.failed}


@router.get("/payments")
async def all_payments(request: Request) -> list[dict[str, Any]]:
    """All transactions, oldest first."""
    return _app(request).site.all("transaction")


@router.get("/calls")
async def calls(request: Request) -> dict[str, Any]:
    """How often the API was called, and what the limits did."""
    app = _app(request)
    return {
        "total": sum(app.calls.values()),
        "by_endpoint": app.calls,
        "rate_limited": app.gate.refused,
        "concurrent_max": app.gate.highest_running,
    }


@router.post("/clock")
async def pass_time(request: Request) -> dict[str, int]:
    """Let seconds pass on the site's clock and run the jobs that fell due."""
    app = _app(request)
    app.site.clock.skip(float((await request.json())["seconds"]))
    return {"now": app.site.clock.now(), "fell_due": len(run_scheduled_jobs(app.site))}
