"""The calls to Chargebee that record payments, through its official SDK.

    ChargebeeError
      UnavailableError    no valid answer: 429, lock_timeout, 5xx, HTML, time-out, no connection. A write may have happened.
      AccessDeniedError   the API key or the site is wrong (401, 403, site_not_found): nothing works until a person mends it
      BusyOrStaleError    409, 422: the invoice is in another state than we read, the same call is still running, or its
                          idempotency key was used with another body
      MissingError        404: the resource does not exist
      RefusedError        any other final refusal

The SDK retries 429 without end and without its Retry-After, so its retries stay off; the worker looks first and calls again.
It raises bare exceptions for time-outs and for answers that are not JSON; they become UnavailableError.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, ClassVar, Protocol, TypeVar

from backbone.chargebee_sdk import escaped, is_missing_answer, open_client, retry_after_seconds
from backbone.telemetry import Telemetry
from payment_matcher.decision import InvoiceState
from payment_matcher.intents import Recorded

PAGE_SIZE = 100
PAGES_AT_MOST = 100
TOO_MANY_REQUESTS = 429
SERVER_ERRORS_FROM = 500

Answer = TypeVar("Answer")


class ChargebeeError(Exception):
    """A call to Chargebee that did not succeed; `code` is Chargebee's api_error_code or one of our own."""

    outcome: ClassVar[str]

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class UnavailableError(ChargebeeError):
    """Chargebee gave no valid answer; `retry_after_seconds` is its wish, where it named one."""

    outcome = "unavailable"

    def __init__(self, code: str, message: str, *, retry_after_seconds: float | None = None) -> None:
        super().__init__(code, message)
        self.retry_after_seconds = retry_after_seconds


class AccessDeniedError(ChargebeeError):
    """The API key is refused or the site does not exist."""

    outcome = "denied"


class BusyOrStaleError(ChargebeeError):
    """The invoice's state does not allow the call any more, or the same call is still running or already made."""

    outcome = "conflict"


class MissingError(ChargebeeError):
    """The resource does not exist in Chargebee."""

    outcome = "missing"


class RefusedError(ChargebeeError):
    """Chargebee refused the call for good."""

    outcome = "refused"


class PaymentApi(Protocol):
    """The calls that recording receipts needs."""

    async def invoice(self, site: str, number: str) -> InvoiceState:
        """Read an invoice; raises MissingError when there is none."""

    async def find_payment(self, site: str, customer_id: str, reference: str) -> Recorded | None:
        """Find the customer's successful payment with this reference."""

    async def record_payment(
        self, site: str, number: str, *, amount_minor: int, paid_at: int, reference: str, comment: str
    ) -> Recorded:
        """Record a bank transfer on an invoice."""

    async def record_excess_payment(
        self, site: str, customer_id: str, *, amount_minor: int, currency: str, paid_at: int, reference: str, comment: str
    ) -> Recorded:
        """Record a bank transfer that belongs to no invoice yet; raises MissingError when there is no such customer."""

    async def write_off(self, site: str, number: str, *, reference: str, comment: str) -> int:
        """Write off what is due on an invoice; return how much that was."""


