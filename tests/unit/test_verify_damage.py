"""Whatever happens to a file for the auditor, or to the hashes beside it, `--verify` names the file and the line."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest
from support.audit_file_example import write_example
from support.command_line import kruispost

from backbone.errors import KruispostError
from mapper.audit_chain import ChainWriter
from mapper.audit_file_hashes import hashes_of, written_with_hashes
from mapper.export_command import COLUMNS as BOOKED
from mapper.export_command import verify
from mapper.log_chain import COLUMNS as LOG
from mapper.whole_file import written_whole

KINDS = ("booked.csv", "mapper.csv", "2026.xaf", "2026.xaf.sha256.csv")
Lines = list[bytes]
DAMAGES: dict[str, tuple[Callable[[Lines], Lines], int]] = {
    "a byte of a line": (lambda lines: [*lines[:3], flipped(lines[3], 5), *lines[4:]], 4),
    "a byte of the last line": (lambda lines: [*lines[:-1], flipped(lines[-1], 3)], 0),
    "the last line feed": (lambda lines: [*lines[:-1], lines[-1][:-1]], 0),
    "a line feed into a carriage return": (lambda lines: [*lines[:3], lines[3][:-1] + b"\r", *lines[4:]], 4),
    "a line that is left out": (lambda lines: lines[:3] + lines[4:], 4),
    "a line that is there twice": (lambda lines: lines[:4] + lines[3:], 5),
    "two lines that changed places": (lambda lines: [*lines[:3], lines[4], lines[3], *lines[5:]], 4),
    "an empty line": (lambda lines: [*lines[:3], b"\n", *lines[3:]], 4),
    "a line behind the last": (lambda lines: [*lines, b"more\n"], -1),
}


def flipped(line: bytes, at: int) -> bytes:
    return line[:at] + bytes([line[at] ^ 1]) + line[at + 1 :]


def exported(directory: Path, kind: str) -> tuple[Path, Path]:
    """Write a file of a kind; return it and the one that is given to `--verify`."""
    file = directory / kind
    if kind.startswith("2026.xaf"):
        audit_file = directory / "2026.xaf"
        with written_with_hashes(audit_file) as (stream, _):
            asyncio.run(write_example(stream))
        return file, audit_file
    columns = BOOKED if kind == "booked.csv" else LOG
    with written_whole(file) as stream:
        writer = ChainWriter(stream, columns)
        for number in range(8):
            writer.write([f'{name} "{number}"' for name in columns])
    return file, file


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("damage", DAMAGES)
def test_each_damage_is_named_with_file_and_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], kind: str, damage: str
) -> None:
    file, given = exported(tmp_path, kind)
    assert verify(given, "en") is True
    lines = file.read_bytes().splitlines(keepends=True)
    change, line = DAMAGES[damage]
    changed = change(lines)
    assert changed != lines
    file.write_bytes(b"".join(changed))
    capsys.readouterr()
    assert verify(given, "en") is False
    expected = line if line > 0 else len(lines) - line
    assert f"Line {expected} of {file} is not as it was written" in capsys.readouterr().out


@pytest.mark.parametrize("kind", KINDS)
def test_no_byte_can_be_another_unnoticed(tmp_path: Path, kind: str) -> None:
    file, given = exported(tmp_path, kind)
    whole = file.read_bytes()
    unnoticed = []
    for at in range(0, len(whole), 1 + len(whole) // 250):
        for other in {whole[at] ^ 1, whole[at] ^ 0x20, 0x0D, 0x22, 0xFF} - {whole[at]}:
            file.write_bytes(whole[:at] + bytes([other]) + whole[at + 1 :])
            try:
                is_whole = verify(given, "en")
            except KruispostError as error:  # a heading that is none
                is_whole = file.name not in str(error) or "line 1" not in str(error)
            if is_whole:
                unnoticed.append((at, other))
    assert unnoticed == []


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_that_is_not_there_is_named(tmp_path: Path, kind: str) -> None:
    file, given = exported(tmp_path, kind)
    file.unlink()
    with pytest.raises(KruispostError, match=file.name):
        verify(given, "en")


def test_lines_cut_off_the_end_of_the_hashes_or_of_both_show(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    hashes, file = exported(tmp_path, KINDS[3])
    last = hashes.read_text(encoding="utf-8").split('"')[-2]
    hashes.write_bytes(b"".join(hashes.read_bytes().splitlines(keepends=True)[:-2]))
    count = len(file.read_bytes().splitlines())
    assert verify(file, "en") is False
    assert f"Line {count - 1} of {file}" in capsys.readouterr().out
    file.write_bytes(b"".join(file.read_bytes().splitlines(keepends=True)[:-2]))
    assert verify(file, "en") is True  # only the hash that was noted tells
    assert verify(file, "en", last) is False


def test_the_command_itself_tells_it_by_its_exit_code(tmp_path: Path) -> None:
    _, file = exported(tmp_path, "2026.xaf")
    assert kruispost("export", "--verify", str(file), directory=tmp_path).returncode == 0
    file.write_bytes(flipped(file.read_bytes(), 90))
    changed = kruispost("export", "--verify", str(file), directory=tmp_path)
    assert (changed.returncode, f"Line 2 of {file}" in changed.stdout) == (1, True)
    hashes_of(file).unlink()
    lacking = kruispost("export", "--verify", str(file), directory=tmp_path)
    assert (lacking.returncode, hashes_of(file).name in lacking.stderr) == (2, True)
