"""Events: what the verbs of the registry return, for the gateway to tell. They carry row names and days only."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from uuid import UUID


@dataclass(frozen=True)
class RegistrationReceived:
    """A household has its registration number (the slip); its data will be verified."""

    household_id: UUID
    registration_id: UUID
    number: str


@dataclass(frozen=True)
class RegistrationLate:
    """The household will not be told within ten days; `waits_for` names the bodies that have not answered."""

    household_id: UUID
    registration_id: UUID
    waits_for: tuple[str, ...]


@dataclass(frozen=True)
class IndexAssigned:
    """A household has its first index, or one that must be told as if it were."""

    household_id: UUID
    score_id: UUID


@dataclass(frozen=True)
class IndexChanged:
    """A household has a new index in place of the score `predecessor_id`. `cause` is one of `score.CAUSES`."""

    household_id: UUID
    score_id: UUID
    predecessor_id: UUID
    cause: str


@dataclass(frozen=True)
class DecisionChanged:
    """The index stands as it was, but these decisions (rows) of programmes are other than before."""

    household_id: UUID
    score_id: UUID
    decision_ids: tuple[UUID, ...]


@dataclass(frozen=True)
class ReviewAsked:
    """A household contests its index; `answer_by` is the day it was promised an answer for."""

    household_id: UUID
    review_id: UUID
    number: str
    answer_by: date


@dataclass(frozen=True)
class ReviewNeedsInformation:
    """The review waits for something that the household must bring by the day `needed_by`."""

    household_id: UUID
    review_id: UUID
    number: str
    needed_by: date


@dataclass(frozen=True)
class ReviewDecided:
    """The review was accepted or refused; a reasoned answer always goes out."""

    household_id: UUID
    review_id: UUID


@dataclass(frozen=True)
class ReviewLate:
    """The promised day has passed without a decision; the household is told so, with a new day."""

    household_id: UUID
    review_id: UUID
    number: str
    answer_by: date


@dataclass(frozen=True)
class ReviewWindowCloses:
    """The sixty days of this score end on `last_day`, a week from now. Told once."""

    household_id: UUID
    score_id: UUID
    last_day: date


@dataclass(frozen=True)
class ComplaintReceived:
    """A complaint was filed from this telephone; the household may be unknown. `owner` is who will handle it."""

    household_id: UUID | None
    complaint_id: UUID
    number: str
    owner: str = "here"


@dataclass(frozen=True)
class ComplaintOnHold:
    """The complaint waits until the day `until`."""

    household_id: UUID | None
    complaint_id: UUID
    number: str
    until: date


@dataclass(frozen=True)
class ComplaintResolved:
    """The complaint has an answer. It may be reopened until the day `reopen_until`; None when it was once already."""

    household_id: UUID | None
    complaint_id: UUID
    number: str
    reopen_until: date | None


@dataclass(frozen=True)
class ComplaintClosed:
    """The complaint is closed; a one-digit answer says how satisfied the household is."""

    household_id: UUID | None
    complaint_id: UUID
    number: str


@dataclass(frozen=True)
class UpdateReceived:
    """A data update was filed. `register` is the register that owns the data and hears of it."""

    household_id: UUID
    update_id: UUID
    number: str
    register: str


@dataclass(frozen=True)
class NumberChangeAsked:
    """Somebody asked for a new telephone number. The old numbers are told and may refuse until `effective_on`."""

    household_id: UUID
    update_id: UUID
    number: str
    effective_on: date


@dataclass(frozen=True)
class NumberChanged:
    """A new number is in force; the household is told there, and at the old one."""

    household_id: UUID
    update_id: UUID


@dataclass(frozen=True)
class NumberDoubted:
    """A telephone of the household was silent or failing for long: it no more texts until the PIN is typed there."""

    household_id: UUID
    contact_id: UUID
    doubted_on: date


@dataclass(frozen=True)
class DataRoundDue:
    """Once a year: are your data still right?"""

    household_id: UUID
    round_on: date


Event = (RegistrationReceived | RegistrationLate | IndexAssigned | IndexChanged | DecisionChanged | ReviewAsked
         | ReviewNeedsInformation | ReviewDecided | ReviewLate | ReviewWindowCloses | ComplaintReceived
         | ComplaintOnHold | ComplaintResolved | ComplaintClosed | UpdateReceived | NumberChangeAsked | NumberChanged
         | NumberDoubted | DataRoundDue)
