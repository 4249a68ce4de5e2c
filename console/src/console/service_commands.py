"""The commands that live with a service: `plan`, `explain` and the like come from the distribution that knows how to answer.

A service names them under the entry points `kruispost.commands`: the name of the command, and a function with Typer's
annotations that raises `typer.Exit` for its exit code, or a Typer with commands of its own. Its module must be light, for
`kruispost --help` reads its first line: what it needs to answer is imported within the function.
"""

from __future__ import annotations

import importlib.metadata
from functools import cache
from typing import Any

import typer
from typer.core import TyperGroup
from typer.main import get_command

COMMANDS = "kruispost.commands"


@cache
def _points() -> dict[str, importlib.metadata.EntryPoint]:
    return {point.name: point for point in importlib.metadata.entry_points(group=COMMANDS)}


class ServiceCommands(TyperGroup):
    """The console's own commands, and those of the services that are installed beside it."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Return the names, the console's own first."""
        own = super().list_commands(ctx)
        return [*own, *sorted(_points().keys() - set(own))]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Return a command, and import the service's module only when it is one of a service."""
        own = super().get_command(ctx, cmd_name)
        if own is not None or cmd_name not in _points():
            return own
        loaded = _points()[cmd_name].load()
        if isinstance(loaded, typer.Typer):
            return get_command(loaded)
        single = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
        single.command(cmd_name)(loaded)
        return get_command(single)
