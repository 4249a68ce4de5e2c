"""Starts, watches, kills and restarts the processes of a rehearsal, always by their process ids."""

from __future__ import annotations

import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

# Below the ports that the system gives to outgoing connections, one of which could take a chosen port before its process does.
FIRST_PORT, PORTS = 20_000, 12_000
RESTARTS_AT_MOST = 20
STOP_SECONDS = 30.0
LINES_SHOWN = 15


class ProcessFailedError(Exception):
    """A process of the rehearsal did not come up or fell over too often; the message holds the end of its log."""


@dataclass(frozen=True)
class Program:
    """A command to keep running; `first_environment` holds for its first start only (a crash point to die at)."""

    name: str
    command: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)
    first_environment: Mapping[str, str] = field(default_factory=dict)


@dataclass
class _Child:
    program: Program
    process: subprocess.Popen[bytes]
    log: IO[bytes]
    restarts: int = 0


def free_port() -> int:
    """Return a port of the loopback address that was free a moment ago."""
    while True:
        port = FIRST_PORT + secrets.randbelow(PORTS)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


def python_module(module: str, *arguments: str) -> tuple[str, ...]:
    """Return the command that runs a module of ours with this interpreter."""
    return (sys.executable, "-m", module, *arguments)


class Supervisor:
    """Keeps programs alive until they are stopped, as a container platform would."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._children: dict[str, _Child] = {}
        self.restarts: dict[str, int] = {}

    def start(self, program: Program) -> None:
        """Start a program; its output goes to `<name>.log`."""
        log = (self._directory / f"{program.name}.log").open("ab")
        environment = {**os.environ, **program.environment, **program.first_environment}
        process = subprocess.Popen(  # noqa: S603 - our own commands, built above
            program.command, stdout=log, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, env=environment
        )
        self._children[program.name] = _Child(program, process, log)
        self._write_pids()

    def revive(self) -> list[str]:
        """Start again what has died since the last look, and return its names.

        Raises ProcessFailedError when a program dies again and again.
        """
        revived = []
        for name, child in self._children.items():
            if child.process.poll() is None:
                continue
            child.restarts += 1
            if child.restarts > RESTARTS_AT_MOST:
                raise ProcessFailedError(
                    f"{name} ended {child.restarts} times (last exit {child.process.returncode}):\n{self.tail(name)}"
                )
            environment = {**os.environ, **child.program.environment}
            child.process = subprocess.Popen(  # noqa: S603 - our own commands
                child.program.command, stdout=child.log, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, env=environment
            )
            self.restarts[name] = child.restarts
            revived.append(name)
        if revived:
            self._write_pids()
        return revived

    def require_alive(self) -> None:
        """Raise ProcessFailedError when a program has ended that must not be started anew, since its state is gone."""
        for name, child in self._children.items():
            if child.process.poll() is not None:
                raise ProcessFailedError(f"{name} ended with exit code {child.process.returncode}:\n{self.tail(name)}")

    def kill(self, name: str) -> None:
        """Kill a program without warning (SIGKILL); the next look revives it."""
        self._children[name].process.kill()
        self._children[name].process.wait()

    def names(self) -> list[str]:
        """Return the names of all programs."""
        return list(self._children)

    def tail(self, name: str) -> str:
        """Return the last lines that a program wrote."""
        text = (self._directory / f"{name}.log").read_text(errors="replace")
        return "\n".join(text.splitlines()[-LINES_SHOWN:])

    def stop(self) -> None:
        """Ask every program to end, wait for the drain, then kill what is left."""
        for child in self._children.values():
            if child.process.poll() is None:
                child.process.send_signal(signal.SIGTERM)
        deadline = time.monotonic() + STOP_SECONDS
        for child in self._children.values():
            try:
                child.process.wait(timeout=max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                child.process.kill()
                child.process.wait()
            child.log.close()

    def _write_pids(self) -> None:
        # A person (or a test) who wants to try a kill -9 finds the victim here; the simulators have a supervisor of their own.
        file = self._directory / "processes.json"
        others = json.loads(file.read_text()) if file.exists() else {}
        pids = {name: child.process.pid for name, child in self._children.items()}
        file.write_text(json.dumps({**others, **pids}, indent=2) + "\n")
