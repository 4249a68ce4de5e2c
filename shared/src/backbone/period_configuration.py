"""What a division wants of closed periods and of deferred revenue, as the controller writes it down."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from backbone.configuration_types import Code, PlacedError, Strict

PERIOD_NAME = r"^\d{4}-\d{2}$"
PeriodName = Annotated[str, Field(pattern=PERIOD_NAME, description="year and period, such as 2026-03")]


class PeriodAnswer(Strict):
    """Which period a document, or all of a closed period, is reported in: a person's answer, once."""

    document: Code | None = Field(None, description="a document's number, or INV-7/R for its reversal")
    period: PeriodName | None = None
    journal: Code | None = Field(None, description="only in this journal; absent: in every journal")
    into: PeriodName

    @model_validator(mode="after")
    def _names_one(self) -> PeriodAnswer:
        if (self.document is None) == (self.period is None) or (self.document is not None and self.journal is not None):
            message = "an answer names a document, or a period and perhaps its journal: {period: 2026-02, into: 2026-03}"
            raise ValueError(message)
        if self.period is not None and self.into < self.period:
            raise ValueError(f"nothing can be reported in {self.into}, before its own period {self.period}; name a later one")
        return self


class Periods(Strict):
    """How far documents may be moved, and what was answered about closed periods."""

    max_distance: int | None = Field(None, ge=1, description="move at most so many periods by itself; ask beyond")
    across_years: Literal["move", "hold"] = Field("move", description="hold: ask before moving into another financial year")
    answers: tuple[PeriodAnswer, ...] = ()

    @model_validator(mode="after")
    def _answers_once(self) -> Periods:
        asked = [(answer.document, answer.period, answer.journal) for answer in self.answers]
        twice = [
            (("answers", index), f"{document or period} is answered twice; keep one of the answers")
            for index, (document, period, journal) in enumerate(asked)
            if (document, period, journal) in asked[:index]
        ]
        if twice:
            raise PlacedError(twice)
        return self


class Deferral(Strict):
    """How Exact releases deferred revenue in this administration; for reports and credits, Exact itself makes the entries."""

    account: Code = Field(description="the balance account that Exact defers to")
    schedule: Literal["per_period", "per_day"] = Field(
        "per_period", description="as set in Exact: equal parts a period, or by days"
    )
