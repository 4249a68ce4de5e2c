"""Resolve the dependencies of all distributions and write the two lock files, with hashes and without any address."""

import pathlib
import subprocess
import sys
import tomllib

ROOT = pathlib.Path(__file__).resolve().parent.parent
RUNTIME = ROOT / "requirements.in"
LOCKS = {"requirements.lock": ["requirements.in"], "requirements-dev.lock": ["requirements.in", "requirements-dev.in"]}


def runtime_requirements() -> list[str]:
    """Collect what the distributions ask for, less our own packages."""
    found: set[str] = set()
    for path in sorted(ROOT.glob("**/pyproject.toml")):
        if ".venv" in path.parts or path.parent == ROOT:
            continue
        found.update(tomllib.loads(path.read_text())["project"]["dependencies"])
    return sorted(name for name in found if not name.startswith("kruispost-"))


def main() -> None:
    """Write requirements.in and compile both locks from it."""
    lines = ["# Written by `make lock` from the pyproject.toml files; change those instead.", *runtime_requirements()]
    RUNTIME.write_text("\n".join(lines) + "\n")
    for lock, sources in LOCKS.items():
        command = [str(pathlib.Path(sys.executable).with_name("uv")), "pip", "compile", "--quiet", "--universal"]
        command += ["--python-version", "3.11", "--generate-hashes", "--no-header", *sources, "-o", lock]
        subprocess.run(command, cwd=ROOT, check=True)


if __name__ == "__main__":
    main()
