"""`kruispost demo`: both simulators, the whole connector and a business month, judged at the end as a controller would.

The simulators stand for the outside world: they are started once and are never killed. The connector's processes are the
ones that production starts; they are revived when they die, and the month has to end just the same.
"""

from __future__ import annotations

import base64
import json
import os
import secrets
import shutil
import signal
import sys
import time
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import httpx
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from console import demo_report
from console.demo_engine import Engine, prepare_engine
from console.demo_processes import ProcessFailedError, Program, Supervisor, free_port, python_module

DIVISION = 100001
LEDGER_JOURNAL = "91"  # a general journal of the demo's division that allows VAT
WEBHOOK_USERNAME = "chargebee"
START_SECONDS = 90.0
POLL_SECONDS = 0.5
SIGNALLED = 128  # the exit code of a program that a signal ended, less that signal's number
BOOKS = "books.json"  # both books and the connector's view of them at the end, for whoever wants to judge them himself
UNSETTLED_STATES = ("received", "waiting", "planned")
SERVICES = {
    "ingest": "ingest",
    "mapper": "mapper",
    "exact-writer": "exact_writer",
    "payment-matcher": "payment_matcher",
    "console": "console",
}


@dataclass(frozen=True)
class DemoOptions:
    """What a rehearsal is run with; `kill` and `crash_at` (`service=point:n`) name a victim, or are None."""

    engine: str = "embedded"
    seed: int = 42
    documents: int = 300
    directory: Path = Path("var/demo")
    kill: str | None = None
    crash_at: str | None = None
    pdfs: bool = False
    mode: str = "entry"
    minute_seconds: float = 1.0
    play_seconds: float = 10.0
    patience_seconds: float = 180.0


@dataclass(frozen=True)
class _Place:
    """Where everything of one rehearsal listens, and the secret that opens the admin routes."""

    chargebee: str
    exact: str
    ports: dict[str, int]
    admin_token: str

    def url(self, service: str) -> str:
        return f"http://127.0.0.1:{self.ports[service]}"

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.admin_token}"}


