"""Runs a PostgreSQL cluster and a RabbitMQ node of our own, from the servers that Debian's packages bring.

Both listen on loopback only, on free ports, and keep their files in one directory of their own; the system's cluster and node,
if there are any, are not touched. PostgreSQL refuses to run as root, so as root both run as their package's user.
"""

from __future__ import annotations

import os
import pathlib
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

START_SECONDS = 120.0
STOP_SECONDS = 30.0
INSTALL_SECONDS = 600.0
# Below the ports that the system gives to outgoing connections, one of which could take a server's port while that is away.
FIRST_PORT, PORTS = 20_000, 12_000
POLICY = pathlib.Path("/usr/sbin/policy-rc.d")
PACKAGES = {"postgres": "postgresql", "rabbitmq": "rabbitmq-server"}
USERS = {"postgres": "postgres", "rabbitmq": "rabbitmq"}

# Servers outlive the script on purpose; where the same process also stops them, it collects their exit codes.
_children: dict[int, subprocess.Popen[bytes]] = {}


class CannotStartError(Exception):
    """A server cannot be started this way; the message says why."""


@dataclass
class Started:
    """A server that we started: how, where it answers, and its processes with the moment each began (a pid can be reused)."""

    how: str
    url: str
    directory: str = ""
    processes: dict[str, str] = field(default_factory=dict)
    ports: dict[str, int] = field(default_factory=dict)


def start(name: str, directory: pathlib.Path, say: Callable[[str], None]) -> Started:
    """Start `postgres` or `rabbitmq`; raises CannotStartError."""
    if _programs(name) is None:
        _install(name, say)
    programs = _programs(name)
    if programs is None:
        raise CannotStartError(f"the package {PACKAGES[name]} has no server where it was looked for")
    say(f"starting a {name} of our own from {programs}")
    home = _home(name, directory)
    return _start_postgres(programs, home) if name == "postgres" else _start_rabbitmq(programs, home)


def stop(started: Started) -> None:
    """End the processes of a server that we started, gently and then for good, and remove its files."""
    ours = [int(pid) for pid, began in started.processes.items() if _began(int(pid)) == began]
    for pid in ours:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGINT if started.how == "cluster" else signal.SIGTERM)
    deadline = time.monotonic() + STOP_SECONDS
    while any(_began(pid) for pid in ours) and time.monotonic() < deadline:
        time.sleep(0.1)
    for pid in ours:
        with suppress(ProcessLookupError):
            # Each leads a process group of its own (RabbitMQ's script waits for the node as its child).
            os.killpg(pid, signal.SIGKILL)
    for pid in ours:
        if pid in _children:
            _children.pop(pid).wait()
    if started.directory:
        shutil.rmtree(started.directory, ignore_errors=True)


def start_again(started: Started) -> None:
    """Start a server that has ended once more, with its files and on its port; raises CannotStartError."""
    is_cluster = started.how == "cluster"
    programs = _programs("postgres" if is_cluster else "rabbitmq")
    if programs is None:
        raise CannotStartError("its programs are not where they were")
    alive = {pid: began for pid, began in started.processes.items() if _began(int(pid)) == began}
    for pid in started.processes.keys() - alive.keys():
        if int(pid) in _children:
            _children.pop(int(pid)).wait()
    started.processes = alive
    if is_cluster:
        _launch_postgres(programs, started)
    else:
        _launch_rabbitmq(programs, started)


def _programs(name: str) -> pathlib.Path | None:
    """Find the directory with the server's programs, the newest version first."""
    wanted, pattern = {
        "postgres": ("initdb", "usr/lib/postgresql/*/bin"),
        "rabbitmq": ("rabbitmq-server", "usr/lib/rabbitmq/lib/rabbitmq_server-*/sbin"),
    }[name]
    places = sorted(pathlib.Path("/").glob(pattern), key=lambda path: [int(part) for part in _numbers(str(path))], reverse=True)
    return next((place for place in places if (place / wanted).exists()), None)


def _numbers(text: str) -> list[str]:
    return "".join(letter if letter.isdigit() else " " for letter in text).split()


