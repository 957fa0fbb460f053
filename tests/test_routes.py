"""Routes: who carries a text, who loses weight, who is stopped, and who may try again."""

from __future__ import annotations

import random
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta

import pytest
import sqlalchemy as sa

from gateway import routes
from gateway.db import new_id
from gateway.outbox import DECISION, NOTICE, REPLY, Attempt, Due, ReceiptRecord
from gateway.registry.steps import NotAllowed
from gateway.routes import RouteChange, Routes, RouteStop, RouteWeight
from gateway.settings import Settings
from tests.conftest import NOON, SETTINGS
from tests.test_settings import GOOD

THREE = (("twilio", 50), ("africastalking", 30), ("pigeon", 20))
one_kind = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


def settings(**changed: str) -> Settings:
    return Settings.from_env({**GOOD, **changed})


def due(network: str = "", locale: str = "ar-MA", *avoid: str, lane: int = NOTICE) -> Due:
    return Due(new_id(), lane, locale, network, 1, avoid)


def the_routes(rules: str = "", weights: str = SETTINGS["SMS_PROVIDERS"], *, stopped: tuple[str, ...] = (),
               probing: tuple[str, ...] = (), **share: float) -> Routes:
    return Routes(settings(SMS_ROUTES=rules, SMS_PROVIDERS=weights), share, frozenset(stopped), set(probing),
                  random.Random(7))


def drawn(chosen: Routes, *about: str, times: int = 300) -> Counter[str | None]:
    return Counter(chosen.choose(due(*about)) for _ in range(times))


# The draw


def test_weights_are_honoured():
    found = drawn(the_routes(), times=2000)
    assert set(found) == {"twilio", "africastalking"}
    assert 0.65 < found["twilio"] / 2000 < 0.75
    assert set(drawn(the_routes(weights="twilio:0,africastalking:1"))) == {"africastalking"}


def test_what_has_refused_a_text_is_drawn_only_when_no_other_is_left():
    assert set(drawn(the_routes(), "", "ar-MA", "twilio")) == {"africastalking"}
    assert set(drawn(the_routes(stopped=("africastalking",)), "", "ar-MA", "twilio")) == {"twilio"}
    assert set(drawn(the_routes(stopped=("africastalking", "twilio")), "", "ar-MA")) == {None}


@pytest.mark.parametrize(("about", "carriers"), [
    (("", "ar-MA"), {"twilio", "africastalking"}),
    (("60402", "ar-MA"), {"africastalking"}),
    (("60400", "ar-MA"), {"twilio", "africastalking"}),
    (("60402", "ar-MA", "africastalking"), {"africastalking"}),
])
def test_a_provider_carries_nothing_where_it_cannot(about, carriers):
    assert set(drawn(the_routes("60402:twilio=0"), *about)) == carriers
    assert set(drawn(the_routes("zgh-MA:twilio=0"), "60402", "zgh-MA")) == {"africastalking"}


def test_what_cannot_be_used_is_not_used_though_all_others_are_stopped():
    chosen = the_routes("60402:twilio=0", stopped=("africastalking",))
    assert set(drawn(chosen, "60402")) == {None}
    assert set(drawn(chosen, "60401")) == {"twilio"}


@pytest.mark.parametrize(("about", "weights"), [
    (("60401", "fr-MA"), {"twilio": 70, "africastalking": 30}),
    (("60402", "fr-MA"), {"twilio": 1, "africastalking": 30}),
    (("60401", "ar-MA"), {"twilio": 2, "africastalking": 30}),
    (("60402", "ar-MA"), {"twilio": 3, "africastalking": 30}),
    (("60402", "zgh-MA"), {"twilio": 1, "africastalking": 30}),
])
def test_the_closer_rule_counts(about, weights):
    chosen = the_routes("ar-MA:twilio=2,60402:twilio=1,60402/ar-MA:twilio=3")
    assert chosen._weights(*about) == weights


def test_weight_that_was_moved_counts_in_every_network():
    chosen = the_routes("60402:twilio=30", twilio=0.5, africastalking=1.5)
    assert chosen._lot("", "ar-MA", ()).sums == (35, 80)
    assert chosen._lot("60402", "ar-MA", ()).sums == (15, 60)


