"""The stand-in's control interface: plain JSON, no authentication, used by the demo and by tests. Amounts are cents.

POST /_simulator/faults {"fault", "method", "path_contains", "times", "skip", "status", "seconds", "retry_after_seconds", "body"}
    The next `times` fitting calls go wrong, after `skip` fitting ones went well. Kinds of `fault`:
    lose_answer (done, then the connection is closed), drop_before (closed, nothing done), cut_answer (done, half an answer),
    status / status_after (this status, nothing done / done), html_502 / html_502_after, delay / delay_after (`seconds` before
    / after it is done). DELETE /_simulator/faults forgets those that did not strike yet.
POST /_simulator/periods {"division", "journal" (null: all), "year", "period", "open"}        -> {"changed"}
POST /_simulator/bank-receipts {"division", "your_ref", "amount_minor", "date", "journal", "match"}
    A receipt on the account of that open receivable; 404 when there is none. Without "match" only an exactly equal amount is
    settled, as Exact does; "match": true is a person who settles it by hand, in part too.
POST /_simulator/bank-lines {"division", "amount_minor", "description", "gl_account" (code), "account" (name, or left out),
    "date", "journal"}      a line of a bank statement as a person books it -> {"entry_id", "entry_number", "line_id", "matched"}
POST /_simulator/matches {"division", "your_ref", "entry_number"}   a person settles a document with an open term of an entry
POST /_simulator/unmatches {"division", "entry_number"}             a person opens the terms of an entry again
POST /_simulator/rows {"division", "endpoint", "code" or "key", "changes"}   a person changes master data, e.g. IsBlocked
POST /_simulator/moves {"division"}   Exact moves the division to another database: all row versions start anew
POST /_simulator/limits {"minute_limit", "minute_seconds", "day_limit", "day_seconds", "error_limit", "error_seconds",
    "error_block_status"}, each optional                            -> the limits now
POST /_simulator/tokens {"client_id"}                               -> a fresh pair of tokens, as after a consent
GET  /_simulator/ledger?division=                                   -> {"entries", "balances_minor",
    "balances_by_period_minor", "receivables"}; debit is positive
GET  /_simulator/calls -> {"total", "division_calls", "by_endpoint", "by_question", "writes", "rate_limited", "errors_counted",
    "error_blocks", "token_calls", "concurrent_max", "per_window": [{"start" (ms since 1970), "used", "limit", "division"}]}
    A question is an endpoint with `(key)` where one entity was named, and `?` with the properties that were filtered by.
GET  /_simulator/webhooks -> {"delivered", "lost"}
"""

import uuid
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from simulators.exact import bank_entries, ledger_view, receivables
from simulators.exact.model import ENDPOINTS
from simulators.exact.periods import set_status
from simulators.exact.refusals import ApiError, Refusal
from simulators.exact.traffic import KINDS, Fault
from simulators.exact.wire import Row, bind, decode, encode
from simulators.exact.world import Division

if TYPE_CHECKING:
    from simulators.exact.app import Simulator

_Handler = Callable[["Simulator", dict[str, Any]], Any]


def routes(simulator: "Simulator") -> APIRouter:
    """The control routes of one stand-in."""
    router = APIRouter(prefix="/_simulator")
    for path, handler in (
        ("/faults", _add_fault),
        ("/periods", _set_period),
        ("/bank-receipts", _receive),
        ("/bank-lines", _book_line),
        ("/matches", _match),
        ("/unmatches", _unmatch),
        ("/rows", _change_row),
        ("/moves", _move),
        ("/limits", _set_limits),
        ("/tokens", _give_tokens),
    ):
        router.add_api_route(path, _posted(simulator, handler), methods=["POST"], response_model=None)

    @router.delete("/faults")
    async def forget_faults() -> Response:
        simulator.traffic.faults.clear()
        return _json({"faults": 0})

    @router.get("/ledger")
    async def show_ledger(division: int) -> Response:
        known = simulator.world.divisions.get(division)
        if known is None:
            return _json({"error": f"There is no division {division}."}, 404)
        return _json(ledger_view.ledger(known))

    @router.get("/calls")
    async def show_calls() -> Response:
        return _json(calls(simulator))

    @router.get("/webhooks")
    async def show_webhooks() -> Response:
        return _json({"delivered": simulator.webhooks.delivered, "lost": simulator.webhooks.lost})

    return router