def _install(name: str, say: Callable[[str], None]) -> None:
    """Install Debian's package without letting it start the system's own server."""
    if shutil.which("apt-get") is None:
        raise CannotStartError("this machine has no apt-get")
    if os.geteuid() != 0:
        raise CannotStartError(f"the package {PACKAGES[name]} is not installed, and only root may install it")
    say(f"installing Debian's package {PACKAGES[name]}")
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    held_back = not POLICY.exists()
    if held_back:
        POLICY.write_text("#!/bin/sh\nexit 101\n")
        POLICY.chmod(0o755)
    try:
        for command in (["apt-get", "update"], ["apt-get", "install", "--yes", "--no-install-recommends", PACKAGES[name]]):
            done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=INSTALL_SECONDS, check=False)
            if done.returncode != 0:
                raise CannotStartError(f"`{' '.join(command)}` failed: {(done.stderr or done.stdout).strip()[-600:]}")
    except subprocess.TimeoutExpired as error:
        raise CannotStartError(f"installing {PACKAGES[name]} took more than {INSTALL_SECONDS:.0f} s") from error
    finally:
        if held_back:
            POLICY.unlink(missing_ok=True)


def _home(name: str, directory: pathlib.Path) -> pathlib.Path:
    """Make an empty directory that the server's user can enter; a checkout in a private home is not such a place."""
    directory.mkdir(parents=True, exist_ok=True)
    home = pathlib.Path(tempfile.mkdtemp(prefix=f"{name}-", dir=directory))
    if os.geteuid() == 0:
        user = pwd.getpwnam(USERS[name])
        os.chown(home, user.pw_uid, user.pw_gid)
        if subprocess.run([*_as(name), "test", "-w", str(home)], check=False).returncode != 0:
            home.rmdir()
            home = pathlib.Path(tempfile.mkdtemp(prefix=f"kruispost-{name}-"))
            os.chown(home, user.pw_uid, user.pw_gid)
    return home


def _as(name: str) -> list[str]:
    return ["setpriv", f"--reuid={USERS[name]}", f"--regid={USERS[name]}", "--init-groups"] if os.geteuid() == 0 else []


def _start_postgres(programs: pathlib.Path, home: pathlib.Path) -> Started:
    """Make a cluster that trusts loopback, since nothing else can reach it, and start it."""
    port = _free_port()
    making = [*_as("postgres"), str(programs / "initdb"), "--username=postgres", "--auth=trust", "--encoding=UTF8"]
    try:
        _run([*making, "--locale=C.UTF-8", "--pgdata", str(home / "data")], home)
        started = Started(how="cluster", url=f"postgresql://postgres@127.0.0.1:{port}/postgres", directory=str(home))
        started.ports = {"server": port}
        _launch_postgres(programs, started)
    except CannotStartError:
        shutil.rmtree(home, ignore_errors=True)
        raise
    return started


def _launch_postgres(programs: pathlib.Path, started: Started) -> None:
    home = pathlib.Path(started.directory)
    data, log = home / "data", home / "log"
    options = f"-c listen_addresses=127.0.0.1 -c port={started.ports['server']}"
    options += " -c unix_socket_directories='' -c max_connections=300"
    starting = [*_as("postgres"), str(programs / "pg_ctl"), "start", "--wait", "--pgdata", str(data), "--log", str(log)]
    _run([*starting, "--options", options], home)
    pid = int((data / "postmaster.pid").read_text().splitlines()[0])
    started.processes = {str(pid): _began(pid)}


def _start_rabbitmq(programs: pathlib.Path, home: pathlib.Path) -> Started:
    """Start a node with an Erlang port mapper of its own, so that it neither finds nor disturbs another node."""
    ports = {"server": _free_port(), "mapper": _free_port(), "nodes": _free_port()}
    (home / "rabbitmq.conf").write_text(f"listeners.tcp.default = 127.0.0.1:{ports['server']}\n")
    (home / "enabled_plugins").write_text("[].\n")
    url = f"amqp://guest:guest@127.0.0.1:{ports['server']}/"
    started = Started(how="node", url=url, directory=str(home), ports=ports)
    try:
        mapper = [shutil.which("epmd") or "epmd", "-port", str(ports["mapper"]), "-address", "127.0.0.1"]
        _launch(mapper, started)
        _launch_rabbitmq(programs, started)
    except BaseException:
        stop(started)
        raise
    return started


