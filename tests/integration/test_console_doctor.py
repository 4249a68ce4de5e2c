"""`kruispost doctor`: every mistake it is meant to find, and nothing written while it looks."""

import asyncio
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from urllib.parse import urlsplit

import asyncpg
import pytest
import sqlalchemy as sa
from support.command_line import kruispost, kruispost_here
from support.engines import DATABASE_URL, DATABASES, settings_for, unreachable
from support.facts import invoice, observed
from support.fast_sqlite import migrated
from support.mapper_stage import Stage

import services_debian
from backbone import held_back
from backbone.database import Database
from backbone.settings import Settings
from console import doctor
from console.doctor import SECRETS
from contracts import facts

DEMO = Path(__file__).parents[2] / "console/src/console/demo_configuration.yaml"
COMPLETE = {
    **{f"KRUISPOST_{name.upper()}": "x" for name in SECRETS},
    "KRUISPOST_ENCRYPTION_KEYS": "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=",
}
CONTRADICTING = """
version: 1
sites:
  acme-test: {time_zone: Europe/Amsterdam, division: 123456}
  orphan-test: {time_zone: Europe/Amsterdam}
divisions:
  123456:
    name: Acme B.V.
    journals: {invoices: 70, credit_notes: 71, payments: 90}
    receivable_account: 1300
    revenue:
      - {when: {family: Team}, account: 8000}
      - {when: {family: Team}, account: 8100}
    vat:
      - {when: {country: NL, rate: 21}, code: "4"}
      - {when: {country: NL, rate: 21.0}, code: "2"}
"""
EMPTY = """
version: 1
sites: {acme-test: {time_zone: Europe/Amsterdam, division: 123456}}
divisions:
  123456:
    name: Acme B.V.
    journals: {invoices: 70, credit_notes: 71, payments: 90}
    receivable_account: 1300
"""


