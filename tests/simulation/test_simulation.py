"""All services between both stand-ins in virtual time, under faults drawn from a seed: nothing is lost, doubled or a cent off.

`make test` plays a few short runs, `make chaos` as many long ones as KRUISPOST_SIMULATIONS says. A failure names its seed and the
command that repeats it.
"""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

import pytest
from support.fire import simulate
from support.simulated_process import BUILDS

LONG = os.environ.get("KRUISPOST_CHAOS") == "everywhere"
SEED = os.environ.get("KRUISPOST_SEED")
SEEDS = [int(SEED)] if SEED else list(range(int(os.environ.get("KRUISPOST_SIMULATIONS", "20"))) if LONG else (2, 4))
# A seed with other days is another run.
DAYS = float(os.environ.get("KRUISPOST_DAYS", "2.0" if LONG or SEED else "0.3"))
HAPPENINGS = int(os.environ.get("KRUISPOST_HAPPENINGS", "80" if LONG or SEED else "16"))
ANOTHER = """
import sys
from pathlib import Path
from support.fire import simulate
print(simulate(Path(sys.argv[1]), 7, days=0.15, happenings=8).digest)
"""

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


@pytest.mark.parametrize("seed", SEEDS)
def test_the_books_are_right_after_any_faults(seed: int, tmp_path: Path) -> None:
    outcome = simulate(tmp_path, seed, days=DAYS, happenings=HAPPENINGS)
    assert not outcome.wrong, outcome.told()
    assert outcome.counts["kill"] >= len(BUILDS) // 2, outcome.counts  # it did burn
    assert outcome.counts["lost in the middle"], outcome.counts  # something was under way that the loss took along


async def _elsewhere(directory: Path) -> str:
    """The digest of the same run in a process whose sets and dictionaries have another order."""
    environment = {**os.environ, "PYTHONHASHSEED": "77", "PYTHONPATH": str(Path(__file__).parents[1])}
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", ANOTHER, str(directory)), env=environment, stdout=asyncio.subprocess.PIPE
    )
    out, _ = await child.communicate()
    assert child.returncode == 0
    return out.decode().split()[-1]


def test_the_same_seed_gives_the_same_history_in_any_process(tmp_path: Path) -> None:
    here = simulate(tmp_path / "here", 7, days=0.15, happenings=8)
    assert not here.wrong, here.told()
    assert asyncio.run(_elsewhere(tmp_path / "there")) == here.digest
