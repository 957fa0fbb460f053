"""Acts: whatever households, clerks, bodies and the hours may do to a registry, in the order of no story.

Each act picks what it acts on among what is there; a verb that does not fit is refused with a sentence.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

from sqlalchemy.orm import Session

from gateway import deadlines
from gateway.registry import (
    complaint,
    complaint_handling,
    data_round,
    declaration,
    evidence,
    number_change,
    recalculation,
    registration,
    review,
    review_desk,
    update,
    verification,
)
from gateway.registry.complaint import Complaint
from gateway.registry.extract import Row, read
from gateway.registry.intake import Intake
from gateway.registry.registration import Registration
from gateway.registry.review import Review
from gateway.registry.scoring import Scorer
from gateway.registry.update import DataUpdate
from tests.conftest import EXAMPLE
from tests.registry.asking import IDCS, all_answers, an_answer
from tests.registry.masses import a_formula
from tests.registry.whole_house import HOUSES, PHONES, House, msisdn

GIVEN = json.loads(EXAMPLE.read_text(encoding="utf-8").splitlines()[0])
CLERKS = ("Amina", "Brahim", "amina ")
NEWER = a_formula("rsu-2027", U35="0.0002", rural="8.75")

# What is declared, in place of what stands in the example. Some weigh in the index, some do not.
DECLARED: tuple[dict[str, Any], ...] = (
    {},
    {"equipment": {**GIVEN["equipment"], "cars": 2}},
    {"spending": {**GIVEN["spending"], "phone_internet": "420.00"}},
    {"members": GIVEN["members"][:1]},
    {"members": GIVEN["members"][::-1], "declarant": 2},
    {"area": "rural", "commune": "06.141.01.01"},
    {"contacts": []},
    {"language": "fr-MA"},
    {"dwelling": {**GIVEN["dwelling"], "family_nuclei": 2}},
)
# What bodies say, or clerks correct.
SAID: tuple[tuple[str, Any], ...] = (
    ("equipment.cars", 1), ("equipment.cars", 0), ("equipment.motorcycles", 2), ("property.irrigated_land", True),
    ("spending.phone_internet", "35.00"), ("spending.water_electricity", "900.00"),
    ("members.health_cover", "none"), ("members.activity", "employee"), ("members.birth_date", "2015-09-29"))


class Acts(House):
    """A registry, and what may be done to it."""

    # Registering and verifying

    def declares(self, house: int, declared: int, phone: int, verified: bool) -> None:
        intake = Intake(self.vault, self.scorer)
        row = self._row(house, declared, phone)

        def take(session: Session) -> object:
            return (intake.store if verified else intake.register)(session, [row], self.now).events

        self.do(take)

    def _row(self, house: int, declared: int, phone: int) -> Row:
        line = {**GIVEN, "household_number": HOUSES[house], "registered_on": str(self.today),
                "contacts": [{"phone": PHONES[phone], "consent": True}], **DECLARED[declared]}
        found, = read(io.BytesIO(json.dumps(line).encode()), self.today)
        assert isinstance(found, Row), found
        return found

    def body_answers(self, house: int, said: int, outcome: str, days_ago: int, reference: str) -> None:
        item, value = SAID[said]
        idcs = IDCS[said % 2] if item.startswith("members.") else None
        one = an_answer(item, value if outcome == "corrected" else None, outcome=outcome, number=HOUSES[house],
                        on=self.today - timedelta(days=days_ago), reference=reference, idcs=idcs)
        self.do(lambda session: verification.answer(session, self.vault, self.scorer, [one, one], self.now).events)

    def all_answer(self, house: int, without: str) -> None:
        answers = all_answers(HOUSES[house], on=self.today, without=without)
        self.do(lambda session: verification.answer(session, self.vault, self.scorer, answers, self.now).events)

    def contests_a_finding(self, house: int, which: int) -> None:
        home = self.home(house)
        found = [one for one in self.rows(evidence.Finding) if one.household_id == home]
        if home and found:
            self.do(lambda session: verification.contest(
                session, self.vault, home, found[which % len(found)].id, by="Amina", now=self.now))

    def is_scored_anyway(self, house: int) -> None:
        if home := self.home(house):
            self.do(lambda session: verification.score_anyway(
                session, self.vault, self.scorer, home, why="a body is silent", by="Amina", now=self.now))

    def leaves(self, which: int, how: str) -> None:
        if not (row := self.one(Registration, which)):
            return

        def leave(session: Session) -> None:
            common = {"why": "a reason", "by": "Amina", "now": self.now}
            if how == "withdrawn":
                registration.withdraw(session, self.vault, row.id, **common)
            else:
                registration.strike_off(session, self.vault, row.id, reason="fraud_confirmed", **common)
            self.runtime.teller.forget(session, row.household_id, self.now)

        self.do(leave)

    def is_reinstated(self, which: int) -> None:
        if row := self.one(Registration, which):
            self.do(lambda session: registration.reinstate(session, self.vault, row.id, why="an error", by="Amina",
                                                           now=self.now))

    # Reviews

    def asks_a_review(self, house: int, contested: Sequence[str], call: int) -> None:
        if home := self.home(house):
            self.do(lambda session: review.ask(
                session, self.vault, home, channel="ussd", asked_by=f"call {call}", contested=contested,
                answer_within=timedelta(days=30), now=self.now))

    def desk(self, verb: int, which: int, clerk: int, choice: int, apt: bool) -> None:
        """A clerk, or the household, does something with a review."""
        if not (row := self.one(Review, which)):
            return
        by = {"by": CLERKS[clerk], "now": self.now}
        item, value = SAID[choice]
        item = item.replace("members.", f"members.{1 + choice % 2}.")
        verbs: dict[str, Callable[[Session], object]] = {
            "assign": lambda session: review_desk.assign(session, self.vault, row.id, CLERKS[choice % 3], **by),
            "need": lambda session: review_desk.need_information(
                session, self.vault, row.id, "bill", self.today + timedelta(days=4 * choice), **by),
            "received": lambda session: review_desk.information_received(session, self.vault, row.id, **by),
            "correct": lambda session: review_desk.enter_correction(
                session, self.vault, row.id, item, value, why="a paper was shown", **by),
            "accept": lambda session: review_desk.accept(session, self.vault, self.scorer, row.id, **by),
            "refuse": lambda session: review_desk.refuse(
                session, self.vault, row.id, reason="values_confirmed", text="We looked.", **by),
            "withdraw": lambda session: review.withdraw(session, self.vault, row.id, now=self.now),
        }
        self.picked(verbs, row, verb, apt)

    # Complaints

    def complains(self, house: int | None, category: str, named: bool, phone: int) -> None:
        self.calls += 1
        home = None if house is None else self.home(house)
        self.do(lambda session: complaint.file(
            session, self.vault, household_id=home, category=category, channel="ussd", named=named,
            msisdn_blind=self.vault.blind(PHONES[phone], "contact.msisdn"), asked_by=f"call {self.calls}",
            now=self.now))

    def handles(self, verb: int, which: int, clerk: int, choice: int, apt: bool) -> None:
        """A clerk, or the household, does something with a complaint."""
        if not (row := self.one(Complaint, which)):
            return
        by = {"by": CLERKS[clerk], "now": self.now}
        clerks = {**by, "focal_points": ("Amina",)}
        verbs: dict[str, Callable[[Session], object]] = {
            "assign": lambda session: complaint_handling.assign(
                session, self.vault, row.id, CLERKS[choice % 3], **clerks),
            "begin": lambda session: complaint_handling.begin(session, self.vault, row.id, **clerks),
            "hold": lambda session: complaint_handling.hold(
                session, self.vault, row.id, until=self.today + timedelta(days=4 * choice),
                reason="waits_for_visit", **clerks),
            "resume": lambda session: complaint_handling.resume(session, self.vault, row.id, **clerks),
            "resolve": lambda session: complaint_handling.resolve(
                session, self.vault, row.id, resolution="upheld", answer="It was put right.", **clerks),
            "close": lambda session: complaint_handling.close(session, self.vault, row.id, **clerks),
            "escalate": lambda session: complaint_handling.escalate(session, self.vault, row.id, **clerks),
            "reopen": lambda session: complaint_handling.reopen(session, self.vault, row.id, now=self.now),
            "rate": lambda session: complaint_handling.rate(session, self.vault, row.id, choice, now=self.now),
        }
        self.picked(verbs, row, verb, apt)

    # Updates and numbers

    def reports(self, house: int, kind: str, channel: str) -> None:
        if home := self.home(house):
            self.do(lambda session: update.file(session, self.vault, home, kind, channel=channel, asked_by="a call",
                                                by="household", now=self.now))

    def updates(self, verb: int, which: int, choice: int, apt: bool) -> None:
        """A clerk, the household or another register does something with an update."""
        if not (row := self.one(DataUpdate, which)):
            return
        by = {"by": "Amina", "now": self.now}
        fitting = [one for one in SAID if one[0].partition(".")[0] in declaration.SECTIONS.get(row.kind, ())] or SAID
        item, value = fitting[choice % len(fitting)]
        address = {"lines": ["rue 1"], **({"area": "rural"} if choice % 2 else {})}
        applied: dict[str, Callable[[Session], object]] = {
            "address": lambda session: declaration.apply_address(
                session, self.vault, self.scorer, row.id, address, **by),
            "declarant": lambda session: declaration.apply_declarant(
                session, self.vault, row.id, 1 + choice % 3, **by),
        }
        verbs: dict[str, Callable[[Session], object]] = {
            "apply": applied.get(row.kind, lambda session: declaration.apply(
                session, self.vault, self.scorer, row.id, {item: value}, **by)),
            "answered": lambda session: update.answered(session, self.vault, row.number, "applied", **by),
            "refuse": lambda session: update.refuse(session, self.vault, row.number, **by),
            "withdraw": lambda session: update.withdraw(session, self.vault, row.number, **by),
            "refuse_number": lambda session: number_change.refuse_number(
                session, self.vault, row.number, from_msisdn=msisdn(choice % 4) if choice % 2 else None, **by),
        }
        self.picked(verbs, row, verb, apt)

    def asks_a_number(self, house: int, phone: int, channel: str) -> None:
        if home := self.home(house):
            self.do(lambda session: number_change.ask_number(
                session, self.vault, home, PHONES[phone], channel=channel, asked_by="a call", by="household",
                now=self.now))

    def says_not_mine(self, phone: int) -> None:
        self.do(lambda session: number_change.not_mine(
            session, self.vault, PHONES[phone], channel="ussd", asked_by="a call", by="household", now=self.now))

    def answers_the_round(self, house: int, said: str) -> None:
        if home := self.home(house):
            self.do(lambda session: data_round.answer(
                session, self.vault, self.scorer, home, said, kind="equipment" if said == "changed" else None,
                channel="ussd", asked_by="a call", by="household", now=self.now))

    # Hours, and the ministry

    def time_passes(self, hours: int, struck: bool) -> None:
        """And the clocks strike, unless they stand still."""
        self.clock.forward(hours=hours)
        for name in deadlines.CLOCKS if struck else ():
            self.clock_strikes(name)

    def clock_strikes(self, name: str) -> None:
        self.written = True
        deadlines.strike(self.runtime, name)

    def formula_changes(self) -> None:
        """A whole-registry run; from then on everybody is scored by the newer formula."""
        self.written = True
        recalculation.run(self.runtime.database, self.vault, NEWER, self.scorer.programmes, by="Amina",
                          now=self.now, checked=1)
        self.scorer = Scorer(NEWER, self.scorer.programmes)

    def untold_is_told(self) -> None:
        self.do(lambda session: recalculation.take_untold(session, self.now, 100).events)
