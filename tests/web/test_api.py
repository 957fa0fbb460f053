"""The API: a programme's machine has a household told once, however often it asks, and never in words of its own."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import threading
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import get_args
from uuid import UUID, uuid4

import jsonschema_rs
import pytest
import sqlalchemy as sa
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from redis import Redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from gateway import errands, outbox
from gateway.app import create_app
from gateway.errands import KEY_KEPT, Errand, IdempotencyKey
from gateway.outbox import TRANSITIONS, Message, Settlement
from gateway.registry import registration
from gateway.registry.audit import AuditEntry
from gateway.registry.clock import start_of
from gateway.registry.registration import Registration
from gateway.settings import SettingsError
from gateway.tellings import FACTS
from gateway.web import api
from gateway.web.api import UNKNOWN_A_DAY
from gateway.web.problems import PROBLEMS, TYPES, Name
from gateway.words import Words, all_words
from jobs.sweep import sweep
from tests.conftest import SETTINGS, a_row, open_house, register
from tests.test_tellings import arrives
from tests.web.desk import client, contents, homes, rows

one_kind = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
TOKENS = {"tayssir": "a-token-of-tayssir-0123456789", "asd": "a-token-of-asd-0123456789"}
NEXT = "the-next-token-of-tayssir-0123456789"
BODY = {"household": "2900000001", "notice": "programme_invites"}
NO_ONE = {**BODY, "household": "2999999999"}
SPEC = yaml.safe_load((Path(__file__).parents[2] / "docs" / "api.yaml").read_text(encoding="utf-8"))
SCHEMAS = SPEC["components"]["schemas"]


def digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


CLIENTS = ",".join(f"{name}:{digest(token)}" for name, token in (*TOKENS.items(), ("tayssir", NEXT)))


@pytest.fixture
def runtime(database_url, redis_url, tmp_path, clock):
    opened = open_house(database_url, redis_url, tmp_path, clock, API_CLIENTS=CLIENTS)
    register(opened, a_row(), a_row("2900000002", None))
    yield opened
    opened.close()


@pytest.fixture
def web(runtime):
    return client(runtime)


def headers(key=None, token=TOKENS["tayssir"]):
    return {"Authorization": f"Bearer {token}", "Idempotency-Key": f'"{key or uuid4()}"'}


def post(web, body=BODY, key=None, token=TOKENS["tayssir"], **more):
    """Ask for an errand."""
    return web.post("/api/v1/messages", data=json.dumps(body), content_type="application/json",
                    headers={**headers(key, token), **more})


def look(web, answer, token=TOKENS["tayssir"]):
    return web.get(f"/api/v1/messages/{answer.json['id']}", headers={"Authorization": f"Bearer {token}"})


def invitations(runtime):
    return [message for message in rows(runtime, Message) if message.notice == "programme_invites"]


def is_problem(answer, name):
    """It is this problem, worded as the description says."""
    status, title, detail = PROBLEMS[name]
    assert (answer.status_code, answer.content_type) == (int(status), "application/problem+json"), answer.text
    assert jsonschema_rs.is_valid(SCHEMAS["Problem"], answer.json)
    assert (answer.json["type"], answer.json["title"], answer.json["detail"]) == (TYPES + name, title, detail)
    return True


# What is told


def test_a_household_is_told_by_text_in_its_language_in_the_name_of_the_programme(runtime, web):
    answer = post(web)
    assert (answer.status_code, answer.headers["Location"]) == (202, f"/api/v1/messages/{answer.json['id']}")
    [message] = invitations(runtime)
    told = runtime.vault.open(message.body_sealed, "message.body", message.id)
    assert runtime.words.say("ar-MA", "programme.tayssir.short") in told
    [act] = [entry for entry in rows(runtime, AuditEntry) if entry.act == "errand.accepted"]
    assert (act.by, act.subject) == ("tayssir", answer.json["id"])


def test_a_household_without_a_telephone_is_told_by_letter_and_gets_no_new_pin_by_it(runtime, web):
    answer = post(web, {**BODY, "household": "2900000002"})
    [message] = invitations(runtime)
    assert message.medium == "letter"
    assert "{pin}" not in runtime.vault.open(message.body_sealed, "message.body", message.id)
    assert (look(web, answer).json["medium"], look(web, answer).json["parts"]) == ("letter", None)


def test_what_became_of_it_is_told_and_nothing_of_the_household(runtime, web, clock):
    answer = post(web, {**BODY, "tell_by": "2026-12-05"})
    seen = look(web, answer)
    assert seen.json == {"id": answer.json["id"], "notice": "programme_invites", "state": "created", "medium": "sms",
                         "parts": 2, "accepted_at": "2026-11-23T11:00:00Z", "changed_at": "2026-11-23T11:00:00Z",
                         "tell_by": "2026-12-05"}
    [message] = invitations(runtime)
    assert message.tell_by == start_of(message.created_at.date().replace(month=12, day=6))
    clock.forward(hours=1)
    with runtime.database.write() as session:
        outbox.close(session, runtime.vault, "+212612345678", ["programme_invites"], clock())
        runtime.teller.heard(session, Settlement(message.id, message.household_id, message.notice, message.subject,
                                                 "sms", "failed", clock()), clock())
    seen = look(web, answer)
    assert (seen.json["medium"], seen.json["state"]) == ("letter", "created"), "the letter took the text's place"
    assert jsonschema_rs.is_valid(SCHEMAS["Message"], seen.json)
    assert jsonschema_rs.is_valid(SCHEMAS["Accepted"], answer.json)


def test_what_arrived_at_a_further_telephone_arrived_whatever_became_of_the_others(runtime, web, clock):
    phones = [{"phone": phone, "consent": True} for phone in ("0612345671", "0712345672")]
    register(runtime, a_row("2900000003", contacts=phones))
    answer = post(web, {**BODY, "household": "2900000003"})
    arrives(runtime, "failed", notice="programme_invites")
    assert look(web, answer).json["state"] == "created", "the further telephone took the first one's place"
    arrives(runtime, subject=f"{answer.json['id']}/1")
    assert look(web, answer).json["state"] == "delivered"
    with runtime.database.write() as session:
        session.execute(sa.update(Message).where(Message.notice == "programme_invites").values(
            state=sa.case((Message.subject.endswith("/1"), "cancelled"), else_="delivered")))
    assert look(web, answer).json["state"] == "delivered"


def test_a_message_is_its_clients_alone(web):
    answer = post(web)
    assert is_problem(look(web, answer, TOKENS["asd"]), "not-found")
    assert look(web, answer, NEXT).status_code == 200


# Who may


@one_kind
@pytest.mark.parametrize("authorization", ["", "Bearer", "Bearer ", "Bearer guess", "Basic dTpw", TOKENS["tayssir"],
                                           f"Basic {TOKENS['tayssir']}", f"Bearer {digest(TOKENS['tayssir'])}"])
def test_nobody_without_a_token_learns_or_moves_anything(runtime, web, authorization):
    before = contents(runtime)
    for answer in (post(web, Authorization=authorization),
                   web.get(f"/api/v1/messages/{UUID(int=1)}", headers={"Authorization": authorization})):
        assert is_problem(answer, "unauthorized")
        assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert contents(runtime) == before


@one_kind
def test_a_client_that_is_no_programme_stops_the_start(database_url, redis_url, tmp_path, clock):
    with pytest.raises(SettingsError, match="API_CLIENTS: pigeon is no programme"):
        open_house(database_url, redis_url, tmp_path, clock, API_CLIENTS=f"pigeon:{digest('x')}")


@one_kind
def test_each_client_has_so_many_requests_a_minute(database_url, redis_url, tmp_path, clock):
    house = open_house(database_url, redis_url, tmp_path, clock, API_CLIENTS=CLIENTS, API_RATE="3")
    web = client(house)
    answers = [post(web, NO_ONE) for _ in range(4)]
    assert [answer.status_code for answer in answers] == [422, 422, 422, 429]
    assert is_problem(answers[-1], "too-many-requests")
    assert 0 < int(answers[-1].headers["Retry-After"]) <= 60
    assert post(web, NO_ONE, token=TOKENS["asd"]).status_code == 422
    house.close()


@one_kind
def test_without_redis_nothing_is_taken_and_the_client_is_told_to_come_again(runtime):
    with Redis(port=1, retry=Retry(NoBackoff(), 0)) as nowhere:
        answer = post(client(replace(runtime, redis=nowhere)))
    assert is_problem(answer, "try-later")
    assert int(answer.headers["Retry-After"]) > 0
    assert rows(runtime, Errand) == []


# Who is looked for


def test_a_household_that_is_unknown_or_has_left_is_one_answer_and_leaves_nothing(runtime, web):
    with runtime.database.write() as session:
        [left] = [row for row in rows(runtime, Registration) if row.household_id == homes(runtime)[1].id]
        registration.withdraw(session, runtime.vault, left.id, why="moved abroad", by="Amina", now=runtime.clock())
    before = contents(runtime)
    answers = [post(web, NO_ONE), post(web, {**BODY, "household": "2900000002"})]
    assert all(is_problem(answer, "household-unknown") for answer in answers)
    assert answers[0].data == answers[1].data
    assert contents(runtime) == before


@one_kind
def test_whoever_looks_for_households_is_stopped_for_the_day_and_a_repeat_is_not_looking(runtime, web):
    for number in (*range(UNKNOWN_A_DAY - 1), *range(UNKNOWN_A_DAY)):
        assert post(web, {**BODY, "household": f"{9_000_000_000 + number}"}).status_code == 422
    stopped = post(web)
    assert is_problem(stopped, "too-many-unknown")
    assert 0 < int(stopped.headers["Retry-After"]) <= 86_400
    assert post(web, token=TOKENS["asd"]).status_code == 202
    runtime.redis.flushall()
    assert post(web).status_code == 202


# Once


def test_the_same_key_and_body_is_answered_the_same_and_done_once(runtime, web, clock):
    first = post(web, key="the-same-key")
    clock.forward(hours=1)
    again = post(web, dict(reversed(BODY.items())), key="the-same-key")
    assert (again.status_code, again.json, again.headers["Location"]) == (202, first.json, first.headers["Location"])
    assert ("Idempotency-Replayed" in first.headers, again.headers["Idempotency-Replayed"]) == (False, "true")
    assert len(invitations(runtime)) == len(rows(runtime, Errand)) == 1


def test_the_same_key_with_another_body_is_a_conflict(runtime, web):
    post(web, key="the-same-key")
    for change in ({"household": "2900000002"}, {"reference": "a"}, {"tell_by": "2026-12-05"}):
        assert is_problem(post(web, BODY | change, key="the-same-key"), "key-reused")
    assert len(invitations(runtime)) == 1


def test_a_key_is_its_clients_alone(runtime, web):
    one, other = post(web, key="the-same-key"), post(web, key="the-same-key", token=TOKENS["asd"])
    assert one.json["id"] != other.json["id"]
    assert post(web, key="the-same-key", token=NEXT).json == one.json, "a client's next token is the same client's"


def test_a_request_that_was_refused_leaves_its_key_free(runtime, web):
    assert post(web, NO_ONE, key="the-same-key").status_code == 422
    assert post(web, key="the-same-key").status_code == 202


def test_a_key_is_let_go_after_a_day_and_a_reference_never(runtime, web, clock):
    first = post(web, {**BODY, "reference": "r1"}, key="the-same-key")
    clock.forward(seconds=KEY_KEPT.total_seconds() - 1)
    sweep(runtime)
    assert len(rows(runtime, IdempotencyKey)) == 1
    clock.forward(seconds=1)
    sweep(runtime)
    assert rows(runtime, IdempotencyKey) == []
    assert post(web, {**BODY, "reference": "r1"}, key="the-same-key").json == first.json
    assert is_problem(post(web, {**BODY, "household": "2900000002", "reference": "r1"}), "reference-reused")
    assert len(rows(runtime, Errand)) == 1


def test_the_same_reference_under_another_key_is_the_first_message(runtime, web):
    body = {**BODY, "reference": "r1"}
    first, again = post(web, body), post(web, body, key="another-key")
    assert (again.json, again.headers["Idempotency-Replayed"]) == (first.json, "true")
    assert post(web, body, key="another-key").json == first.json
    assert post(web, body, token=TOKENS["asd"]).json["id"] != first.json["id"], "another client's is another message"
    assert len(rows(runtime, Errand)) == 2


def test_a_reference_that_is_refused_leaves_its_key_free(runtime, web):
    post(web, {**BODY, "reference": "r1"})
    other = {**BODY, "household": "2900000002", "reference": "r1"}
    assert is_problem(post(web, other, key="the-same-key"), "reference-reused")
    assert post(web, {**other, "reference": "r2"}, key="the-same-key").status_code == 202


def test_of_a_key_and_a_reference_nothing_is_kept_that_can_be_guessed_without_our_keys(runtime, web):
    post(web, {**BODY, "reference": "household-2900000001"}, key="household-2900000001")
    kept = repr(contents(runtime))
    assert "2900000001" not in kept
    assert repr(hashlib.sha256(b"tayssir\nhousehold-2900000001").digest()) not in kept


def test_a_key_and_a_reference_are_known_while_our_keys_are_being_changed(runtime, web, tmp_path, clock):
    body = {**BODY, "reference": "r1"}
    first = post(web, body, key="the-same-key")
    changed = open_house(runtime.settings.database_url, runtime.settings.redis_url, tmp_path, clock,
                         API_CLIENTS=CLIENTS, SECRET_KEYS=f"2:{base64.b64encode(b'k' * 32).decode()},"
                                                          f"{SETTINGS['SECRET_KEYS']}")
    assert post(client(changed), body, key="the-same-key").json == first.json
    assert post(client(changed), body, key="another-key").json == first.json
    assert len(rows(changed, Errand)) == 1
    changed.close()


def test_while_the_first_is_worked_on_another_is_told_to_wait(runtime, web):
    """The first one waits for the tables, which somebody else holds."""
    answers = []
    first = threading.Thread(target=lambda: answers.append(post(client(runtime), key="the-same-key")))
    with runtime.database.write() as session:
        if session.get_bind().dialect.name == "postgresql":
            session.execute(sa.text("LOCK TABLE idempotency_key IN EXCLUSIVE MODE"))
        first.start()
        while not list(runtime.redis.scan_iter("at-work:*")):
            assert first.is_alive()
            first.join(0.01)
        told = post(web, key="the-same-key")
    first.join()
    assert is_problem(told, "key-in-use")
    assert int(told.headers["Retry-After"]) >= 1
    assert answers[0].status_code == 202
    assert post(web, key="the-same-key").json == answers[0].json


@pytest.mark.parametrize("same", ["key", "reference"])
def test_many_at_once_make_one_message(runtime, same):
    """With nothing but the tables to keep them apart: Redis forgets all the time."""
    app, together, answers = create_app(runtime), threading.Barrier(6), []
    body = {**BODY, "reference": "r1"} if same == "reference" else BODY

    def at_once():
        together.wait()
        runtime.redis.flushall()
        answers.append(post(app.test_client(), body, key="the-same-key" if same == "key" else None))

    threads = [threading.Thread(target=at_once) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    taken = [answer for answer in answers if answer.status_code == 202]
    assert {answer.status_code for answer in answers} <= {202, 409}
    assert len({answer.json["id"] for answer in taken}) == len(invitations(runtime)) == len(rows(runtime, Errand)) == 1
    assert sum("Idempotency-Replayed" not in answer.headers for answer in taken) == 1


REQUESTS = st.lists(st.tuples(st.sampled_from(sorted(TOKENS)), st.sampled_from(["key-number-1", "key-number-2"]),
                              st.sampled_from(["2900000001", "2900000002"]), st.sampled_from([None, "r1", "r2"])),
                    max_size=12)


@one_kind
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(REQUESTS)
def test_whatever_is_asked_in_whatever_order_each_key_and_each_reference_means_one_message(runtime, web, asked):
    """Against the rule in a few lines: what a key, else a reference, was first said of, it means from then on."""
    runtime.redis.flushall()
    with runtime.database.write() as session:
        session.execute(sa.delete(IdempotencyKey))
        session.execute(sa.delete(Errand))
    means = {}
    for who, key, household, reference in asked:
        body = {**BODY, "household": household} | ({"reference": reference} if reference else {})
        answer = post(web, body, key=key, token=TOKENS[who])
        names = [name for name in ((who, "key", key), (who, "reference", reference)) if name[-1]]
        before = next((means[name] for name in names if name in means), None)
        if before and before[0] != body:
            assert answer.status_code == 409
            continue
        assert answer.status_code == 202
        assert ("Idempotency-Replayed" in answer.headers) == bool(before)
        assert before is None or answer.json["id"] == before[1]
        for name in names:
            means.setdefault(name, (body, answer.json["id"]))
    assert len(rows(runtime, Errand)) == len({said for _, said in means.values()})


def test_a_crash_in_the_middle_leaves_neither_key_nor_message(runtime, web):
    """Where the key is written, and then no message can be."""
    def rename(old, new):
        with runtime.database.write() as session:
            session.execute(sa.text(f"ALTER TABLE {old} RENAME TO {new}"))

    before = contents(runtime)
    rename("message", "elsewhere")
    assert is_problem(post(web, key="the-same-key"), "failed")
    rename("elsewhere", "message")
    assert contents(runtime) == before
    again = post(web, key="the-same-key")
    assert (again.status_code, "Idempotency-Replayed" in again.headers) == (202, False)


class Mute(Words):
    """No notice can be worded."""

    def notice(self, name, medium, locale, /, **facts):
        raise LookupError


def test_what_cannot_be_worded_now_is_told_later(runtime, web, clock):
    answer = post(client(replace(runtime, words=Mute())))
    assert (look(web, answer).json["state"], look(web, answer).json["medium"]) == ("created", None)
    clock.forward(hours=2)
    with runtime.database.write() as session:
        runtime.teller.tell_again(session, clock())
    assert look(web, answer).json["medium"] == "sms"


# What is sent


MALFORMED = [
    ({}, {"household", "notice"}), ({**BODY, "household": 2900000001}, {"household"}),
    ({**BODY, "household": "290000000١"}, {"household"}), ({**BODY, "household": "2900000001\n"}, {"household"}),
    ({**BODY, "notice": "index_assigned"}, {"notice"}), ({**BODY, "notice": ["programme_invites"]}, {"notice"}),
    ({**BODY, "text": "Bonjour"}, {""}), ({**BODY, "reference": ""}, {"reference"}),
    ({**BODY, "reference": "x" * 65}, {"reference"}), ({**BODY, "reference": None}, {"reference"}),
    ({**BODY, "tell_by": "2026-11-22"}, {"tell_by"}), ({**BODY, "tell_by": "2027-03-01"}, {"tell_by"}),
    ({**BODY, "tell_by": "2026-02-30"}, {"tell_by"}), ({**BODY, "tell_by": 20261205}, {"tell_by"}),
    ({**BODY, "tell_by": None}, {"tell_by"}), ([], {""}), ("x", {""}), (None, {""}),
]


@one_kind
@pytest.mark.parametrize(("body", "named"), MALFORMED)
def test_what_is_malformed_is_named_by_its_field_and_not_repeated(runtime, web, body, named):
    before = contents(runtime)
    answer = post(web, body)
    assert is_problem(answer, "malformed")
    assert {error["field"] for error in answer.json["errors"]} == named
    assert "Bonjour" not in answer.text
    assert "2026-1" not in answer.text.replace("2026-12-05", "")
    assert contents(runtime) == before


@one_kind
@pytest.mark.parametrize("sent", [b"", b"{", b"\xff", b'{"household": "2900000001", "household": "2900000001"}',
                                  b"[" * 60_000])
def test_what_is_no_json_object_is_refused(web, sent):
    answer = web.post("/api/v1/messages", data=sent, content_type="application/json", headers=headers())
    assert is_problem(answer, "malformed")


@one_kind
def test_another_type_a_large_body_a_strange_address_and_another_method_are_problems_too(web):
    assert is_problem(web.post("/api/v1/messages", data=BODY, headers=headers()), "not-json")
    large = json.dumps({**BODY, "reference": "x" * 65_536})
    assert is_problem(web.post("/api/v1/messages", data=large, content_type="application/json", headers=headers()),
                      "too-large")
    for name in ("nobody", str(UUID(int=1))):
        assert is_problem(web.get(f"/api/v1/messages/{name}", headers=headers()), "not-found")
    assert is_problem(web.get("/api/v2/messages"), "not-found")
    answer = web.delete("/api/v1/messages", headers=headers())
    assert is_problem(answer, "not-allowed")
    assert "POST" in answer.headers["Allow"]
    assert web.get("/nowhere").content_type.startswith("text/html"), "elsewhere nothing has changed"


@one_kind
@pytest.mark.parametrize("key", [None, "", '""', "short", "x" * 129, '"unclosed-key', "with blanks in it", "é" * 10])
def test_without_a_key_nothing_is_taken(runtime, web, key):
    sent = {name: value for name, value in headers().items() if name != "Idempotency-Key"}
    answer = web.post("/api/v1/messages", json=BODY, headers=sent | ({} if key is None else {"Idempotency-Key": key}))
    assert is_problem(answer, "key-missing")
    assert rows(runtime, Errand) == []


@one_kind
def test_a_key_is_the_same_with_and_without_its_quotes(web):
    bare = post(web, **{"Idempotency-Key": "the-same-key"})
    assert post(web, **{"Idempotency-Key": '"the-same-key"'}).json == bare.json


ONE = st.fixed_dictionaries({"household": st.text(), "notice": st.text()},
                            optional={"reference": st.text(), "tell_by": st.dates()})


@given(ONE, ONE)
def test_two_requests_have_one_spelling_only_if_they_are_the_same(one, other):
    asked = [errands.Asked("tayssir", "key", **sent) for sent in (one, other)]
    assert (asked[0].body == asked[1].body) == (one == other)


# What is promised in writing


def of_the_api(runtime):
    return {(re.sub(r"<(?:\w+:)?\w+>", "{id}", str(rule)), method.lower())
            for rule in create_app(runtime).url_map.iter_rules() if str(rule).startswith("/api/")
            for method in rule.methods - {"HEAD", "OPTIONS"}}


@one_kind
def test_every_route_is_described_and_no_other(runtime):
    assert of_the_api(runtime) == {(path, method) for path, methods in SPEC["paths"].items() for method in methods}


def test_every_state_field_notice_and_problem_is_described_and_no_other():
    assert SPEC["openapi"] == "3.1.0"
    assert set(SCHEMAS["Message"]["properties"]["state"]["enum"]) == TRANSITIONS.keys()
    assert tuple(SCHEMAS["Order"]["properties"]) == api.FIELDS
    words = all_words()
    approved = [name for name in words.notices() if words.about(name).api]
    assert approved == SCHEMAS["Order"]["properties"]["notice"]["enum"] == SCHEMAS["Message"]["properties"]["notice"][
        "enum"]
    assert set(approved) <= FACTS.keys()
    assert SCHEMAS["Problem"]["properties"]["type"]["enum"] == [TYPES + name for name in PROBLEMS]
    assert set(PROBLEMS) == set(get_args(Name))


def test_every_status_that_a_problem_has_is_described_where_it_may_come():
    described = {int(status) for methods in SPEC["paths"].values() for method in methods.values()
                 for status in method["responses"]}
    assert described - {200, 202} == {int(status) for status, *_ in PROBLEMS.values()} - {405}


@one_kind
@pytest.mark.parametrize(("body", "named"), MALFORMED)
def test_what_the_description_refuses_is_refused_and_what_it_gives_as_an_example_is_taken(web, body, named):
    """Days and doubled names are all that the description leaves to us."""
    if named != {"tell_by"}:
        assert not jsonschema_rs.is_valid(SCHEMAS["Order"], body)
    example = SPEC["paths"]["/api/v1/messages"]["post"]["requestBody"]["content"]["application/json"]["example"]
    assert jsonschema_rs.is_valid(SCHEMAS["Order"], example)
    assert post(web, example).status_code == 202


def test_an_errand_of_a_day_ago_is_seen_as_long_as_it_is_kept(web, clock):
    answer = post(web)
    clock.forward(seconds=timedelta(days=40).total_seconds())
    assert look(web, answer).status_code == 200