def _launch_rabbitmq(programs: pathlib.Path, started: Started) -> None:
    """Start the node and wait until it takes connections."""
    home = pathlib.Path(started.directory)
    child = _launch([str(programs / "rabbitmq-server")], started)
    deadline = time.monotonic() + START_SECONDS
    while not _listens(started.ports["server"]):
        if child.poll() is not None or time.monotonic() > deadline:
            output = (home / "output").read_text(errors="replace")[-600:]
            raise CannotStartError(f"the RabbitMQ node did not come up: {output}")
        time.sleep(0.25)


def control_rabbitmq(started: Started, *arguments: str, told: str = "") -> str:
    """Run rabbitmqctl for a node that we started, with this as its input; returns what it says. Raises CannotStartError."""
    programs = _programs("rabbitmq")
    if programs is None:
        raise CannotStartError("its programs are not where they were")
    command = [*_as("rabbitmq"), str(programs / "rabbitmqctl"), "--quiet", *arguments]
    environment, home = _environment(started), pathlib.Path(started.directory)
    done = subprocess.run(command, env=environment, cwd=home, input=told, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise CannotStartError(f"`{' '.join(command)}` failed: {(done.stderr or done.stdout).strip()[:600]}")
    return done.stdout


def _launch(command: list[str], started: Started) -> subprocess.Popen[bytes]:
    """Start a program of RabbitMQ, and note it before what was started earlier, so that it is ended first."""
    home = pathlib.Path(started.directory)
    with (home / "output").open("ab") as output:
        child = subprocess.Popen(
            [*_as("rabbitmq"), *command],
            env=_environment(started),
            cwd=home,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    _children[child.pid] = child
    # The pid of RabbitMQ is its script's, which hands SIGTERM on to the node.
    started.processes = {str(child.pid): _began(child.pid), **started.processes}
    return child


def _environment(started: Started) -> dict[str, str]:
    """What every program of RabbitMQ is told of a node."""
    home, ports = pathlib.Path(started.directory), started.ports
    return {
        **{name: value for name, value in os.environ.items() if not name.startswith(("RABBITMQ_", "ERL_"))},
        "HOME": str(home),
        "ERL_EPMD_ADDRESS": "127.0.0.1",
        "ERL_EPMD_PORT": str(ports["mapper"]),
        "RABBITMQ_NODENAME": f"kruispost{ports['server']}@localhost",
        "RABBITMQ_DIST_PORT": str(ports["nodes"]),
        "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1}",
        "RABBITMQ_CONFIG_FILE": str(home / "rabbitmq.conf"),
        "RABBITMQ_CONF_ENV_FILE": str(home / "none"),
        "RABBITMQ_ENABLED_PLUGINS_FILE": str(home / "enabled_plugins"),
        "RABBITMQ_MNESIA_BASE": str(home / "mnesia"),
        "RABBITMQ_LOG_BASE": str(home / "log"),
        "RABBITMQ_PID_FILE": str(home / "pid"),
    }


def _run(command: list[str], home: pathlib.Path) -> None:
    # Not capture_output: the server inherits the pipe and would keep it open for ever.
    with (home / "output").open("ab") as output:
        done = subprocess.run(command, cwd=home, stdin=subprocess.DEVNULL, stdout=output, stderr=output, check=False)
    if done.returncode != 0:
        tail = (home / "output").read_text(errors="replace")[-600:]
        raise CannotStartError(f"`{' '.join(command)}` failed: {tail}")


def _free_port() -> int:
    while True:
        port = FIRST_PORT + secrets.randbelow(PORTS)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1.0)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _began(pid: int) -> str:
    """Return when a process began, in clock ticks since boot; empty when there is none (a zombie counts as none)."""
    try:
        fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if fields[0] == "Z" else fields[19]
