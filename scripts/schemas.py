"""Writes the JSON schema of every message as a snapshot, and refuses a change that readers of the old version cannot follow.

A message keeps its version while it only gains optional fields or values of a list. Anything else needs a new VERSION in
contracts and a step in contracts/upcasts.py; the snapshot of the old version stays, so that the step can be checked against it.
"""

from __future__ import annotations

import inspect
import json
import pathlib
import sys
from typing import Any

import msgspec

from contracts.envelope import Envelope
from contracts.messages import MESSAGES

DIRECTORY = pathlib.Path(__file__).resolve().parent.parent / "shared" / "src" / "contracts" / "schemas"

Schema = dict[str, Any]


def current_schemas() -> dict[str, Schema]:
    """Return the schema of each message and of the envelope, by file name."""
    structs: dict[str, type] = {f"{name}.v{struct.VERSION}.json": struct for name, struct in MESSAGES.items()}
    structs["envelope.v1.json"] = Envelope
    schemas = {name: msgspec.json.schema(struct) for name, struct in structs.items()}
    for schema in schemas.values():
        for definition in schema.get("$defs", {}).values():
            definition["description"] = inspect.cleandoc(definition.get("description", ""))
    as_json: dict[str, Schema] = json.loads(json.dumps(schemas))  # a default of () is [] there, as in the snapshots
    return as_json


def committed_schemas() -> dict[str, Schema]:
    """Read the snapshots, by file name."""
    return {path.name: json.loads(path.read_text()) for path in sorted(DIRECTORY.glob("*.json"))}


def breaking_changes(old: Schema, new: Schema) -> list[str]:
    """Say in words what a reader or a stored message of the old schema would stumble over; empty when there is nothing.

    A new optional field and a changed description break nothing, since readers pass over fields that they do not know. Nor does
    a new value in a list of values: all old messages fit, and a reader of an older release puts the new ones among its dead
    letters, from where they are taken up after its upgrade.
    """
    found = _differences(_root(old), _root(new), "")
    definitions = old.get("$defs", {})
    for name, definition in definitions.items():
        if definition is _root(old):
            continue
        if name not in new.get("$defs", {}):
            found.append(f"{name} is gone")
        else:
            found += _differences(definition, new["$defs"][name], f"{name}.")
    return found


def _root(schema: Schema) -> Schema:
    reference = schema.get("$ref", "")
    return schema["$defs"][reference.rpartition("/")[2]] if reference else schema


def _differences(old: Schema, new: Schema, where: str) -> list[str]:
    found = []
    before, after = old.get("properties", {}), new.get("properties", {})
    for name in before:
        if name not in after:
            found.append(f"the field {where}{name} is gone")
        elif _meaning(before[name]) != _meaning(_without_new_values(before[name], after[name])):
            found.append(f"the field {where}{name} was {_meaning(before[name])} and is {_meaning(after[name])}")
    found += [
        f"the field {where}{name} is newly required" for name in sorted({*new.get("required", ())} - {*old.get("required", ())})
    ]
    if not before and _meaning(old) != _meaning(new):
        found.append(f"{where.rstrip('.') or 'the message'} was {_meaning(old)} and is {_meaning(new)}")
    return found


def _without_new_values(old: Schema, new: Schema) -> Schema:
    if not set(old.get("enum", ())) < set(new.get("enum", ())):
        return new
    return {**new, "enum": old["enum"]}


def _meaning(schema: Schema) -> str:
    """Return what decides whether a value fits, without titles and descriptions; a changed default would change old data."""
    told = {key: value for key, value in schema.items() if key not in ("title", "description")}
    return json.dumps(told, sort_keys=True)


def main() -> int:
    """Write the snapshots, unless one of them would break its readers."""
    committed, current = committed_schemas(), current_schemas()
    broken = {name: breaking_changes(committed[name], schema) for name, schema in current.items() if name in committed}
    for name, changes in broken.items():
        for change in changes:
            print(f"{name}: {change}; raise VERSION and add a step to contracts/upcasts.py", file=sys.stderr)
    if any(broken.values()):
        return 1
    DIRECTORY.mkdir(exist_ok=True)
    for name, schema in current.items():
        (DIRECTORY / name).write_text(json.dumps(schema, indent=2, sort_keys=True) + "\n")
    print(f"{len(current)} schemas written to shared/src/contracts/schemas")
    return 0


if __name__ == "__main__":
    sys.exit(main())