class _Month:
    """One rehearsal from the first process to the last."""

    def __init__(self, options: DemoOptions, engine: Engine, screen: Console) -> None:
        self._options = options
        self._engine = engine
        self._screen = screen
        self._world = Supervisor(options.directory)
        self._connector = Supervisor(options.directory)
        self._http = httpx.Client(timeout=20.0, trust_env=False)

    def play(self) -> demo_report.Report:
        """Run the month and return its report; everything that was started is ended, also after an error."""
        started = time.monotonic()
        try:
            place = self._start_all()
            self._log_in(place)
            self._post(f"{place.chargebee}/_simulator/start")
            self._watch(place)
            evidence = self._evidence(place)
            books = {**self._get(f"{place.chargebee}/_simulator/books"), "documents": evidence.projection}
            (self._options.directory / BOOKS).write_text(json.dumps(books) + "\n")
        finally:
            self._connector.stop()
            self._world.stop()
            self._http.close()
        return demo_report.build(
            evidence,
            engine=self._options.engine,
            mode=self._options.mode,
            seed=self._options.seed,
            seconds=time.monotonic() - started,
            restarts=self._connector.restarts,
        )

    def _start_all(self) -> _Place:
        options = self._options
        password = secrets.token_hex(24)  # no leading dash, which a command line would take for an option
        embedded = options.engine == "embedded"
        port = free_port()
        ports = {name: port if embedded else free_port() for name in SERVICES}
        world_ports = free_port(), free_port()
        world = python_module(
            "simulators", "world", "--seed", str(options.seed), "--documents", str(options.documents),
            "--chargebee-port", str(world_ports[0]), "--exact-port", str(world_ports[1]),
            "--webhook-url", f"http://127.0.0.1:{ports['ingest']}/webhooks/chargebee/acme-test",
            "--webhook-username", WEBHOOK_USERNAME, "--webhook-password", password,
            "--minute-seconds", str(options.minute_seconds), "--play-seconds", str(options.play_seconds), "--wait-for-start",
        )  # fmt: skip
        self._world.start(Program("world", world))
        place = _Place(
            f"http://127.0.0.1:{world_ports[0]}", f"http://127.0.0.1:{world_ports[1]}", ports, secrets.token_urlsafe(24)
        )
        environment = self._environment(place, password)
        for name, command in self._commands().items():
            own = {"KRUISPOST_PORT": str(ports[_port_of(name)]), **self._engine.of_service.get(name, {})}
            self._connector.start(Program(name, command, {**environment, **own}, self._crash(name)))
        self._wait_until_up(f"{place.chargebee}/_simulator/progress")
        for name in SERVICES:
            self._wait_until_up(f"{place.url(name)}/live")
        return place

    def _commands(self) -> dict[str, tuple[str, ...]]:
        if self._options.engine == "embedded":
            return {"kruispost": python_module("console", "run")}
        return {name: python_module(module) for name, module in SERVICES.items()}

    def _crash(self, name: str) -> dict[str, str]:
        if self._options.crash_at is None:
            return {}
        service, _, point = self._options.crash_at.partition("=")
        return {"KRUISPOST_CRASH_AT": point} if name in (service, "kruispost") else {}

    def _environment(self, place: _Place, password: str) -> dict[str, str]:
        directory = self._options.directory
        configuration = directory / "kruispost.yaml"
        configuration.write_text(configuration_text(self._options))
        return {
            **self._engine.environment,
            "KRUISPOST_CONFIG": str(configuration),
            "KRUISPOST_DATA_DIR": str(directory / "data"),
            "KRUISPOST_CHARGEBEE_URL": place.chargebee,
            "KRUISPOST_CHARGEBEE_API_KEY": "test_key",
            "KRUISPOST_EXACT_URL": place.exact,
            "KRUISPOST_EXACT_CLIENT_ID": "demo-client",
            "KRUISPOST_EXACT_CLIENT_SECRET": "demo-client-secret",
            "KRUISPOST_EXACT_REDIRECT_URI": f"{place.url('exact-writer')}/oauth/callback",
            "KRUISPOST_WEBHOOK_USERNAME": WEBHOOK_USERNAME,
            "KRUISPOST_WEBHOOK_PASSWORD": password,
            "KRUISPOST_ENCRYPTION_KEYS": base64.urlsafe_b64encode(os.urandom(32)).decode(),
            "KRUISPOST_ADMIN_TOKEN": place.admin_token,
            "KRUISPOST_EXACT_TIMEOUT_SECONDS": "3",
            "KRUISPOST_POLL_SECONDS": "1",
            "KRUISPOST_LOG_FORMAT": "json",
        }

    def _log_in(self, place: _Place) -> None:
        """Give consent as a person would in the browser: follow Exact's page back to the writer."""
        writer = place.url("exact-writer")
        consent = self._http.get(f"{writer}/oauth/start", headers=place.headers).raise_for_status().json()["url"]
        back = self._http.get(consent)
        self._http.get(back.headers["location"]).raise_for_status()

    def _watch(self, place: _Place) -> None:
        deadline = time.monotonic() + self._options.patience_seconds
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        with Progress(*columns, console=self._screen, transient=not self._screen.is_terminal) as bars:
            made = bars.add_task("documents made in Chargebee", total=self._options.documents)
            settled = bars.add_task("booked, held or set aside", total=self._options.documents)
            receipts = bars.add_task("bank receipts entered in Exact", total=None)
            killed = self._options.kill is None
            while time.monotonic() < deadline:
                time.sleep(POLL_SECONDS)
                self._world.require_alive()
                for name in self._connector.revive():
                    bars.console.print(f"  {name} died and was started again")
                progress = self._get(f"{place.chargebee}/_simulator/progress")
                states = self._states(place)
                bars.update(made, completed=progress["documents_created"], total=progress["documents_total"])
                bars.update(settled, completed=sum(states.values()) - _unsettled(states), total=progress["documents_total"])
                bars.update(receipts, completed=progress["receipts_entered"], total=progress["receipts_total"])
                if not killed and progress["documents_created"] * 2 >= progress["documents_total"]:
                    self._kill(bars.console)
                    killed = True
                if killed and progress["finished"] and not progress["webhooks_pending"] and self._is_settled(place, states):
                    return

    def _kill(self, screen: Console) -> None:
        victim = self._options.kill or ""
        name = victim if victim in self._connector.names() else "kruispost"
        self._connector.kill(name)
        screen.print(f"  killed {name} without warning (SIGKILL)")

    def _states(self, place: _Place) -> dict[str, int]:
        # The console may be the process that was just killed; its next answer counts.
        try:
            answer = self._http.get(f"{place.url('console')}/summary", headers=place.headers)
        except httpx.TransportError:
            return {"received": 1}
        return dict(answer.json()["states"]) if answer.is_success else {"received": 1}

    def _is_settled(self, place: _Place, states: dict[str, int]) -> bool:
        if _unsettled(states):
            return False
        comparison = self._get(f"{place.chargebee}/_simulator/comparison")
        evidence = self._evidence(place, comparison)
        if self._options.pdfs and demo_report.pdfs_missing(evidence):
            return False
        documents = demo_report.classify(evidence)
        return "lost" not in documents.values() and not comparison["unexplained_cents"] and not comparison["unsettled_receipts"]

    def _evidence(self, place: _Place, comparison: dict[str, Any] | None = None) -> demo_report.Evidence:
        projection = self._http.get(f"{place.url('console')}/documents", headers=place.headers, params={"limit": 100_000})
        return demo_report.Evidence(
            documents=self._get(f"{place.chargebee}/_simulator/documents"),
            projection=projection.raise_for_status().json()["documents"],
            calls=self._get(f"{place.exact}/_simulator/calls"),
            comparison=comparison or self._get(f"{place.chargebee}/_simulator/comparison"),
        )

    def _get(self, url: str) -> Any:
        return self._http.get(url).raise_for_status().json()

    def _post(self, url: str) -> None:
        self._http.post(url).raise_for_status()

    def _wait_until_up(self, url: str) -> None:
        deadline = time.monotonic() + START_SECONDS
        while True:
            self._world.require_alive()
            self._connector.revive()
            try:
                if self._http.get(url).is_success:
                    return
            except httpx.TransportError:
                pass  # not listening yet
            if time.monotonic() > deadline:
                tails = "\n".join(f"--- {name}\n{self._connector.tail(name)}" for name in self._connector.names())
                raise ProcessFailedError(f"{url} did not answer within {START_SECONDS:.0f} s:\n{tails}")
            time.sleep(0.1)


