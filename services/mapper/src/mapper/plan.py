"""Deciding about documents: book, hold, set aside, take back or book anew; all within the transaction of the message."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date

import msgspec
from msgspec import structs

from backbone.clock import Clock
from backbone.telemetry import Telemetry
from bookkeeping.bookings import Booking, booking_of, reference
from bookkeeping.journal import Entry
from bookkeeping.mapping import Mapping
from bookkeeping.rejections import Rejection, SetAside, reject, set_aside
from bookkeeping.telling import InTwo, tell
from contracts import chargebee
from contracts.commands import LinkedEntry, PostEntry
from contracts.envelope import Envelope, Message, seal
from contracts.facts import DocumentHeld, DocumentPlanned, DocumentRef, DocumentSetAside
from mapper.applications import KIND as APPLICATION
from mapper.credited_bookings import AFTER_OTHERS, mirror_of
from mapper.decision import decide, in_open_period
from mapper.issue import (
    as_issued,
    base_reference,
    booked_entry,
    is_withdrawn,
    period_moves,
    post_entry,
    reasons_of,
    relatives_of,
    remarks_on,
    save_account,
    with_pdf,
)
from mapper.linked import changed_since, stand_in
from mapper.store import ISSUED, Key, Refusal, Row, Store
from mapper.subjects import Subject, Subjects, booking_ref, customer_key, followed, is_changed, name_of

SOURCE = "mapper"
ABOUT_ACCOUNTS = frozenset(("customer_ambiguous", "account_blocked", "unknown_account"))


@dataclass(frozen=True, slots=True)
class Cause:
    """What a decision answers to: a message, or the start of a new mapping, told apart by its version."""

    envelope: Envelope | None
    distinguisher: str = ""
    is_asked: bool = False  # by a person who waits for one document
    linked: LinkedEntry | None = None  # the entry of Exact's that a person says the document is
    is_other: bool = False  # a person says that what Exact has is not the document
    remarks: tuple[InTwo, ...] = ()  # what is told of the entry because of it


@dataclass(frozen=True, slots=True)
class Party:
    """For whom and where an entry is booked, and what it is called."""

    mapping: Mapping
    customer: chargebee.Customer | None
    ref: DocumentRef


class Planner:
    """Decides about one document at a time and appends what it decided to the log."""

    def __init__(self, subjects: Subjects, clock: Clock, telemetry: Telemetry) -> None:
        self._subjects = subjects
        self._clock = clock
        self._telemetry = telemetry
        self.asks_subscriptions = subjects.asks_subscriptions

    async def plan(self, store: Store, key: Key, cause: Cause, *, again: bool = False) -> None:
        """Take the next step of a document as it stands now: book it, take its booking back, book its changed state, or wait.

        Each step follows the posting of the one before. A refused one is tried only when something changed or `again` says so.
        """
        life = Booking(booking_of(key.suffix).life)
        subject = await self._subjects.load(store, replace(key, suffix=life.suffix))
        if subject is None:
            return
        rows = await store.bookings(subject.key)
        await self._note_merges(store, subject, rows, cause)
        last = next((row for row in reversed(rows) if row.state in ISSUED), None)
        place = life if last is None else booking_of(last.key.suffix).following()
        pending = next((row for row in rows if row.key.suffix == place.suffix), None)
        if pending is not None and pending.state == "refused" and not again and not is_changed(pending, subject):
            return
        if last is not None and not await self._is_due(store, subject, last, cause):
            if last.state == "booked" and pending is not None and pending.state != "set_aside":
                needless = set_aside("change_taken_back", document=name_of(subject))
                await self._refrain(store, subject, pending, needless, cause, place.suffix)
            return
        if last is not None and place.is_reversal:
            await self._take_back(store, subject, last, pending, cause)
            return
        decision = await decide(store, subject, pending, self._clock.now().date(), is_first=last is None)
        if cause.linked is not None and not isinstance(decision, Entry):
            decision = stand_in(subject, decision)
        if isinstance(decision, Entry):
            await self._issue(store, subject, pending, decision, cause, place.suffix)
        else:
            await self._refrain(store, subject, pending, decision, cause, place.suffix)

    async def take_back_wrong(self, store: Store, seen: Row, cause: Cause) -> bool:
        """Take back, on its own day, what wrong rules booked, if it stands as seen; what today's make of it follows."""
        life = Booking(booking_of(seen.key.suffix).life)
        subject, rows = await self._subjects.load(store, replace(seen.key, suffix=life.suffix)), await store.bookings(seen.key)
        last = next((row for row in reversed(rows) if row.state in ISSUED), None)
        if last is None or last != seen or subject is None or subject.is_gone or subject.fingerprint != last.fingerprint:
            return False
        place = booking_of(last.key.suffix).following()
        pending = next((row for row in rows if row.key.suffix == place.suffix), None)
        await self._take_back(store, subject, last, pending, cause, on_its_day=True)
        taken = await store.document(replace(last.key, suffix=place.suffix))
        return taken is not None and taken.state == "planned"

    async def _note_merges(self, store: Store, subject: Subject, rows: Sequence[Row], cause: Cause) -> None:
        """Learn from a document that moved to another customer into whom its former one was merged."""
        if subject.is_money:
            return  # who pays may be another customer than whose invoice it is
        site, now = subject.key.site, subject.ref.customer_id
        for before in {row.customer_id for row in rows} - {now, ""}:
            if await store.note_merge(site, before, now):
                store.stand_still()  # another partition may be holding a document of the former customer at this moment
                for key in await store.of_customer(site, before, "held"):
                    if key.number != subject.key.number:
                        await self.plan(store, key, cause)

    async def _is_due(self, store: Store, subject: Subject, last: Row, cause: Cause) -> bool:
        """Tell whether a step follows what was issued last; a change that the policy leaves to a person is told once."""
        if booking_of(last.key.suffix).is_reversal:
            return last.state == "booked" and not subject.is_gone
        linked = changed_since(subject, last)
        if linked is not None:
            await self._tell_change(store, subject, last, *linked, cause)
            return False
        if subject.is_gone or subject.is_partial:
            return subject.is_gone and last.state == "booked"
        if last.fingerprint == subject.fingerprint:
            await self._withdraw_change(store, subject, last, tell("again_as_booked"), cause)
            return False
        if (mapping := subject.mapping) and (mapping.changes == "correct" or subject.key.kind == APPLICATION):
            return last.state == "booked"
        division = mapping.division if mapping is not None else last.division
        decision = reject("changed_after_booking", document=name_of(subject), division=division)
        await self._tell_change(store, subject, last, decision, subject.fingerprint, cause)
        return False

    async def _tell_change(self, store: Store, subject: Subject, last: Row, told: Rejection, mark: str, cause: Cause) -> None:
        """Tell a person once of a change that is left to him; `mark` is by what it is known again."""
        if last.told != mark:
            await store.save(replace(last, code=told.code, told=mark))
            await self._tell(store, last.key, booking_ref(subject, last.key.suffix), told, cause)

    async def _withdraw_change(self, store: Store, subject: Subject, last: Row, words: InTwo, cause: Cause) -> None:
        """Say that nobody needs to look at a change any more that had been told."""
        if last.told is None:
            return
        await store.save(replace(last, code=None, told=None))
        if last.command_id is None or last.division is None:
            return
        planned = DocumentPlanned(
            document=booking_ref(subject, last.key.suffix),
            division=last.division,
            command_id=last.command_id,
            mapping_version=last.mapping_version or "",
            explanation=(words.english,),
            explanation_nl=(words.dutch,),
        )
        await self._append(store, last.key, [(planned, customer_key(subject.ref))], cause, f"again {last.command_id}")

    async def _issue(
        self, store: Store, subject: Subject, row: Row | None, entry: Entry, cause: Cause, suffix: str, party: Party | None = None
    ) -> None:
        """Issue the command of an entry for the subject's own customer and division, or for those that were booked."""
        ref = booking_ref(subject, suffix)
        if party is None:
            if subject.mapping is None or (subject.customer is None and ref.customer_id):
                raise ValueError(f"{ref.kind} {ref.number} is issued without a mapping or customer")
            party = Party(subject.mapping, subject.customer, ref)
        mapping, ref = party.mapping, party.ref
        attempt = 0 if row is None or row.command_id is None else row.attempt + 1
        entry = as_issued(entry, structs.replace(ref, suffix=suffix))
        command = post_entry(entry, ref, mapping, attempt, pdf=with_pdf(ref, party.customer, mapping), zone=subject.zone)
        chosen = {"is_asked": cause.is_asked, "linked": cause.linked, "follows": followed(subject, ref)}
        command = structs.replace(command, **chosen, may_exist=command.may_exist and not (cause.linked or cause.is_other))
        for customer_id in filter(None, entry.customers(ref.customer_id)):
            customer = party.customer
            if customer is None or customer_id != customer.id:
                customer = await store.resource(ref.site, "customer", customer_id, chargebee.Customer)
            if customer is not None:
                await self.send_account(store, ref.site, customer, mapping.division, cause)
        key = replace(subject.key, suffix=suffix)
        told = entry.explanation + remarks_on(party.customer, mapping) + cause.remarks
        planned = DocumentPlanned(
            document=ref,
            division=mapping.division,
            command_id=command.command_id,
            mapping_version=mapping.version,
            explanation=tuple(each.english for each in told),
            explanation_nl=tuple(each.dutch for each in told),
            reasons=reasons_of(entry),
            moves=period_moves(entry),
        )
        await self._append(
            store, key, [(planned, customer_key(ref)), (command, str(mapping.division))], cause, command.command_id
        )
        row = Row(
            key=key,
            customer_id=ref.customer_id,
            division=mapping.division,
            state="planned",
            fingerprint=subject.fingerprint,
            attempt=attempt,
            command_id=command.command_id,
            command=msgspec.json.encode(command),
            mapping_version=mapping.version,
            resource_version=subject.resource_version,
        )
        await store.save(row)
        self._telemetry.count("documents_planned", kind=ref.kind)
        refusal = await store.refusal(mapping.division, command.customer_ref)
        if refusal is not None:
            await self.hold_for_customer(store, row, ref, refusal, cause)

    async def send_account(
        self, store: Store, site: str, customer: chargebee.Customer, division: int, cause: Cause, *, again: bool = False
    ) -> None:
        """Send a customer to a division when it is new there, or a field that Exact gets has changed, or `again`.

        One that was deleted or made anonymous in Chargebee stays in Exact as it was; its blanks overwrite nothing.
        """
        mapping = self._subjects.mapping(division)
        if mapping is None:
            return
        command = save_account(customer, site, mapping, self._day_of(cause))
        known = await store.account_fingerprint(division, command.customer_ref)
        if known == command.fingerprint and not again:
            return
        if known is not None and is_withdrawn(customer) and await store.refusal(division, command.customer_ref) is None:
            return
        await store.save_account(division, command.customer_ref, command.fingerprint)
        for above in sorted(set(relatives_of(customer, site, mapping).values())):
            # Those above go first, so that their accounts are there to be named; this one is noted, so that no circle is endless.
            other = await store.resource(site, "customer", above.split("/", 1)[1], chargebee.Customer)
            if other is not None:
                await self.send_account(store, site, other, division, cause)
        stream = f"account/{command.customer_ref}"
        version = await store.stream_version(stream)
        distinguisher = f"{division}:{command.fingerprint}" + (f":{version}" if again else "")
        envelope = self._seal(command, command.customer_ref, str(division), cause, distinguisher)
        await store.append(stream, version, [envelope])

    async def _refrain(
        self, store: Store, subject: Subject, row: Row | None, decision: Rejection | SetAside, cause: Cause, suffix: str
    ) -> None:
        """Tell why a document is not booked, once for each change of the reason."""
        ref = booking_ref(subject, suffix)
        waits_for = decision.waits_for if isinstance(decision, Rejection) else None
        state = "set_aside" if isinstance(decision, SetAside) else "waiting" if decision.waiting else "held"
        new = Row(
            key=replace(subject.key, suffix=suffix),
            customer_id=subject.ref.customer_id,
            division=subject.division,
            state=state,
            code=decision.code,
            waits_for=waits_for,
            fingerprint=subject.fingerprint,
            attempt=row.attempt if row is not None else 0,
            command_id=row.command_id if row is not None else None,
            command=row.command if row is not None else None,
            mapping_version=subject.mapping.version if subject.mapping is not None else None,
            waiting_since=self._waiting_since(row, decision),
        )
        if row == new:
            return
        await store.save(new)
        told = row is not None and row.fingerprint is not None
        if told and row is not None and (row.state, row.code, row.waits_for) == (state, decision.code, waits_for):
            return
        await self._tell(store, new.key, ref, decision, cause)

    def _waiting_since(self, row: Row | None, decision: Rejection | SetAside) -> date | None:
        if not isinstance(decision, Rejection) or not (decision.waiting or decision.since):
            return None
        # One thing after another may be missing; the document has waited for as long as the first.
        if row is not None and row.code == decision.code and row.waiting_since is not None:
            return row.waiting_since
        return self._clock.now().date()

    async def _tell(self, store: Store, key: Key, ref: DocumentRef, decision: Rejection | SetAside, cause: Cause) -> None:
        message: Message
        if isinstance(decision, SetAside):
            message = DocumentSetAside(
                document=ref, code=decision.code, sentence=decision.sentence, sentence_nl=decision.sentence_nl
            )
            self._telemetry.count("documents_set_aside", code=decision.code)
        else:
            message = DocumentHeld(
                document=ref,
                code=decision.code,
                sentence=decision.sentence,
                action=decision.action,
                waiting=decision.waiting,
                sentence_nl=decision.sentence_nl,
                action_nl=decision.action_nl,
            )
            self._telemetry.count("documents_held", code=decision.code)
        await self._append(store, key, [(message, customer_key(ref))], cause, decision.code + key.suffix)

    async def hold(self, store: Store, row: Row, ref: DocumentRef, decision: Rejection, cause: Cause, *, state: str) -> None:
        """Hold a booking that was issued already, because Exact refused it or its customer."""
        await store.save(replace(row, state=state, code=decision.code, waits_for=decision.waits_for))
        await self._tell(store, row.key, ref, decision, cause)

    async def hold_for_customer(self, store: Store, row: Row, ref: DocumentRef, refusal: Refusal, cause: Cause) -> None:
        """Show why the customer is not in Exact; the command stays with the writer, which posts it once the customer is taken."""
        name = f"{ref.kind.replace('_', ' ')} {ref.number}"
        code = refusal.code if refusal.code in ABOUT_ACCOUNTS else "customer_refused"
        decision = reject(
            code,
            customer=ref.customer_id,
            document=name,
            message=InTwo(refusal.message, refusal.message_nl),
            division=row.division,
            site=ref.site,
        )
        await self.hold(store, row, ref, decision, cause, state="planned")

    async def _take_back(
        self, store: Store, subject: Subject, last: Row, pending: Row | None, cause: Cause, *, on_its_day: bool = False
    ) -> None:
        """Book the mirror of what was booked: for the customer, in the division and with the lines that it was booked with.

        Where the document lives on in another state, that state must be bookable first, or the books would have neither.
        """
        suffix = booking_of(last.key.suffix).following().suffix
        if last.command is None:
            return
        if not subject.is_gone:
            state = await decide(store, subject, None, self._clock.now().date(), is_first=False)
            if isinstance(state, Rejection) and not (on_its_day and state.code in AFTER_OTHERS):
                await self._refrain(store, subject, pending, state, cause, suffix)
                return
        command = msgspec.json.decode(last.command, type=PostEntry)
        mapping = self._subjects.mapping(command.division)
        customer = await store.resource(subject.key.site, "customer", command.document.customer_id, chargebee.Customer)
        if mapping is None or customer is None:
            gone = reject("division_not_configured", document=name_of(subject), division=command.division)
            await self._refrain(store, subject, pending, gone, cause, suffix)
            return
        entry = booked_entry(command, subject.key.number, mapping.receivable_account, last.exchange_rate)
        if entry.exchange_rate is None and entry.currency != mapping.currency:
            unknown = reject("booked_rate_unknown", document=name_of(subject), booked=reference(base_reference(subject.ref), ""))
            await self._refrain(store, subject, pending, unknown, cause, suffix)
            return
        day = None if on_its_day else subject.gone_on or subject.changed_on or self._day_of(cause)
        placed = await in_open_period(store, await mirror_of(store, last.key, entry, day, mapping), subject, mapping)
        if isinstance(placed, Rejection):
            await self._refrain(store, subject, pending, placed, cause, suffix)
            return
        ref = msgspec.structs.replace(command.document, suffix=suffix, total_minor=-command.document.total_minor)
        back = tell("booked_back", reference=reference(base_reference(ref), suffix))
        await self._withdraw_change(store, subject, last, back, cause)
        await self._issue(store, subject, pending, placed, cause, suffix, Party(mapping, customer, ref))

    def _day_of(self, cause: Cause) -> date:
        return (cause.envelope.time if cause.envelope is not None else self._clock.now()).date()

    async def _append(
        self, store: Store, key: Key, messages: Sequence[tuple[Message, str]], cause: Cause, distinguisher: str
    ) -> None:
        subject = f"{key.site}/{key.kind}/{key.number}"
        stream = f"document/{subject}"
        version = await store.stream_version(stream)
        envelopes = [self._seal(message, subject, ordering, cause, distinguisher) for message, ordering in messages]
        await store.append(stream, version, envelopes)

    def _seal(self, message: Message, subject: str, ordering: str, cause: Cause, distinguisher: str) -> Envelope:
        return seal(
            message,
            source=SOURCE,
            subject=subject,
            key=ordering,
            time=self._clock.now(),
            cause=cause.envelope,
            distinguisher=f"{cause.distinguisher}{distinguisher}",
            traceparent=self._telemetry.current_traceparent(),
        )
