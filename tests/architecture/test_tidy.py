"""The house rules hold in every file, and each rule finds what it is for."""

from functools import cache
from pathlib import PurePosixPath

import pytest
from support import house_rules
from support.house_rules import ROOT, RULES, Rule, Source

PRODUCT = "services/mapper/src/mapper/planted.py"
IN_BOOKKEEPING = "shared/src/bookkeeping/planted.py"
UNFINISHED_WORD = "TO" + "DO"

BROKEN: list[tuple[Rule, str, str]] = [
    (house_rules.parses, PRODUCT, "def broken(:\n"),
    (house_rules.short_files, PRODUCT, "x = 1\n" * 401),
    (house_rules.short_functions, PRODUCT, "def long() -> None:\n" + "    x = 1\n" * 70),
    (house_rules.telling_names, "services/mapper/src/mapper/utils.py", ""),
    (house_rules.telling_names, "services/mapper/src/mapper/common/tax.py", ""),
    (house_rules.finished_code, PRODUCT, f"x = 1  # {UNFINISHED_WORD} check the rate\n"),
    (house_rules.finished_code, "docs/operating.md", f"{UNFINISHED_WORD}: describe\n"),
    (house_rules.reasoned_exceptions, PRODUCT, "x = call()  # type: " + "ignore\n"),
    (house_rules.reasoned_exceptions, PRODUCT, "x = call()  # type: " + "ignore[arg-type]\n"),
    (house_rules.reasoned_exceptions, PRODUCT, "x = call()  # no" + "qa: S603\n"),
    (house_rules.no_float_money, IN_BOOKKEEPING, "def share(amount_minor: float) -> None: ...\n"),
    (house_rules.no_float_money, IN_BOOKKEEPING, "RATE = 0.21\n"),
    (house_rules.time_from_the_clock, PRODUCT, "import datetime\nnow = datetime.datetime.now(datetime.UTC)\n"),
    (house_rules.time_from_the_clock, PRODUCT, "from uuid import uuid4\nx = uuid4()\n"),
    (house_rules.one_place_commits, PRODUCT, "async def f(connection):\n    await connection.commit()\n"),
    (house_rules.no_swallowed_errors, PRODUCT, "try:\n    f()\nexcept Exception:\n    pass\n"),
    (
        house_rules.no_swallowed_errors,
        PRODUCT,
        "for x in y:\n    try:\n        f()\n    except (ValueError, Exception):\n        continue\n",
    ),
    (house_rules.no_swallowed_errors, PRODUCT, "with contextlib.suppress(Exception):\n    f()\n"),
    (house_rules.no_package_hosts, "Dockerfile", "RUN pip install --index-url https://py" + "pi.org/simple x\n"),
    (house_rules.no_machine_paths, "docs/operating.md", "cd /ho" + "me/me/kruispost\n"),
    (house_rules.no_expected_failures, "tests/unit/test_planted.py", "import pytest\n@pytest.mark.xfail\ndef test_x(): ...\n"),
]

ALLOWED: list[tuple[Rule, str, str]] = [
    (house_rules.short_files, PRODUCT, "x = 1\n" * 400),
    (house_rules.short_functions, PRODUCT, "def long() -> None:\n" + "    x = 1\n" * 69),
    (house_rules.reasoned_exceptions, PRODUCT, "x = call()  # no" + "qa: S603 - our own command\n"),
    (house_rules.reasoned_exceptions, PRODUCT, "x = call()  # type: " + "ignore[arg-type]  # the library's stub is too narrow\n"),
    (house_rules.no_float_money, PRODUCT, "seconds = 0.5\n"),
    (house_rules.time_from_the_clock, "simulators/src/simulators/planted.py", "import time\nnow = time.time()\n"),
    (house_rules.one_place_commits, "shared/src/backbone/database.py", "async def f(c):\n    await c.commit()\n"),
    (house_rules.no_swallowed_errors, PRODUCT, "try:\n    f()\nexcept OSError:\n    pass\n"),
]


# Every rule looks at the same files: read and parsed once.
repository = cache(house_rules.sources)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_every_file_keeps_the_rule(rule: Rule):
    found = [f"{source.path}:{line}: {complaint}" for source in repository() for line, complaint in rule(source)]
    assert not found, "\n" + (rule.__doc__ or "") + "\n" + "\n".join(found)


@pytest.mark.parametrize(("rule", "path", "text"), BROKEN, ids=lambda value: getattr(value, "__name__", None))
def test_the_rule_finds_what_breaks_it(rule: Rule, path: str, text: str):
    assert list(rule(Source(PurePosixPath(path), text)))


@pytest.mark.parametrize(("rule", "path", "text"), ALLOWED, ids=lambda value: getattr(value, "__name__", None))
def test_the_rule_leaves_alone_what_keeps_it(rule: Rule, path: str, text: str):
    assert not list(rule(Source(PurePosixPath(path), text)))


def test_each_rule_is_shown_to_find_something():
    assert {rule for rule, _, _ in BROKEN} == set(RULES)


def test_there_are_no_stray_files():
    files = house_rules.tracked_files()
    stray = [str(path) for path in files if path.name in house_rules.STRAY_NAMES or path.suffix in house_rules.STRAY_SUFFIXES]
    homeless = sorted({path.parts[0] for path in files} - house_rules.TOP_LEVEL)
    assert not stray, "files that editors, tools or runs left behind"
    assert not homeless, "a new top-level entry needs a place in the map of docs/architecture.md and in TOP_LEVEL"


def test_no_file_is_too_big_to_read():
    big = {str(path): size for path in house_rules.tracked_files() if (size := (ROOT / path).stat().st_size) > 500_000}
    assert not big


def test_no_folder_is_empty_scaffolding():
    packages: dict[PurePosixPath, list[PurePosixPath]] = {}
    for path in house_rules.tracked_files():
        if "src" in path.parts and path.suffix == ".py":
            packages.setdefault(path.parent, []).append(path)
    empty = [
        str(folder)
        for folder, files in packages.items()
        if all(path.name == "__init__.py" and not (ROOT / path).read_text().strip() for path in files)
        and not any(other != folder and other.is_relative_to(folder) for other in packages)
    ]
    assert not empty


def test_every_test_file_is_where_pytest_looks():
    homes = {"unit", "property", "contract", "integration", "simulation", "chaos", "e2e", "deploy", "architecture"}
    misplaced = [
        str(path)
        for path in house_rules.tracked_files()
        if path.parts[0] == "tests" and path.name.startswith("test_") and (path.suffix != ".py" or path.parts[1] not in homes)
    ]
    assert not misplaced
