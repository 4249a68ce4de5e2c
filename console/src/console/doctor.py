"""`kruispost doctor`: looks at everything an installation needs, without writing anything anywhere."""

from __future__ import annotations

import base64
import binascii
import importlib.metadata
import os
from dataclasses import asdict, dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import aio_pika
import httpx
import sqlalchemy as sa
from aio_pika.exceptions import AMQPError
from pydantic import SecretStr, ValidationError
from sqlalchemy.ext.asyncio import AsyncConnection

from backbone.clock import SystemClock
from backbone.configuration import Configuration, MistakenConfigurationError, load_configuration
from backbone.database import Database, schema_of
from backbone.errors import ConfigurationError, KruispostError
from backbone.held_back import OPEN_FOR_SECONDS, long_open
from backbone.migrations import VERSION_TABLE
from backbone.roles import installed_services
from backbone.settings import Settings
from console.answers import DATABASE_ERRORS
from console.doctor_in_dutch import finding_in_dutch
from console.live import NotLookedAtError, complaints_about, master_data_of
from console.mistakes_in_dutch import in_dutch
from console.republish import Range
from console.sentences import Language
from console.unheard import unheard

TIMEOUT_SECONDS = 10.0
# What only a service can judge about the configuration: functions that take it and return their complaints.
CHECKS = "kruispost.checks"
# What the rules name that Chargebee has not shown: an async function of settings, configuration and language that returns
# how many names were looked up and complaints like those of a live check.
PRODUCT_CHECKS = "kruispost.product_checks"
# What a service has set up outside: async functions that return None where nothing is, else of what that is, the sentence that
# all of it stands, what to do else, and (subject, sentence) of each thing that does not stand.
STANDING = "kruispost.standing"
FERNET_KEY_BYTES = 32
LOOKED_BACK = timedelta(days=1)
_AT_EXACTS_RATES = (
    "exchange_rates: exact, so Exact rounds by itself and books exchange differences when it matches, on the account of its own"
    " settings; exchange_differences is not used. With `chargebee` or `table` they are entries that Kruispost explains"
)
SECRETS = {
    "webhook_username": "ingest refuses to start without it",
    "webhook_password": "ingest refuses to start without it",
    "chargebee_api_key": "the payment-matcher cannot record payments without it",
    "exact_client_id": "the writer cannot connect to Exact without it",
    "exact_client_secret": "the writer cannot connect to Exact without it",
    "exact_redirect_uri": "the writer cannot connect to Exact without it",
    "encryption_keys": "the writer cannot keep Exact's token without it",
    "admin_token": "`kruispost login` and the console's addresses need it",
}


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at, or could not be (`is_looked_at`); `advice` is empty when it is well."""

    subject: str
    is_well: bool
    sentence: str
    advice: str = ""
    code: str | None = None
    is_looked_at: bool = True

    def as_dict(self) -> dict[str, object]:
        """Return it for JSON."""
        return asdict(self)


@dataclass(frozen=True)
class Look:
    """How to look: `live` None looks at the divisions in Exact where that is possible, True must, False does not."""

    live: bool | None = None
    writer_url: str | None = None
    lang: Language = "en"


async def examine(look: Look) -> list[Finding]:
    """Look at settings, configuration, secrets, database, broker, both outside systems, and the divisions in Exact."""
    findings = await _examine(look)
    return [_in_dutch(each) for each in findings] if look.lang == "nl" else findings


def _in_dutch(finding: Finding) -> Finding:
    """Translate what the doctor says itself; what a service told in Dutch is in no list of his and stays."""
    return replace(finding, sentence=finding_in_dutch(finding.sentence), advice=finding_in_dutch(finding.advice))


async def _examine(look: Look) -> list[Finding]:
    try:
        settings = Settings()
    except (ValidationError, ConfigurationError) as error:
        return [Finding("settings", is_well=False, sentence=str(error), advice="correct the environment; .env.example lists all")]
    findings, configuration = _configuration(settings)
    if look.lang == "nl":
        findings = [replace(each, sentence=in_dutch(each.sentence)) for each in findings]
    findings += [_secret(settings, name, why) for name, why in SECRETS.items()]
    findings += await _database(settings)
    findings.append(await _broker(settings))
    findings += await _standing()
    if configuration is not None:
        findings += await _unheard(settings)
    if configuration is not None:
        findings += await _products(settings, configuration, look.lang)
    findings.append(await _address("Exact", settings.exact_url, "check KRUISPOST_EXACT_URL and the way out of your network"))
    for site in configuration.sites if configuration is not None else ():
        url = settings.chargebee_url or f"https://{site}.chargebee.com"
        findings.append(await _address(f"Chargebee site {site}", url, "check the site's name and the way out of your network"))
    if configuration is not None and look.live is not False:
        findings += await _divisions(settings, configuration, look)
    return findings


async def _divisions(settings: Settings, configuration: Configuration, look: Look) -> list[Finding]:
    """Compare every division's section with its accounts, VAT codes, journals and periods in Exact."""
    findings: list[Finding] = []
    for number in sorted(configuration.divisions):
        name = f"division {number} in Exact"
        try:
            data = await master_data_of(settings, look.writer_url, number)
        except NotLookedAtError as error:
            sentence, advice = f"it was not looked at: {error}", "connect with `kruispost login`, and run this again"
            advice = advice if look.live else ""
            findings.append(Finding(name, is_well=look.live is None, sentence=sentence, advice=advice, is_looked_at=False))
            continue
        found = complaints_about(configuration, data, SystemClock().now().date(), look.lang)
        findings += _at_their_lines(settings, found)
        if not found:
            sizes = f"{len(data.ledgers)} ledger accounts, {len(data.vat_codes)} VAT codes, {len(data.journals)} journals"
            sizes += f"; the licence is package {data.package}" if data.package else ""
            findings.append(Finding(name, is_well=True, sentence=f"the mapping fits what stands there ({sizes})"))
    return findings


