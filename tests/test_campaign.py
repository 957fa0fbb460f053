"""Campaigns: one text to very many, evenly, approved, within the budget, and stopped at a word."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import product

import pytest
import sqlalchemy as sa

from channels.base import Receipt
from channels.text import parts
from gateway import campaign, cost, outbox
from gateway.campaign import Asked, Audience, BadAudience, Campaign
from gateway.campaign.making import make
from gateway.cost import Budget, Spending
from gateway.outbox import Message
from gateway.registry.audit import AuditEntry
from gateway.registry.clock import CASABLANCA, day_of
from gateway.registry.household import Contact, Household
from gateway.registry.registration import Registration
from gateway.registry.score import ProgrammeDecision
from gateway.registry.steps import NotAllowed
from gateway.words import LOCALES
from jobs.campaigns import pace_campaigns
from tests.conftest import NOON, a_row, open_house, register
from tests.web.desk import homes, rows

one_kind = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
NINE, EVENING = (datetime(2026, 11, 24, hour, tzinfo=CASABLANCA).astimezone(UTC) for hour in (9, 20))


def asked(**changes) -> Asked:
    return replace(Asked("centre-days", "centre_days", Audience(), NINE, EVENING, 600), **changes)


def households(runtime, number: int = 6, **more) -> None:
    """So many, each with a telephone of its own, in the three languages by turns."""
    register(runtime, *(a_row(f"29000{place:05d}", f"06123{place:05d}", **{
        "language": ("ar-MA", "fr-MA", "zgh-MA")[place % 3], **more}) for place in range(1, number + 1)))
    with runtime.database.write() as session:
        session.execute(sa.delete(outbox.Promise))
        session.execute(sa.delete(Message))


def ask(runtime, **changes) -> Campaign:
    with runtime.database.write() as session:
        return runtime.campaigns.ask(session, asked(**changes), by="asker", now=runtime.clock())


def approved(runtime, by: str = "approver", **changes) -> Campaign:
    row = ask(runtime, **changes)
    with runtime.database.write() as session:
        runtime.campaigns.approve(session, row.name, by=by, now=runtime.clock())
    return row


def started(runtime, **changes) -> Campaign:
    row = approved(runtime, **changes)
    return runtime.campaigns.start(runtime.database, row.name, by="starter", clock=runtime.clock)


def act(runtime, verb: str, name: str = "centre-days") -> None:
    with runtime.database.write() as session:
        getattr(runtime.campaigns, verb)(session, name, by="clerk", now=runtime.clock())


def states(runtime) -> Counter:
    return Counter(message.state for message in rows(runtime, Message))


def the(runtime) -> Campaign:
    (row,) = rows(runtime, Campaign)
    return row


def spread(runtime, clock, until, every=5) -> list[tuple[datetime, int]]:
    """What is let go at each ring of the clock until then."""
    found = []
    while clock.now < until:
        clock.forward(seconds=every)
        let_go = pace_campaigns(runtime)
        if let_go:
            found.append((clock.now, let_go))
    return found


# Whom it is for


def reached(runtime, **audience) -> set[str]:
    with runtime.database.read() as session:
        return {one.msisdn for one in campaign.audience.recipients(session, runtime.vault, Audience.parse(audience))}


def test_each_telephone_is_texted_once_however_many_households_it_serves(runtime):
    register(runtime, *(a_row(f"290000000{place}", "0612345678") for place in range(1, 4)))
    with runtime.database.write() as session:
        session.execute(sa.delete(Message))
    started(runtime)
    (message,) = rows(runtime, Message)
    assert message.household_id == min(home.id for home in homes(runtime))
    assert runtime.vault.open(message.to_sealed, "message.to", message.id) == "+212612345678"


@pytest.mark.parametrize("spoilt", [
    {"consent": False}, {"kind": "landline"}, {"verified_at": None}, {"suspended_at": NOON}])
def test_only_a_mobile_that_agreed_and_is_neither_stopped_nor_in_doubt_is_texted(runtime, spoilt):
    """The household's next telephone takes its place; without one it is counted, and gets nothing."""
    contacts = [{"phone": "0612345678", "consent": True}, {"phone": "0661234567", "consent": True}]
    register(runtime, a_row(contacts=contacts), a_row("2900000002", "0700000001"))
    assert reached(runtime) == {"+212612345678", "+212700000001"}
    first = min(contact.position for contact in rows(runtime, Contact))
    with runtime.database.write() as session:
        session.execute(sa.update(Contact).where(Contact.position == first).values(**spoilt))
    assert reached(runtime) == {"+212661234567"}
    with runtime.database.read() as session:
        assert campaign.audience.households(session, Audience()) == (2, 1)


