"""`kruispost` as people start it, with its exit code and both outputs: in a process of its own, or in this one."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from collections.abc import Mapping
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from threading import Lock

import pytest
from support.untouched_log import log_as_it_was, tell_apart

# Both outputs and the environment are the process's.
_one_at_a_time = Lock()


def environment(directory: Path, settings: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return an environment in which nothing of this machine's own settings is left; data and configuration in `directory`."""
    return {
        **{name: value for name, value in os.environ.items() if not name.startswith("KRUISPOST_")},
        "KRUISPOST_CONFIG": str(directory / "kruispost.yaml"),
        "KRUISPOST_DATA_DIR": str(directory / "data"),
        "KRUISPOST_EXACT_URL": "http://127.0.0.1:9",
        "KRUISPOST_CHARGEBEE_URL": "http://127.0.0.1:9",
        "COLUMNS": "200",
        **(settings or {}),
    }


def kruispost(*arguments: str, directory: Path, settings: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Run `python -m console <arguments>` to its end."""
    return subprocess.run(
        [sys.executable, "-m", "console", *arguments],
        env=environment(directory, settings),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def kruispost_here(
    *arguments: str, directory: Path, settings: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run the same command line in this process, which saves the seconds that starting one takes."""
    from console import cli  # noqa: PLC0415 - a test without a command needs none of what it imports

    out, errors, code = io.StringIO(), io.StringIO(), 0
    variables = environment(directory, settings)
    cli.out.width = int(variables["COLUMNS"])  # it may have been made under others
    with (
        _one_at_a_time,
        pytest.MonkeyPatch.context() as patch,
        redirect_stdout(out),
        redirect_stderr(errors),
        log_as_it_was(),
    ):
        tell_apart()
        for name in os.environ.keys() - variables.keys():
            patch.delenv(name)
        for name, value in variables.items():
            patch.setenv(name, value)
        patch.setattr(sys, "argv", ["kruispost", *arguments])
        try:
            cli.main()
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else 1
    return subprocess.CompletedProcess(arguments, code, out.getvalue(), errors.getvalue())