def _posted(simulator: "Simulator", handler: _Handler) -> Callable[[Request], Awaitable[Response]]:
    async def answer(request: Request) -> Response:
        try:
            body = decode(await request.body() or b"{}")
            return _json(handler(simulator, body))
        except ApiError as problem:
            return _json({"error": problem.text}, problem.status)
        except Refusal as refusal:
            return _json({"error": refusal.text(simulator.settings.language)}, 409)
        except (KeyError, ValueError, TypeError) as problem:
            return _json({"error": f"The request does not fit: {problem}"}, 422)

    return answer


def _json(value: Any, status: int = 200) -> Response:
    return Response(encode(value), status, media_type="application/json")


def _division(simulator: "Simulator", body: dict[str, Any]) -> Division:
    division = simulator.world.divisions.get(int(body["division"]))
    if division is None:
        raise ApiError(404, f"There is no division {body['division']}.")
    return division


def calls(simulator: "Simulator") -> dict[str, Any]:
    """What was asked of the stand-in since it started."""
    traffic, gate = simulator.traffic, simulator.gate
    return {
        "total": traffic.total,
        "division_calls": traffic.division_calls,
        "by_endpoint": dict(sorted(traffic.by_endpoint.items())),
        "by_question": dict(sorted(traffic.by_question.items())),
        "writes": traffic.writes,
        "rate_limited": gate.rate_limited,
        "errors_counted": gate.errors_counted,
        "error_blocks": gate.error_blocks,
        "blocked_answers": gate.blocked_answers,
        "token_calls": simulator.authority.token_calls,
        "concurrent_max": traffic.concurrent_max,
        "per_window": [
            {"start": round(w.start * 1000), "used": w.used, "limit": w.limit, "division": w.division} for w in gate.windows
        ],
    }


def _add_fault(simulator: "Simulator", body: dict[str, Any]) -> dict[str, int]:
    kind = body.pop("fault")
    if kind not in KINDS:
        raise ValueError(f"fault must be one of {', '.join(sorted(KINDS))}")
    body["seconds"] = float(body.get("seconds", 1.0))
    simulator.traffic.faults.append(Fault(kind, **body))
    return {"faults": len(simulator.traffic.faults)}


def _set_period(simulator: "Simulator", body: dict[str, Any]) -> dict[str, int]:
    division = _division(simulator, body)
    changed = set_status(division, body.get("journal"), body["year"], body["period"], opened=body["open"])
    return {"changed": changed}


def _receive(simulator: "Simulator", body: dict[str, Any]) -> dict[str, Any]:
    division = _division(simulator, body)
    term = receivables.find_receivable(division, body["your_ref"])
    if term is None:
        raise ApiError(404, f"There is no open receivable {body['your_ref']}.")
    line: Row = {
        "GLAccount": term["GLAccount"],
        "Account": term["Account"],
        "AmountFC": Decimal(body["amount_minor"]) / 100,
        "Description": f"Betaling {body['your_ref']}"[:60],
    }
    if body.get("date"):
        line["Date"] = datetime.fromisoformat(body["date"])
    entry = bank_entries.create(division, {"JournalCode": body.get("journal", "20"), "BankEntryLines": [line]})
    paid = receivables.terms_of(division, entry["EntryID"])
    if body.get("match") and paid and paid[0]["Status"] == receivables.OPEN:
        receivables.match(division, term, paid[0])
    rest = receivables.open_amount(division, term["TransactionID"]) * division.settings.receivable_sign
    return {
        "entry_id": str(entry["EntryID"]),
        "entry_number": entry["EntryNumber"],
        "matched": receivables.is_matched(division, entry["EntryID"]),
        "open_minor": ledger_view.minor(rest),
    }