def test_an_audience_is_of_a_region_an_area_a_commune_and_a_language(runtime):
    register(runtime, a_row(), a_row("2900000002", "0661234567", language="fr-MA"))
    home = homes(runtime)[0]
    with runtime.database.write() as session:
        session.execute(sa.update(Household).where(Household.id != home.id).values(
            region=home.region % 12 + 1, area="rural" if home.area == "urban" else "urban", commune="01.041.01.03."))
    for wanted in ({"regions": [home.region]}, {"area": home.area}, {"communes": [home.commune]},
                   {"languages": ["ar-MA"]}):
        assert reached(runtime, **wanted) == {"+212612345678"}, wanted
    assert len(reached(runtime)) == 2
    assert reached(runtime, regions=[home.region], languages=["fr-MA"]) == set()


def test_an_audience_is_whom_a_programme_judged_so_last(runtime, clock):
    register(runtime, a_row())
    now = {row.programme: row.eligible for row in rows(runtime, ProgrammeDecision)}
    programme, eligible = next((key, value) for key, value in now.items() if value is not None)
    assert reached(runtime, programme=programme, eligible=eligible) == {"+212612345678"}
    assert reached(runtime, programme=programme, eligible=not eligible) == set()
    (before,) = (row for row in rows(runtime, ProgrammeDecision) if row.programme == programme)
    later = {column.name: getattr(before, column.name) for column in ProgrammeDecision.__table__.c}
    with runtime.database.write() as session:
        session.execute(sa.insert(ProgrammeDecision).values(later | {"id": outbox.message.new_id(),
                                                                     "eligible": not eligible}))
    assert reached(runtime, programme=programme, eligible=eligible) == set()


def test_whoever_has_left_the_register_is_in_no_audience(runtime):
    register(runtime, a_row())
    with runtime.database.write() as session:
        session.execute(sa.update(Registration).values(state="withdrawn"))
    assert reached(runtime) == set()


def test_a_contact_that_no_key_opens_is_counted_and_stops_nobody_else_s_text(runtime, caplog):
    households(runtime, 3)
    spoilt = rows(runtime, Contact)[0]
    with runtime.database.write() as session:
        session.execute(sa.update(Contact).where(Contact.id == spoilt.id).values(msisdn_sealed=b"of another key"))
    row = ask(runtime)
    with runtime.database.read() as session:
        plan = runtime.campaigns.plan(session, row, runtime.clock())
    assert (plan.recipients, plan.unreadable, plan.as_json()["contacts_unreadable"]) == (2, 1, 1)
    assert f"contact {spoilt.id} cannot be opened" in caplog.text
    assert "+212" not in caplog.text
    act(runtime, "approve")
    runtime.campaigns.start(runtime.database, row.name, by="starter", clock=runtime.clock)
    assert states(runtime) == {"held": 2}


@pytest.mark.parametrize("wrong", [
    {"regions": [13]}, {"area": "sea"}, {"communes": ["00.000.00.00."]}, {"languages": ["en"]}, {"age": 3},
    {"programme": "none", "eligible": True}, {"eligible": True}, {"programme": "asd"}])
