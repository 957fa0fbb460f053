"""Health and figures: traffic goes only where it can be served, and no figure tells of a person."""

from __future__ import annotations

import re
from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa
from prometheus_client.parser import text_string_to_metric_families

from gateway import hours
from gateway.outbox import REPLY, Message, months
from gateway.registry.clock import CASABLANCA
from tests.conftest import a_row, open_house, register
from tests.web.desk import CODE, PHONE, PIN, TOKEN, USSD, Handset, client, give_pin, rows

one_kind = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


def figures(web):
    """Every family, by name, once it has been read as Prometheus reads it."""
    answer = web.get("/metrics")
    assert (answer.status_code, answer.content_type) == (200, "text/plain; version=0.0.4; charset=utf-8")
    return list(text_string_to_metric_families(answer.text)), answer.text


def test_a_house_with_its_stores_is_ready(runtime):
    web = client(runtime)
    assert web.get("/health/live").json == {"status": "live"}
    ready = web.get("/health/ready")
    assert (ready.status_code, ready.json) == (
        200, {"status": "ready", "checks": {"database": True, "redis": True, "outbox": True}})


@one_kind
def test_without_redis_it_lives_but_is_not_ready(database_url, tmp_path, clock):
    house = open_house(database_url, "redis://127.0.0.1:1/0", tmp_path, clock)
    web = client(house)
    ready = web.get("/health/ready")
    assert (web.get("/health/live").status_code, ready.status_code) == (200, 503)
    assert ready.json["checks"] == {"database": True, "redis": False, "outbox": True}
    assert {family.name for family in figures(web)[0]} >= {"mouachir_reviews", "mouachir_outbox_oldest_due_seconds"}
    house.close()


@one_kind
@pytest.mark.parametrize("url", ["postgresql://nobody@127.0.0.1:1/none", "sqlite:////nowhere/house.db"])
def test_without_a_database_it_lives_but_is_not_ready(redis_url, tmp_path, clock, url, database_url):
    house = open_house(url, redis_url, tmp_path, clock)
    web = client(house)
    ready = web.get("/health/ready")
    assert (web.get("/health/live").status_code, ready.status_code) == (200, 503)
    assert ready.json["checks"] == {"database": False, "redis": True, "outbox": False}
    house.close()


@one_kind
def test_a_text_that_waits_too_long_is_seen_but_turns_no_caller_away(runtime, clock):
    register(runtime, a_row())
    web = client(runtime)
    clock.forward(minutes=6)
    ready = web.get("/health/ready")
    assert (ready.status_code, ready.json["checks"]["outbox"]) == (200, False)
    oldest, = [family for family in figures(web)[0] if family.name == "mouachir_outbox_oldest_due_seconds"]
    assert oldest.samples[0].value == 360.0


def oldest_due(web) -> float:
    oldest, = [family for family in figures(web)[0] if family.name == "mouachir_outbox_oldest_due_seconds"]
    return oldest.samples[0].value


@one_kind
def test_a_text_that_waits_for_the_morning_rings_no_alarm_at_night_nor_when_its_lane_wakes(runtime, clock):
    clock.now = datetime(2026, 11, 23, 23, tzinfo=CASABLANCA).astimezone(UTC)
    register(runtime, a_row())
    (text,) = rows(runtime, Message)
    web, wakes = client(runtime), hours.awake(clock(), runtime.settings.asleep, text.lane)
    for now, waited in ((clock() + timedelta(hours=3), 0), (wakes, 0), (wakes + timedelta(seconds=60), 60)):
        clock.now = now
        assert (oldest_due(web), web.get("/health/ready").json["checks"]["outbox"]) == (waited, True)


@one_kind
def test_an_answer_that_waits_is_seen_at_night_too(runtime, clock):
    clock.now = datetime(2026, 11, 23, 23, tzinfo=CASABLANCA).astimezone(UTC)
    register(runtime, a_row())
    with runtime.database.write() as session:
        session.execute(sa.update(Message).values(lane=REPLY))
    clock.forward(minutes=6)
    assert oldest_due(client(runtime)) == 360


@pytest.mark.parametrize(("state", "counted"), [
    ("created", True), ("sent", True), ("held", True), ("handed", True), ("delivered", False)])