def test_who_has_lost_all_its_weight_still_goes_before_nobody():
    chosen = the_routes("60402:africastalking=0", twilio=0.0)
    assert set(drawn(chosen, "60401")) == {"africastalking"}
    assert set(drawn(chosen, "60402")) == {"twilio"}


def test_who_may_be_tried_gets_one_text_and_no_reply_where_another_is_there():
    chosen = the_routes(stopped=("twilio",), probing=("twilio",))
    assert chosen.choose(due(lane=REPLY)) == "africastalking"
    assert chosen.choose(due(lane=DECISION)) == "twilio"
    assert set(drawn(chosen)) == {"africastalking"}


def test_where_all_are_stopped_one_text_is_woken_for_each_who_may_be_tried():
    both = ("twilio", "africastalking")
    assert the_routes().takes(5000) == 5000
    assert the_routes(stopped=("twilio",)).takes(5000) == 5000
    assert the_routes(stopped=both).takes(5000) == 0
    assert the_routes(stopped=both, probing=("twilio",)).takes(5000) == 1
    assert the_routes(stopped=both, probing=("twilio",)).choose(due(lane=REPLY)) == "twilio"


def test_choosing_asks_the_database_nothing(runtime):
    with runtime.database.read() as session:
        chosen = Routes.read(session, runtime.settings, NOON)
        asked = []
        sa.event.listen(runtime.database.engine, "before_cursor_execute", lambda *_: asked.append(1))
        assert sum(drawn(chosen, times=5000).values()) == 5000
    assert asked == []


# The sample


class Sends:
    """Sends of the last minutes, written as deliver and the receipts write them."""

    def __init__(self, runtime):
        self.runtime = runtime
        self.count = 0

    def __call__(self, provider: str, number: int, minutes_ago: float, *, outcome: str | None = "accepted",
                 code: str | None = None, delivered_after_s: float | None = None, failed: str | None = None,
                 permanent: bool = False) -> None:
        started = self.runtime.clock() - timedelta(minutes=minutes_ago)
        with self.runtime.database.write() as session:
            for _ in range(number):
                self.count += 1
                provider_id = f"{provider}-{self.count}" if outcome == "accepted" else None
                session.add(Attempt(message_id=new_id(), fence=1, provider=provider, provider_id=provider_id,
                                    outcome=outcome, code=code, started_at=started, ended_at=started))
                if delivered_after_s is not None:
                    session.add(self._receipt(provider, provider_id, "delivered", started, delivered_after_s))
                if failed is not None:
                    session.add(self._receipt(provider, provider_id, "failed", started, 1, failed, permanent))

    @staticmethod
    def _receipt(provider, provider_id, outcome, started, after_s, error=None, permanent=False):
        return ReceiptRecord(provider=provider, provider_id=provider_id, names=None, status=outcome, outcome=outcome,
                             error=error, permanent=permanent, temporary=False, opted_out=False, to_blinds=b"",
                             message_id=None, received_at=started + timedelta(seconds=after_s), look_at=None)


@pytest.fixture
def sends(runtime) -> Sends:
    return Sends(runtime)


def measured(runtime, provider: str = "twilio") -> routes.Measured:
    with runtime.database.read() as session:
        return routes.measure(session, provider, runtime.clock())


def test_what_arrived_late_and_what_is_overdue_is_slow_and_what_may_still_come_is_not(runtime, sends):
    sends("twilio", 10, 8, delivered_after_s=20)
    sends("twilio", 4, 8, delivered_after_s=301)
    sends("twilio", 3, 6)
    sends("twilio", 50, 4)
    sends("twilio", 5, 16)
    sends("africastalking", 9, 8)
    found = measured(runtime)
    assert (found.sends, found.accepted, found.delivered, found.awaited, found.slow) == (67, 67, 14, 17, 7)
    assert (found.middle_s, found.failing) == (20, 0)