def _configuration(settings: Settings) -> tuple[list[Finding], Configuration | None]:
    try:
        configuration = load_configuration(settings.config)
    except ConfigurationError as error:
        found = [Finding("configuration", is_well=False, sentence=error.sentence, advice="correct the file")]
        # What is wrong between the rules that can be read is told in the same run, not after the first mistakes are mended.
        readable = error.readable if isinstance(error, MistakenConfigurationError) else None
        return [*found, *(_checks(readable) if readable is not None else [])], None
    divisions = ", ".join(map(str, sorted(configuration.divisions)))
    findings = [Finding("configuration", is_well=True, sentence=f"{settings.config} is readable; divisions {divisions}")]
    for number, division in configuration.divisions.items():
        if division.book_payments and not division.control_accounts:
            sentence = f"division {number} books payments but has no control accounts, so every payment will be held"
            advice = f"write divisions.{number}.control_accounts, or set book_payments to false"
            findings.append(Finding(f"division {number}", is_well=False, sentence=sentence, advice=advice))
        for name, rules in (("revenue", division.revenue), ("vat", division.vat)):
            if not rules:
                sentence = f"division {number} has no {name} rules, so every document will be held"
                findings.append(
                    Finding(f"division {number}", is_well=False, sentence=sentence, advice=f"write divisions.{number}.{name}")
                )
        if division.exchange_rates.policy == "exact":
            findings.append(Finding(f"division {number}", is_well=True, sentence=_AT_EXACTS_RATES))
    for name, site in configuration.sites.items():
        if site.division is None and not site.business_entities and not site.routes:
            sentence = f"site {name} books into no division, so all its documents will be held"
            findings.append(Finding(f"site {name}", is_well=False, sentence=sentence, advice=f"write sites.{name}.division"))
    return [*findings, *_checks(configuration)], configuration


async def _standing() -> list[Finding]:
    """Ask every installed service what it set up outside that does not stand."""
    findings = []
    for point in sorted(importlib.metadata.entry_points(group=STANDING), key=lambda each: each.name):
        try:
            told = await point.load()()
        except ConfigurationError as error:
            findings.append(Finding("settings", is_well=False, sentence=error.sentence, advice="correct it"))
            continue
        except KruispostError:
            continue  # without its database, about which there is a finding already
        if told is None:
            continue
        what, well, advice, complaints = told
        findings += [Finding(subject, False, sentence, advice) for subject, sentence in complaints]
        if not complaints:
            findings.append(Finding(what, is_well=True, sentence=well))
    return findings