def test_an_audience_that_means_nobody_is_refused(wrong):
    with pytest.raises(BadAudience):
        Audience.parse(wrong)


def test_an_audience_is_kept_as_it_was_asked_for():
    for given in ({}, {"area": "rural", "regions": [1, 2]}, {"programme": "asd", "eligible": False}):
        assert Audience.parse(given).as_json() == given
        assert Audience.parse(Audience.parse(given).as_json()) == Audience.parse(given)


# Asking and approving


@one_kind
@pytest.mark.parametrize(("changes", "words"), [
    ({"name": "Centre days"}, "small letters"), ({"notice": "index_assigned"}, "No announcement is named"),
    ({"notice": "free text"}, "No announcement is named"), ({"ends_at": NINE}, "The window ends"),
    ({"starts_at": NOON - timedelta(days=2), "ends_at": NOON - timedelta(days=1)}, "has passed"),
    ({"ends_at": NINE + timedelta(days=400)}, "more than 366 days"), ({"per_minute": 0}, "At least one")])
def test_what_cannot_be_a_campaign_is_refused(runtime, changes, words):
    with pytest.raises(NotAllowed, match=words):
        ask(runtime, **changes)
    assert rows(runtime, Campaign) == []


@one_kind
def test_two_campaigns_have_two_names(runtime):
    ask(runtime)
    with pytest.raises(NotAllowed, match="already"):
        ask(runtime)


@one_kind
def test_from_so_many_telephones_on_it_takes_two_people(database_url, redis_url, tmp_path, clock):
    runtime = open_house(database_url, redis_url, tmp_path, clock, CAMPAIGN_FOUR_EYES="2")
    households(runtime, 3)
    with pytest.raises(NotAllowed, match="somebody else than asker"):
        approved(runtime, by="  Asker ")
    assert the(runtime).state == "draft"
    with runtime.database.write() as session:
        runtime.campaigns.approve(session, "centre-days", by="another", now=clock())
    assert (the(runtime).state, the(runtime).approved_by, the(runtime).recipients) == ("approved", "another", 3)
    runtime.close()


@one_kind
def test_a_small_one_is_approved_by_whoever_asked_for_it(runtime):
    households(runtime, 3)
    approved(runtime, by="asker")
    assert the(runtime).state == "approved"


@one_kind
def test_nothing_is_sent_that_nobody_has_approved(runtime):
    households(runtime, 3)
    ask(runtime)
    with pytest.raises(NotAllowed, match="draft"):
        runtime.campaigns.start(runtime.database, "centre-days", by="clerk", clock=runtime.clock)
    assert rows(runtime, Message) == []


@one_kind
def test_a_window_too_short_for_the_pace_is_refused_with_both_figures(runtime):
    households(runtime, 12)
    with pytest.raises(NotAllowed, match=r"take 12 minutes .* has 6 minutes"):
        approved(runtime, per_minute=1, ends_at=NINE + timedelta(minutes=6))


@one_kind
def test_the_shortest_window_is_told_in_figures_that_differ(runtime):
    households(runtime, 1)
    with pytest.raises(NotAllowed, match=r"take 0.1 minutes .* has 0.05 minutes"):
        approved(runtime, per_minute=10, ends_at=NINE + timedelta(seconds=3))


@one_kind
def test_each_act_is_written_down_with_who_did_it(runtime, clock):
    households(runtime, 3)
    started(runtime)
    for verb in ("pause", "resume", "cancel"):
        act(runtime, verb)
    acts = [(entry.act, entry.by) for entry in sorted(rows(runtime, AuditEntry), key=lambda entry: entry.id)
            if entry.act.startswith("campaign.")]
    assert acts == [("campaign.asked", "asker"), ("campaign.approved", "approver"), ("campaign.started", "starter"),
                    ("campaign.paused", "clerk"), ("campaign.resumed", "clerk"), ("campaign.cancelled", "clerk")]


