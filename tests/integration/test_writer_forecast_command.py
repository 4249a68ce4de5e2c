"""`kruispost forecast` says when nothing is booked at all, and counts from the moment that Exact answers again."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
import yaml
from support.exact_server import exact_server
from support.writer_stage import CONFIGURATION, save_account, writer_stage

from contracts import facts
from exact_writer.forecast_command import tell_forecast


async def forecast_in(capsys: pytest.CaptureFixture[str], lang: str) -> str:
    capsys.readouterr()
    await asyncio.to_thread(tell_forecast, None, None, lang, as_json=False)
    return capsys.readouterr().out


async def test_a_division_in_which_nothing_is_booked_says_why_in_both_languages(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "kruispost.yaml"
    path.write_text(CONFIGURATION.model_dump_json(exclude_defaults=True), encoding="utf-8")
    monkeypatch.setenv("KRUISPOST_CONFIG", str(path))
    async with exact_server() as server:
        monkeypatch.setenv("KRUISPOST_DATA_DIR", str(tmp_path / "out"))
        async with writer_stage(server, tmp_path / "out", logged_in=False) as stage:
            await stage.until(facts.ConnectionChanged)
            await stage.tell(save_account())
            english, dutch = await forecast_in(capsys, "en"), await forecast_in(capsys, "nl")
        monkeypatch.setenv("KRUISPOST_DATA_DIR", str(tmp_path / "in"))
        async with writer_stage(server, tmp_path / "in") as stage:
            await stage.tell(save_account())
            await stage.until(facts.AccountSaved)
            connected = await forecast_in(capsys, "en")
            data = CONFIGURATION.model_dump(mode="json", exclude_defaults=True)
            for division in data["divisions"].values():
                division["shadow"] = True
            path.write_text(yaml.safe_dump(data), encoding="utf-8")
            in_shadow = await forecast_in(capsys, "en"), await forecast_in(capsys, "nl")
    assert "nothing is booked now: nobody has logged in at Exact yet; reckoned as if Exact answered from now on" in english
    assert "er wordt nu niets geboekt: er heeft nog niemand bij Exact ingelogd; gerekend alsof" in dutch
    assert "nothing is booked" not in connected
    assert "in shadow" not in connected
    assert "in shadow: nothing of it is written" in in_shadow[0]
    assert "schaduw: niets daarvan wordt geschreven" in in_shadow[1]
