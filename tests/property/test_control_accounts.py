"""The parts of a control account's balance add up to it, whatever was charged, refunded, paid out, kept or forgotten."""

from dataclasses import replace
from datetime import date, timedelta

from hypothesis import given
from hypothesis import strategies as st

from bookkeeping.control_accounts import BookedMovement, BookedPayout, Direction, PaidOutLine, ProofMaker

DAY = date(2026, 3, 1)
DIRECTIONS: tuple[Direction, ...] = ("in", "in", "in", "out")


@st.composite
def histories(draw: st.DrawFn) -> tuple[ProofMaker, dict[str, int]]:
    """Charges and refunds of a gateway, some in payouts; some payouts keep a reserve, some hold what was never booked."""
    maker, truth = ProofMaker(), {"open": 0, "reserve": 0, "strange": 0}
    for number in range(draw(st.integers(0, 12))):
        direction: Direction = draw(st.sampled_from(DIRECTIONS))
        amount = draw(st.integers(1, 50_000)) * (1 if direction == "in" else -1)
        identity = f"ch_{number}"
        movement = BookedMovement(
            number=f"txn_{number}", direction=direction, day=DAY + timedelta(number), amount_minor=amount, gateway_id=identity
        )
        fate = draw(st.sampled_from(["open", "paid", "paid", "strange"]))
        if fate != "strange":
            maker.movements.append(movement)
        if fate == "open":
            truth["open"] += amount
            continue
        truth["strange"] += fate == "strange"
        maker.lines.append(PaidOutLine(payout="po", direction=direction, ids=(f"pi_{number}", identity), amount_minor=amount))
    for _ in range(draw(st.integers(0, 2))):
        kept = draw(st.integers(-5_000, 5_000))
        maker.lines.append(PaidOutLine(payout="po", direction=None, ids=(), amount_minor=-kept))
        truth["reserve"] += kept
    whole = sum(line.amount_minor for line in maker.lines)
    maker.payouts.append(BookedPayout(number="po", day=DAY, amount_minor=whole, has_lines=True))
    for each in (maker.movements, maker.lines):
        draw(st.randoms()).shuffle(each)
    return maker, truth


@given(histories())
def test_every_cent_of_the_balance_has_one_name(history):
    maker, truth = history
    proof = maker.prove()
    assert proof.unexplained_minor == 0
    assert sum(each.amount_minor for each in proof.open) == truth["open"]
    assert (proof.reserve_minor, len(proof.strange), proof.differing) == (truth["reserve"], truth["strange"], ())
    assert proof.is_sound == (truth["strange"] == 0)


def test_an_amount_that_differs_and_a_movement_in_two_payouts_are_told():
    charge = BookedMovement(number="txn_1", direction="in", day=DAY, amount_minor=12_100, gateway_id="ch_1")
    lines = [PaidOutLine(payout=name, direction="in", ids=("ch_1",), amount_minor=12_000) for name in ("po_1", "po_2")]
    payouts = [BookedPayout(number=name, day=DAY, amount_minor=12_000, has_lines=True) for name in ("po_1", "po_2")]
    proof = ProofMaker([charge], payouts, lines).prove()
    assert [(booked.number, line.payout) for booked, line in proof.differing] == [("txn_1", "po_1")]
    assert [line.payout for line in proof.strange] == ["po_2"]
    assert (proof.unexplained_minor, proof.is_sound) == (0, False)


def test_a_payout_whose_lines_are_not_all_of_it_leaves_a_rest():
    lines = [PaidOutLine(payout="po_1", direction=None, ids=(), amount_minor=100)]
    proof = ProofMaker([], [BookedPayout(number="po_1", day=DAY, amount_minor=150, has_lines=True)], lines).prove()
    assert (proof.unexplained_minor, proof.is_sound) == (-50, False)


@given(histories(), st.randoms())
def test_the_balances_of_two_accounts_have_names_after_another_one_was_mapped(history, luck):
    maker, _ = history
    maker.movements = [replace(each, account=luck.choice(["1290", "1291"])) for each in maker.movements]
    maker.payouts = [replace(each, account="1291") for each in maker.payouts]
    proofs = {account: maker.prove(account) for account in maker.accounts}
    assert all(proof.unexplained_minor == 0 for proof in proofs.values())
    assert sum(each.amount_minor for proof in proofs.values() for each in proof.elsewhere) == 0
    for account, proof in proofs.items():
        booked = sum(each.amount_minor for each in maker.movements if each.account == account)
        assert proof.balance_minor == booked - sum(each.amount_minor for each in maker.payouts if each.account == account)