def test_a_send_that_nobody_took_or_that_failed_for_a_while_is_an_error_and_a_persons_fault_is_none(runtime, sends):
    sends("twilio", 3, 2, outcome="unknown", code="read_timeout")
    sends("twilio", 2, 2, outcome="unavailable", code="connect_timeout")
    sends("twilio", 1, 2, outcome="refused", code="21612")
    sends("twilio", 4, 8, failed="30008")
    sends("twilio", 6, 8, failed="30005", permanent=True)
    sends("twilio", 7, 2, outcome="rejected", code="21211")
    sends("twilio", 30, 2, outcome="throttled", code="20429")
    sends("twilio", 30, 2, outcome="misconfigured", code="20003")
    sends("twilio", 30, 2, outcome=None)
    found = measured(runtime)
    assert (found.sends, found.failing, found.awaited, found.slow) == (23, 10, 0, 0)
    assert found.codes == {"30008": 4, "read_timeout": 3, "connect_timeout": 2, "21612": 1}
    assert found.trouble == "10 of 23 sends failed, most by 30008 Unknown error"


def test_a_delivery_is_a_delivery_though_a_failure_was_told_before(runtime, sends):
    sends("twilio", 20, 8, failed="30008", delivered_after_s=60)
    assert (measured(runtime).delivered, measured(runtime).failing) == (20, 0)


def test_of_few_cases_nothing_is_said(runtime, sends):
    sends("twilio", 19, 8)
    assert measured(runtime).trouble == ""
    sends("twilio", 1, 8)
    assert measured(runtime).trouble == "20 of 20 texts were not delivered within 5 minutes"


def test_a_share_below_the_limit_is_no_trouble(runtime, sends):
    sends("twilio", 86, 8, delivered_after_s=5)
    sends("twilio", 14, 8)
    assert measured(runtime).trouble == ""


def test_of_each_minute_only_a_sample_is_looked_at(runtime, sends):
    sends("twilio", 150, 8)
    sends("twilio", 150, 7)
    assert measured(runtime).sends == 200


# Weight


def weigh(runtime) -> list[tuple[str, int, int]]:
    now = runtime.clock()
    with runtime.database.read() as session:
        found = {name: routes.measure(session, name, now) for name, _ in runtime.settings.sms_providers}
    with runtime.database.write() as session:
        return [(one.provider, one.was, one.became) for one in routes.weigh(session, runtime.settings, found, now)]


def weighs(runtime) -> dict[str, int]:
    with runtime.database.read() as session:
        return {name: weight for name, (weight, _) in routes.standing(session, runtime.settings).items()}


def well(sends: Sends, *providers: str) -> None:
    for provider in providers:
        sends(provider, 40, 8, delivered_after_s=5)


def test_weight_moves_from_a_slow_provider_to_the_other_and_the_reason_is_kept(runtime, sends):
    well(sends, "africastalking")
    sends("twilio", 40, 8)
    assert weigh(runtime) == [("africastalking", 30, 40), ("twilio", 70, 60)]
    with runtime.database.read() as session:
        change = session.scalars(sa.select(RouteChange).where(RouteChange.provider == "twilio")).one()
    assert (change.at, change.by) == (NOON, "system")
    assert change.reason == "twilio: 40 of 40 texts were not delivered within 5 minutes"
    assert change.figures["slow"] == 40


def test_weight_moves_from_a_failing_provider(runtime, sends):
    well(sends, "twilio", "africastalking")
    sends("twilio", 10, 3, outcome="unknown", code="read_timeout")
    assert weigh(runtime) == [("africastalking", 30, 40), ("twilio", 70, 60)]


def test_a_provider_without_traffic_takes_what_the_slow_one_loses(runtime, sends):
    sends("twilio", 40, 8)
    assert weigh(runtime) == [("africastalking", 30, 40), ("twilio", 70, 60)]


def test_nothing_moves_when_all_are_slow(runtime, sends):
    sends("twilio", 40, 8)
    sends("africastalking", 25, 8)
    assert weigh(runtime) == []
    assert weighs(runtime) == {"twilio": 70, "africastalking": 30}