async def _products(settings: Settings, configuration: Configuration, lang: Language) -> list[Finding]:
    """Look the products and coupons that the rules name up in what has come in from Chargebee."""
    findings = []
    for point in importlib.metadata.entry_points(group=PRODUCT_CHECKS):
        try:
            named, complaints = await point.load()(settings, configuration, lang)
        except (KruispostError, *DATABASE_ERRORS):
            continue  # nothing came in here yet, or there is a finding about the database already
        findings += _at_their_lines(settings, complaints)
        if named and not complaints:
            sentence = f"Chargebee has shown all {named} products and coupons that the rules name"
            findings.append(Finding("products", is_well=True, sentence=sentence))
    return findings


def _at_their_lines(settings: Settings, complaints: list[dict[str, Any]]) -> list[Finding]:
    return [
        Finding(f"{settings.config}:{each['line']} {each['path']}", False, each["sentence"], each["advice"], each["code"])
        for each in complaints
    ]


def _checks(configuration: Configuration) -> list[Finding]:
    """Ask every installed service what it finds wrong with the configuration."""
    findings = []
    for point in sorted(importlib.metadata.entry_points(group=CHECKS), key=lambda each: each.name):
        try:
            complaints = point.load()(configuration)
        except (ImportError, AttributeError) as error:
            advice = "install the services of one and the same release"
            findings.append(
                Finding(f"{point.name} rules", is_well=False, sentence=f"they cannot be checked: {error}", advice=advice)
            )
            continue
        findings += [
            Finding(f"{point.name} rules", is_well=False, sentence=complaint, advice="correct the file")
            for complaint in complaints
        ]
        if not complaints:
            findings.append(Finding(f"{point.name} rules", is_well=True, sentence="they do not contradict each other"))
    return findings


def _secret(settings: Settings, name: str, why: str) -> Finding:
    variable = f"KRUISPOST_{name.upper()}"
    given = getattr(settings, name)
    text = given.get_secret_value() if isinstance(given, SecretStr) else given
    if not text:
        return Finding(variable, is_well=False, sentence=f"it is not set; {why}", advice=f"set {variable} or {variable}_FILE")
    if name == "encryption_keys" and not all(_is_fernet_key(key.strip()) for key in text.split(",")):
        advice = "make one with: openssl rand -base64 32 | tr '+/' '-_'"
        return Finding(variable, is_well=False, sentence="it holds something that is no Fernet key", advice=advice)
    return Finding(variable, is_well=True, sentence="it is set")


def _is_fernet_key(text: str) -> bool:
    try:
        return len(base64.b64decode(text, altchars=b"-_", validate=True)) == FERNET_KEY_BYTES
    except (binascii.Error, ValueError):
        return False


def _data_dir(directory: Path) -> Finding | None:
    """Complain about a place where the embedded engines could not keep their files."""
    nearest = next((place for place in (directory, *directory.absolute().parents) if place.exists()), directory)
    if nearest.is_dir() and os.access(nearest, os.W_OK | os.X_OK):
        return None
    sentence = f"SQLite cannot keep its files in {directory}: {nearest} is no directory that this user may write to"
    return Finding("database", is_well=False, sentence=sentence, advice="set KRUISPOST_DATA_DIR or KRUISPOST_DATABASE_URL")


async def _database(settings: Settings) -> list[Finding]:
    if settings.database_url is None:
        # Opening a SQLite file would make it, and looking must change nothing.
        complaint = _data_dir(settings.data_dir)
        if complaint is not None:
            return [complaint]
        made = settings.data_dir.exists()
        sentence = f"SQLite, in {settings.data_dir}" + ("" if made else ", which the first start makes")
        return [Finding("database", is_well=True, sentence=sentence)]
    try:
        database = Database.open(settings, "console")
        try:
            async with database.reading() as connection:
                answers = Finding("database", is_well=True, sentence="PostgreSQL answers")
                return [answers, *await _tables(connection), *await _server(connection)]
        finally:
            await database.close()
    except (ConfigurationError, *DATABASE_ERRORS) as error:
        return [
            Finding("database", is_well=False, sentence=f"it does not answer: {error}", advice="check KRUISPOST_DATABASE_URL")
        ]


