"""Deciding about documents: book, hold, set aside or reverse; everything within the transaction of the message."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date

import msgspec

from backbone import event_log
from backbone.clock import Clock
from backbone.telemetry import Telemetry
from bookkeeping.entries import make_entry, place_in_period, reverse
from bookkeeping.journal import Entry
from bookkeeping.mapping import Mapping
from bookkeeping.rejections import Rejection, SetAside, reject, set_aside
from contracts import chargebee
from contracts.commands import PostEntry
from contracts.envelope import Envelope, Message, seal
from contracts.facts import DocumentHeld, DocumentPlanned, DocumentRef, DocumentSetAside
from mapper.issue import booked_entry, post_entry, save_account, with_reference, your_ref
from mapper.store import Key, Row, Store
from mapper.subjects import Subject, Subjects, product_ids

SOURCE = "mapper"
REVERSAL = "R"
OWN_PAYMENT = "own_payment"
ISSUED = frozenset(("planned", "booked"))


@dataclass(frozen=True, slots=True)
class Cause:
    """What a decision answers to: a message, or the start of a new mapping, told apart by its version."""

    envelope: Envelope | None
    distinguisher: str = ""


class Planner:
    """Decides about one document at a time and appends what it decided to the log."""

    def __init__(self, subjects: Subjects, clock: Clock, telemetry: Telemetry) -> None:
        self._subjects = subjects
        self._clock = clock
        self._telemetry = telemetry

    async def plan(self, store: Store, key: Key, cause: Cause, *, again: bool = False) -> None:
        """Decide about a document as it stands now.

        Booked ones are not booked again; a refused one is, only when something changed or `again` says so.
        """
        if key.suffix:
            await self._reverse(store, replace(key, suffix=""), cause)
            return
        subject = await self._subjects.load(store, key)
        if subject is None:
            return
        row = await store.document(key)
        if row is not None and row.state in ISSUED:
            await self._after_booking(store, subject, row, cause)
            return
        if row is not None and row.state == "refused" and not again and not _changed(row, subject):
            return
        if row is not None and row.code == OWN_PAYMENT:
            # Recorded by the payment-matcher; told once the transaction itself has been seen, with its amount and date.
            decision: Entry | Rejection | SetAside = set_aside(OWN_PAYMENT, document=_name(subject))
        else:
            decision = await self._decide(store, subject)
        if isinstance(decision, Entry):
            await self._book(store, subject, row, decision, cause)
        else:
            await self._refrain(store, subject, row, decision, cause)

    async def _decide(self, store: Store, subject: Subject) -> Entry | Rejection | SetAside:
        document, mapping = subject.translated, subject.mapping
        if subject.is_deleted:
            return set_aside("deleted", document=_name(subject))
        if isinstance(document, Rejection | SetAside):
            return document
        if mapping is None:
            return reject(
                "unknown_business_entity", document=_name(subject), entity="?", site=subject.key.site, setting="division"
            )
        made = make_entry(document, mapping, await store.products(subject.key.site, product_ids(document)))
        if isinstance(made, Entry) and subject.customer is None:
            customer_id = subject.ref.customer_id
            return reject(
                "waiting_for_customer", waits_for=f"customer:{customer_id}", customer=customer_id, document=_name(subject)
            )
        if isinstance(made, Entry):
            return await self._place(store, made, subject, mapping)
        return made

    async def _place(self, store: Store, entry: Entry, subject: Subject, mapping: Mapping) -> Entry | Rejection:
        periods = await store.periods(mapping.division, entry.journal)
        return place_in_period(entry, _name(subject), periods, mapping)

    async def _book(self, store: Store, subject: Subject, row: Row | None, entry: Entry, cause: Cause) -> None:
        attempt = 0 if row is None or row.command_id is None else row.attempt + 1
        await self._issue(store, subject, subject.ref, entry, attempt, cause)

    async def _issue(self, store: Store, subject: Subject, ref: DocumentRef, entry: Entry, attempt: int, cause: Cause) -> None:
        mapping, customer = subject.mapping, subject.customer
        if mapping is None or customer is None:
            raise ValueError(f"{ref.kind} {ref.number} is issued without a mapping or customer")
        if entry.kind == "general":
            entry = with_reference(replace(entry, reference=your_ref(entry.reference)), ref.number)
        command = post_entry(entry, ref, mapping.division, attempt)
        await self.send_account(store, subject.key.site, customer, mapping.division, cause)
        key = replace(subject.key, suffix=ref.suffix)
        planned = DocumentPlanned(
            document=ref,
            division=mapping.division,
            command_id=command.command_id,
            mapping_version=mapping.version,
            explanation=entry.explanation,
        )
        await self._append(
            store, key, [(planned, _customer_key(ref)), (command, str(mapping.division))], cause, command.command_id
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
        )
        await store.save(row)
        self._telemetry.count("documents_planned", kind=ref.kind)
        refusal = await store.refusal(mapping.division, command.customer_ref)
        if refusal is not None:
            await self.hold_for_customer(store, row, ref, refusal, cause)

    async def send_account(self, store: Store, site: str, customer: chargebee.Customer, division: int, cause: Cause) -> None:
        """Send a customer to a division when it is new there or a field that Exact gets has changed."""
        command = save_account(customer, site, division)
        if await store.account_fingerprint(division, command.customer_ref) == command.fingerprint:
            return
        await store.save_account(division, command.customer_ref, command.fingerprint)
        stream = f"account/{command.customer_ref}"
        envelope = self._seal(command, command.customer_ref, str(division), cause, f"{division}:{command.fingerprint}")
        version = await event_log.stream_version(store.connection, stream)
        await event_log.append(store.connection, stream, version, [envelope])

    async def _refrain(
        self, store: Store, subject: Subject, row: Row | None, decision: Rejection | SetAside, cause: Cause, suffix: str = ""
    ) -> None:
        """Tell why a document is not booked, once for each change of the reason."""
        ref = msgspec.structs.replace(subject.ref, suffix=suffix)
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
        )
        if row == new:
            return
        await store.save(new)
        told = row is not None and row.fingerprint is not None
        if told and row is not None and (row.state, row.code, row.waits_for) == (state, decision.code, waits_for):
            return
        await self._tell(store, new.key, ref, decision, cause)

    async def _tell(self, store: Store, key: Key, ref: DocumentRef, decision: Rejection | SetAside, cause: Cause) -> None:
        message: Message
        if isinstance(decision, SetAside):
            message = DocumentSetAside(document=ref, code=decision.code, sentence=decision.sentence)
            self._telemetry.count("documents_set_aside", code=decision.code)
        else:
            message = DocumentHeld(
                document=ref, code=decision.code, sentence=decision.sentence, action=decision.action, waiting=decision.waiting
            )
            self._telemetry.count("documents_held", code=decision.code)
        await self._append(store, key, [(message, _customer_key(ref))], cause, decision.code + key.suffix)

    async def hold(self, store: Store, row: Row, ref: DocumentRef, decision: Rejection, cause: Cause, *, state: str) -> None:
        """Hold a booking that was issued already, because Exact refused it or its customer."""
        await store.save(replace(row, state=state, code=decision.code, waits_for=decision.waits_for))
        await self._tell(store, row.key, ref, decision, cause)

    async def hold_for_customer(self, store: Store, row: Row, ref: DocumentRef, message: str, cause: Cause) -> None:
        """Show that Exact refused the customer; the command stays with the writer, which posts it once the customer is taken."""
        name = f"{ref.kind.replace('_', ' ')} {ref.number}"
        decision = reject("customer_refused", customer=ref.customer_id, document=name, message=message)
        await self.hold(store, row, ref, decision, cause, state="planned")

    async def _after_booking(self, store: Store, subject: Subject, row: Row, cause: Cause) -> None:
        """Look at a document that has its entry: reverse it when it is gone, complain when its amounts changed."""
        if subject.is_gone:
            if row.state == "booked":
                await self._reverse(store, subject.key, cause)
            return
        if subject.fingerprint != row.fingerprint:
            decision = reject("changed_after_booking", document=_name(subject))
            await store.save(replace(row, code=decision.code, fingerprint=subject.fingerprint))
            await self._tell(store, row.key, subject.ref, decision, cause)

    async def _reverse(self, store: Store, key: Key, cause: Cause) -> None:
        """Book the mirror of what was booked, once."""
        subject = await self._subjects.load(store, key)
        original = await store.document(key)
        row = await store.document(replace(key, suffix=REVERSAL))
        if subject is None or subject.mapping is None or original is None or original.command is None:
            return
        if original.state != "booked" or (row is not None and row.state in ISSUED):
            return
        command = msgspec.json.decode(original.command, type=PostEntry)
        entry = booked_entry(command, key.number, subject.mapping.receivable_account)
        day = subject.gone_on or self._day_of(cause)
        placed = await self._place(store, reverse(entry, max(day, entry.entry_date), subject.mapping), subject, subject.mapping)
        if isinstance(placed, Rejection):
            await self._refrain(store, subject, row, placed, cause, REVERSAL)
            return
        ref = msgspec.structs.replace(subject.ref, suffix=REVERSAL, total_minor=-subject.ref.total_minor)
        attempt = 0 if row is None or row.command_id is None else row.attempt + 1
        await self._issue(store, subject, ref, placed, attempt, cause)

    def _day_of(self, cause: Cause) -> date:
        return (cause.envelope.time if cause.envelope is not None else self._clock.now()).date()

    async def _append(
        self, store: Store, key: Key, messages: Sequence[tuple[Message, str]], cause: Cause, distinguisher: str
    ) -> None:
        subject = f"{key.site}/{key.kind}/{key.number}"
        stream = f"document/{subject}"
        version = await event_log.stream_version(store.connection, stream)
        envelopes = [self._seal(message, subject, ordering, cause, distinguisher) for message, ordering in messages]
        await event_log.append(store.connection, stream, version, envelopes)

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


def _changed(row: Row, subject: Subject) -> bool:
    version = subject.mapping.version if subject.mapping is not None else None
    return row.fingerprint != subject.fingerprint or row.mapping_version != version


def _customer_key(ref: DocumentRef) -> str:
    return f"{ref.site}/{ref.customer_id}"


def _name(subject: Subject) -> str:
    return f"{subject.key.kind.replace('_', ' ')} {subject.key.number}"