@contextmanager
def answering(*answers: tuple[int, str]) -> Iterator[str]:
    """Serve somebody who gives these answers, and then the last one for ever."""
    left = [*(answers or [(404, "")])]

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            status, body = left.pop(0) if len(left) > 1 else left[0]
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, *_):
            """Say nothing."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def examined(directory: Path, **settings: str):
    """Return the exit code, and what the doctor finds wrong by what it looked at."""
    done = kruispost_here("doctor", "--json", directory=directory, settings=settings)
    assert "Traceback" not in done.stderr
    findings = json.loads(done.stdout)["findings"]
    wrong: dict[str, list[str]] = {}
    for finding in findings:
        if not finding["is_well"]:
            assert finding["advice"]
            wrong.setdefault(finding["subject"], []).append(finding["sentence"])
    return done.returncode, wrong


def test_a_complete_installation_is_well_and_nothing_was_written(tmp_path: Path):
    with answering() as url:
        outside = {"KRUISPOST_EXACT_URL": url, "KRUISPOST_CHARGEBEE_URL": url}
        assert examined(tmp_path, KRUISPOST_CONFIG=str(DEMO), **COMPLETE, **outside) == (0, {})
        shown = kruispost_here("doctor", directory=tmp_path, settings={"KRUISPOST_CONFIG": str(DEMO), **COMPLETE, **outside})
    assert "\n--  division 100001 in Exact: it was not looked at: " in shown.stdout, "nobody connected to Exact yet"
    assert "FIX" not in shown.stdout
    assert list(tmp_path.iterdir()) == []


def test_everything_that_is_missing_is_named_at_once(tmp_path: Path):
    code, wrong = examined(tmp_path)
    assert code == 1
    assert wrong.keys() == {"configuration", "Exact", *(f"KRUISPOST_{name.upper()}" for name in SECRETS)}
    assert "http://127.0.0.1:9" in wrong["Exact"][0]
    assert list(tmp_path.iterdir()) == []


def test_rules_that_contradict_each_other_are_all_named(tmp_path: Path):
    (tmp_path / "kruispost.yaml").write_text(CONTRADICTING, encoding="utf-8")
    code, wrong = examined(tmp_path, **COMPLETE)
    assert code == 1
    revenue, vat = wrong["mapper rules"]
    assert re.match(r".*kruispost\.yaml:\d+: divisions\.123456\.revenue\[\d\]: two revenue rules", revenue)
    assert re.match(r".*kruispost\.yaml:\d+: divisions\.123456\.vat\[\d\]: two VAT rules", vat)
    assert "books into no division" in wrong["site orphan-test"][0]


def test_contradictions_are_told_in_dutch(tmp_path: Path):
    (tmp_path / "kruispost.yaml").write_text(CONTRADICTING, encoding="utf-8")
    text = kruispost_here("doctor", "--lang", "nl", directory=tmp_path).stdout
    assert "FIX KRUISPOST_ADMIN_TOKEN: het is niet gezet; `kruispost login` en" in text
    assert "FIX site orphan-test: site orphan-test boekt in geen administratie" in text
    assert "is not set" not in text
    done = kruispost_here("doctor", "--lang", "nl", "--json", directory=tmp_path)
    told = [each["sentence"] for each in json.loads(done.stdout)["findings"] if each["subject"] == "mapper rules"]
    assert re.search(r"kruispost\.yaml:12: divisions\.123456\.revenue\[0\]: twee omzetregels zijn even specifiek", told[0])
    (tmp_path / "kruispost.yaml").write_text(EMPTY.replace("receivable_account", "receivable"), encoding="utf-8")
    done = kruispost_here("doctor", "--lang", "nl", "--json", directory=tmp_path)
    (told_,) = [each["sentence"] for each in json.loads(done.stdout)["findings"] if each["subject"] == "configuration"]
    assert "er is geen sleutel receivable; bedoelt u receivable_account?" in told_
    assert "Verbeter het bestand" in told_


def test_a_division_that_would_hold_everything_is_named(tmp_path: Path):
    (tmp_path / "kruispost.yaml").write_text(EMPTY, encoding="utf-8")
    _, wrong = examined(tmp_path, **COMPLETE)
    told = " ".join(wrong["division 123456"])
    for words in ("no revenue rules", "no vat rules", "no control accounts"):
        assert words in told


@pytest.mark.parametrize("dialect", DATABASES)
async def test_a_rule_for_a_product_that_chargebee_never_showed_is_named(tmp_path: Path, dialect: str):
    text = CONTRADICTING.replace("family: Team}, account: 8000", "item_price: Taem-EUR}, account: 8000")
    coupons = "    discounts: {posting: gross, rules: [{when: {coupon: WELCOM}, account: 8090}]}\n"
    (tmp_path / "kruispost.yaml").write_text(text.replace("    vat:\n", f"{coupons}    vat:\n"), encoding="utf-8")
    async with settings_for(dialect, tmp_path / "data") as settings:
        database = Database.open(settings, "mapper")
        await migrated(database, "mapper")
        discount = {
            "line_item_id": "li_1",
            "discount_type": "document_level_coupon",
            "entity_id": "WELCOME",
            "discount_amount": 1,
        }
        await Stage(database).hear(
            observed(facts.ItemObserved, {"id": "Team", "item_family_id": "Team"}),
            observed(facts.ItemPriceObserved, {"id": "Team-EUR", "item_id": "Team"}),
            invoice(line_item_discounts=[discount]),
        )
        await database.close()
        where = {"KRUISPOST_DATABASE_URL": settings.database_url} if settings.database_url is not None else {}
        _, wrong = await asyncio.to_thread(examined, tmp_path, **where)
    told = {each.split("kruispost.yaml:")[1]: words for each, words in wrong.items() if "kruispost.yaml:" in each}
    assert told == {
        "12 divisions.123456.revenue[0].when.item_price": [
            "Chargebee has shown no item price (or plan or addon) Taem-EUR, so this fits nothing."
        ],
        "14 divisions.123456.discounts.rules[0].when.coupon": [
            "no document has had a coupon WELCOM yet, so this fits nothing so far."
        ],
    }


def test_who_books_exchange_differences_at_exacts_own_rates_is_told(tmp_path: Path):
    for policy, told in (("exact", 1), ("chargebee", 0)):
        (tmp_path / "kruispost.yaml").write_text(f"{EMPTY}    exchange_rates: {policy}\n", encoding="utf-8")
        done = kruispost_here("doctor", "--json", directory=tmp_path)
        said = [each["sentence"] for each in json.loads(done.stdout)["findings"] if each["is_well"]]
        assert sum("books exchange differences when it matches" in each for each in said) == told


def test_a_broken_configuration_names_the_place(tmp_path: Path):
    (tmp_path / "kruispost.yaml").write_text(EMPTY.replace("receivable_account", "receivable"), encoding="utf-8")
    code, wrong = examined(tmp_path, **COMPLETE)
    assert code == 1
    assert "divisions.123456.receivable" in wrong["configuration"][0]


def test_settings_that_cannot_be_read_are_a_finding(tmp_path: Path):
    code, wrong = examined(tmp_path, KRUISPOST_PORT="eighty")
    assert (code, list(wrong)) == (1, ["settings"])
    code, wrong = examined(tmp_path, KRUISPOST_ADMIN_TOKEN_FILE=str(tmp_path / "absent"))
    assert (code, list(wrong)) == (1, ["settings"])


def test_an_empty_secret_and_one_that_is_no_key_are_findings(tmp_path: Path):
    empty = tmp_path / "empty"
    empty.write_text("\n", encoding="utf-8")
    settings = {**COMPLETE, "KRUISPOST_ENCRYPTION_KEYS": "change-me"}
    settings.pop("KRUISPOST_ADMIN_TOKEN")
    _, wrong = examined(tmp_path, KRUISPOST_CONFIG=str(DEMO), KRUISPOST_ADMIN_TOKEN_FILE=str(empty), **settings)
    assert "not set" in wrong["KRUISPOST_ADMIN_TOKEN"][0]
    assert "no Fernet key" in wrong["KRUISPOST_ENCRYPTION_KEYS"][0]
    assert "change-me" not in str(wrong)


@pytest.mark.parametrize(
    ("database_url", "amqp_url"),
    [
        ("postgresql://nobody@127.0.0.1:9/kruispost", "amqp://127.0.0.1:9/"),
        ("mysql://127.0.0.1/kruispost", "amqp://127.0.0.1:99999/"),
        ("garbage", "garbage"),
        pytest.param(f"{DATABASE_URL}_gone", "http://127.0.0.1:9/", marks=pytest.mark.postgres),
    ],
)
def test_engines_that_cannot_be_reached_are_findings(tmp_path: Path, database_url: str, amqp_url: str):
    _, wrong = examined(tmp_path, KRUISPOST_DATABASE_URL=database_url, KRUISPOST_AMQP_URL=amqp_url)
    assert len(wrong["database"]) == len(wrong["broker"]) == 1


@pytest.mark.postgres
async def test_a_database_that_answers_is_well_and_stays_empty(tmp_path: Path):
    async with settings_for("postgresql", tmp_path, empty=True) as settings:
        url = settings.database_url or ""
        _, wrong = await asyncio.to_thread(examined, tmp_path, KRUISPOST_DATABASE_URL=url)
        assert "database" not in wrong
        status = kruispost("status", directory=tmp_path, settings={"KRUISPOST_DATABASE_URL": url})
        assert status.returncode == 2  # no table was made


def test_a_data_directory_that_is_a_file_is_a_finding(tmp_path: Path):
    (tmp_path / "data").write_text("", encoding="utf-8")
    _, wrong = examined(tmp_path)
    assert "KRUISPOST_DATA_DIR" not in wrong
    assert "is no directory" in wrong["database"][0]


def test_behind_one_address_the_process_is_found_that_acts_in_a_division(tmp_path: Path):
    (tmp_path / "kruispost.yaml").write_text(EMPTY, encoding="utf-8")
    standing_by = (409, json.dumps({"code": "stands_by", "message": "Another process acts in division 123456; ask that one."}))
    holder = (503, json.dumps({"code": "exact_unavailable", "message": "what its holder says"}))
    with answering(standing_by, standing_by, holder) as url:
        done = kruispost_here("doctor", "--live", "--writer-url", url, "--json", directory=tmp_path, settings={})
    said = {each["subject"]: each["sentence"] for each in json.loads(done.stdout)["findings"]}
    assert said["division 123456 in Exact"] == "it was not looked at: what its holder says"


@pytest.mark.postgres
async def test_a_transaction_that_stays_open_is_named_once_it_is_old(tmp_path: Path, monkeypatch):
    async with settings_for("postgresql", tmp_path, empty=True) as settings:
        other = await asyncpg.connect(settings.database_url)
        try:
            await other.execute("BEGIN; SELECT pg_current_xact_id()")
            pid, database = await other.fetchval("SELECT pg_backend_pid()"), urlsplit(str(settings.database_url)).path[1:]
            theirs = f"(pid {pid} of postgres in database {database})"
            found = await wrong_in_postgresql(settings, tmp_path, "transaction")
            assert not [each for each in found if theirs in each], "it is not old yet"
            monkeypatch.setattr(doctor, "OPEN_FOR_SECONDS", -1.0)  # the others on the server are those of other tests
            monkeypatch.setattr(held_back, "_OPEN_FOR", of_database(held_back._OPEN_FOR.text, database))
            (told,) = await wrong_in_postgresql(settings, tmp_path, "transaction")
            assert f"a transaction is open for 0 minutes {theirs}" in told
            (told,) = await wrong_in_postgresql(settings, tmp_path, "transactie", "--lang", "nl")
            assert "een transactie staat 0 minuten open" in told
        finally:
            await other.close()
        assert await wrong_in_postgresql(settings, tmp_path, "transaction") == []


@pytest.mark.slow
async def test_a_server_without_autovacuum_is_complained_about(tmp_path: Path):
    try:
        server = await asyncio.to_thread(services_debian.start, "postgres", tmp_path / "server", lambda _: None)
    except services_debian.CannotStartError as error:
        unreachable("A server of our own", error)
    try:
        settings = Settings(database_url=server.url, data_dir=tmp_path)
        assert await wrong_in_postgresql(settings, tmp_path, "") == []
        owner = await asyncpg.connect(server.url)
        await owner.execute("ALTER SYSTEM SET autovacuum = off")
        await owner.execute("SELECT pg_reload_conf()")
        await owner.close()
        (told,) = await wrong_in_postgresql(settings, tmp_path, "")
        assert told == "autovacuum is off on this server, so that tables only grow and everything becomes slower"
    finally:
        await asyncio.to_thread(services_debian.stop, server)


def of_database(query: str, name: str) -> sa.TextClause:
    """The same query, about one database."""
    return sa.text(query.replace("ORDER BY", f"AND a.datname = '{name}' ORDER BY", 1))


async def wrong_in_postgresql(settings: Settings, directory: Path, about: str, *arguments: str) -> list[str]:
    given = {"KRUISPOST_DATABASE_URL": str(settings.database_url), "KRUISPOST_CONFIG": str(DEMO)}
    told = ("doctor", "--json", "--no-live", *arguments)
    done = await asyncio.to_thread(kruispost_here, *told, directory=directory, settings=given)
    findings = json.loads(done.stdout)["findings"]
    return [each["sentence"] for each in findings if each["subject"] == "PostgreSQL" and about in each["sentence"]]