@given(histories(), st.randoms(), st.booleans())
def test_a_payout_that_takes_each_movement_off_its_own_account_leaves_only_open_items_there(history, luck, comes_late):
    maker, truth = history
    maker.movements = [replace(each, account=luck.choice(["1290", "1291"])) for each in maker.movements]
    former = {line.ids[1]: line.amount_minor for line in maker.lines if line.direction is not None}
    paid = [each for each in maker.movements if each.account == "1290" and each.gateway_id in former]
    # What was booked after the payout could not be taken off where it stands.
    late = paid[:1] if comes_late else []
    part = sum(each.amount_minor for each in paid if each not in late)
    elsewhere = (("1290", part),) if part else ()
    maker.payouts = [replace(each, account="1291", elsewhere=elsewhere) for each in maker.payouts]
    proofs = {account: maker.prove(account) for account in ("1290", "1291")}
    moved = sum(each.amount_minor for each in late)
    assert all(proof.unexplained_minor == 0 for proof in proofs.values())
    assert [sum(each.amount_minor for each in proofs[name].elsewhere) for name in ("1290", "1291")] == [moved, -moved]
    old = proofs["1290"]
    assert old.balance_minor == sum(each.amount_minor for each in old.open) + moved
    assert (old.reserve_minor, old.strange, old.differing) == (0, (), ())
    assert sum(each.amount_minor for proof in proofs.values() for each in proof.open) == truth["open"]


def test_a_payout_that_took_nothing_off_the_account_settles_what_it_holds_there():
    """A charge and its reversal in one payout: the fee was paid to the gateway, and no line stands on the control account."""
    made: tuple[tuple[str, Direction, int], ...] = (("txn_1", "in", 9_562), ("txn_2", "out", -9_562))
    charges = [
        BookedMovement(number=name, direction=way, day=DAY, amount_minor=amount, gateway_id=name, account="1290")
        for name, way, amount in made
    ]
    lines = [PaidOutLine(payout="po_1", direction=way, ids=(name,), amount_minor=amount) for name, way, amount in made]
    lines.append(PaidOutLine(payout="po_1", direction="in", ids=("never",), amount_minor=1))
    maker = ProofMaker(charges, [BookedPayout(number="po_1", day=DAY, amount_minor=0, has_lines=True, account=None)], lines)
    assert maker.accounts == ["1290"]
    proof = maker.prove("1290")
    assert (proof.balance_minor, proof.open, proof.elsewhere) == (0, (), ())
    assert [line.ids for line in proof.strange] == [("never",)]


def charge(number: str, amount_minor: int, day: date = DAY) -> BookedMovement:
    return BookedMovement(number=number, direction="in", day=day, amount_minor=amount_minor, gateway_id=number)


def without_lines(number: str, amount_minor: int, day: date = DAY) -> BookedPayout:
    return BookedPayout(number=number, day=day, amount_minor=amount_minor, has_lines=False)


def test_payouts_whose_file_does_not_say_what_is_in_them_cover_the_oldest_charges_of_exactly_their_sum():
    later = DAY + timedelta(days=1)
    charges = [charge("c", 700, later), charge("a", 12_100), charge("b", 5_000)]
    maker = ProofMaker(charges, [without_lines("po_1", 12_100), without_lines("po_2", 5_000)])
    proof = maker.prove()
    assert [each.number for each in proof.covered] == ["a", "b"]
    assert [each.number for each in proof.open] == ["c"]
    assert (proof.balance_minor, proof.unexplained_minor, proof.is_sound) == (700, 0, True)
    assert proof.older_than(later) == []
    assert [each.number for each in proof.older_than(later + timedelta(days=1))] == ["c"]


def test_charges_are_late_only_when_they_are_more_than_such_payouts_paid():
    maker = ProofMaker([charge("a", 12_100), charge("b", 5_000)], [without_lines("po_1", 5_000)])
    proof = maker.prove()
    assert (proof.covered, len(proof.open), proof.unexplained_minor) == ((), 2, 0)
    assert len(proof.older_than(DAY + timedelta(days=9))) == 2
    maker.movements = [charge("a", 4_000), charge("c", 2_000, DAY + timedelta(days=5))]
    assert maker.prove().older_than(DAY + timedelta(days=1)) == []


def test_a_charge_after_the_last_payout_is_not_taken_to_be_in_it():
    maker = ProofMaker([charge("a", 5_000, DAY + timedelta(days=1))], [without_lines("po_1", 5_000)])
    assert (maker.prove().covered, maker.prove().unexplained_minor) == ((), 0)
