"""`python -m backbone.migrate` brings every service's database up to date, again and again, or says what is wrong."""

import os
import subprocess
import sys

import pytest
from support.engines import DATABASE_URL

from console.demo import SERVICES


def migrate(directory, **environment: str) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("KRUISPOST_")}
    settings = {"KRUISPOST_DATA_DIR": str(directory), **environment}
    command = [sys.executable, "-m", "backbone.migrate"]
    return subprocess.run(
        command, env={**kept, **settings}, cwd=directory, capture_output=True, text=True, timeout=60, check=False
    )


def test_it_makes_the_database_of_every_service_and_may_be_repeated(tmp_path):
    for _ in range(2):
        done = migrate(tmp_path)
        assert done.returncode == 0, done.stderr
        assert all(f'"service": "{name}"' in done.stderr for name in SERVICES)


def test_a_database_that_is_away_is_told_in_one_sentence(tmp_path):
    done = migrate(tmp_path, KRUISPOST_DATABASE_URL="postgresql://postgres@127.0.0.1:1/kruispost")
    assert done.returncode == 1
    assert "KRUISPOST_DATABASE_URL" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.postgres
def test_a_database_that_does_not_exist_is_told_in_one_sentence(tmp_path):
    done = migrate(tmp_path, KRUISPOST_DATABASE_URL=f"{DATABASE_URL.rpartition('/')[0]}/kp_nowhere_at_all")
    assert done.returncode == 1
    assert "kp_nowhere_at_all" in done.stderr
    assert "KRUISPOST_DATABASE_URL" in done.stderr
    assert "Traceback" not in done.stderr