# What it will cost


@one_kind
def test_what_it_costs_is_known_before_anything_is_sent(runtime):
    households(runtime, 6)
    register(runtime, a_row("2900000099", None))
    row = ask(runtime)
    with runtime.database.read() as session:
        plan = runtime.campaigns.plan(session, row, runtime.clock())
    told = plan.as_json()
    assert (plan.recipients, plan.households, plan.unreached) == (6, 7, 1)
    assert {one["locale"]: (one["recipients"], one["encoding"], one["parts_each"]) for one in told["languages"]} == {
        "ar-MA": (2, "ucs2", 2), "fr-MA": (2, "gsm7", 1), "zgh-MA": (2, "gsm7", 1)}
    assert plan.parts == told["parts"] == 8
    assert {share.network for share in plan.shares} == {"60400"}
    # 0612 is a number of Orange.
    assert told["mad"] == {"twilio": {"60400": "5.1200"}, "africastalking": {"60400": "4.1600"}}
    assert plan.most == Decimal("5.12")
    assert told["prices_are_an_example"] is True
    assert plan.burden.at_pace == timedelta(seconds=0.6)
    assert "sms" not in {message.medium for message in rows(runtime, Message)}


@one_kind
def test_the_text_of_a_language_is_one_for_all_and_is_the_one_that_was_approved(runtime):
    households(runtime, 9)
    row = started(runtime)
    sent = {(message.locale, runtime.vault.open(message.body_sealed, "message.body", message.id), message.reference,
             message.parts) for message in rows(runtime, Message)}
    assert sent == {(locale, wording.body, wording.reference, parts(wording.body))
                    for locale, wording in row.wordings.items()}


@one_kind
def test_an_announcement_says_nothing_of_a_household(runtime):
    """Whatever it asked for beside these two would be missing here."""
    for name, locale in product(runtime.campaigns.announcements, LOCALES):
        assert runtime.words.notice(name, "sms", locale, service_code="*580#", reference="123456789")


def test_prices_are_exact_and_a_wrong_file_names_its_place(tmp_path):
    prices = cost.Prices.load()
    assert prices.of("twilio", "60402", 3) == Decimal("1.7700")
    assert prices.of("twilio", "99999", 1) == prices.of("twilio", "", 1) == Decimal("0.6900")
    assert prices.dearest(("twilio", "africastalking"), "60401", 2) == Decimal("1.3800")
    with pytest.raises(cost.BadPrices, match="no price is written for pigeon"):
        prices.of("pigeon", "", 1)
    wrong = tmp_path / "prices.toml"
    wrong.write_text('source = "contract"\nexample = false\n[mad_per_part.twilio]\nother = 0.69\n')
    with pytest.raises(cost.BadPrices, match=r"mad_per_part\.twilio\.other"):
        cost.Prices.load(wrong)


# Letting go


def test_messages_are_held_until_they_are_let_go(runtime, clock):
    households(runtime, 6)
    row = started(runtime)
    assert states(runtime) == {"held": 6}
    assert (row.state, row.total, row.recipients) == ("running", 6, 6)
    assert pace_campaigns(runtime) == 0
    clock.now = NINE
    assert pace_campaigns(runtime) == 0
    clock.now = EVENING
    assert pace_campaigns(runtime) == 0
    clock.now = NINE + timedelta(days=1)
    assert pace_campaigns(runtime) == 6
    assert states(runtime) == {"created": 6}
    assert {(message.lane, message.not_before) for message in rows(runtime, Message)} == {
        (outbox.ANNOUNCEMENT, clock.now)}
    assert the(runtime).state == "finished"


