"""`make bench`: runs every bench_*.py beside this file and writes var/bench/report.json, each figure beside its ceiling."""

from __future__ import annotations

import argparse
import importlib
import json
import os
import platform
from pathlib import Path

REPORT = Path("var/bench/report.json")


def main() -> None:
    """Measure, print one row a figure, and write the report."""
    parser = argparse.ArgumentParser(description="Measure speed, each figure beside a ceiling taken in the same run.")
    parser.add_argument("only", nargs="*", help="names of the measurements to run, such as door or relay (default: all)")
    wanted = set(parser.parse_args().only)
    names = sorted(path.stem for path in Path(__file__).parent.glob("bench_*.py"))
    figures: dict[str, dict[str, object]] = {}
    for name in names:
        if wanted and name.removeprefix("bench_") not in wanted:
            continue
        print(f"measuring {name.removeprefix('bench_')} ...", flush=True)
        measured = importlib.import_module(f"bench.{name}").measure()
        for figure, row in measured.items():
            value, ceiling = f"{row['value']:>12,.3f} {row['unit']:<14}", f"ceiling {row['ceiling']:>12,.3f}"
            print(f"  {figure:48} {value} {ceiling}  ratio {row['ratio']:.3f}")
        figures.update(measured)
    REPORT.parent.mkdir(parents=True, exist_ok=True)
    machine = {"cores": os.cpu_count(), "python": platform.python_version(), "system": platform.platform()}
    REPORT.write_text(json.dumps({"machine": machine, "figures": figures}, indent=2) + "\n")
    print(f"written to {REPORT}")


if __name__ == "__main__":
    main()
