"""Declaration: a clerk changes what a household declared; it is verified and scored, and the old score stays."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
import sqlalchemy as sa

from gateway.registry import declaration, evidence, household, registration, score, update
from gateway.registry.audit import AuditEntry
from gateway.registry.communes import communes
from gateway.registry.events import IndexChanged
from gateway.registry.evidence import Correction, Finding
from gateway.registry.household import Member
from gateway.registry.inquiry import Inquiry
from gateway.registry.registration import Registration
from gateway.registry.score import IndexScore
from gateway.registry.steps import NotAllowed
from gateway.registry.update import DataUpdate
from tests.conftest import NOON, a_row, register
from tests.registry.asking import all_answers, answer, declare
from tests.web.desk import homes, rows

one_kind = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
ELSEWHERE = next(code for code, place in communes().items() if place.region == 8)


def file(runtime, kind="spending", channel="centre"):
    with runtime.database.write() as session:
        return update.file(session, runtime.vault, homes(runtime)[0].id, kind, channel=channel, asked_by="a visit",
                           by="amina", now=runtime.clock()).update_id


def apply(runtime, update_id, items):
    with runtime.database.write() as session:
        return declaration.apply(session, runtime.vault, runtime.scorer, update_id, items, by="amina",
                                 now=runtime.clock())


def move(runtime, update_id, **address):
    with runtime.database.write() as session:
        return declaration.apply_address(session, runtime.vault, runtime.scorer, update_id, address, by="amina",
                                         now=runtime.clock())


def lines(runtime):
    return household.address_of(runtime.vault, homes(runtime)[0]).lines


def counts(runtime):
    with runtime.database.read() as session:
        return score.latest(session, homes(runtime)[0].id)


def kept(runtime):
    found, = rows(runtime, DataUpdate)
    return found


@pytest.fixture
def house(runtime):
    register(runtime, a_row())
    return runtime


def test_a_declared_change_is_verified_anew_and_leads_to_a_new_score(house, clock):
    before, asked_before = counts(house), {one.id for one in rows(house, Inquiry)}
    clock.forward(days=3)
    update_id = file(house, channel="ussd")
    clock.forward(days=2)
    assert file(house) == update_id, "the report by telephone is what the clerk applies"
    event, = apply(house, update_id, {"spending.phone_internet": "300.00"})
    after = counts(house)
    assert event == IndexChanged(homes(house)[0].id, after.id, before.id, "data_update")
    assert (after.cause, after.value > before.value) == ("data_update", True)
    home, found = homes(house)[0], kept(house)
    assert (home.facts["spending"]["phone_internet"], home.declared_on) == ("300.00", date(2026, 11, 28))
    assert (found.state, found.score_id, found.ended_at - found.asked_at) == ("applied", after.id, timedelta(days=2))
    asked = [one for one in rows(house, Inquiry) if one.id not in asked_before]
    assert "spending.phone_internet" in {item for one in asked for item in one.items}


@one_kind
def test_what_is_still_being_verified_gets_no_index_by_an_update(runtime):
    declare(runtime, a_row())
    assert apply(runtime, file(runtime), {"spending.phone_internet": "300.00"}) == []
    assert move(runtime, file(runtime, "address"), lines=["rue 1"], commune=ELSEWHERE) == []
    assert (rows(runtime, IndexScore), rows(runtime, Registration)[0].state) == ([], "verifying")
    answer(runtime, *all_answers())
    assert len(rows(runtime, IndexScore)) == 1


@one_kind
def test_while_bodies_are_asked_a_change_is_asked_about_and_not_scored(runtime, clock):
    declare(runtime, a_row())
    clock.forward(days=1)
    assert apply(runtime, file(runtime), {"spending.phone_internet": "300.00"}) == []
    assert (counts(runtime), kept(runtime).state, kept(runtime).score_id) == (None, "applied", None)
    assert homes(runtime)[0].facts["spending"]["phone_internet"] == "300.00"
    [about] = [one for one in rows(runtime, Inquiry) if one.partner == "telecom" and one.answered_at is None]
    assert about.asked_at == clock.now
    answer(runtime, *all_answers(on=clock.now.date()))
    assert (counts(runtime).cause, [one.state for one in rows(runtime, Registration)]) == ("registration", ["scored"])


@one_kind
def test_nothing_is_changed_for_who_has_left_the_register(house):
    update_id, before = file(house), homes(house)[0].facts
    [there] = rows(house, Registration)
    with house.database.write() as session:
        registration.withdraw(session, house.vault, there.id, why="asked to", by="amina", now=NOON)
    with pytest.raises(NotAllowed, match="reinstate it first"):
        apply(house, update_id, {"spending.phone_internet": "300.00"})
    assert (homes(house)[0].facts, kept(house).state) == (before, "received")


@one_kind
def test_a_change_that_moves_nothing_has_no_score_of_its_own(house):
    before = counts(house)
    assert apply(house, file(house), {"spending.butane": homes(house)[0].facts["spending"]["butane"]}) == []
    assert (kept(house).state, kept(house).score_id, counts(house).id) == ("applied", None, before.id)


@one_kind
def test_what_a_partner_said_counts_until_it_is_asked_again(house):
    with house.database.write() as session:
        session.add(Finding(household_id=homes(house)[0].id, partner="telecom", item="spending.phone_internet",
                            member_blind=b"", outcome="corrected", value="500.00", answered_on=NOON.date(),
                            reference="x", said="x", received_at=NOON))
    apply(house, file(house), {"spending.phone_internet": "10.00"})
    with house.database.read() as session:
        found = evidence.effective(session, homes(house))[homes(house)[0].id]
    assert found.facts["spending"]["phone_internet"] == "500.00"
    assert found.sources["spending.phone_internet"]["by"] == "telecom"


@one_kind
def test_a_correction_of_an_earlier_day_does_not_outweigh_a_later_declaration(house, clock):
    with house.database.write() as session:
        for item, value in (("equipment.cars", 0), ("equipment.computers", 3)):
            session.add(Correction(household_id=homes(house)[0].id, item=item, member_blind=b"", value=value,
                                   entered_by="omar", reason="review", review_id=None, in_force_at=NOON,
                                   entered_at=NOON))
    clock.forward(days=400)
    apply(house, file(house, "equipment"), {"equipment.cars": 1})
    with house.database.read() as session:
        facts = evidence.effective(session, homes(house))[homes(house)[0].id].facts
    assert (facts["equipment"]["cars"], facts["equipment"]["computers"]) == (1, 3)


@one_kind
@pytest.mark.parametrize(("kind", "items", "sentence"), [
    ("spending", {}, "Say what has changed"),
    ("spending", {"spending.butane": "-5"}, "spending.butane: Write dirhams"),
    ("spending", {"spending.butane": 12.5}, "without a decimal point"),
    ("spending", {"spending.rent": "5.00"}, "there are butane, water_electricity, phone_internet"),
    ("spending", {"equipment.cars": 1}, "changes items of spending only"),
    ("spending", {"spending": {}}, "changes items of spending only"),
    ("equipment", {"equipment.cars": 51}, "the most is 50"),
    ("equipment", {"property.cows": "two"}, "Write a whole number"),
    ("dwelling", {"dwelling.type": "castle"}, "Write one of these words"),
    ("address", {"address.lines": ["x"]}, "applies an update of dwelling, equipment, spending"),
])
def test_what_an_extract_could_not_hold_is_refused_and_nothing_is_changed(house, kind, items, sentence):
    update_id, facts = file(house, kind), homes(house)[0].facts
    with pytest.raises(NotAllowed, match=sentence) as refused:
        apply(house, update_id, items)
    assert "castle" not in str(refused.value)
    assert (homes(house)[0].facts, kept(house).state, len(rows(house, IndexScore))) == (facts, "received", 1)


@one_kind
def test_an_update_is_applied_once(house):
    update_id = file(house)
    apply(house, update_id, {"spending.butane": "90.00"})
    with pytest.raises(NotAllowed, match="applied"):
        apply(house, update_id, {"spending.butane": "10.00"})
    assert homes(house)[0].facts["spending"]["butane"] == "90.00"


def test_a_new_address_keeps_the_name_and_stands_nowhere_in_the_clear(house):
    name = lines(house)[0]
    assert move(house, file(house, "address"), lines=["Rue Neuve 7"], postal_code="20000", locality="Anfa") == []
    assert lines(house) == (name, "Rue Neuve 7", "20000 Anfa")
    assert b"Neuve" not in homes(house)[0].address_sealed
    assert "Neuve" not in "".join(str(entry.detail) for entry in rows(house, AuditEntry))
    assert kept(house).state == "applied"


@one_kind
def test_who_moves_to_another_region_is_scored_there(house):
    before = counts(house)
    event, = move(house, file(house, "address"), lines=["Douar Tizi"], commune=ELSEWHERE, area="rural")
    home, after = homes(house)[0], counts(house)
    assert (event.cause, event.score_id, kept(house).score_id) == ("data_update", after.id, after.id)
    assert (home.region, home.area, home.commune, home.facts["region"], home.facts["area"]) == (
        8, "rural", ELSEWHERE, 8, "rural")
    assert after.value != before.value


@one_kind
@pytest.mark.parametrize(("address", "sentence"), [
    ({}, "An address has lines"),
    ({"lines": []}, "An address has lines"),
    ({"lines": ["x"], "street": "y"}, "nothing else"),
    ({"lines": ["x" * 81]}, "shorten it to 80"),
    ({"lines": ["a\nb"]}, "control character"),
    ({"lines": ["x"], "postal_code": "2000"}, "exactly 5 digits"),
    ({"lines": ["x"], "commune": "99.999.99.99"}, "no such commune"),
    ({"lines": ["x"], "area": "desert"}, "urban, rural"),
])
def test_an_address_that_no_letter_could_bear_is_refused(house, address, sentence):
    before, update_id = lines(house), file(house, "address")
    with pytest.raises(NotAllowed, match=sentence):
        move(house, update_id, **address)
    assert (lines(house), kept(house).state) == (before, "received")


@one_kind
def test_another_adult_speaks_for_the_household_and_letters_bear_that_name(runtime):
    members = a_row().household["members"]
    second = {**members[1], "birth_date": "2008-11-23", "name_ar": "سعيد بناني"}
    register(runtime, a_row(members=[members[0], second]))
    update_id = file(runtime, "declarant")

    def choose(position):
        with runtime.database.write() as session:
            declaration.apply_declarant(session, runtime.vault, update_id, position, by="amina", now=runtime.clock())

    with pytest.raises(NotAllowed, match="no member at this position"):
        choose(3)
    choose(2)
    assert lines(runtime)[0] == "سعيد بناني"
    with runtime.database.read() as session:
        assert session.scalars(sa.select(Member.position).where(Member.declarant)).all() == [2]


@one_kind
def test_a_minor_does_not_speak_for_a_household(house):
    update_id = file(house, "declarant")
    with house.database.write() as session, pytest.raises(NotAllowed, match="under 18"):
        declaration.apply_declarant(session, house.vault, update_id, 2, by="amina", now=NOON)


def test_what_a_clerk_changed_stays_while_the_extract_says_what_it_said_before(runtime):
    register(runtime, a_row())
    apply(runtime, file(runtime, "equipment"), {"equipment.cars": 1})
    apply(runtime, file(runtime), {"spending.butane": "55.00"})
    move(runtime, file(runtime, "address"), lines=["12 rue des Orangers"])
    register(runtime, a_row(phone="0655443322"))
    kept = homes(runtime)[0]
    assert (kept.facts["equipment"]["cars"], kept.facts["spending"]["butane"]) == (1, "55.00")
    assert household.address_of(runtime.vault, kept).lines[1] == "12 rue des Orangers"
    spending = {**a_row().household["spending"], "butane": "70.00"}
    register(runtime, a_row(phone="0655443322", spending=spending))
    newer = homes(runtime)[0]
    assert (newer.facts["equipment"]["cars"], newer.facts["spending"]["butane"]) == (1, "70.00")
    assert sorted(newer.changed_here) == ["address", "equipment.cars"]


def test_what_the_household_itself_declares_anew_counts_whatever_a_clerk_changed(runtime):
    register(runtime, a_row())
    apply(runtime, file(runtime, "equipment"), {"equipment.cars": 1})
    declare(runtime, a_row(phone="0655443322"))
    assert homes(runtime)[0].facts["equipment"]["cars"] == 0
    assert homes(runtime)[0].changed_here == {}
