"""Who may import whom: import-linter's contracts hold, and each of them breaks when it should."""

import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from importlinter.cli import lint_imports
from support.house_rules import ROOT

SOURCES = (
    "shared/src",
    *(f"services/{name}/src" for name in ("ingest", "mapper", "exact-writer", "payment-matcher")),
    "console/src",
    "simulators/src",
)
SETTINGS = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
CONTRACTS = [contract["name"] for contract in SETTINGS["contracts"]]

# A bad import for each contract: the file it is planted in, and the line.
PLANTED = {
    "Services, console and simulators know each other only by message": ("services/mapper/src/mapper", "import exact_writer"),
    "Bookkeeping is pure": ("shared/src/bookkeeping", "import pathlib"),
    "Contracts are data and nothing else": ("shared/src/contracts", "import sqlalchemy"),
    "The backbone knows no business and no service": ("shared/src/backbone", "import bookkeeping"),
    "Only mapper and payment-matcher think about bookkeeping": ("services/exact-writer/src/exact_writer", "import bookkeeping"),
    "Simulators share nothing with what they check": ("simulators/src/simulators", "import contracts"),
    "Only the writer speaks HTTP to Exact; only the console speaks it to our own services": (
        "services/payment-matcher/src/payment_matcher",
        "import httpx",
    ),
    "Only ingest and payment-matcher speak to Chargebee": ("console/src/console", "import chargebee"),
}


def test_the_import_rules_hold(monkeypatch, capsys):
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(sys, "path", [*sys.path])  # the linter prepends the working directory
    verdict = lint_imports(no_cache=True, no_logo=True)
    printed = capsys.readouterr().out
    assert verdict == 0, printed
    assert f"Contracts: {len(CONTRACTS)} kept, 0 broken." in printed


def test_every_rule_has_a_planted_import():
    assert {*PLANTED} == {*CONTRACTS}


@pytest.fixture(scope="module")
def verdict_on_a_planted_copy(tmp_path_factory) -> str:
    """Copy the sources, plant all bad imports, and return what lint-imports prints about the copy."""
    copy = tmp_path_factory.mktemp("planted")
    shutil.copy(ROOT / "pyproject.toml", copy)
    for source in SOURCES:
        shutil.copytree(ROOT / source, copy / source, ignore=shutil.ignore_patterns("__pycache__"))
    for folder, line in PLANTED.values():
        (copy / folder / "planted.py").write_text(f"{line}\n")
    lint = Path(sys.executable).with_name("lint-imports")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(str(copy / source) for source in SOURCES), "NO_COLOR": "1"}
    done = subprocess.run([lint, "--no-cache"], cwd=copy, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize("name", CONTRACTS)
def test_a_planted_import_breaks_the_rule(name, verdict_on_a_planted_copy):
    assert f"{name} BROKEN" in " ".join(verdict_on_a_planted_copy.split())