def test_they_are_let_go_evenly_over_the_waking_time_of_the_window(runtime, clock):
    """Eleven hours on the first day and two on the second: thirteen an hour each."""
    households(runtime, 130)
    started(runtime, ends_at=NINE + timedelta(days=1, hours=2))
    clock.now = NINE
    first = sum(number for _, number in spread(runtime, clock, EVENING, every=60))
    assert abs(first - 110) <= 1
    clock.now = NINE + timedelta(days=1)
    second = spread(runtime, clock, NINE + timedelta(days=1, hours=1), every=60)
    assert abs(sum(number for _, number in second) - 10) <= 1
    assert max(number for _, number in second) == 1
    spread(runtime, clock, NINE + timedelta(days=1, hours=2), every=60)
    assert states(runtime) == {"created": 130}
    assert the(runtime).state == "finished"


@one_kind
@pytest.mark.parametrize("number", [2, 5])
def test_few_over_many_days_are_let_go_as_evenly_as_many(runtime, clock, number):
    """The nights between two of them are no time that was missed."""
    households(runtime, number)
    days = timedelta(days=20)
    started(runtime, ends_at=NINE + days)
    clock.now = NINE
    moments = [moment for moment, let_go in spread(runtime, clock, NINE + days, every=1800) for _ in range(let_go)]
    assert len(moments) == number
    for place, moment in enumerate(moments, 1):
        assert abs(moment - (NINE + days * place / number)) <= timedelta(days=1)


@one_kind
def test_no_minute_bears_more_than_the_call_centre_can(runtime, clock):
    households(runtime, 200)
    started(runtime, per_minute=20, ends_at=NINE + timedelta(minutes=12))
    clock.now = NINE
    by_minute = Counter()
    for moment, number in spread(runtime, clock, NINE + timedelta(minutes=20)):
        by_minute[moment.replace(second=0)] += number
    assert max(by_minute.values()) <= 20
    assert sum(by_minute.values()) == 200


@one_kind
def test_hours_in_which_the_clock_stood_still_are_not_made_up_for_at_once(runtime, clock):
    households(runtime, 110)
    started(runtime)
    clock.now = NINE
    spread(runtime, clock, NINE + timedelta(hours=1), every=60)
    clock.forward(hours=5)
    assert pace_campaigns(runtime) <= 2
    spread(runtime, clock, EVENING, every=60)
    assert states(runtime) == {"created": 110}


@one_kind
def test_a_campaign_that_runs_late_goes_on_at_its_pace(runtime, clock):
    households(runtime, 30)
    started(runtime, per_minute=10, ends_at=NINE + timedelta(minutes=3))
    clock.now = NINE + timedelta(hours=1)
    assert pace_campaigns(runtime) == 10
    assert pace_campaigns(runtime) == 0
    clock.forward(minutes=1)
    assert pace_campaigns(runtime) == 10


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_of_two_rings_at_once_one_lets_go(runtime, clock):
    households(runtime, 6)
    row = started(runtime)
    clock.now = NINE + timedelta(days=1)
    with runtime.database.write() as session:
        session.scalars(sa.select(Campaign).where(Campaign.id == row.id).with_for_update()).one()
        assert runtime.pacer.let_go(runtime.database, clock()) == 0
    assert runtime.pacer.let_go(runtime.database, clock()) == 6


# Pause, resume, cancel


def test_nothing_is_let_go_of_a_campaign_that_is_paused_and_the_rest_is_spread_anew(runtime, clock):
    households(runtime, 110)
    started(runtime)
    clock.now = NINE
    spread(runtime, clock, NINE + timedelta(hours=1), every=60)
    act(runtime, "pause")
    before = states(runtime)
    assert spread(runtime, clock, NINE + timedelta(hours=6), every=600) == []
    assert states(runtime) == before
    act(runtime, "resume")
    hour = sum(number for _, number in spread(runtime, clock, NINE + timedelta(hours=7), every=60))
    assert abs(hour - 20) <= 1
    spread(runtime, clock, EVENING, every=60)
    assert states(runtime) == {"created": 110}


