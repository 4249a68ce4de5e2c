"""The cases of tests/golden as text for a page: each document, its journal, and what else the tests compare."""

import re
from pathlib import Path
from typing import Any

import yaml

GOLDEN = Path(__file__).resolve().parent.parent / "tests/golden"
_CASE = re.compile(r"<!-- case: (?P<file>[\w.]+) -->\n.*?<!-- end -->", re.DOTALL)
_KINDS = {
    "credit_note": "credit note",
    "vat_reclaim": "VAT of write-off",
    "tax_withheld": "withheld tax",
    "exchange_difference": "exchange difference",
    "application": "exchange difference of the debtor",
}


def with_cases(page: str) -> str:
    """Return the page with every case between its markers as its file has it now; raises OSError for a file that is gone."""
    return _CASE.sub(lambda found: worked_case(found["file"], (GOLDEN / found["file"]).read_text()), page)


def worked_case(file: str, text: str) -> str:
    """Return one case with its markers; raises ValueError for a booking without a journal, a hold or a setting aside."""
    data = yaml.safe_load(text)
    site = f"the site: {_flow(data['site'])}\n\n" if "site" in data else ""
    closed = f"closed in Exact: {', '.join(data['closed'])}\n\n" if "closed" in data else ""
    bookings = "\n\n".join(_booking(booking) for booking in data["bookings"])
    return f"<!-- case: {file} -->\n**{data['case']}**\n\n```\n{site}{closed}{bookings}\n```\n<!-- end -->"


def _booking(booking: dict[str, Any]) -> str:
    return "\n".join([_heading(booking), *_settings(booking), *_outcome(booking), *_particulars(booking)])


def _settings(booking: dict[str, Any]) -> list[str]:
    """Return what the division's section says otherwise in this case, one line a key."""
    return [f"  {key}: {_flow(value)}" for key, value in booking.get("with", {}).items()]


def _flow(value: Any) -> str:
    text = yaml.safe_dump(value, default_flow_style=True, sort_keys=False, width=10_000, allow_unicode=True)
    return text.removesuffix("...\n").strip()


def _heading(booking: dict[str, Any]) -> str:
    document = booking["document"]
    kind = _KINDS.get(document["kind"], document["kind"])
    parts = [f"{kind} {document['number']} of {document['date']}"]
    if "due" in document:
        parts.append(f"due {document['due']}")
    if "entity" in document:
        parts.append(f"entity {document['entity']}")
    if "division" in booking:
        parts.append(f"into division {booking['division']}")
    if "country" in document:
        parts.append(document["country"])
    if "credits" in document:
        parts.append(f"credits {document['credits']}")
    if "currency" in document:
        rate = document.get("rate")
        parts.append(f"{document['currency']} at {rate}" if rate else f"{document['currency']} without a rate")
    for name, fields in document.get("subscriptions", {}).items():
        parts.append(f"subscription {name} with {_flow(fields)}")
    if "reversed_on" in booking:
        parts.append(f"voided on {booking['reversed_on']}")
    if "period_policy" in booking:
        parts.append(f"period_policy {booking['period_policy']}")
    return ", ".join(parts)


def _outcome(booking: dict[str, Any]) -> list[str]:
    lines = []
    for name, title in (
        ("journal", ""),
        ("journal_in_division_currency", "  in the currency of the administration:"),
        ("in_exact", "  in Exact, with the VAT that it adds on both sides:"),
    ):
        if name in booking:
            lines += [title] * bool(title) + [f"  {line}" for line in booking[name].splitlines()]
    if "held" in booking:
        lines += [f"  held: {booking['held']}"] + [f"  {booking[name]}" for name in ("sentence", "action") if name in booking]
    if "set_aside" in booking:
        lines.append(f"  set aside: {booking['set_aside']}")
    if not lines:
        raise ValueError(f"{booking['document']['number']} has no journal, no hold and no setting aside")
    return lines


def _particulars(booking: dict[str, Any]) -> list[str]:
    lines = []
    if "vat_codes" in booking:
        lines.append(f"VAT codes {', '.join(map(str, booking['vat_codes']))}")
    if "dimensions" in booking:
        lines.append(f"cost centres {', '.join(booking['dimensions'])}")
    if "deferred" in booking:
        lines += [f"revenue {each}" for each in booking["deferred"]]
    if "released" in booking:
        lines.append(f"released {', '.join(booking['released'])}")
    if "explained" in booking:
        lines.append(f"explained {booking['explained']}")
    if "descriptions" in booking:
        lines.append(f"descriptions {', '.join(booking['descriptions'])}")
    if "reference" in booking:
        lines.append(f"reference {booking['reference']}")
    if "entry_date" in booking:
        lines.append(f"dated {booking['entry_date']}")
    if "reported_in" in booking:
        lines.append(f"reported in {booking['reported_in']}")
    return [f"  {line}" for line in lines]
