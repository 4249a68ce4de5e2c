"""Write docs/events.md and docs/errors.md from the code, and the worked cases in docs/bookkeeping.md from tests/golden.

With `--check` nothing is written; it only says which pages are out of date.
"""

import argparse
import inspect
import sys
from fnmatch import fnmatch
from pathlib import Path

import msgspec

from catalogue_of_errors import error_sections
from contracts.envelope import Message
from contracts.messages import COMMAND_TYPES, FACT_TYPES, MESSAGES
from contracts.topology import COMMANDS_EXCHANGE, FACTS_EXCHANGE, PARCELS_EXCHANGE, topology
from worked_cases import with_cases

ROOT = Path(__file__).resolve().parent.parent
SPEAKERS = {"chargebee": "ingest", "mapper": "mapper", "gateway": "mapper", "exact": "exact-writer", "matcher": "payment-matcher"}
GENERATED = "<!-- Written by `make docs` from the code; change that instead. -->\n"


def _speaker(name: str) -> str:
    return "mapper" if name in COMMAND_TYPES else SPEAKERS[name.split(".", maxsplit=1)[0]]


def _readers(name: str) -> list[str]:
    exchange = COMMANDS_EXCHANGE if name in COMMAND_TYPES else FACTS_EXCHANGE if name in FACT_TYPES else PARCELS_EXCHANGE
    found = set()
    for queue in topology([100001]).queues:
        for binding in queue.bindings:
            pattern = binding.pattern.replace("#", "*")
            if binding.exchange == exchange and any(
                fnmatch(f"{name}.{word}", pattern) for word in ("0", "1", "2", "3", "100001")
            ):
                found.add(queue.name.split(".")[0])
    return sorted(found)


def _fields(message: type[Message]) -> list[str]:
    rows = ["| field | type |", "|---|---|"]
    for field in msgspec.structs.fields(message):
        kind = field.type.__name__ if inspect.isclass(field.type) else str(field.type)
        for prefix in (
            "typing.",
            "contracts.facts.",
            "contracts.commands.",
            "contracts.chargebee.",
            "contracts.settlements.",
            "contracts.bank_lines.",
            "datetime.",
            "decimal.",
        ):
            kind = kind.replace(prefix, "")
        rows.append(f"| `{field.name}` | `{kind}` |".replace(" | None`", "`, may be absent"))
    return rows


def events_page() -> str:
    """Return the catalogue of messages: who says them, who reads them, what is in them."""
    parts = [GENERATED, "# Messages\n", inspect.getdoc(sys.modules["contracts.envelope"]) or "", ""]
    for name, message in MESSAGES.items():
        kind = "command" if name in COMMAND_TYPES else "fact" if name in FACT_TYPES else "parcel"
        parts += [
            f"## `{name}`, version {message.VERSION}\n",
            (inspect.getdoc(message) or "") + "\n",
            f"A {kind} of {_speaker(name)}, read by {', '.join(_readers(name))}.\n",
            *_fields(message),
            "",
        ]
    return "\n".join(parts) + "\n"


def errors_page() -> str:
    """Return the catalogue of errors and reasons: what each code means and what a person does about it."""
    parts = [
        GENERATED,
        "# Errors and reasons\n",
        "Each code stays the same over releases; the sentence around it may get clearer.\n",
    ]
    for title, rows in error_sections():
        parts += [f"## {title}\n", "| code | what happened | what to do |", "|---|---|---|"]
        parts += [f"| `{code}` | {_cell(sentence)} | {_cell(action)} |" for code, sentence, action in rows]
        parts.append("")
    return "\n".join(parts) + "\n"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def bookkeeping_page() -> str:
    """Return the page with every case between its markers as the golden file has it now."""
    return with_cases((ROOT / "docs/bookkeeping.md").read_text())


def main() -> int:
    """Write the pages, or compare them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="exit 1 when a page is not what the code says")
    check = parser.parse_args().check
    stale = []
    pages = {"events": events_page(), "errors": errors_page(), "bookkeeping": bookkeeping_page()}
    for name, text in pages.items():
        path = ROOT / "docs" / f"{name}.md"
        if check and (not path.exists() or path.read_text() != text):
            stale.append(str(path.relative_to(ROOT)))
        if not check:
            path.write_text(text)
    if stale:
        print(f"out of date: {', '.join(stale)}; run `make docs`")
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
