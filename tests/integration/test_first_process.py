"""A service that is PID 1, as in a container, ends on SIGTERM at once while it still imports."""

from __future__ import annotations

import asyncio
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from support.child import child

from backbone.roles import installed_services

PACKAGES = ["backbone", *sorted(each.replace("-", "_") for each in installed_services())]
ALONE = ["unshare", "--pid", "--fork", "--kill-child"]
BECOME = "import os, sys; os.execvp(sys.argv[1], sys.argv[1:])"
IMPORTED = "import sys; before = set(sys.modules); import {}; print(*(set(sys.modules) - before), sep='\\n')"
SLOW = "import sys, time\nprint('it still imports', file=sys.stderr, flush=True)\ntime.sleep(300)\n"


def _can_be_alone() -> bool:
    return bool(shutil.which("unshare")) and subprocess.run([*ALONE, "true"], capture_output=True, check=False).returncode == 0


@pytest.mark.parametrize("package", PACKAGES)
def test_a_package_that_is_started_can_be_ended_before_it_imports_what_takes_long(package: str) -> None:
    done = subprocess.run([sys.executable, "-c", IMPORTED.format(package)], capture_output=True, text=True, check=True)
    imported = {name for name in done.stdout.split() if name.partition(".")[0] not in sys.stdlib_module_names}
    assert imported == {package, "backbone", "backbone.first_process"}


@pytest.mark.skipif(not _can_be_alone(), reason="no process namespace can be made here")
async def test_the_first_process_of_a_container_ends_while_it_imports(tmp_path: Path) -> None:
    (tmp_path / "uvloop.py").write_text(SLOW)  # which every service imports
    command = (*ALONE, sys.executable, "-m", "mapper")
    async with child("-c", BECOME, *command, directory=tmp_path, settings={"PYTHONPATH": str(tmp_path)}) as outer:
        await outer.says("it still imports")
        killing = await asyncio.create_subprocess_exec("pkill", f"-{signal.SIGTERM.value}", "-P", str(outer.process.pid))
        assert await killing.wait() == 0
        assert await outer.ended(20) == 0
