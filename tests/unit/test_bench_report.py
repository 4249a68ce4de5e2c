"""The report of measurements keeps what a run of some of them did not measure, and tells of which code each figure is."""

import json
import subprocess

from bench import report


def row(value):
    return {"value": value, "unit": "calls", "ceiling": 2.0, "ratio": value / 2.0}


def test_a_run_of_some_measurements_leaves_the_figures_of_the_others_as_they_were(tmp_path):
    path = tmp_path / "bench" / "report.json"
    report.merge(path, {"door": row(1.0), "relay": row(2.0)}, "older")
    before = json.loads(path.read_text())
    report.merge(path, {"relay": row(3.0), "week": row(4.0)}, "newer")
    after = json.loads(path.read_text())
    assert after["door"] == before["door"]
    assert {name: (each["value"], each["version"]) for name, each in after.items()} == {
        "door": (1.0, "older"),
        "relay": (3.0, "newer"),
        "week": (4.0, "newer"),
    }
    assert row(3.0).items() <= after["relay"].items()
    assert after["relay"]["measured_at"] >= before["relay"]["measured_at"]
    report.keep(path, {"relay", "week"})
    assert set(json.loads(path.read_text())) == {"relay", "week"}


def test_a_report_that_cannot_be_read_is_begun_anew(tmp_path):
    path = tmp_path / "report.json"
    path.write_text('{"machine": {"cores": 2}, "figures": {')
    report.merge(path, {"door": row(1.0)}, "older")
    assert set(json.loads(path.read_text())) == {"door"}


def test_the_version_says_whether_files_differ_from_the_commit(tmp_path):
    def git(*words):
        told = ("-c", "user.name=a", "-c", "user.email=a@b.example", "-c", "commit.gpgsign=false")
        subprocess.run(["git", *told, *words], cwd=tmp_path, check=True, capture_output=True)

    assert report.version_of_code(tmp_path / "nowhere") == "unknown"
    git("init")
    (tmp_path / "code").write_text("1")
    git("add", "code")
    git("commit", "--message", "first")
    clean = report.version_of_code(tmp_path)
    (tmp_path / "code").write_text("2")
    assert report.version_of_code(tmp_path) == f"{clean}-dirty"
