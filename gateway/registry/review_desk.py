"""Review desk: what clerks do with a review: take it, ask for what is missing, correct, accept or refuse.

Who decides is not who entered a correction (four eyes). Each verb holds the review's row first: of two clerks at once
one acts, and the other reads how it stands then.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from gateway.db import new_id
from gateway.registry import audit, items, registration
from gateway.registry.clock import day_of
from gateway.registry.events import DecisionChanged, Event, IndexChanged, ReviewDecided, ReviewNeedsInformation
from gateway.registry.evidence import Correction
from gateway.registry.household import Household
from gateway.registry.review import TRANSITIONS, Review, hold, move, record, resume
from gateway.registry.scoring import Scorer
from gateway.registry.steps import NotAllowed, refusal
from gateway.vault import Vault

# What a household may have to bring.
NEEDS = ("identity_document", "bill", "vehicle_paper", "property_paper", "school_certificate", "health_cover_paper",
         "income_paper", "family_paper", "other_paper")
# A household is never given longer, so that no review sleeps.
BRING_WITHIN = timedelta(days=30)
# Why a review is refused.
REASONS = ("values_confirmed", "nothing_brought", "proof_not_sufficient", "changed_later", "not_in_index",
           "other_register", "other")
# What an acceptance came to.
RESULTS = ("new_index", "new_decision", "same_index")
LONGEST_TEXT = 2000
LONGEST_WHY = 200
LONGEST_NAME = 80
# They stand in the audit for those who are no clerks.
NOT_CLERKS = ("household", "system")


def assign(session: Session, vault: Vault, review_id: UUID, to: str, *, by: str, now: datetime) -> None:
    """Give the review to a clerk, or to another one. Raises `NotAllowed`."""
    by, to, held = clerk(by), clerk(to), hold(session, review_id)
    if held.state == "needs_information":
        raise NotAllowed("This review waits for the household: write down first that it brought what was needed.")
    since = held.since if held.state == "assigned" else now
    move(session, vault, held, "assigned", "assigned", by=by, now=now, assigned_to=to, since=since)


def need_information(session: Session, vault: Vault, review_id: UUID, what: str, needed_by: date, *, by: str,
                     now: datetime) -> ReviewNeedsInformation:
    """The household must bring `what` (of `NEEDS`) by the day `needed_by`. Until then the clock of the answer rests.

    Raises `NotAllowed`.
    """
    by, held, today = clerk(by), hold(session, review_id), day_of(now)
    if what not in NEEDS:
        raise NotAllowed(f"What is needed is one of: {', '.join(NEEDS)}.")
    if not today < needed_by <= today + BRING_WITHIN:
        raise NotAllowed(f"The household can be given until a day after today and at most {BRING_WITHIN.days} days.")
    move(session, vault, held, "needs_information", "information_needed", by=by, now=now, why=what, needs=what,
         needed_by=needed_by, watch_on=needed_by + timedelta(days=1))
    return ReviewNeedsInformation(held.household_id, held.id, held.number, needed_by)


def information_received(session: Session, vault: Vault, review_id: UUID, *, by: str, now: datetime) -> None:
    """The household brought what was needed; the promised day moves by the days that it took. Raises `NotAllowed`."""
    by, held = clerk(by), hold(session, review_id)
    if held.state != "needs_information":
        raise NotAllowed(f"This review is {held.state}: nothing is waited for from the household.")
    resume(session, vault, held, "information_received", by=by, now=now)


def enter_correction(session: Session, vault: Vault, review_id: UUID, item: str, value: Any, *, why: str, by: str,
                     now: datetime) -> None:
    """Propose the right value of an item; it counts once the review is accepted, by somebody else.

    A value proposed later for the same item takes its place. `why` names the paper or the answer it rests on, nobody's
    name. Raises `NotAllowed` when the item is not contested, or the extract's schema does not take the value.
    """
    by, why, held = clerk(by), why.strip(), hold(session, review_id)
    if held.state != "assigned":
        raise NotAllowed(f"This review is {held.state}: corrections are entered while it is assigned.")
    if not 0 < len(why) <= LONGEST_WHY:
        raise NotAllowed(f"Say in at most {LONGEST_WHY} letters what the correction rests on.")
    home = session.get_one(Household, held.household_id)
    name, member_blind = items.place(session, home, item)
    contested = [kept.item for kept in items.kept(session, held.household_id, held.items)]
    if held.items and item not in contested:
        raise NotAllowed(f"This review contests {', '.join(contested)}; another item is a data update.")
    items.check(item, value, day_of(now))
    audit.plain_words(why, LONGEST_WHY)
    session.add(Correction(id=new_id(), household_id=held.household_id, item=name, member_blind=member_blind,
                           value=value, entered_by=by, reason=why, review_id=held.id, in_force_at=None, entered_at=now))
    record(session, vault, held, "correction_entered", by=by, now=now, item=name)


def accept(session: Session, vault: Vault, scorer: Scorer, review_id: UUID, *, by: str, now: datetime, text: str = ""
           ) -> list[Event]:
    """The household was right: the corrections count from now, and it is scored again.

    Returns what follows for the index, then `ReviewDecided`. Where the index stays the same, the reason says so. Raises
    `NotAllowed`, and then nothing is done.
    """
    by, held = clerk(by), _to_be_decided(session, review_id)
    entered = corrections(session, held.id)
    _four_eyes(entered, by)
    if not entered:
        raise NotAllowed("This review has no correction yet: enter the right value first, or refuse with a reason.")
    sealed = _sealed(vault, held, text)
    with session.begin_nested():
        session.execute(sa.update(Correction).where(Correction.review_id == held.id).values(in_force_at=now))
        scored = scorer.score(session, [session.get_one(Household, held.household_id)], "review", now)
        # Asked here, because the scorer holds the household: it cannot leave the register any more meanwhile.
        if registration.standing_out(session, [held.household_id]):
            raise NotAllowed("This household is out of the register and is not scored: refuse the review with a "
                             "reason, or let the household withdraw it.")
        if scored.failed:
            raise NotAllowed("With these corrections the index cannot be computed: see whether they fit each other.")
    result, new_score_id = _result(scored.events)
    move(session, vault, held, "decided", "accepted", by=by, now=now, why=result, outcome="accepted", reason=result,
         text_sealed=sealed, decided_by=by, decided_at=now, new_score_id=new_score_id, watch_on=None)
    return [*scored.events, ReviewDecided(held.household_id, held.id)]


def refuse(session: Session, vault: Vault, review_id: UUID, *, reason: str, text: str, by: str, now: datetime
           ) -> ReviewDecided:
    """The index stands: `reason` is of `REASONS`, `text` explains it to this household. Corrections never count.

    Raises `NotAllowed`.
    """
    by, held = clerk(by), _to_be_decided(session, review_id)
    _four_eyes(corrections(session, held.id), by)
    if reason not in REASONS:
        raise NotAllowed(f"A refusal has one of these reasons: {', '.join(REASONS)}.")
    if not text.strip():
        raise NotAllowed("A refusal has a text that explains it to the household: write one.")
    move(session, vault, held, "decided", "refused", by=by, now=now, why=reason, outcome="refused", reason=reason,
         text_sealed=_sealed(vault, held, text), decided_by=by, decided_at=now, watch_on=None)
    return ReviewDecided(held.household_id, held.id)


def notified(session: Session, vault: Vault, review_id: UUID, on: date, *, now: datetime, by: str = "system") -> None:
    """The household was told the decision on the day `on`. Raises `NotAllowed`."""
    held = hold(session, review_id)
    if held.decided_at and not day_of(held.decided_at) <= on <= day_of(now):
        raise NotAllowed("The household was told on a day between the decision and today.")
    move(session, vault, held, "notified", "notified", by=by, now=now, notified_on=on)


def corrections(session: Session, review_id: UUID) -> Sequence[Correction]:
    """What was proposed in a review, in the order in which it was entered."""
    return session.scalars(sa.select(Correction).where(Correction.review_id == review_id).order_by(Correction.id)).all()


def text_of(vault: Vault, row: Review) -> str | None:
    """The text of the decision, for the notice."""
    return vault.open(row.text_sealed, "review.text", row.id) if row.text_sealed else None


def listed(session: Session, *, state: str | None = None, at_risk: bool = False, assigned_to: str | None = None,
           limit: int = 100) -> Sequence[Review]:
    """Reviews for a clerk's list, the day promised first at the top. `at_risk`: those near or past it, undecided."""
    wanted = [Review.state == state] if state else []
    if at_risk:
        wanted += [Review.at_risk_at.is_not(None), Review.decided_at.is_(None), Review.state != "withdrawn"]
    if assigned_to:
        wanted.append(Review.assigned_to == assigned_to)
    return session.scalars(sa.select(Review).where(*wanted).order_by(Review.promised_by, Review.id).limit(limit)).all()