def test_nothing_moves_to_who_is_stopped(runtime, sends, clock):
    sends("twilio", 40, 8)
    with runtime.database.write() as session:
        routes.stop(session, "africastalking", "405", clock())
    assert weigh(runtime) == []


def test_weight_never_moves_twice_within_five_minutes(runtime, sends, clock):
    moved = 0
    for _ in range(10):
        sends("twilio", 4, 6)
        sends("twilio", 40, 7)
        moved += bool(weigh(runtime))
        clock.forward(minutes=1)
    assert moved == 2
    assert weighs(runtime) == {"twilio": 50, "africastalking": 50}


def test_weight_goes_back_after_a_quiet_quarter_of_an_hour_and_not_beyond(runtime, sends, clock):
    sends("twilio", 40, 8)
    weigh(runtime)
    clock.forward(minutes=16)
    assert weigh(runtime) == [("africastalking", 40, 30), ("twilio", 60, 70)]
    clock.forward(minutes=16)
    assert weigh(runtime) == []


def test_weight_does_not_go_back_while_somebody_is_ill(runtime, sends, clock):
    sends("twilio", 40, 8)
    weigh(runtime)
    clock.forward(minutes=15)
    sends("africastalking", 40, 8)
    sends("twilio", 40, 8)
    assert weigh(runtime) == []
    assert weighs(runtime) == {"twilio": 60, "africastalking": 40}


def test_weight_is_never_less_than_nothing(runtime, sends, clock):
    for _ in range(9):
        sends("twilio", 40, 8)
        weigh(runtime)
        clock.forward(minutes=6)
    assert weighs(runtime) == {"twilio": 0, "africastalking": 100}


def test_only_the_worst_of_several_loses_weight_and_those_who_are_well_share_it(runtime, sends):
    three = replace(runtime.settings, sms_providers=THREE)
    runtime = replace(runtime, settings=three)
    sends("twilio", 40, 8)
    well(sends, "africastalking")
    sends("africastalking", 10, 3, outcome="unknown")
    assert weigh(runtime) == [("pigeon", 20, 30), ("twilio", 50, 40)]


def test_two_clocks_move_weight_once(runtime, sends):
    sends("twilio", 40, 8)
    together = threading.Barrier(2)

    def ring() -> list[tuple[str, int, int]]:
        with runtime.database.read() as session:
            found = {name: routes.measure(session, name, NOON) for name, _ in runtime.settings.sms_providers}
        together.wait()
        with runtime.database.write() as session:
            return [one.provider for one in routes.weigh(session, runtime.settings, found, NOON)]

    with ThreadPoolExecutor(2) as clocks:
        moved = [ringing.result() for ringing in [clocks.submit(ring), clocks.submit(ring)]]
    assert sorted(map(len, moved)) == [0, 2]
    assert weighs(runtime) == {"twilio": 60, "africastalking": 40}


def test_what_the_settings_say_anew_counts(runtime, sends):
    sends("twilio", 40, 8)
    weigh(runtime)
    anew = replace(runtime, settings=replace(runtime.settings, sms_providers=(("twilio", 1), ("africastalking", 1))))
    weigh(anew)
    assert weighs(anew) == {"twilio": 50, "africastalking": 50}


def test_an_operators_weight_holds(runtime, clock):
    with runtime.database.write() as session:
        routes.set_weight(session, runtime.settings, "twilio", 20, "it is cheaper", "amina", clock())
    assert weighs(runtime) == {"twilio": 20, "africastalking": 80}
    clock.forward(hours=1)
    assert weigh(runtime) == []
    with runtime.database.read() as session:
        changes = session.scalars(sa.select(RouteChange)).all()
    assert {(one.by, one.reason) for one in changes} == {("amina", "set by an operator: it is cheaper")}


@pytest.mark.parametrize(("weights", "provider", "points"), [
    ((("twilio", 1), ("africastalking", 0)), "africastalking", 40),
    ((("twilio", 1), ("africastalking", 0)), "twilio", 0),
    ((("twilio", 1),), "pigeon", 40),
])
@one_kind
def test_an_operator_cannot_weigh_who_is_not_used_nor_leave_nobody(runtime, weights, provider, points):
    settings = replace(runtime.settings, sms_providers=weights)
    with runtime.database.write() as session, pytest.raises(NotAllowed):
        routes.set_weight(session, settings, provider, points, "it is cheaper", "amina", NOON)


