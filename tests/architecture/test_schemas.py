"""The messages' schemas are frozen by committed snapshots, and only grow by what old readers can pass over."""

import copy
import re
from collections.abc import Callable

import pytest

from contracts.messages import MESSAGES
from contracts.upcasts import UPCASTS
from schemas import Schema, breaking_changes, committed_schemas, current_schemas

ENTRY = "exact.entry.post.v1.json"
SNAPSHOT = re.compile(r"^(?P<type>.+)\.v(?P<version>\d+)\.json$")


def changed(name: str, change: Callable[[Schema], object]) -> tuple[Schema, Schema]:
    """Return the snapshot as it is, and a copy that `change` was applied to."""
    old = committed_schemas()[name]
    new = copy.deepcopy(old)
    change(new["$defs"])
    return old, new


def test_the_snapshots_are_those_of_the_code():
    committed, current = committed_schemas(), current_schemas()
    broken = [
        f"{name}: {change}"
        for name in current.keys() & committed.keys()
        for change in breaking_changes(committed[name], current[name])
    ]
    assert not broken, "old readers would stumble; raise VERSION and add a step to contracts/upcasts.py:\n" + "\n".join(broken)
    stale = sorted(name for name, schema in current.items() if committed.get(name) != schema)
    assert not stale, "run `make schemas` and commit what it writes"


def test_every_older_version_has_a_way_up():
    for name in committed_schemas():
        found = SNAPSHOT.match(name)
        assert found is not None, f"{name} is no snapshot"
        message_type, version = found["type"], int(found["version"])
        if message_type == "envelope":
            continue
        assert message_type in MESSAGES, f"{name}: this type is no longer read, but logs may hold it"
        for step in range(version, MESSAGES[message_type].VERSION):
            assert (message_type, step) in UPCASTS, f"{name}: no step from version {step} in contracts/upcasts.py"


def test_a_new_optional_field_breaks_nothing():
    def add(definitions):
        definitions["PostEntry"]["properties"]["memo"] = {"type": "string", "default": ""}
        definitions["PostEntry"]["description"] = "other words"

    assert breaking_changes(*changed(ENTRY, add)) == []


def test_a_new_value_of_a_list_breaks_nothing():
    def add(definitions):
        definitions["DocumentRef"]["properties"]["kind"]["enum"].append("something_new")

    assert breaking_changes(*changed(ENTRY, add)) == []


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda d: d["PostEntry"]["properties"].pop("journal"), "the field journal is gone"),
        (lambda d: d["PostEntry"]["required"].append("due_date"), "the field due_date is newly required"),
        (lambda d: d["PostEntry"]["properties"].update(division={"type": "string"}), "the field division was"),
        (lambda d: d["EntryLine"]["properties"].pop("vat_code"), "the field EntryLine.vat_code is gone"),
        (lambda d: d["EntryLine"]["properties"].update(amount_minor={"type": "number"}), "the field EntryLine.amount_minor was"),
        (lambda d: d["DocumentRef"]["properties"]["kind"].update(enum=["invoice"]), "the field DocumentRef.kind was"),
        (lambda d: d.pop("DocumentRef"), "DocumentRef is gone"),
    ],
    ids=["removed", "required", "other type", "removed within", "integer to number", "narrowed", "definition removed"],
)
def test_a_change_that_breaks_readers_is_named(change, sentence):
    assert any(sentence in found for found in breaking_changes(*changed(ENTRY, change)))