@one_kind
@pytest.mark.parametrize("late", [timedelta(), timedelta(hours=2), timedelta(days=1)])
def test_a_campaign_is_not_resumed_once_nothing_is_left_of_its_window(runtime, clock, late):
    """All that is left of it would go at its full pace. One that ends in the night is over in the evening."""
    households(runtime, 6)
    started(runtime, ends_at=EVENING + timedelta(hours=1))
    clock.now = NINE
    act(runtime, "pause")
    clock.now = EVENING + late
    with pytest.raises(NotAllowed, match="cancel it, and ask for a new one"):
        act(runtime, "resume")
    assert the(runtime).state == "paused"
    act(runtime, "cancel")


def test_what_is_called_off_is_taken_back_unless_it_was_sent(runtime, clock):
    households(runtime, 22)
    started(runtime)
    clock.now = NINE
    spread(runtime, clock, NINE + timedelta(hours=2), every=60)
    with runtime.database.write() as session:
        due = outbox.due(session, clock(), 1)
        outbox.claim(session, runtime.vault, [due[0].id], "twilio", clock(), timedelta(seconds=60))
    act(runtime, "cancel")
    assert the(runtime).state == "cancelled"
    assert spread(runtime, clock, NINE + timedelta(hours=3), every=600) == []
    assert states(runtime) == {"cancelled": 21, "sending": 1}
    assert the(runtime).cleared_at is None
    with runtime.database.write() as session:
        session.execute(sa.update(Message).where(Message.state == "sending").values(state="created"))
    pace_campaigns(runtime)
    assert states(runtime) == {"cancelled": 22}
    assert the(runtime).cleared_at == clock()


def test_what_a_provider_took_before_a_campaign_was_called_off_is_not_sent_again(runtime, clock):
    households(runtime, 2)
    started(runtime, ends_at=NINE + timedelta(days=6))
    clock.now = NINE
    let_go = rows(runtime, Message)[0].id
    with runtime.database.write() as session:
        session.execute(sa.update(Message).where(Message.id == let_go).values(state="created", not_before=NINE))
        (held,) = outbox.claim(session, runtime.vault, [let_go], "twilio", clock(), timedelta(minutes=1))
        outbox.settle(session, [(held, outbox.sending.Accepted("SM1"))], clock())
    act(runtime, "cancel")
    pace_campaigns(runtime)
    assert (states(runtime), the(runtime).cleared_at) == ({"sent": 1, "cancelled": 1}, None)
    with runtime.database.write() as session:
        outbox.receive(session, runtime.vault, Receipt("twilio", "SM1", "failed", "failed", held.msisdn, held.token,
                                                       temporary=True), clock())
        outbox.settle_receipts(session, clock())
    assert states(runtime) == {"created": 1, "cancelled": 1}
    pace_campaigns(runtime)
    assert states(runtime) == {"cancelled": 2}
    assert the(runtime).cleared_at == clock()


def test_it_is_taken_back_lot_by_lot(runtime, clock):
    households(runtime, 5)
    row = started(runtime)
    act(runtime, "cancel")
    taken = []
    while not taken or taken[-1]:
        with runtime.database.write() as session:
            (row,) = campaign.called_off(session)
            taken.append(campaign.take_back(session, row, clock(), lot=2))
    assert taken == [2, 2, 1, 0]


def test_what_is_finished_or_cancelled_stays_so(runtime, clock):
    households(runtime, 2)
    started(runtime)
    with pytest.raises(NotAllowed, match="running"):
        act(runtime, "resume")
    act(runtime, "cancel")
    for verb in ("pause", "resume", "cancel"):
        with pytest.raises(NotAllowed, match="cancelled"):
            act(runtime, verb)


