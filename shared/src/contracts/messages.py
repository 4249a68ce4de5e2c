"""Which struct belongs to which type and version, and how a message is read: upcast in place, then decoded."""

from __future__ import annotations

from typing import Any

import msgspec

from contracts import bank_lines, commands, coupon_codes, facts, parcels
from contracts.envelope import Envelope, Message
from contracts.upcasts import UPCASTS

FACTS: tuple[type[Message], ...] = (
    facts.CustomerObserved,
    facts.ItemObserved,
    facts.ItemPriceObserved,
    facts.PlanObserved,
    facts.AddonObserved,
    facts.SubscriptionObserved,
    coupon_codes.CouponCodeObserved,
    facts.InvoiceObserved,
    facts.CreditNoteObserved,
    facts.TransactionObserved,
    facts.PayoutImported,
    facts.DocumentPlanned,
    facts.DocumentHeld,
    facts.DocumentSetAside,
    facts.AccountSaved,
    facts.AccountRefused,
    facts.EntryPosted,
    facts.EntryRefused,
    facts.ReceivableObserved,
    facts.PeriodObserved,
    facts.ConnectionChanged,
    facts.PdfWanted,
    facts.PdfAttached,
    facts.PdfNotAttached,
    facts.PaymentRecorded,
    facts.PaymentNotRecorded,
    bank_lines.BankLineObserved,
    bank_lines.BankLineDecided,
    bank_lines.ExcessRecorded,
    bank_lines.ExcessNotRecorded,
    bank_lines.ShortageWrittenOff,
)
COMMANDS: tuple[type[Message], ...] = (commands.SaveAccount, commands.PostEntry)
PARCELS: tuple[type[Message], ...] = (parcels.PdfFetched, parcels.ChangeHinted)
MESSAGES: dict[str, type[Message]] = {message.TYPE: message for message in (*FACTS, *COMMANDS, *PARCELS)}
FACT_TYPES = frozenset(message.TYPE for message in FACTS)
COMMAND_TYPES = frozenset(message.TYPE for message in COMMANDS)

_decoders = {name: msgspec.json.Decoder(struct) for name, struct in MESSAGES.items()}


class UnknownMessageError(Exception):
    """A type or version that this release does not know; a newer release wrote it."""


def unseal(envelope: Envelope) -> Message:
    """Read the message in an envelope, upcast to its current version first.

    Raises UnknownMessageError for an unknown type or a newer version, msgspec.ValidationError for data that does not fit.
    """
    decoder = _decoders.get(envelope.type)
    if decoder is None:
        raise UnknownMessageError(f"message {envelope.id} has the unknown type {envelope.type}; deploy the release that wrote it")
    current = MESSAGES[envelope.type].VERSION
    if envelope.version == current:
        return decoder.decode(envelope.data)
    if envelope.version > current:
        raise UnknownMessageError(
            f"message {envelope.id} is version {envelope.version} of {envelope.type}, this release knows {current}"
        )
    return decoder.decode(msgspec.json.encode(_upcast(envelope, current)))


def _upcast(envelope: Envelope, current: int) -> Any:
    data = msgspec.json.decode(envelope.data)
    for version in range(envelope.version, current):
        data = UPCASTS[envelope.type, version](data)
    return data
