"""The house rules that a machine can check, each as a function from one file to the lines that break it."""

from __future__ import annotations

import ast
import re
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath

ROOT = Path(__file__).resolve().parents[2]
FILE_LINES_AT_MOST = 400
FUNCTION_LINES_AT_MOST = 70
FILE_BYTES_AT_MOST = 500_000
# Names the word that a proposed mapping has where a person must decide, which makes that file unusable.
PLACEHOLDER = "shared/src/backbone/configuration_types.py"
CLOCK = "shared/src/backbone/clock.py"
COMMITTING = ("shared/src/backbone/database.py", "shared/src/backbone/broker_embedded.py")

# Spelled in halves, so that this file does not break the rules that it holds.
UNFINISHED = re.compile("|".join((r"\bTO" + r"DO\b", r"\bFIX" + r"ME\b", r"\bXX" + r"X\b", "NotImplemented" + "Error")))
HOSTS = re.compile(
    "|".join((r"py" + r"pi\.org", r"python" + r"hosted\.org", r"registry\.npm" + r"js", r"(deb|security)\.deb" + r"ian\.org"))
)
MACHINE_PATHS = re.compile("|".join(("/ho" + r"me/\w", "/Us" + r"ers/\w", "/ro" + "ot/", "/wo" + "rk/", "/fa" + "rm/")))
# An exception to a rule says which rule and why.
BARE_EXCEPTION = re.compile(r"#\s*(?:type:\s*ignore(?!\[)|noqa(?!:))|#\s*(?:type:\s*ignore\[[^\]]*\]|noqa:\s*[A-Z0-9, ]+)\s*$")
VAGUE_NAMES = frozenset({"utils", "util", "helpers", "helper", "manager", "managers", "common", "base", "misc", "core"})
STRAY_SUFFIXES = frozenset({".orig", ".rej", ".bak", ".swp", ".pyc", ".log", ".tmp", ".DS_Store"})
STRAY_NAMES = frozenset({".DS_Store", "Thumbs.db", "uv" + ".lock", "poetry.lock", "nohup.out"})
TOP_LEVEL = frozenset({
    *("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "LICENSE", "NOTICE", "Makefile", "pyproject.toml"),
    *("requirements.in", "requirements.lock", "requirements-dev.in", "requirements-dev.lock"),
    *("docker-compose.yml", "Dockerfile", ".dockerignore", ".env.example", ".gitignore", ".ci", "docs"),
    *("shared", "services", "console", "simulators", "deploy", "tests", "scripts"),
})  # fmt: skip
CLOCK_CALLS = frozenset(
    {
        "datetime.now",
        "datetime.utcnow",
        "datetime.today",
        "date.today",
        "time.time",
        "time.time_ns",
        "uuid.uuid1",
        "uuid.uuid4",
        "uuid4",
    }
)


@dataclass(frozen=True)
class Source:
    """One file of the repository; `path` is relative to its root."""

    path: PurePosixPath
    text: str

    @cached_property
    def tree(self) -> ast.Module:
        """The syntax tree; empty for what is not Python."""
        try:
            return ast.parse(self.text if self.is_python else "")
        except SyntaxError:
            return ast.Module(body=[], type_ignores=[])  # the rule `parses` reports it

    @property
    def is_python(self) -> bool:
        """Whether this is a Python file."""
        return self.path.suffix == ".py"

    @property
    def is_product(self) -> bool:
        """Whether the connector runs this file: not a test, a script, a simulator or the demo."""
        demo = self.path.name.startswith("demo")
        return "src" in self.path.parts and self.path.parts[0] != "simulators" and not demo


Finding = tuple[int, str]
Rule = Callable[[Source], Iterator[Finding]]


def tracked_files(root: Path = ROOT) -> list[PurePosixPath]:
    """List what is committed or would be: git's view, so that ignored files do not count."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    listed = subprocess.run(command, cwd=root, capture_output=True, text=True, check=True).stdout.split("\0")
    return [PurePosixPath(name) for name in sorted(set(listed)) if name and (root / name).is_file()]


def sources(root: Path = ROOT) -> list[Source]:
    """Read every text file of the repository; those that are not UTF-8 are left out."""
    found = []
    for path in tracked_files(root):
        try:
            found.append(Source(path, (root / path).read_text(encoding="utf-8")))
        except (UnicodeDecodeError, FileNotFoundError):
            # Pictures are no text; a file may also vanish between listing and reading.
            continue
    return found


def parses(source: Source) -> Iterator[Finding]:
    """Every Python file is Python 3.11, the oldest version that we promise."""
    if source.is_python:
        try:
            ast.parse(source.text)
        except SyntaxError as error:
            yield error.lineno or 1, f"does not parse on this Python: {error.msg}"


def short_files(source: Source) -> Iterator[Finding]:
    """A Python file fits in the head: at most 400 lines."""
    lines = source.text.count("\n")
    if source.is_python and lines > FILE_LINES_AT_MOST:
        yield FILE_LINES_AT_MOST, f"{lines} lines, at most {FILE_LINES_AT_MOST}: split it by what its parts are about"


def short_functions(source: Source) -> Iterator[Finding]:
    """A function fits on a screen: at most 70 lines."""
    for node in ast.walk(source.tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = (node.end_lineno or node.lineno) - node.lineno + 1
            if lines > FUNCTION_LINES_AT_MOST:
                yield node.lineno, f"{node.name} has {lines} lines, at most {FUNCTION_LINES_AT_MOST}"


def telling_names(source: Source) -> Iterator[Finding]:
    """A module is named after the business or the mechanism in it."""
    if source.is_python and source.path.parts[0] != "docs":
        for part in (*source.path.parts[:-1], source.path.stem):
            if part in VAGUE_NAMES:
                yield 1, f"the name {part} says nothing; name it after what it holds"


def finished_code(source: Source) -> Iterator[Finding]:
    """What is committed is done: no reminders, no stubs."""
    if str(source.path) == PLACEHOLDER:
        return
    if source.is_python or source.path.suffix in (".yml", ".yaml", ".toml", ".md"):
        yield from _matches(source, UNFINISHED, "unfinished work; finish it, or open an issue")


def reasoned_exceptions(source: Source) -> Iterator[Finding]:
    """A suppressed check names the check and says why, on its own line."""
    if source.is_python:
        yield from _matches(source, BARE_EXCEPTION, "a suppressed check without its code or without a reason behind it")


def no_float_money(source: Source) -> Iterator[Finding]:
    """Money is an integer of minor units: bookkeeping has no float, neither as type nor as number."""
    if "bookkeeping" not in source.path.parts:
        return
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Name) and node.id == "float":
            yield node.lineno, "float in bookkeeping; use int minor units or Decimal"
        if isinstance(node, ast.Constant) and isinstance(node.value, float):
            yield node.lineno, f"the float {node.value} in bookkeeping; use int minor units or Decimal"


def time_from_the_clock(source: Source) -> Iterator[Finding]:
    """Time and random ids come from backbone.clock, so that tests and replays decide them."""
    if not source.is_product or str(source.path) == CLOCK:
        return
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Call):
            name = ast.unparse(node.func)
            if name in CLOCK_CALLS or any(name.endswith(f".{call}") for call in CLOCK_CALLS if "." in call):
                yield node.lineno, f"{name}() outside backbone/clock.py"


def one_place_commits(source: Source) -> Iterator[Finding]:
    """One message, one transaction: only the database module (and the embedded broker, for its own file) commits."""
    if not source.is_product or str(source.path) in COMMITTING:
        return
    for node in ast.walk(source.tree):
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and node.func.attr in ("commit", "begin", "begin_nested")
        ):
            yield node.lineno, f".{node.func.attr}() outside backbone/database.py; use database.transaction()"


def no_swallowed_errors(source: Source) -> Iterator[Finding]:
    """An exception that nobody expected is never dropped silently."""
    broad = ("Exception", "BaseException")
    for node in ast.walk(source.tree):
        if isinstance(node, ast.ExceptHandler):
            caught = "" if node.type is None else ast.unparse(node.type)
            silent = all(isinstance(line, ast.Pass | ast.Continue) or _is_ellipsis(line) for line in node.body)
            if silent and (
                not caught or any(name in caught.replace("(", " ").replace(",", " ").replace(")", " ").split() for name in broad)
            ):
                yield node.lineno, "swallows every exception"
        if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("suppress") and _names(node.args) & {*broad}:
            yield node.lineno, "suppresses every exception"


def no_package_hosts(source: Source) -> Iterator[Finding]:
    """Which index packages come from is the machine's setting: no file names a registry's host."""
    yield from _matches(source, HOSTS, "names a package registry's host")


def no_machine_paths(source: Source) -> Iterator[Finding]:
    """The repository works wherever it lies: no path of one machine."""
    yield from _matches(source, MACHINE_PATHS, "names a path of one machine")


def no_expected_failures(source: Source) -> Iterator[Finding]:
    """A test passes or fails; it is not expected to fail, and it is skipped only for a missing server, with the reason."""
    if not source.is_python or source.path.parts[0] != "tests":
        return
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Attribute) and node.attr == "xfail":
            yield node.lineno, "a test that may fail checks nothing"
        if isinstance(node, ast.Attribute) and ast.unparse(node) == "pytest.mark.skip":
            yield node.lineno, "a test that never runs"


def _matches(source: Source, pattern: re.Pattern[str], complaint: str) -> Iterator[Finding]:
    for number, line in enumerate(source.text.splitlines(), start=1):
        found = pattern.search(line)
        if found:
            yield number, f"{complaint} ({found.group().strip()})"


def _names(nodes: list[ast.expr]) -> set[str]:
    return {ast.unparse(node) for node in nodes}


def _is_ellipsis(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and node.value.value is Ellipsis


RULES: tuple[Rule, ...] = (
    parses,
    short_files,
    short_functions,
    telling_names,
    finished_code,
    reasoned_exceptions,
    no_float_money,
    time_from_the_clock,
    one_place_commits,
    no_swallowed_errors,
    no_package_hosts,
    no_machine_paths,
    no_expected_failures,
)