def test_who_stops_the_texts_gets_none_of_what_a_campaign_holds(runtime, clock):
    households(runtime, 2)
    started(runtime)
    with runtime.database.write() as session:
        runtime.teller.stop(session, "+212612300001", clock())
    assert states(runtime) == {"held": 1, "cancelled": 1}
    clock.now = NINE + timedelta(days=1)
    pace_campaigns(runtime)
    assert states(runtime) == {"created": 1, "cancelled": 1}
    assert the(runtime).state == "finished"


# Making


def test_a_campaign_that_was_cut_off_while_it_was_made_is_made_whole_by_starting_it_again(runtime):
    households(runtime, 9)
    row = approved(runtime)

    def cut_off(_: int) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        make(runtime.database, runtime.vault, row.id, "at_least_once", runtime.clock(), cut_off, lot=2)
    before = {message.id for message in rows(runtime, Message)}
    assert 0 < len(before) < 9
    row = runtime.campaigns.start(runtime.database, row.name, by="starter", clock=runtime.clock)
    after = {message.id for message in rows(runtime, Message)}
    assert len(after) == row.total == 9
    assert before < after


def test_a_campaign_that_was_called_off_is_made_no_further(runtime):
    households(runtime, 9)
    row = approved(runtime)

    def call_off(_: int) -> None:
        if the(runtime).state == "approved":
            act(runtime, "cancel")

    with pytest.raises(NotAllowed, match="cancelled"):
        make(runtime.database, runtime.vault, row.id, "at_least_once", runtime.clock(), call_off, lot=1)
    assert len(rows(runtime, Message)) < 9
    pace_campaigns(runtime)
    assert set(states(runtime)) == {"cancelled"}


# The budget


@pytest.fixture
def thrifty(runtime):
    """The same house with a budget for the day."""
    def house(parts: int | None = None, mad: str | None = None):
        settings = replace(runtime.settings, budget_parts_a_day=parts, budget_mad_a_day=mad and Decimal(mad))
        return replace(runtime, settings=settings)
    return house


@one_kind
@pytest.mark.parametrize(("parts", "mad", "words"), [
    (7, None, "takes 8 parts.* has 7 parts left"), (None, "5.11", "at most 5.12 MAD.* has 5.11 MAD left")])
def test_what_the_budget_does_not_cover_is_refused_with_the_figures(runtime, thrifty, parts, mad, words):
    households(runtime, 6)
    with pytest.raises(NotAllowed, match=words):
        approved(thrifty(parts, mad))
    assert the(runtime).state == "draft"
    assert rows(runtime, Message) == []


@one_kind
def test_a_start_is_refused_when_the_day_has_been_spent_since(runtime, thrifty, clock):
    households(runtime, 6)
    house = thrifty(10)
    approved(house)
    with runtime.database.write() as session:
        assert cost.take(session, day_of(NINE), 3, Decimal(), Budget(10))
    with pytest.raises(NotAllowed, match="has 7 parts left"):
        house.campaigns.start(house.database, "centre-days", by="clerk", clock=clock)
    assert rows(runtime, Message) == []


@one_kind
def test_two_campaigns_do_not_share_what_covers_one(runtime, thrifty):
    households(runtime, 6)
    house = thrifty(12)
    started(house)
    with pytest.raises(NotAllowed, match="has 4 parts left"):
        approved(house, name="once-more")


def test_no_more_is_let_go_than_the_day_bears_and_the_rest_the_next_day(runtime, thrifty, clock):
    households(runtime, 6)
    started(runtime, ends_at=NINE + timedelta(days=2))
    house = thrifty(5)
    clock.now = NINE + timedelta(days=2)
    assert 0 < pace_campaigns(house) < 6
    assert pace_campaigns(house) == 0
    assert the(runtime).waits_for == "budget"
    (spent,) = rows(runtime, Spending)
    assert spent.parts <= 5
    assert sum(message.parts for message in rows(runtime, Message) if message.state == "created") == spent.parts
    clock.forward(days=1)
    pace_campaigns(house)
    assert states(runtime) == {"created": 6}
    assert the(runtime).state == "finished"


