"""The door of an operator of its own wording: it is there where it is set, and as narrow as the others."""

from __future__ import annotations

import json
from urllib.parse import urlencode

import pytest

from gateway.registry.complaint import Complaint
from gateway.web.doors import LARGEST_FORM
from tests.conftest import open_house
from tests.contract.test_ussd_generic import EXAMPLE
from tests.web.desk import CODE, PHONE, TOKEN, client, contents, rows

DOOR = f"/ussd/generic/{TOKEN}"
FORM_WIRE = """format = "form"
[fields]
session = "SESSION"
msisdn = "MSISDN"
service_code = "SC"
typed = "INPUT"
"""

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


@pytest.fixture
def house(database_url, redis_url, tmp_path, clock):
    """A house whose operator is the one of the example."""
    opened = open_house(database_url, redis_url, tmp_path, clock, USSD_GENERIC=str(EXAMPLE))
    yield opened
    opened.close()


@pytest.fixture
def body():
    """A first callback."""
    return {"sessionId": "8f2c", "type": "begin", "subscriber": {"msisdn": PHONE, "network": "60400"},
            "serviceCode": CODE, "sequence": 1, "input": CODE}


def test_there_is_no_such_door_where_no_operator_is_set(runtime, body):
    assert client(runtime).post(DOOR, json=body).status_code == 404


def test_who_dials_sees_the_first_screen(house, body):
    answer = client(house).post(DOOR, json=body)
    assert answer.status_code == 200
    assert answer.json == {"sessionId": "8f2c", "action": "request", "message": answer.json["message"]}
    assert "Français" in answer.json["message"]


def test_a_body_is_read_whatever_its_type_is_called(house, body):
    named = client(house).post(DOOR, json=body)
    assert client(house).post(DOOR, data=json.dumps(body), content_type="text/plain").json == named.json


def test_a_form_may_come_in_the_query(database_url, redis_url, tmp_path, clock):
    (tmp_path / "wire.toml").write_text(FORM_WIRE)
    house = open_house(database_url, redis_url, tmp_path, clock, USSD_GENERIC=str(tmp_path / "wire.toml"))
    fields = {"SESSION": "1", "MSISDN": PHONE, "SC": CODE, "INPUT": CODE}
    posted, asked = client(house).post(DOOR, data=fields), client(house).get(f"{DOOR}?{urlencode(fields)}")
    house.close()
    assert posted.status_code == asked.status_code == 200
    assert posted.text.startswith("CON ")
    assert posted.text == asked.text


@pytest.mark.parametrize("changes", [{"serviceCode": "*581#"}, {"serviceCode": "*5801#"}, {"sessionId": ""},
                                     {"subscriber": {"msisdn": "+33612345678"}}])
def test_what_is_not_this_services_is_refused_and_changes_nothing(house, body, changes):
    before = contents(house)
    answer = client(house).post(DOOR, json={**body, **changes})
    assert answer.status_code == 403
    assert PHONE not in answer.text
    assert contents(house) == before


def test_a_wrong_token_is_refused(house, body):
    assert client(house).post(f"{DOOR[:-1]}x", json=body).status_code == 403


def test_a_body_that_is_too_large_is_refused_unread(house, body):
    assert client(house).post(DOOR, json={**body, "input": "1" * LARGEST_FORM}).status_code == 413


def test_a_hang_up_is_counted_by_the_screen_it_came_at_and_nothing_is_answered(house, body):
    client(house).post(DOOR, json=body)
    before = contents(house)
    answer = client(house).post(DOOR, json={**body, "type": "hangup"})
    assert (answer.status_code, answer.text) == (200, "")
    assert contents(house) == before
    left, = [labels for name, labels, _ in house.counts() if name == "sessions_left"]
    assert left == {"medium": "ussd", "status": "hangup", "state": "language", "network": "60400", "language": "ar-MA"}


def test_an_end_that_does_not_say_whose_it_is_is_refused(house):
    assert client(house).post(DOOR, json={"type": "hangup"}).status_code == 403


# What the operator sends is the last input alone


@pytest.fixture
def step(house, body):
    """One more turn of the session: what was typed, and its place in the order."""
    def send(typed, order=None, **changes):
        steps = {"sequence": order} if order else {"sequence": ""}
        answer = client(house).post(DOOR, json={**body, "type": "continue", "input": typed, **steps, **changes})
        assert answer.status_code == 200, answer.text
        return answer.json["message"]

    client(house).post(DOOR, json=body)
    send("2", 2)
    return send


def test_each_input_leads_one_screen_further(house, step):
    say = house.words.say
    assert say("fr-MA", "complaint.text") in step("5", 3)
    assert say("fr-MA", "complaint.about.text") in step("1", 4)


def test_a_turn_that_comes_again_is_known_by_its_order(house, step, clock):
    first = step("5", 3)
    clock.forward(seconds=5)
    assert step("5", 3) == first
    assert house.words.say("fr-MA", "nav.wrong_choice") in step("5", 4), "the same key once more is another input"


def test_without_an_order_the_same_input_within_a_second_is_the_networks_and_later_the_callers(house, step, clock):
    clock.forward(seconds=5)
    first = step("5")
    assert step("5") == first
    clock.forward(seconds=1)
    assert house.words.say("fr-MA", "nav.wrong_choice") in step("5")


def test_a_session_that_redis_forgot_begins_anew_and_nothing_is_done(house, step):
    for typed, order in zip(["5", "1", "6", "1"], range(3, 7), strict=True):
        step(typed, order)
    house.redis.flushall()
    assert "Français" in step("1", 7), "the language that this session chose is asked for again"
    assert rows(house, Complaint) == []


def test_a_complaint_that_comes_again_is_filed_once(house, step):
    for typed, order in zip(["5", "1", "6", "1"], range(3, 7), strict=True):
        step(typed, order)
    assert step("1", 7) == step("1", 7)
    assert len(rows(house, Complaint)) == 1


@pytest.mark.parametrize("dialled", [{"serviceCode": f"{CODE[:-1]}*7#"}, {"input": f"{CODE[:-1]}*7#"}])
def test_a_shortcut_that_was_dialled_leads_there(house, step, body, dialled):
    answer = client(house).post(DOOR, json={**body, "sessionId": "another", **dialled})
    assert house.words.say("fr-MA", "message.text") in answer.json["message"]


def test_who_dials_while_redis_is_gone_still_sees_a_screen(database_url, redis_url, tmp_path, clock, body):
    house = open_house(database_url, "redis://127.0.0.1:1", tmp_path, clock, USSD_GENERIC=str(EXAMPLE))
    assert client(house).post(DOOR, json=body).json["action"] == "end"
    house.close()