def configuration_text(options: DemoOptions) -> str:
    """Return the demo's configuration, with what these options ask for otherwise."""
    text = resources.files("console").joinpath("demo_configuration.yaml").read_text()
    text += "    pdf: { policy: always }\n" * options.pdfs  # the file ends within the division
    if options.mode != "entry":
        text += f"    mode: {options.mode}\n"
    if options.mode == "ledger":
        text = text.replace("    journals: {", f'    journals: {{ ledger: "{LEDGER_JOURNAL}",', 1)
    return text


def _port_of(name: str) -> str:
    return "ingest" if name == "kruispost" else name


def _unsettled(states: dict[str, int]) -> int:
    return sum(states.get(state, 0) for state in UNSETTLED_STATES)


def demo(options: DemoOptions, *, as_json: bool = False) -> int:
    """Run the rehearsal, print and write its report, and return the exit code: 0 only when the month can be signed."""
    # Whoever ends it (`timeout`, a container platform) ends what it started as well.
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(SIGNALLED + number))
    screen = Console(stderr=as_json)
    shutil.rmtree(options.directory, ignore_errors=True)
    options.directory.mkdir(parents=True)
    played = f"{options.documents} documents or more, seed {options.seed}, mode {options.mode}"
    screen.print(f"Kruispost demo: {played}, {options.engine} engine")
    try:
        with prepare_engine(options.engine) as engine:
            report = _Month(options, engine, screen).play()
    except ProcessFailedError as error:
        screen.print(str(error), style="red", markup=False)
        return 2
    demo_report.write(report, options.directory / "report.json")
    demo_report.show(report, screen)
    screen.print(f"report: {options.directory / 'report.json'}; beside it the logs, and both books in {BOOKS}")
    if as_json:
        Console().print_json(json.dumps(json.loads((options.directory / "report.json").read_text())))
    return 0 if report.passed else 1