def clerk(name: str) -> str:
    """A clerk's name as it is kept. Raises `NotAllowed`."""
    name = " ".join(unicodedata.normalize("NFKC", name).split())
    if not 0 < len(name) <= LONGEST_NAME or name.casefold() in NOT_CLERKS:
        raise NotAllowed(f"Say which clerk does this: a name of at most {LONGEST_NAME} letters.")
    return name


def _to_be_decided(session: Session, review_id: UUID) -> Review:
    held = hold(session, review_id)
    if "decided" not in TRANSITIONS[held.state]:
        raise NotAllowed(refusal("review", held.state, "decided", TRANSITIONS))
    return held


def _four_eyes(entered: Sequence[Correction], by: str) -> None:
    """Names are written in many ways; what looks the same is the same."""
    if by.casefold() in {correction.entered_by.casefold() for correction in entered}:
        raise NotAllowed("Who entered a correction of this review does not decide it: any other clerk may.")


def _result(events: Sequence[Event]) -> tuple[str, UUID | None]:
    for event in events:
        if isinstance(event, IndexChanged):
            return "new_index", event.score_id
        if isinstance(event, DecisionChanged):
            return "new_decision", event.score_id
    return "same_index", None


def _sealed(vault: Vault, held: Review, text: str) -> bytes | None:
    text = text.strip()
    if len(text) > LONGEST_TEXT:
        raise NotAllowed(f"The text is too long: shorten it to {LONGEST_TEXT} letters.")
    return vault.seal(text, "review.text", held.id) if text else None