def test_of_what_is_long_over_there_is_no_figure_and_of_what_is_not_there_is(runtime, state, counted):
    register(runtime, a_row())
    last_year = datetime.now(UTC).date() - timedelta(days=365)
    with runtime.database.write() as session:
        months.prepare(session.connection(), last_year, 0)
        session.execute(sa.update(Message).values(id=months.first_name(last_year), state=state))
    messages, = [family for family in figures(client(runtime))[0] if family.name == "mouachir_messages"]
    assert bool(messages.samples) is counted


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_the_oldest_text_is_found_without_reading_those_that_wait(runtime):
    with runtime.database.read() as session:
        session.execute(sa.text("SET LOCAL enable_seqscan = off"))
        plan = "\n".join(session.scalars(sa.text(
            "EXPLAIN SELECT min(not_before) FROM message WHERE state = 'created' AND medium = 'sms' AND lane = 1")))
    assert "Index Only Scan" in plan
    assert "Limit" in plan


def test_figures_parse_and_no_family_stands_twice(runtime):
    register(runtime, a_row(), a_row("2900000002", "0712345678"), a_row("2900000003", None))
    give_pin(runtime)
    web = client(runtime)
    handset = Handset(web)
    handset.dial()
    for typed in ("2", "5", "1", "1", "1", "1"):
        handset.type(typed)
    handset.hang_up("Success", hopsCount="7", durationInMillis="41250", cost="KES 0.5")
    handset.hang_up(phoneNumber="+212699999999")
    web.post(f"{USSD}x")
    for kind in ("Rejected", "Unknown"):
        runtime.count("send_errors", provider="twilio", kind=kind, code='a "code"\n of theirs\\')
    families, _ = figures(web)
    assert Counter(family.name for family in families).most_common(1)[0][1] == 1
    samples = {(sample.name, *(sample.labels[name] for name in sorted(sample.labels))): sample.value
               for family in families for sample in family.samples}
    assert samples["mouachir_messages", "sms", "created"] == 3
    assert samples["mouachir_messages", "letter", "created"] == 1
    assert samples["mouachir_complaints",] == 1
    shown = {key: value for key, value in samples.items() if key[0] == "mouachir_screens_total"}
    assert shown["mouachir_screens_total", "true", "fr-MA", "ussd", "60401", "complaint.done"] == 1
    assert sum(shown.values()) == 7
    assert samples["mouachir_sessions_left_total", "fr-MA", "ussd", "60401", "complaint.done", "Success"] == 1
    assert samples["mouachir_sessions_left_total", "", "ussd", "60401", "", "Incomplete"] == 1
    assert samples["mouachir_session_hops_total", "ussd"] == 7
    assert samples["mouachir_session_seconds_total", "ussd"] == 41.25
    assert samples["mouachir_session_cost_total", "KES", "ussd"] == 0.5
    assert samples["mouachir_callbacks_refused_total",] == 1
    assert samples["mouachir_send_errors_total", 'a "code"\n of theirs\\', "Rejected", "twilio"] == 1


@one_kind
def test_figures_tell_of_no_person(runtime):
    register(runtime, a_row(language="fr-MA"))
    give_pin(runtime)
    handset, said = Handset(client(runtime)), "Rien ne va plus"
    for typed in (["2"], ["2", PIN], ["00", "5", "1", "6", "2", said], ["00", "7", "123456789"]):
        handset.dial()
        handset.type(*typed)
        handset.hang_up(networkCode=PHONE, input=said)
    handset.send(text="1", networkCode=said)
    _, text = figures(handset.web)
    message, = rows(runtime, Message)
    assert not [word for word in (PHONE, PHONE[4:], PIN, TOKEN, CODE, said, message.token, message.reference,
                                  str(message.id), handset.session_id) if word in text]
    assert not re.search(r"[0-9]{6}|[\u0600-\u06ff]", re.sub(r"HELP.*", "", text))


@one_kind
def test_an_empty_house_has_figures_too(runtime):
    with runtime.database.read() as session:
        assert session.scalar(sa.select(sa.func.count()).select_from(Message)) == 0
    families, _ = figures(client(runtime))
    assert {family.name for family in families} == {
        "mouachir_messages", "mouachir_reviews", "mouachir_complaints", "mouachir_receipts_waiting",
        "mouachir_untold", "mouachir_provider_stopped", "mouachir_letters_at_centre",
        "mouachir_outbox_oldest_due_seconds"}
