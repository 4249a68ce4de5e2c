"""`kruispost import-settlement`: payouts of each gateway's report, each booked once, and bad files that book nothing."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import yaml
from support.deadly_commits import killed_at_each_commit
from support.engines import DATABASES
from support.facts import OCTOBER_5, customer, invoice
from support.installation import Installation, installation
from support.mapper_stage import Stage, configured, payment

from contracts import facts

ACCOUNTS = {"payout_account": "1280", "fee_account": "4600", "chargeback_fee_account": "4650"}
HEAD = (
    "automatic_payout_id,automatic_payout_effective_at,balance_transaction_id,currency,gross,fee,net,reporting_category,charge_id"
)
STRIPE = f"""{HEAD}
po_1,2026-10-07 00:00:00,txn_a,eur,121.00,1.85,119.15,charge,ch_1
po_1,2026-10-07 00:00:00,txn_b,eur,242.00,3.10,238.90,charge,ch_2
po_1,2026-10-07 00:00:00,txn_c,eur,-20.00,0.00,-20.00,refund,ch_2
po_1,2026-10-07 00:00:00,txn_d,eur,-121.00,15.00,-136.00,dispute,ch_1
po_1,2026-10-07 00:00:00,txn_e,eur,-0.50,0.00,-0.50,fee,
po_1,2026-10-07 00:00:00,txn_f,eur,-50.00,0.00,-50.00,risk_reserved_funds,
po_1,2026-10-07 00:00:00,txn_g,eur,-151.55,0.00,-151.55,payout,
,,txn_h,eur,10.00,0.10,9.90,charge,ch_3
"""
ADYEN_HEAD = (
    "Merchant Account,Psp Reference,Creation Date,Type,Modification Reference,Net Currency,Net Debit (NC),Net Credit (NC),"
    "Commission (NC),Markup (NC),Batch Number"
)
ADYEN = f"""{ADYEN_HEAD}
Shop,PSP1,2026-10-06 10:00:00,Settled,,EUR,,120.50,0.50,,118
Shop,PSP2,2026-10-06 10:00:00,Refunded,MOD1,EUR,20.00,,,,118
Shop,,2026-10-07 00:00:00,Fee,,EUR,0.60,,,,118
Shop,,2026-10-07 00:00:00,MerchantPayout,,EUR,99.90,,,,118
"""
GOCARDLESS = """id,amount,currency,created_at,arrival_date,transaction_fee_debit,transaction_fee_credit
PO1,98.80,EUR,2026-10-06,2026-10-07,1.30,0.10
"""
MOLLIE = {
    "resource": "settlement",
    "id": "stl_1",
    "reference": "1234567.2610.01",
    "settledAt": "2026-10-07T04:00:00+00:00",
    "amount": {"currency": "EUR", "value": "97.46"},
    "periods": {
        "2026": {
            "10": {
                "revenue": [{"amountGross": {"currency": "EUR", "value": "100.0000"}}],
                "costs": [
                    {"amountVat": {"currency": "EUR", "value": "0.4410"}, "amountGross": {"currency": "EUR", "value": "2.5410"}}
                ],
            }
        }
    },
}


@pytest.fixture(params=DATABASES)
async def installed(request, tmp_path: Path):
    async with installation(request.param, tmp_path) as found:
        found.write(tmp_path / "kruispost.yaml", settlements=ACCOUNTS, journals=JOURNALS, control_accounts=CONTROL)
        yield found


@pytest.fixture
async def embedded(tmp_path: Path):
    async with installation("sqlite", tmp_path) as found:
        found.write(tmp_path / "kruispost.yaml", settlements=ACCOUNTS, journals=JOURNALS, control_accounts=CONTROL)
        yield found


CONTROL = [{"gateway_account": "gw_1", "account": "1290"}]
JOURNALS = {"invoices": "70", "credit_notes": "70", "payments": "90", "settlements": "91"}


async def take(installed: Installation, content: str | bytes, gateway: str = "stripe", *more: str) -> tuple[int, Any]:
    file = installed.directory / ("file.json" if gateway == "mollie" else "file.csv")
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    return await installed.json("import-settlement", str(file), "--gateway", gateway, "--account", "gw_1", *more)


async def booked(installed: Installation) -> Counter[str]:
    """Sum what stands on each account; debit is positive."""
    sums: Counter[str] = Counter()
    for entry in await installed.stage.entries():
        for each in entry.lines:
            sums[each.gl_account] += -each.amount_minor if entry.kind == "sales" else each.amount_minor
    return sums


async def test_a_payout_takes_off_the_control_account_what_left_the_gateway(installed):
    await installed.stage.hear(customer(), invoice(), payment())
    assert await killed_at_each_commit(lambda: take(installed, STRIPE)) == 2
    status, told = await take(installed, STRIPE)
    (payout,) = told["payouts"]
    assert (status, payout["outcome"], payout["paid_minor"], payout["fees_minor"]) == (0, "known", 15_155, 2_045)
    (entry,) = [each for each in await installed.stage.entries() if each.document.kind == "payout"]
    lines = {each.gl_account: each.amount_minor for each in entry.lines}
    assert lines == {"1280": 15_155, "4600": 545, "4650": 1_500, "1290": -17_200}
    assert (entry.journal, str(entry.entry_date), entry.your_ref, entry.customer_ref) == ("91", "2026-10-07", "po_1", "")
    (imported,) = await installed.stage.said(facts.PayoutImported)
    assert [line.kind for line in imported.resource.lines] == ["charge", "charge", "refund", "chargeback", "other"]


async def test_a_second_import_books_nothing_and_says_so(installed):
    await take(installed, STRIPE)
    before = await booked(installed)
    status, told = await take(installed, STRIPE + "po_2,2026-10-08 00:00:00,txn_i,eur,10.00,0.10,9.90,charge,ch_9\n")
    assert (status, [each["outcome"] for each in told["payouts"]]) == (0, ["known", "planned"])
    after = await booked(installed)
    assert after["1290"] - before["1290"] == -1_000


async def test_a_dry_run_reads_and_writes_nothing(embedded):
    status, told = await take(embedded, STRIPE, "stripe", "--dry-run")
    assert (status, told["payouts"][0]["outcome"]) == (0, "not_imported")
    assert await embedded.stage.said() == []


@pytest.mark.parametrize(
    ("gateway", "content", "expected"),
    [
        ("adyen", ADYEN, {"1280": 9_990, "4600": 110, "1290": -10_100}),
        ("gocardless", GOCARDLESS, {"1280": 9_880, "4600": 120, "1290": -10_000}),
        ("mollie", json.dumps(MOLLIE), {"1280": 9_746, "4600": 254, "1290": -10_000}),
    ],
)
async def test_every_gateway_is_read(embedded, gateway, content, expected):
    status, _ = await take(embedded, content, gateway)
    assert (status, dict(await booked(embedded))) == (0, expected)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "cp1252"])
async def test_every_usual_encoding_and_separator_is_read(embedded, encoding):
    content = STRIPE.replace("ch_1", "ch_é").replace(",", ";").encode(encoding)
    assert (await take(embedded, content))[0] == 0


COLUMNS = "automatic_payout_id,automatic_payout_effective_at,currency,reporting_category,gross,fee,net"
CUT = f"{COLUMNS}\npo_1,2026-10-07,eur,charge,1.00,0.10,0.9"
BAD = {
    "a missing column": (STRIPE.replace(",net,", ",nett,"), "has no column net"),
    "a line that is cut off": (STRIPE.rstrip("\n").rsplit(",", 3)[0], "file.csv:9: the line has 6 of 9 columns"),
    "a number that is cut off": (CUT, "file.csv:2: the last line has no end, so net may be cut off"),
    "a movement twice": (STRIPE + STRIPE.splitlines()[1] + "\n", "file.csv:10: balance_transaction_id txn_a stands on line 2"),
    "an amount that is none": (STRIPE.replace("242.00", "lots"), "file.csv:3: gross is 'lots'"),
    "sums that do not add up": (STRIPE.replace("238.90", "238.80"), "file.csv:3: gross 242.00 less fee 3.10 is not net 238.80"),
    "rows that are missing": (STRIPE.replace(STRIPE.splitlines(keepends=True)[2], ""), "is of 151.55, and its rows add up to"),
    "a movement in two payouts": (
        STRIPE + STRIPE.splitlines()[1].replace("po_1", "po_2") + "\n",
        "file.csv:10: balance_transaction_id txn_a stands on line 2",
    ),
    "two currencies": (STRIPE.replace("txn_b,eur", "txn_b,usd"), "EUR and USD"),
    "a date that is none": (STRIPE.replace("2026-10-07", "07/10/2026"), "and not a date such as"),
    "nothing but a heading": (HEAD + "\n", "has no rows"),
    "no text": (b"\x00\x81\x8d\x8f\xff\xfe", "is no text that can be read"),
}


@pytest.mark.parametrize(("content", "says"), BAD.values(), ids=BAD.keys())
async def test_a_bad_file_is_one_sentence_and_books_nothing(embedded, content, says):
    (embedded.directory / "file.csv").write_bytes(content if isinstance(content, bytes) else content.encode())
    file = str(embedded.directory / "file.csv")
    done = await embedded.run("import-settlement", file, "--gateway", "stripe", "--account", "gw_1")
    assert done.returncode == 2
    assert says in done.stderr
    assert await embedded.stage.said() == []


async def test_a_payout_that_says_something_else_than_before_is_refused(embedded):
    await take(embedded, GOCARDLESS, "gocardless")
    (embedded.directory / "file.csv").write_text(GOCARDLESS.replace("98.80", "98.70"))
    arguments = ("--gateway", "gocardless", "--account", "gw_1")
    done = await embedded.run("import-settlement", str(embedded.directory / "file.csv"), *arguments)
    assert (done.returncode, len(await embedded.stage.entries())) == (2, 1)
    was, says = (f"EUR {paid} of 2026-10-07 with 1.20 of fees" for paid in ("98.80", "98.70"))
    assert f"Payout PO1 was imported before with {was}, and this file says {says}; nothing" in done.stderr


async def test_an_account_that_no_money_went_over_is_refused_with_those_that_are_known(embedded):
    """Booked under a name with a slip it could not be imported under the right one any more."""
    embedded.write(embedded.directory / "kruispost.yaml", settlements=ACCOUNTS, journals=JOURNALS)
    file = embedded.directory / "file.csv"
    file.write_text(GOCARDLESS)
    done = await embedded.run("import-settlement", str(file), "--gateway", "gocardless", "--account", "gw_1")
    assert "No payment over gateway account gw_1 is known of site acme-test (known: none)" in done.stderr
    await embedded.stage.hear(customer(), invoice(), payment())
    before = len(await embedded.stage.entries())
    for more in ((), ("--dry-run",)):
        done = await embedded.run("import-settlement", str(file), "--gateway", "gocardless", "--account", "gw_l", *more)
        assert (done.returncode, len(await embedded.stage.entries())) == (2, before)
        assert "No payment over gateway account gw_l is known of site acme-test (known: gw_1)" in done.stderr
    status, told = await take(embedded, GOCARDLESS, "gocardless")
    assert (status, told["payouts"][0]["outcome"]) == (0, "planned")


async def test_a_payout_is_explained_with_what_it_took_off_the_control_account(embedded):
    await take(embedded, STRIPE)
    await embedded.stage.post_all()
    done = await embedded.run("explain", "po_1")
    assert done.stdout.startswith("payout po_1 of 2026-10-07, EUR 172.00: ")
    # Today's rules were not tried on it, so nothing is said of what they would do.
    others = {**ACCOUNTS, "fee_account": "4699", "fee_vat": {"treatment": "domestic", "code": "I2", "rate": "21"}}
    file = embedded.directory / "kruispost.yaml"
    embedded.write(file, settlements=others, journals=JOURNALS, control_accounts=CONTROL)
    assert "The present mapping would book it the same" not in (await embedded.run("explain", "po_1")).stdout
    done = await embedded.run("explain", "po_1", "--lang", "nl")
    assert done.stdout.startswith("uitbetaling van de betaaldienst po_1 van 2026-10-07, EUR 172.00: ")


async def test_a_payout_on_the_other_side_of_the_world_keeps_its_day(embedded):
    written = yaml.safe_load((embedded.directory / "kruispost.yaml").read_text())
    written["sites"]["acme-test"]["time_zone"] = "Pacific/Auckland"
    (embedded.directory / "kruispost.yaml").write_text(yaml.safe_dump(written))
    _, told = await take(embedded, STRIPE)
    assert told["payouts"][0]["day"] == "2026-10-07"


async def test_without_accounts_the_payout_is_held_until_they_are_written(embedded):
    embedded.write(embedded.directory / "kruispost.yaml", control_accounts=CONTROL)
    status, told = await take(embedded, GOCARDLESS, "gocardless")
    assert (status, told["payouts"][0]["code"]) == (1, "no_settlement_accounts")


async def proved(installed: Installation, *more: str) -> tuple[int, dict[str, Any]]:
    status, told = await installed.json("control-accounts", *more)
    (account,) = told["accounts"]
    return status, account


async def test_a_control_account_comes_to_zero_with_a_file_that_does_not_say_what_was_paid_out(embedded):
    """Charges of GoCardless would be called late for ever."""
    await embedded.stage.hear(customer(), invoice(), payment(amount=7_900), payment(id="txn_2", amount=2_100, linked_invoices=[]))
    await take(embedded, GOCARDLESS, "gocardless")
    done = await embedded.run("control-accounts", "--on", "2026-12-31", "--lang", "nl")
    assert (done.returncode, done.stdout.splitlines()) == (
        0,
        [
            "1290 van administratie 100001, account bij de betaaldienst gw_1: saldo EUR 0.00",
            "  nog niet uitbetaald: 0, samen 0.00",
            "  uitbetaald, waar het bestand niet zegt wat erin zit: de oudste 2, tot en met 2026-10-05, zijn precies die 100.00",
            "  elk bedrag heeft zijn naam",
            "",
        ],
    )
    status, account = await proved(embedded, "--on", "2026-12-31")
    assert (status, account["balance_minor"], len(account["paid_out_by_sum"])) == (0, 0, 2)


async def test_the_control_account_is_proved_charge_by_charge(installed):
    await installed.stage.hear(customer(), invoice(), payment(id_at_gateway="ch_1"))
    await installed.stage.hear(payment(id="txn_2", id_at_gateway="ch_2", amount=24_200, linked_invoices=[]))
    await installed.stage.hear(payment(id="txn_3", id_at_gateway="ch_9", linked_invoices=[]))
    status, account = await proved(installed, "--on", "2026-10-06")
    assert (status, account["balance_minor"], len(account["open"])) == (0, 48_400, 3)
    paid = STRIPE.replace("po_1,2026-10-07 00:00:00,txn_c,eur,-20.00,0.00,-20.00,refund,ch_2\n", "")
    paid = paid.replace("po_1,2026-10-07 00:00:00,txn_d,eur,-121.00,15.00,-136.00,dispute,ch_1\n", "")
    await take(installed, paid.replace("-151.55", "-307.55"))
    status, account = await proved(installed, "--on", "2026-10-08")
    assert (status, account["balance_minor"]) == (0, 17_100)
    assert ([each["number"] for each in account["open"]], account["reserve_minor"]) == (["txn_3"], 5_000)
    assert account["unexplained_minor"] == 0
    status, account = await proved(installed, "--on", "2026-11-30")
    assert (status, account["open"][0]["is_late"]) == (1, True)


async def test_what_a_payout_holds_and_was_never_booked_is_named(embedded):
    await embedded.stage.hear(customer(), invoice(), payment(id_at_gateway="ch_1"))
    await take(embedded, STRIPE)
    status, account = await proved(embedded, "--on", "2026-10-08")
    assert status == 1
    assert [(each["payout"], each["amount_minor"]) for each in account["not_booked"]] == [
        ("po_1", 24_200),
        ("po_1", -2_000),
        ("po_1", -12_100),
    ]
    done = await embedded.run("control-accounts", "--on", "2026-10-08", "--lang", "nl")
    assert "NIET BEWEZEN" in done.stdout


async def test_what_a_gateway_took_back_in_the_end_leaves_nothing_to_explain(embedded):
    """A debit that failed late and a dispute that was won are in payouts twice, and in the books not at all."""
    rows = ["txn_1,eur,121.00,0.00,121.00,charge,ch_1", "txn_2,eur,-121.00,0.00,-121.00,charge_failure,ch_1"]
    rows += ["txn_3,eur,-50.00,0.00,-50.00,dispute,ch_2", "txn_4,eur,50.00,0.00,50.00,dispute_reversal,ch_2"]
    await take(
        embedded, HEAD + "\n" + "".join(f"po_1,2026-10-07,{row}\n" for row in [*rows, "txn_5,eur,10.00,0,10.00,charge,ch_9"])
    )
    await embedded.stage.hear(customer(), payment(amount=1_000, id_at_gateway="ch_9", linked_invoices=[]))
    status, account = await proved(embedded, "--on", "2026-10-08")
    assert (status, account["not_booked"], account["balance_minor"]) == (0, [], 0)


async def test_after_another_account_is_mapped_each_control_account_still_is_its_open_items(embedded):
    """What stands on the former account is proved there, what a payout took off the new one instead is named on both."""
    await embedded.stage.hear(customer(), invoice(), payment(id_at_gateway="ch_1"))
    await embedded.stage.hear(payment(id="txn_2", id_at_gateway="ch_2", amount=5_000, linked_invoices=[]))
    rest = {"settlements": ACCOUNTS, "journals": JOURNALS}
    embedded.write(embedded.directory / "kruispost.yaml", control_accounts=[{"account": "1291"}], **rest)
    await take(embedded, f"{HEAD}\npo_1,2026-10-07,txn_a,eur,121.00,1.85,119.15,charge,ch_1\n")
    status, told = await embedded.json("control-accounts", "--on", "2026-10-08")
    former, present = told["accounts"]
    assert status == 0
    assert (former["account"], former["balance_minor"], [each["number"] for each in former["open"]]) == (
        "1290",
        17_100,
        ["txn_2"],
    )
    assert former["paid_out_over"] == [{"account": "1291", "amount_minor": 12_100}]
    assert (present["account"], present["balance_minor"], present["open"]) == ("1291", -12_100, [])
    assert present["paid_out_over"] == [{"account": "1290", "amount_minor": -12_100}]
    assert (former["unexplained_minor"], present["unexplained_minor"]) == (0, 0)
    sums = await booked(embedded)
    assert (sums["1290"], sums["1291"]) == (17_100, -12_100)
    done = await embedded.run("control-accounts", "--on", "2026-10-08")
    assert done.stdout.count("booked on 1290, paid out over 1291 (the mapping changed): 121.00; book it from 1290 to 1291") == 2


BY_DATE = [{"account": "1290", "until": "2026-10-05"}, {"account": "1291", "from": "2026-10-06"}]


async def test_a_payout_takes_what_was_charged_before_another_account_began_off_the_former_one(installed):
    """What each account owes is settled there: of one payout the first charge and its part on 1290, the rest on 1291."""
    written = {"settlements": ACCOUNTS, "journals": JOURNALS}
    installed.write(installed.directory / "kruispost.yaml", control_accounts=BY_DATE, **written)
    installed.stage = Stage(installed.stage.database, configured(control_accounts=BY_DATE, **written))
    await installed.stage.hear(customer(), invoice(), payment(id_at_gateway="ch_1"))
    await installed.stage.hear(
        payment(id="txn_2", id_at_gateway="ch_2", date=OCTOBER_5 + 86_400, amount=5_000, linked_invoices=[])
    )
    await installed.stage.hear(payment(id="txn_3", id_at_gateway="ch_3", amount=700, linked_invoices=[]))
    sums = await booked(installed)
    assert (sums["1290"], sums["1291"]) == (12_800, 5_000)
    rows = ["txn_a,eur,121.00,1.85,119.15,charge,ch_1", "txn_b,eur,50.00,0.90,49.10,charge,ch_2"]
    await take(installed, HEAD + "\n" + "".join(f"po_1,2026-10-07,{row}\n" for row in rows))
    (entry,) = [each for each in await installed.stage.entries() if each.document.kind == "payout"]
    assert [(each.gl_account, each.amount_minor) for each in entry.lines] == [
        ("1280", 16_825),
        ("4600", 275),
        ("1291", -5_000),
        ("1290", -12_100),
    ]
    status, told = await installed.json("control-accounts", "--on", "2026-10-08")
    former, present = told["accounts"]
    assert (status, former["account"], former["balance_minor"], former["paid_out_over"]) == (0, "1290", 700, [])
    assert [each["number"] for each in former["open"]] == ["txn_3"]
    assert (present["account"], present["balance_minor"], present["open"], present["paid_out_over"]) == ("1291", 0, [], [])
    shown = await installed.run("explain", "po_1")
    assert "121.00 EUR of it had been booked on control account 1290, and is taken off there." in shown.stdout


async def test_a_charge_that_is_booked_after_its_payout_is_named_on_both_accounts(embedded):
    written = {"settlements": ACCOUNTS, "journals": JOURNALS}
    embedded.write(embedded.directory / "kruispost.yaml", control_accounts=BY_DATE, **written)
    embedded.stage = Stage(embedded.stage.database, configured(control_accounts=BY_DATE, **written))
    await embedded.stage.hear(customer(), invoice(), payment(id_at_gateway="ch_1"))
    rows = ["txn_a,eur,121.00,1.85,119.15,charge,ch_1", "txn_b,eur,7.00,0.10,6.90,charge,ch_3"]
    await take(embedded, HEAD + "\n" + "".join(f"po_1,2026-10-07,{row}\n" for row in rows))
    await embedded.stage.hear(payment(id="txn_3", id_at_gateway="ch_3", amount=700, linked_invoices=[]))
    status, told = await embedded.json("control-accounts", "--on", "2026-10-08")
    former, present = told["accounts"]
    assert (status, former["balance_minor"], former["paid_out_over"]) == (0, 700, [{"account": "1291", "amount_minor": 700}])
    assert (present["balance_minor"], present["paid_out_over"]) == (-700, [{"account": "1290", "amount_minor": -700}])
    assert (former["unexplained_minor"], present["unexplained_minor"]) == (0, 0)