async def _tables(connection: AsyncConnection) -> list[Finding]:
    """Complain about a service without tables, or whose tables this role may not use, where others have theirs."""
    statement = (
        "SELECT nspname, has_schema_privilege(pg_namespace.oid, 'USAGE') FROM pg_namespace"
        " JOIN pg_class ON relnamespace = pg_namespace.oid AND relname = :versions"
    )
    known = {schema: bool(usable) for schema, usable in await connection.execute(sa.text(statement), {"versions": VERSION_TABLE})}
    services = {schema_of(service): service for service in installed_services()}
    if not known.keys() & services.keys():
        return []  # the first start makes them all
    findings = []
    for schema, service in services.items():
        if schema not in known:
            sentence, advice = f"the tables of {service} are not there, and others are", "docs/operating.md has a drill for it"
            findings.append(Finding("database", is_well=False, sentence=sentence, advice=advice))
        elif not known[schema]:
            sentence = f"this role may not use the tables of {service}"
            advice = (
                "run what `kruispost roles` prints as the owner of the tables, or the doctor as a role with the rights of all"
            )
            findings.append(Finding("database", is_well=False, sentence=sentence, advice=advice))
    return findings


async def _server(connection: AsyncConnection) -> list[Finding]:
    """Complain about what slows all of it down on a PostgreSQL server, whoever did it."""
    findings = []
    if (await connection.execute(sa.text("SHOW autovacuum"))).scalar_one() == "off":
        sentence = "autovacuum is off on this server, so that tables only grow and everything becomes slower"
        advice = "switch it on: ALTER SYSTEM SET autovacuum = on; SELECT pg_reload_conf();"
        findings.append(Finding("PostgreSQL", is_well=False, sentence=sentence, advice=advice))
    held = await long_open(connection, OPEN_FOR_SECONDS)
    if held is not None:
        sentence = (
            f"a transaction is open for {held.minutes} minutes ({held.who} of {held.user} in database {held.database}), and all"
            " messages that were committed after it began wait for it"
        )
        advice = "end it, by pg_terminate_backend or ROLLBACK PREPARED, unless it is an import that will end by itself"
        findings.append(Finding("PostgreSQL", is_well=False, sentence=sentence, advice=advice))
    return findings


async def _broker(settings: Settings) -> Finding:
    if settings.amqp_url is None:
        return Finding("broker", is_well=True, sentence="embedded, in the data directory")
    try:
        connection = await aio_pika.connect(settings.amqp_url, timeout=TIMEOUT_SECONDS)
    except (AMQPError, OSError, ValueError) as error:
        return Finding("broker", is_well=False, sentence=f"RabbitMQ does not answer: {error}", advice="check KRUISPOST_AMQP_URL")
    await connection.close()
    return Finding("broker", is_well=True, sentence="RabbitMQ answers")


async def _unheard(settings: Settings) -> list[Finding]:
    """Complain about messages of the last day that never came to whom they were for, as while a binding was gone."""
    services = ("ingest", "mapper", "exact-writer", "payment-matcher")
    if settings.amqp_url is None and not (settings.data_dir / "broker.sqlite").exists():
        return []  # opening it would make it, and looking must change nothing
    try:
        found = await unheard(
            settings, Range(services=services, first=SystemClock().now() - LOOKED_BACK, last=None, consumer=None)
        )
    except (KruispostError, AMQPError, *DATABASE_ERRORS):
        return []  # nothing runs here yet, or there is a finding about the database or the broker already
    if not found:
        return [Finding("messages", is_well=True, sentence="all of the last day came to whom they were for")]
    return [Finding(each.queue, is_well=False, sentence=each.sentence, advice=f"send it again: {each.command}") for each in found]


async def _address(name: str, url: str, advice: str) -> Finding:
    """Any HTTP answer will do: whether we are let in is for the service to find out, with its own credentials."""
    try:
        async with httpx.AsyncClient(timeout=TIMEOUT_SECONDS, trust_env=False) as client:
            await client.get(url)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        return Finding(name, is_well=False, sentence=f"{url} does not answer: {type(error).__name__}", advice=advice)
    return Finding(name, is_well=True, sentence=f"{url} answers")