def test_what_was_moved_is_drawn_by(runtime, sends):
    sends("twilio", 40, 8)
    weigh(runtime)
    with runtime.database.read() as session:
        chosen = Routes.read(session, runtime.settings, NOON)
    assert chosen.share == pytest.approx({"twilio": 60 / 70, "africastalking": 40 / 30})


# Stops


def stopped(runtime) -> dict[str, RouteStop]:
    with runtime.database.read() as session:
        return routes.stops(session)


def write(runtime, act, *arguments):
    with runtime.database.write() as session:
        return act(session, *arguments, runtime.clock())


def test_a_refusal_is_told_of_once_with_its_code(runtime, caplog):
    assert [write(runtime, routes.stop, "twilio", "20003") for _ in range(3)] == [True, False, False]
    assert stopped(runtime)["twilio"].reason == "it refuses our account, sender or balance: 20003 Authentication failed"
    assert len([line for line in caplog.records if "mouachir routes resume twilio" in line.getMessage()]) == 1


def test_one_text_tries_after_a_minute_then_ever_more_rarely(runtime, clock):
    write(runtime, routes.stop, "twilio", "20003")
    tried = []
    for minute in range(150):
        if write(runtime, routes.may_try, "twilio"):
            tried.append(minute)
        assert not write(runtime, routes.may_try, "twilio")
        clock.forward(minutes=1)
    assert tried == [1, 6, 21, 81, 141]


def test_of_two_that_ask_at_once_one_may_try(runtime, clock):
    write(runtime, routes.stop, "twilio", "20003")
    clock.forward(minutes=1)
    together = threading.Barrier(2)

    def ask() -> bool:
        with runtime.database.write() as session:
            if runtime.database.engine.dialect.name == "postgresql":
                together.wait()
            return routes.may_try(session, "twilio", clock())

    with ThreadPoolExecutor(2) as workers:
        assert sorted(asked.result() for asked in [workers.submit(ask), workers.submit(ask)]) == [False, True]


def test_a_text_that_was_in_flight_does_not_take_a_stopped_provider_back(runtime, clock):
    began = clock()
    clock.forward(seconds=1)
    write(runtime, routes.stop, "twilio", "405")
    assert not write(runtime, routes.lift, "twilio", began)
    clock.forward(minutes=1)
    assert write(runtime, routes.may_try, "twilio")
    assert not write(runtime, routes.lift, "twilio", began)
    assert write(runtime, routes.lift, "twilio", clock())
    assert stopped(runtime) == {}


def test_what_an_operator_stopped_only_an_operator_takes_back(runtime, clock):
    write(runtime, lambda session, now: routes.stop_by_hand(session, "twilio", "a wrong text", "amina", now))
    assert not write(runtime, routes.stop, "twilio", "20003")
    clock.forward(days=2)
    assert not write(runtime, routes.may_try, "twilio")
    assert not write(runtime, routes.lift, "twilio", clock())
    assert write(runtime, routes.resume, "twilio", "amina")
    assert not write(runtime, routes.resume, "twilio", "amina")
    assert stopped(runtime) == {}


def test_a_stop_holds_for_every_process_and_without_redis(runtime, clock):
    write(runtime, routes.stop, "twilio", "20003")
    runtime.redis.flushall()
    with runtime.database.read() as session:
        chosen = Routes.read(session, runtime.settings, clock())
    assert set(drawn(chosen)) == {"africastalking"}
    clock.forward(minutes=1)
    with runtime.database.read() as session:
        assert Routes.read(session, runtime.settings, clock()).probing == {"twilio"}


def test_weights_are_the_settings_before_anything_was_moved(runtime):
    assert weighs(runtime) == {"twilio": 70, "africastalking": 30}
    with runtime.database.read() as session:
        assert session.scalars(sa.select(RouteWeight)).all() == []