def _book_line(simulator: "Simulator", body: dict[str, Any]) -> dict[str, Any]:
    division = _division(simulator, body)
    gl_account = division.by_code("financial/GLAccounts", body["gl_account"])
    if gl_account is None:
        raise ApiError(404, f"There is no ledger account {body['gl_account']}.")
    line: Row = {
        "GLAccount": gl_account["ID"],
        "AmountFC": Decimal(body["amount_minor"]) / 100,
        "Description": body["description"],
    }
    if body.get("account"):
        named = [row for row in division.table("crm/Accounts") if row["Name"] == body["account"]]
        if not named:
            raise ApiError(404, f"There is no account {body['account']}.")
        line["Account"] = named[0]["ID"]
    if body.get("date"):
        line["Date"] = datetime.fromisoformat(body["date"])
    entry = bank_entries.create(division, {"JournalCode": body.get("journal", "20"), "BankEntryLines": [line]})
    (booked,) = division.table(bank_entries.LINES).where("EntryID", entry["EntryID"])
    return {
        "entry_id": str(entry["EntryID"]),
        "entry_number": entry["EntryNumber"],
        "line_id": str(booked["ID"]),
        "matched": receivables.is_matched(division, entry["EntryID"]),
    }


def _match(simulator: "Simulator", body: dict[str, Any]) -> dict[str, Any]:
    division = _division(simulator, body)
    term = receivables.find_receivable(division, body["your_ref"])
    other = next((t for t in _terms(division, body["entry_number"]) if t["Status"] == receivables.OPEN), None)
    if term is None or other is None:
        raise ApiError(404, "There is no open term for one of the two.")
    receivables.match(division, term, other)
    return {"matched": True}


def _unmatch(simulator: "Simulator", body: dict[str, Any]) -> dict[str, int]:
    division = _division(simulator, body)
    entries = {term["TransactionEntryID"] for term in _terms(division, body["entry_number"])}
    return {"opened": sum(receivables.unmatch(division, entry_id) for entry_id in entries)}


def _terms(division: Division, entry_number: int) -> list[Row]:
    return [term for term in division.table(receivables.TERMS) if term["EntryNumber"] == entry_number]


def _change_row(simulator: "Simulator", body: dict[str, Any]) -> dict[str, str]:
    division = _division(simulator, body)
    endpoint = ENDPOINTS[body["endpoint"]]
    table = division.table(endpoint.table)
    row = table.get(uuid.UUID(body["key"])) if "key" in body else division.by_code(endpoint.table, body["code"])
    if row is None:
        raise ApiError(404, f"There is no such row in {endpoint.uri}.")
    division.update(endpoint.table, table.key_of(row), bind(endpoint, body["changes"], "g"))
    return {"key": str(table.key_of(row))}


def _move(simulator: "Simulator", body: dict[str, Any]) -> dict[str, int]:
    division = _division(simulator, body)
    division.move()
    return {"moved": division.code}


def _set_limits(simulator: "Simulator", body: dict[str, Any]) -> dict[str, Any]:
    limits = simulator.gate.limits
    known = asdict(limits)
    for name, value in body.items():
        if name not in known:
            raise ValueError(f"{name} is no limit")
        setattr(limits, name, float(value) if name.endswith("_seconds") else int(value))
    return {name: Decimal(str(value)) if isinstance(value, float) else value for name, value in asdict(limits).items()}


def _give_tokens(simulator: "Simulator", body: dict[str, Any]) -> dict[str, str]:
    return simulator.authority.start_chain(body.get("client_id", simulator.settings.client_id))
