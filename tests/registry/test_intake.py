"""Intake: rows become households and scores; what is there already stays, what changed is told if it moved."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import date
from decimal import Decimal
from io import BytesIO
from threading import Barrier
from uuid import UUID

import pytest
import sqlalchemy as sa

from gateway.outbox import Message
from gateway.registry import household as households
from gateway.registry.events import DecisionChanged
from gateway.registry.extract import read
from gateway.registry.household import Contact, Household, Member
from gateway.registry.programme import Threshold
from gateway.registry.score import IndexScore, ProgrammeDecision, Snapshot, latest
from gateway.registry.scoring import contributions, reproduce
from tests.conftest import EXAMPLE, NOON, a_row, open_house, register
from tests.web.desk import contents, homes, rows

one_kind = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
for_real = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
MORE = {"butane": "200.00", "water_electricity": "1900.50", "phone_internet": "800.00"}
OLD_KEY = "1:AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE="
NEW_KEY = "2:AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI="


def store(runtime, *given):
    with runtime.database.write() as session:
        return runtime.intake.store(session, given, runtime.clock())


def scores(runtime):
    """In the order in which they were computed."""
    return sorted(rows(runtime, IndexScore), key=lambda score: score.computed_at)


def notices(runtime):
    return [message.notice for message in rows(runtime, Message)]


def a_broken_row():
    """A row that passed the door, of a region that the formula does not have: it cannot be computed."""
    row = a_row()
    return replace(row, household={**row.household, "region": 13}, content_digest="0" * 64)


@one_kind
def test_a_new_row_is_stored_scored_and_told(runtime):
    register(runtime, a_row())
    score, = scores(runtime)
    assert (score.cause, score.predecessor_id, score.failure) == ("registration", None, None)
    with runtime.database.read() as session:
        assert score.value == reproduce(session, score.id)
        assert sum(line.amount for line in contributions(session, score)) == score.value
    assert {decision.programme for decision in rows(runtime, ProgrammeDecision)} == {
        programme.key for programme in runtime.scorer.programmes}
    assert notices(runtime) == ["index_assigned"]


def test_the_same_row_twice_changes_nothing_and_tells_nobody(runtime, clock):
    register(runtime, a_row())
    before = contents(runtime)
    clock.forward(days=1)
    register(runtime, a_row())
    assert store(runtime, a_row()).unchanged == 1
    assert contents(runtime) == before


@one_kind
def test_a_row_written_otherwise_with_the_same_facts_is_the_same_row(runtime):
    first = json.loads(EXAMPLE.read_text(encoding="utf-8").splitlines()[0])
    turned = json.dumps(dict(reversed(first.items())), indent=None, ensure_ascii=True)
    (row,) = read(BytesIO(turned.encode()), NOON.date())
    (same,) = read(BytesIO(json.dumps(first).encode()), NOON.date())
    assert (store(runtime, row).new, store(runtime, same).unchanged) == (1, 1)


def test_a_changed_row_makes_a_new_score_with_its_predecessor_and_is_told(runtime, clock):
    register(runtime, a_row())
    clock.forward(days=1)
    register(runtime, a_row(spending=MORE))
    first, second = scores(runtime)
    assert (second.predecessor_id, second.cause) == (first.id, "data_update")
    assert second.value != first.value
    assert len(homes(runtime)) == 1
    assert notices(runtime) == ["index_assigned", "index_assigned"]  # the first was not told yet


@one_kind
def test_a_change_that_moves_neither_index_nor_decision_is_not_news(runtime, clock):
    register(runtime, a_row())
    clock.forward(days=1)
    moved = a_row(address={"lines": ["رقم 9، الزنقة 3"], "postal_code": "20250", "locality": "الدار البيضاء"})
    assert store(runtime, moved).changed == 1
    assert (len(scores(runtime)), notices(runtime)) == (1, ["index_assigned"])
    home, = homes(runtime)
    assert "رقم 9، الزنقة 3" in households.address_of(runtime.vault, home).lines


@one_kind
def test_a_change_that_moves_a_decision_alone_is_told(runtime, clock):
    """A new limit is in force: the index is the same, what it means is not."""
    limits = (Threshold(Decimal("9"), date(2023, 12, 1), "a law"), Threshold(Decimal("12"), date(2026, 12, 1), "a law"))
    asd = replace(next(one for one in runtime.scorer.programmes if one.key == "asd"), thresholds=limits)
    intake = replace(runtime.intake, scorer=replace(runtime.scorer, programmes=(asd,)))
    with runtime.database.write() as session:
        assert len(intake.store(session, [a_row()], clock.now).events) == 1
    clock.forward(days=10)
    with runtime.database.write() as session:
        told, = intake.store(session, [a_row(language="fr-MA")], clock.now).events
    score, = scores(runtime)
    before, after = sorted(rows(runtime, ProgrammeDecision), key=lambda decision: decision.decided_at)
    assert (before.below, after.below) == (False, True)
    assert told == DecisionChanged(score.household_id, score.id, (after.id,))


@one_kind
def test_a_child_born_after_the_registration_is_added_and_counted(runtime, clock):
    register(runtime, a_row())
    clock.forward(days=400)
    born = {**a_row().household["members"][1], "idcs": "5555555555", "birth_date": "2027-06-01"}
    line = {**a_row().household, "members": [*a_row().household["members"], born]}
    (row,) = read(BytesIO(json.dumps(line).encode()), clock.now.date())
    register(runtime, row)
    assert [one.failure for one in scores(runtime)] == [None, None]
    assert [one.taken_on for one in rows(runtime, Snapshot)] == [date(2026, 11, 20), clock.now.date()]


@one_kind
def test_a_child_born_while_the_household_is_verified_is_counted_in_the_first_index(runtime, clock):
    clock.forward(days=3)
    born = {**a_row().household["members"][1], "birth_date": "2026-11-25"}
    line = {**a_row().household, "members": [a_row().household["members"][0], born]}
    (row,) = read(BytesIO(json.dumps(line).encode()), clock.now.date())
    register(runtime, row)
    [first] = scores(runtime)
    assert (first.cause, first.failure) == ("registration", None)


@for_real
def test_two_imports_of_the_same_new_households_at_once_load_each_once(runtime):
    given = [a_row(f"29000000{number:02}") for number in range(20)]
    together = Barrier(2)

    def at_once(order):
        together.wait()
        with runtime.database.write() as session:
            stored = runtime.intake.store(session, order, runtime.clock())
        return stored.new, stored.unchanged

    with ThreadPoolExecutor(2) as imports:
        assert sorted(imports.map(at_once, (given, given[::-1]))) == [(0, 20), (20, 0)]
    assert len(homes(runtime)) == 20


@one_kind
def test_going_back_to_what_was_is_a_change_once_more(runtime, clock):
    for spending in (None, MORE, None):
        register(runtime, a_row(**({"spending": spending} if spending else {})))
        clock.forward(days=1)
    first, second, third = scores(runtime)
    assert (third.value, third.predecessor_id, second.predecessor_id) == (first.value, second.id, first.id)


def test_a_computation_that_fails_leaves_a_reason_no_number_and_no_notice(runtime):
    stored = store(runtime, a_broken_row())
    score, = scores(runtime)
    assert (score.value, bool(score.failure), score.contributions) == (None, True, b"")
    assert (stored.unscored, stored.events, rows(runtime, ProgrammeDecision)) == (1, [], [])


@one_kind
def test_a_failed_computation_leaves_the_last_number_as_it_was(runtime, clock):
    register(runtime, a_row())
    clock.forward(days=1)
    assert store(runtime, a_broken_row()).unscored == 1
    first, failed = scores(runtime)
    assert (failed.predecessor_id, failed.value) == (first.id, None)
    with runtime.database.read() as session:
        assert latest(session, homes(runtime)[0].id).id == first.id


def test_no_score_has_both_a_number_and_a_reason_or_neither(runtime):
    register(runtime, a_row())
    score, = scores(runtime)
    row = {column.key: getattr(score, column.key) for column in sa.inspect(IndexScore).columns}
    for change in ({"failure": "both"}, {"value": None}):
        with pytest.raises(sa.exc.IntegrityError), runtime.database.write() as session:
            session.execute(sa.insert(IndexScore), [{**row, "id": UUID(int=1), **change}])


def test_a_stopped_telephone_stays_stopped_when_the_row_changes(runtime, clock):
    both = [{"phone": "0612345678", "consent": True}, {"phone": "0712345678", "consent": True}]
    register(runtime, a_row(contacts=both))
    with runtime.database.write() as session:
        households.suspend(session, runtime.vault, "+212612345678", clock.now)
    register(runtime, a_row(contacts=both, spending=MORE))
    register(runtime, a_row(contacts=both[::-1]))
    with runtime.database.read() as session:
        home = session.scalars(sa.select(Household)).one()
        assert households.texted_at(session, runtime.vault, [home.id]) == {home.id: "+212712345678"}
    assert sorted(contact.suspended_at is None for contact in rows(runtime, Contact)) == [False, True]


@one_kind
def test_while_keys_are_changed_a_household_is_found_and_its_stopped_telephone_stays_stopped(
        database_url, redis_url, tmp_path, clock):
    before = open_house(database_url, redis_url, tmp_path, clock, SECRET_KEYS=OLD_KEY)
    register(before, a_row())
    with before.database.write() as session:
        households.suspend(session, before.vault, "+212612345678", clock.now)
    before.close()
    changing = open_house(database_url, redis_url, tmp_path, clock, SECRET_KEYS=f"{NEW_KEY},{OLD_KEY}")
    assert store(changing, a_row()).unchanged == 1
    assert store(changing, a_row(spending=MORE)).changed == 1
    assert [contact.suspended_at for contact in rows(changing, Contact)] == [clock.now]
    with changing.database.read() as session:
        assert len(households.households_of(session, changing.vault, "+212612345678")) == 1
    changing.close()
    after = open_house(database_url, redis_url, tmp_path, clock, SECRET_KEYS=NEW_KEY)
    assert store(after, a_row(spending=MORE)).unchanged == 1
    assert households.address_of(after.vault, homes(after)[0]).lines
    after.close()


@one_kind
def test_a_threshold_of_the_day_counts_from_midnight_in_casablanca(runtime, clock):
    clock.now = NOON.replace(hour=23, minute=30)
    store(runtime, a_row())
    assert {decision.decided_on for decision in rows(runtime, ProgrammeDecision)} == {date(2026, 11, 24)}


@one_kind
def test_nothing_personal_stands_in_clear_in_the_database_file(runtime, tmp_path):
    """Searched as bytes, as whoever copies the file would: the tables, their indexes and the write-ahead log."""
    home = a_row(contacts=[{"phone": "0612345678", "consent": True}, {"phone": "0522123456", "consent": False}])
    register(runtime, home, a_row("2900000002", None, language="fr-MA"))
    given = home.household
    secrets = {given["household_number"], "2900000002", *given["address"]["lines"], "612345678", "522123456",
               given["address"]["postal_code"], *(
                   member[key] for member in given["members"] for key in ("idcs", "name_ar", "name_latin"))}
    secrets |= {word for secret in secrets for word in secret.split() if len(word) > 5}
    files = sorted(tmp_path.glob("house.db*"))
    assert [file.name for file in files] == ["house.db", "house.db-shm", "house.db-wal"]
    stored = b"".join(file.read_bytes() for file in files)
    assert str(rows(runtime, Member)[0].id.hex).encode() in stored, "the search finds what is there"
    found = [secret for secret in secrets for form in (secret, json.dumps(secret)[1:-1])
             if form.encode() in stored or form.encode("utf-16-le") in stored]
    assert found == []


@one_kind
def test_what_is_stored_as_facts_names_nobody(runtime):
    register(runtime, a_row())
    home, = homes(runtime)
    assert set(home.facts) == {"area", "region", "dwelling", "equipment", "property", "spending", "members"}
    assert not {"idcs", "name_ar", "name_latin"} & set().union(*home.facts["members"])
    snapshot, = rows(runtime, Snapshot)
    assert not {"idcs", "name_ar", "name_latin"} & set().union(*snapshot.facts["members"])
