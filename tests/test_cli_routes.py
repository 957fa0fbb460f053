"""Commands on routes: what an operator sees when a provider fails, and what becomes of their word."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from gateway import routes
from gateway.db import new_id
from gateway.outbox import Attempt
from gateway.registry.audit import AuditEntry
from tests.conftest import open_house
from tests.test_cli import house, run  # noqa: F401  Their fixtures.
from tests.web.test_health import client, figures


@pytest.fixture
def desk(database_url, redis_url, tmp_path):
    """The same house, to look into."""
    opened = open_house(database_url, redis_url, tmp_path, lambda: datetime.now(UTC), SMS_ROUTES="60402:twilio=0")
    yield opened
    opened.close()


def acts(desk) -> list[tuple[str, str, str | None]]:
    with desk.database.read() as session:
        return [(act, subject, why) for act, subject, why in session.execute(
            sa.select(AuditEntry.act, AuditEntry.subject, AuditEntry.why).order_by(AuditEntry.at))]


def test_the_state_of_every_provider_is_shown(run, house, desk):  # noqa: F811
    now = desk.clock()
    with desk.database.write() as session:
        routes.stop(session, "twilio", "20003", now)
        session.add_all(Attempt(message_id=new_id(), fence=1, provider="africastalking", provider_id=None,
                                outcome="unavailable", code="407", started_at=now - timedelta(minutes=3))
                        for _ in range(20))
    desk.heed("africastalking", "MoonInTheWay")
    shown = run("routes", **house, SMS_ROUTES="60402:twilio=0").output
    assert "twilio           weighs 70, rests at 70\n  60402 any language: not by it (SMS_ROUTES)" in shown
    assert "by system: it refuses our account, sender or balance: 20003 Authentication failed" in shown
    assert "20 sends looked at, 0 accepted, 0 delivered, 0 slow, 20 failed\n  failed by 407 CouldNotRoute: 20" in shown
    assert "in trouble: 20 of 20 sends failed, most by 407 CouldNotRoute" in shown
    assert "unknown code MoonInTheWay: 1 times" in shown
    assert "stopped: it refuses our account" in shown.partition("history:")[2]


def test_a_stop_a_weight_and_a_return_are_kept_with_who_and_why(run, house, desk):  # noqa: F811
    assert "africastalking" in run("routes", "stop", "twilio", "--why", "a wrong text", "--by", "amina", **house).output
    assert run("routes", "weight", "twilio", "20", "--why", "too dear", "--by", "amina", **house).output == (
        "africastalking 80  twilio 20\n")
    assert "a wrong text" in run("routes", **house).output
    assert "gets texts again" in run("routes", "resume", "twilio", "--by", "amina", **house).output
    assert acts(desk) == [("route.stopped", "twilio", "a wrong text"), ("route.weighed", "twilio", "too dear"),
                          ("route.resumed", "twilio", None)]
    assert "twilio           70 -> 20" in run("routes", **house).output


@pytest.mark.parametrize(("arguments", "said"), [
    (("stop", "pigeon", "--why", "x"), "There is no pigeon in SMS_PROVIDERS; there are twilio, africastalking."),
    (("resume", "twilio"), "twilio is not stopped."),
    (("stop", "twilio"), "Missing option '--why'"),
    (("weight", "twilio", "101", "--why", "x"), "101 is not in the range"),
    (("stop", "twilio", "--why", "0612345678 asked"), "telephone"),
])
def test_what_makes_no_sense_is_said_and_changes_nothing(run, house, desk, arguments, said):  # noqa: F811
    done = run("routes", *arguments, **house)
    assert done.exit_code != 0
    assert said in done.output
    with desk.database.read() as session:
        assert routes.stops(session) == {}
    assert acts(desk) == []


def test_a_stopped_provider_is_a_figure(desk):
    with desk.database.write() as session:
        routes.stop(session, "twilio", "20003", desk.clock())
    (family,) = [one for one in figures(client(desk))[0] if one.name == "mouachir_provider_stopped"]
    assert {sample.labels["provider"]: sample.value for sample in family.samples} == {"twilio": 1, "africastalking": 0}
