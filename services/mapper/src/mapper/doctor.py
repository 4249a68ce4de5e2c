"""What the mapper adds to `kruispost doctor`: how the mapping and the live division fit, with the place in the file."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

from backbone.configuration import Configuration
from backbone.yaml_places import Places, written
from contracts.master_data import MasterData
from mapper.live_check import complaints
from mapper.wording import Language


def examine(path: Path, configuration: Configuration, data: MasterData, today: date, lang: Language) -> list[dict[str, Any]]:
    """Return what is wrong with the section of one division: code, line and path in the file, sentence and advice."""
    places = Places(path.read_text(encoding="utf-8"))
    found = []
    for complaint in complaints(data.division, configuration.divisions[data.division], data, today):
        sentence, advice = complaint.words(lang)
        line, place = places.line(complaint.path), written(complaint.path)
        found.append({"code": complaint.code, "line": line, "path": place, "sentence": sentence, "advice": advice})
    return found