class ChargebeeApi:
    """The calls, each in a thread: the SDK opens a connection and reads its certificates for every call."""

    def __init__(self, *, api_key: str, base_url: str | None, telemetry: Telemetry | None = None) -> None:
        self._api_key = api_key
        self._base_url = base_url
        self._telemetry = telemetry or Telemetry()
        self._clients: dict[str, Any] = {}

    async def invoice(self, site: str, number: str) -> InvoiceState:
        """Read an invoice; raises MissingError when there is none, and the other errors of this module."""
        return await self._counted("retrieve_invoice", site, lambda client: _read_invoice(client, number))

    async def find_payment(self, site: str, customer_id: str, reference: str) -> Recorded | None:
        """Find the customer's payment with this reference.

        Chargebee passes silently over filters that it does not understand, so each row is compared here, and all pages are read.
        """
        return await self._counted("list_transactions", site, lambda client: _find_payment(client, customer_id, reference))

    async def record_payment(
        self, site: str, number: str, *, amount_minor: int, paid_at: int, reference: str, comment: str
    ) -> Recorded:
        """Record a bank transfer on an invoice.

        The idempotency key names reference and amount: Chargebee refuses a key that comes back with another body, and the
        amount is the only part of the body that can differ between two attempts.
        """
        params = {
            "comment": comment,
            "transaction": {
                "amount": amount_minor,
                "date": paid_at,
                "payment_method": "bank_transfer",
                "reference_number": reference,
            },
        }
        headers = {"chargebee-idempotency-key": f"{reference}-{amount_minor}"}

        def record(client: Any) -> Recorded:
            answer = client.Invoice.record_payment(escaped(number), params, headers)
            row = answer.transaction.raw_data
            return Recorded(transaction_id=str(row["id"]), amount_minor=int(row["amount"]))

        return await self._counted("record_payment", site, record)

    async def record_excess_payment(
        self, site: str, customer_id: str, *, amount_minor: int, currency: str, paid_at: int, reference: str, comment: str
    ) -> Recorded:
        """Record a bank transfer that belongs to no invoice yet; Chargebee applies it to the customer's later invoices."""
        params = {
            "comment": comment,
            "transaction": {
                "amount": amount_minor,
                "currency_code": currency,
                "date": paid_at,
                "payment_method": "bank_transfer",
                "reference_number": reference,
            },
        }
        headers = {"chargebee-idempotency-key": f"{reference}-{amount_minor}"}

        def record(client: Any) -> Recorded:
            answer = client.Customer.record_excess_payment(escaped(customer_id), params, headers)
            row = answer.transaction.raw_data
            return Recorded(transaction_id=str(row["id"]), amount_minor=int(row["amount"]))

        return await self._counted("record_excess_payment", site, record)

    async def write_off(self, site: str, number: str, *, reference: str, comment: str) -> int:
        """Write off what is due on an invoice: Chargebee makes an adjustment credit note with the reason write_off.

        The call names no amount; what is due at that moment is written off, and the credit note says how much it was.
        """
        headers = {"chargebee-idempotency-key": reference}
        params = {"comment": comment}

        def write_off(client: Any) -> int:
            return int(client.Invoice.write_off(escaped(number), params, headers).credit_note.raw_data["total"])

        return await self._counted("write_off", site, write_off)

    async def _counted(self, operation: str, site: str, call: Callable[[Any], Answer]) -> Answer:
        try:
            answer = await asyncio.to_thread(self._call, site, call)
        except ChargebeeError as error:
            self._telemetry.count("chargebee_calls", operation=operation, outcome=error.outcome)
            raise
        self._telemetry.count("chargebee_calls", operation=operation, outcome="ok")
        return answer

    def _call(self, site: str, call: Callable[[Any], Answer]) -> Answer:
        # Importing the SDK costs more than a second, so only a process that really calls Chargebee pays for it.
        from chargebee import APIError  # noqa: PLC0415 (see above)

        try:
            return call(self._client(site))
        except APIError as error:
            raise classify(
                status=int(error.http_status_code),
                code=str(error.api_error_code),
                message=str(error),
                retry_after=retry_after_seconds(error.http_headers),
            ) from error
        except (KeyError, AttributeError, TypeError, ValueError) as error:
            # A write may have happened, so this is an unknown outcome and not the end.
            raise UnavailableError("unreadable_answer", f"Chargebee's answer cannot be read: {error!r}") from error
        except Exception as error:
            if not is_missing_answer(error):
                raise
            raise UnavailableError("no_answer", f"Chargebee gave no valid answer: {type(error).__name__}") from error

    def _client(self, site: str) -> Any:
        if site not in self._clients:
            from chargebee import Chargebee  # noqa: PLC0415 (a second of import time, only where it is used)

            self._clients[site] = open_client(Chargebee, site=site, api_key=self._api_key, base_url=self._base_url)
        return self._clients[site]


def classify(*, status: int, code: str, message: str, retry_after: float | None) -> ChargebeeError:
    """Turn an error answer into one of this module's errors; an unknown 4xx is final."""
    if status == TOO_MANY_REQUESTS or status >= SERVER_ERRORS_FROM:
        return UnavailableError(code, message, retry_after_seconds=retry_after)
    if status in {401, 403} or code == "site_not_found":
        return AccessDeniedError(code, message)
    if status == 404:  # noqa: PLR2004 (the status is the name)
        return MissingError(code, message)
    # 422 is how Chargebee refuses a known idempotency key with another body: that call was made, so it is looked for.
    if status in {409, 422}:
        return BusyOrStaleError(code, message)
    return RefusedError(code, message)


def _read_invoice(client: Any, number: str) -> InvoiceState:
    row = client.Invoice.retrieve(escaped(number)).invoice.raw_data
    return InvoiceState(
        number=str(row["id"]),
        customer_id=str(row["customer_id"]),
        currency=str(row["currency_code"]),
        status=str(row["status"]),
        amount_due_minor=int(row.get("amount_due", 0)),
        invoiced_at=row.get("date"),
        has_payments=bool(row.get("linked_payments")),
        deleted=bool(row.get("deleted", False)),
        written_off_minor=int(row.get("write_off_amount") or 0),
    )


def _find_payment(client: Any, customer_id: str, reference: str) -> Recorded | None:
    params: dict[str, Any] = {
        "limit": PAGE_SIZE,
        "reference_number": {"is": reference},
        "customer_id": {"is": customer_id},
    }
    for _ in range(PAGES_AT_MOST):
        page = client.Transaction.list(params)
        for entry in page.list:
            row = entry.transaction.raw_data
            if row.get("reference_number") == reference and row.get("status") == "success" and not row.get("deleted", False):
                return Recorded(transaction_id=str(row["id"]), amount_minor=int(row["amount"]))
        if not page.next_offset:
            return None
        params = {**params, "offset": page.next_offset}
    raise UnavailableError(
        "filter_ignored", f"Chargebee lists more than {PAGES_AT_MOST * PAGE_SIZE} transactions for the one reference {reference}"
    )
