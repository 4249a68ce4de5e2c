"""`kruispost replay SERVICE --until ... --keep DIR`: the state of another service at a moment, beside the present one."""

from __future__ import annotations

import importlib.metadata
import json
from collections.abc import Awaitable, Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import typer

from backbone.clock import SystemClock
from backbone.command_database import CHECK_AND_MIGRATE, UnreadableError, check_installed, run_command
from backbone.settings import Settings
from mapper.wording import Language

PASTS = "kruispost.past"  # entry points: settings, a moment and a directory; returns of how many messages the state was made

# What no log holds, so that nobody takes its absence for what was so then.
_NOT_IN_A_LOG: dict[str, dict[Language, str]] = {
    "exact-writer": {
        "en": "Not in it, since no log holds it: Exact's master data and ledger, and how often a call was tried.",
        "nl": "Niet daarin, want in geen log: de stamgegevens en het grootboek van Exact, en hoe vaak iets is geprobeerd.",
    },
    "payment-matcher": {
        "en": "Not in it, since no log holds it: proposals that nobody had decided about, and matched receipts "
        "that brought no new money; such lines stand there unjudged, such receipts as under way.",
        "nl": "Niet daarin, want in geen log: voorstellen waarover niemand had beslist, en afgeletterde ontvangsten "
        "die geen nieuw geld brachten; zulke regels staan er onbeoordeeld, zulke ontvangsten als onderweg.",
    },
}


def show_past(service: str, until: datetime | None, keep: Path, lang: Language, *, as_json: bool) -> None:
    """Make the state of a service in a directory, and say how to look at it. Raises KruispostError."""
    settings = Settings()
    check_installed(settings, service)
    points: Any = importlib.metadata.entry_points(group=PASTS, name=service)
    if not points:
        raise UnreadableError(f"{service} is not installed here; install it beside this command.")
    make: Callable[[Settings, datetime, Path], Awaitable[int]] = next(iter(points)).load()
    moment = until or SystemClock().now()

    async def run() -> int:
        return await make(settings, moment, keep)

    count = run_command(run(), "The logs cannot be read", CHECK_AND_MIGRATE)
    if as_json:
        typer.echo(json.dumps({"service": service, "until": moment.isoformat(), "messages": count, "directory": str(keep)}))
        return
    told = {
        "en": "{count} messages up to {moment}: {service} as it was is in {keep}; look at it with KRUISPOST_DATA_DIR={keep}.",
        "nl": "{count} berichten tot {moment}: {service} zoals toen staat in {keep}; kijk ernaar met KRUISPOST_DATA_DIR={keep}.",
    }
    typer.echo(told[lang].format(count=count, moment=f"{moment:%Y-%m-%d %H:%M:%S}", service=service, keep=keep))
    if service in _NOT_IN_A_LOG:
        typer.echo(_NOT_IN_A_LOG[service][lang])
