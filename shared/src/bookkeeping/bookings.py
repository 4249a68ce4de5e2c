"""How the bookings of one document are told apart: its entry, its reversal, its next state, and a number's next document.

A document is booked (``), booked back (`R`), booked in its changed state (`2`), booked back again (`R2`), and so on. Chargebee
lets a deleted invoice's number be used again; what comes then is another document, whose bookings begin with `#2`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

REVERSAL = "R"
LIFE = "#"


@dataclass(frozen=True, slots=True)
class Booking:
    """The place of a booking: `life` counts the documents that had the number, `step` the bookings of one, both from the start.

    Even steps book a state, each odd one takes the booking before it back.
    """

    life: int = 1
    step: int = 0

    @property
    def is_reversal(self) -> bool:
        """Whether it takes the booking before it back."""
        return self.step % 2 == 1

    @property
    def suffix(self) -> str:
        """What it is called behind the document's number, as messages and tables carry it."""
        count = self.step // 2 + 1
        own = (REVERSAL if self.is_reversal else "") + (str(count) if count > 1 else "")
        if self.life == 1:
            return own
        return f"{LIFE}{self.life}/{own}" if own else f"{LIFE}{self.life}"

    def following(self) -> Booking:
        """Return the booking after this one."""
        return replace(self, step=self.step + 1)

    def preceding(self) -> Booking:
        """Return the booking before this one, which a reversal takes back."""
        return replace(self, step=self.step - 1)


def booking_of(suffix: str) -> Booking:
    """Read a suffix; raises ValueError for one that no booking has."""
    life, own = 1, suffix
    if suffix.startswith(LIFE):
        number, _, own = suffix[1:].partition("/")
        life = int(number)
    is_reversal = own.startswith(REVERSAL)
    count = int(own.removeprefix(REVERSAL) or 1)
    return Booking(life, 2 * (count - 1) + is_reversal)


def reference(number: str, suffix: str) -> str:
    """Return what Exact shows of a booking: `INV-7`, `INV-7/R`, `INV-7/2`, `INV-7#2`."""
    if not suffix or suffix.startswith(LIFE):
        return number + suffix
    return f"{number}/{suffix}"
