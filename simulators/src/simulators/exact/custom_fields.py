"""Exact's own custom fields, which only the edition Premium has: of accounts, one call for one field of one record."""

import uuid

from simulators.exact.refusals import ApiError, Findings
from simulators.exact.settings import CustomField
from simulators.exact.wire import Row
from simulators.exact.world import Division

FIELDS = "customfield/CustomFields"
UPDATE = "customfield/UpdateCustomField"
ACCOUNTS = "crm/Accounts"
VALUES = "custom fields"  # a table of ours: Exact shows them by the record only
MANDATORY = ("LinkId", "BusinessComponentName", "PropertyName", "Value")


def update(division: Division, body: Row) -> Row:
    """Writes the value of one field of one record; all four properties are mandatory, so that nothing is emptied.

    Raises `ApiError` where the edition has no custom fields, `Refusal` for a record, a field or a value that does not fit.
    """
    _check_edition(division)
    findings = Findings()
    for mandatory in MANDATORY:
        if not body.get(mandatory):
            findings.add("mandatory", mandatory)
    if body.get("LinkId") is not None and division.table(ACCOUNTS).get(body["LinkId"]) is None:
        findings.add("reference", "account")
    component, name = body.get("BusinessComponentName"), body.get("PropertyName")
    field = next((each for each in division.settings.custom_fields if (each.component, each.name) == (component, name)), None)
    if component and name and field is None:
        findings.add("reference", "custom_field")
    if field is not None and len(body.get("Value") or "") > field.longest:
        findings.add("too_long", "custom_field")
    findings.raise_if_any()
    key = (body["LinkId"], body["PropertyName"])
    table = division.table(VALUES)
    if table.get(key) is None:
        table.add({"ID": key, **body})
    else:
        table.change(key, {"Value": body["Value"]})
    return body


def of_record(division: Division, key: uuid.UUID) -> list[Row]:
    """The fields of one account, each with its value; those without one only where the switch says so.

    Raises `ApiError` where the edition has no custom fields and for a record that is not there.
    """
    _check_edition(division)
    if division.table(ACCOUNTS).get(key) is None:
        raise ApiError(404, "Resource not found for the segment 'CustomFields'.")
    found = ((each, division.table(VALUES).get((key, each.name))) for each in division.settings.custom_fields)
    return [
        _shown(key, each, row["Value"] if row is not None else None)
        for each, row in found
        if row is not None or division.settings.unset_custom_fields == "listed"
    ]


def _shown(key: uuid.UUID, field: CustomField, value: str | None) -> Row:
    named = {"LinkId": key, "BusinessComponentName": field.component, "PropertyName": field.name}
    return {**named, "Value": value, "Caption": field.name, "Type": "String"}


def _check_edition(division: Division) -> None:
    if division.settings.custom_fields:
        return
    if division.settings.without_custom_fields == "forbidden":
        raise ApiError(403, "Forbidden")
    raise ApiError(404, "Resource not found for the segment 'customfield'.")
