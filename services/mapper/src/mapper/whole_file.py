"""Writing a file as a whole: until it is complete, the one that was there before stays as it is."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from backbone.errors import KruispostError


@contextmanager
def written_whole(file: Path) -> Iterator[TextIO]:
    """Give a stream beside the file, which takes its place when nothing failed. Raises KruispostError where it cannot write."""
    file = file.resolve()
    is_stream = file.exists() and not file.is_file()  # /dev/stdout or a pipe: there is nothing to keep
    beside = file if is_stream else file.with_name(f".{file.name}.part")
    try:
        stream = beside.open("w", encoding="utf-8", newline="")
    except OSError as error:
        raise _refused(file, error) from error
    try:
        with stream:
            yield stream
            try:
                stream.flush()
                if not is_stream:
                    beside.replace(file)
            except OSError as error:
                raise _refused(file, error) from error
    finally:
        if not is_stream:
            beside.unlink(missing_ok=True)


def _refused(file: Path, error: OSError) -> KruispostError:
    return KruispostError("file_not_written", f"{file} cannot be written ({error}); choose another file.")
