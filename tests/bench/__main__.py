"""`make bench`: runs every bench_*.py beside this file and writes var/bench/report.json, each figure beside its ceiling.

With names it runs those only, and the figures of the others stay as they are.
"""

from __future__ import annotations

import argparse
import importlib
from pathlib import Path

from bench import report

HERE = Path(__file__).parent
REPORT = Path("var/bench/report.json")


def main() -> None:
    """Measure, print one row a figure, and write the report after each measurement."""
    names = sorted(path.stem.removeprefix("bench_") for path in HERE.glob("bench_*.py"))
    parser = argparse.ArgumentParser(description="Measure speed, each figure beside a ceiling taken in the same run.")
    parser.add_argument("only", nargs="*", help=f"the measurements to run (default: all): {', '.join(names)}")
    only = parser.parse_args().only
    if unknown := set(only) - set(names):
        parser.error(f"no such measurement: {', '.join(sorted(unknown))}")
    version = report.version_of_code(HERE)
    told: set[str] = set()
    for name in only or names:
        print(f"measuring {name} ...", flush=True)
        measured = importlib.import_module(f"bench.bench_{name}").measure()
        for figure, row in measured.items():
            value, ceiling = f"{row['value']:>12,.3f} {row['unit']:<14}", f"ceiling {row['ceiling']:>12,.3f}"
            print(f"  {figure:48} {value} {ceiling}  ratio {row['ratio']:.3f}")
        report.merge(REPORT, measured, version)
        told |= set(measured)
    if not only:
        report.keep(REPORT, told)
    print(f"written to {REPORT}")


if __name__ == "__main__":
    main()