def test_what_is_sent_beside_campaigns_is_counted_and_never_refused(runtime, thrifty, clock):
    house = thrifty(2)
    clock.now = NINE
    with runtime.database.write() as session:
        for number in range(3):
            runtime.teller.reply(session, "sms_help", "fr-MA", "+212612345678", f"{number}", clock())
        due = outbox.due(session, clock(), 10)
        claims = outbox.claim(session, runtime.vault, [one.id for one in due], "twilio", clock(), timedelta(seconds=60))
        outbox.settle(session, [(held, outbox.sending.Accepted(f"SM{number}", parts=2)) for number, held
                                in enumerate(claims)], clock())
    assert states(runtime) == {"sent": 3}
    for _ in range(2):
        clock.forward(minutes=3)
        with runtime.database.write() as session:
            cost.count_sent(session, runtime.pacer.prices, clock())
    (spent,) = rows(runtime, Spending)
    assert (spent.parts, spent.price) == (6, 6 * 6400)
    with runtime.database.read() as session:
        assert cost.left(session, day_of(clock()), house.pacer.budget).parts == -4
        (line,) = cost.spent(session, day_of(clock()), day_of(clock()), runtime.pacer.prices)
    assert (line.provider, line.texts, line.parts, line.reckoned) == ("twilio", 3, 6, Decimal("3.84"))


def test_what_was_sent_is_found_by_its_provider_and_time(runtime, clock):
    """Not by going through every send there ever was: this is asked every few seconds."""
    asked = []
    engine = runtime.database.engine
    sa.event.listen(engine, "before_cursor_execute", lambda *given: asked.append(given[2:4]))
    with runtime.database.write() as session:
        cost.count_sent(session, runtime.pacer.prices, clock())
        (statement, values) = next(one for one in asked if "FROM attempt" in one[0])
        if engine.dialect.name == "postgresql":
            session.execute(sa.text("SET LOCAL enable_seqscan = off"))
        how = "EXPLAIN" if engine.dialect.name == "postgresql" else "EXPLAIN QUERY PLAN"
        plan = str(session.connection().exec_driver_sql(f"{how} {statement}", values).all())
    assert re.search(r"Index Cond: \(.*provider.* AND .*started_at"
                     r"|ix_attempt_started \(provider=\? AND started_at>\? AND started_at<\?\)", plan), plan


def test_a_day_takes_all_or_nothing_and_never_more_than_its_budget(runtime):
    budget = Budget(10, Decimal("1.0000"))
    taken = []
    for number, mad in ((6, "0.5"), (5, "0.1"), (4, "0.5001"), (4, "0.5"), (1, "0")):
        with runtime.database.write() as session:
            taken.append(cost.take(session, NOON.date(), number, Decimal(mad), budget))
    assert taken == [True, False, False, True, False]
    with runtime.database.read() as session:
        assert cost.left(session, NOON.date(), budget) == Budget(0, Decimal())


def test_a_provider_s_own_words_for_the_price_are_added_up(runtime, clock):
    with runtime.database.write() as session:
        for number in range(4):
            runtime.teller.reply(session, "sms_help", "fr-MA", "+212612345678", f"{number}", clock())
        claims = outbox.claim(session, runtime.vault, [one.id for one in outbox.due(session, clock(), 10)], "twilio",
                              clock(), timedelta(seconds=60))
        told = ("KES 0.8000", "USD -0.0075", "KES 1.6000", "a song")
        outbox.settle(session, [(held, outbox.sending.Accepted(f"SM{number}", cost=told[number]))
                                for number, held in enumerate(claims)], clock())
    with runtime.database.read() as session:
        (line,) = cost.spent(session, day_of(clock()), day_of(clock()), runtime.pacer.prices)
    assert (line.texts, line.told, dict(line.charged)) == (4, 3, {"KES": Decimal("2.4"), "USD": Decimal("0.0075")})
