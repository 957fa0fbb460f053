"""Settings: whatever is missing or malformed stops the start and names itself; no secret shows itself."""

from __future__ import annotations

import base64
from datetime import UTC, datetime
from pathlib import Path

import pytest

from channels.base import BadCallback
from gateway.settings import (
    ENVIRONMENT_FILE,
    OF_A_SERVICE,
    AsleepHours,
    QuietHours,
    RouteRule,
    Settings,
    SettingsError,
    SmppAccount,
    in_service,
)
from tests.conftest import NOON, SETTINGS, open_house

KEY = base64.b64encode(b"k" * 32).decode()
OTHER_KEY = base64.b64encode(b"o" * 32).decode()
TOKEN = "t" * 32
WIRE = Path(__file__).parents[1] / "docs" / "ussd-generic.example.toml"
NEXT_TOKEN = "n" * 32
GOOD = {
    **SETTINGS,
    "DATABASE_URL": "postgresql://service:a-database-password@db/mouachir",
    "REDIS_URL": "redis://:a-redis-password@queue:6379/0",
    "SECRET_KEYS": f"2:{OTHER_KEY},1:{KEY}",
    "PUBLIC_URL": "https://rsu.example.ma",
    "TWILIO_BASE_URL": "https://api.twilio.com",
    "AFRICASTALKING_BASE_URL": "https://api.africastalking.com/version1",
}
REQUIRED = sorted(GOOD.keys() - {"TWILIO_BASE_URL", "AFRICASTALKING_BASE_URL"})
SECRETS = ("a-database-password", "a-redis-password", KEY, OTHER_KEY, str(b"k" * 32), GOOD["CALLBACK_TOKENS"],
           GOOD["TWILIO_AUTH_TOKEN"], GOOD["AFRICASTALKING_API_KEY"], NEXT_TOKEN)

SMPP = {"SMPP_URL": "smpps://smsc.operator.example", "SMPP_SYSTEM_ID": "rsu", "SMPP_PASSWORD": "a-secret",
        "SMPP_SENDER": "RSU"}

MALFORMED = [
    ("DATABASE_URL", "mysql://host/name"), ("DATABASE_URL", "sqlite://"), ("DATABASE_URL", "sqlite+psycopg:///x.db"),
    ("DATABASE_URL", "postgresql://"),
    ("REDIS_URL", "http://queue"), ("REDIS_URL", "redis://"),
    ("SECRET_KEYS", KEY), ("SECRET_KEYS", "1:short"), ("SECRET_KEYS", f"0:{KEY}"), ("SECRET_KEYS", f"256:{KEY}"),
    ("SECRET_KEYS", f"1:{KEY},"), ("SECRET_KEYS", ","), ("SECRET_KEYS", f"1:{KEY},1:{OTHER_KEY}"),
    ("SECRET_KEYS", f"x:{KEY}"), ("SECRET_KEYS", "1:" + base64.b64encode(b"k" * 31).decode()),
    ("SECRET_KEYS", f"1:{KEY[:-1]}é"),
    ("PUBLIC_URL", "rsu.example.ma"), ("PUBLIC_URL", "ftp://rsu.example.ma"), ("PUBLIC_URL", "https://"),
    ("PUBLIC_URL", "https://["), ("PUBLIC_URL", "https://host:port"), ("PUBLIC_URL", "https://host?a=1"),
    ("PUBLIC_URL", "https://host#top"), ("PUBLIC_URL", "https://user:password@host"), ("PUBLIC_URL", "https://a b"),
    ("SERVICE_CODE", "580"), ("SERVICE_CODE", "*580"), ("SERVICE_CODE", "*58a#"), ("SERVICE_CODE", "**580#"),
    ("CALLBACK_TOKENS", "short"), ("CALLBACK_TOKENS", ","), ("CALLBACK_TOKENS", f"{TOKEN},"),
    ("CALLBACK_TOKENS", f"{TOKEN},short"), ("CALLBACK_TOKENS", TOKEN[:-1] + "/"),
    ("API_CLIENTS", "tayssir"), ("API_CLIENTS", "tayssir:short"), ("API_CLIENTS", f"Tayssir:{'0' * 64}"),
    ("API_CLIENTS", f"asd:{'0' * 64},asd:{'0' * 64}"), ("API_CLIENTS", f"asd:{'0' * 64},"),
    ("API_CLIENTS", ",".join(f"asd:{digit * 64}" for digit in "012")), ("API_CLIENTS", f"asd:{'0' * 64}:1"),
    ("API_RATE", "0"), ("API_CLIENTS", f"asd:{'0' * 64},tayssir:{'0' * 64}"),
    ("SMS_PROVIDERS", "twilio"), ("SMS_PROVIDERS", "pigeon:100"), ("SMS_PROVIDERS", "twilio:0"),
    ("SMS_PROVIDERS", "twilio:50,twilio:50"), ("SMS_PROVIDERS", "twilio:-1"), ("SMS_PROVIDERS", ","),
    ("SMS_ROUTES", "60402"), ("SMS_ROUTES", "60402:twilio"), ("SMS_ROUTES", "60402:pigeon=0"),
    ("SMS_ROUTES", "inwi:twilio=0"), ("SMS_ROUTES", "zgh:twilio=0"), ("SMS_ROUTES", "zgh-MA/60402:twilio=0"),
    ("SMS_ROUTES", "60402:twilio=1000"), ("SMS_ROUTES", "60402:twilio=0,60402:twilio=1"), ("SMS_ROUTES", ","),
    ("SMS_ROUTES", "60402:twilio=0,60402:africastalking=0"),
    ("SMS_ROUTES", "60402:twilio=0,zgh-MA:africastalking=0"),
    ("TWILIO_ACCOUNT_SID", "AC123"), ("TWILIO_ACCOUNT_SID", "SM" + "0" * 32),
    ("QUIET_HOURS", "20"), ("QUIET_HOURS", "20-24"), ("QUIET_HOURS", "night"),
    ("QUIET_HOURS", "20-9,reply:20-9"), ("RAMADAN_QUIET_HOURS", "18"), ("SMS_RATES", "twilio"),
    ("SMS_RATES", "twilio:0"), ("SMS_RATES", "twilio:1,twilio:2"), ("SMS_RATES", "pigeon:10"),
    ("USSD_BUDGETS", "60400:183/80"), ("USSD_BUDGETS", "60400:160/69"), ("USSD_BUDGETS", "60400"),
    ("USSD_BUDGETS", "60400:182/80,60400:160/70"),
    ("USSD_GENERIC", "/nowhere/wire.toml"),
    ("LEASE_S", "0"), ("LEASE_S", "-5"), ("LEASE_S", "soon"), ("RECONCILE_AFTER_S", "1.5"),
    ("UNKNOWN_FOR_S", "9999999"),
    ("LATE_WARNING_DAYS", "10"), ("LATE_WARNING_DAYS", "0"),
    ("POST_CUT_OFF", "24"), ("POST_CUT_OFF", "0"), ("POST_TAKES", "31"), ("POST_TAKES", "soon"),
    ("SYNTHESIZED_SPEECH", "maybe"),
    ("CAMPAIGN_FOUR_EYES", "two"), ("CAMPAIGN_FOUR_EYES", "-1"), ("BUDGET_PARTS_A_DAY", "1.5"),
    ("BUDGET_PARTS_A_DAY", "1000 000"), ("BUDGET_MAD_A_DAY", "12,50"), ("BUDGET_MAD_A_DAY", "0.00001"),
    ("BUDGET_MAD_A_DAY", "-1"),
    ("VOICE_PROVIDER", "pigeon"), ("VOICE_PROVIDER", "twilio,africastalking"),
    ("VOICE_NUMBER", "0530000080"), ("VOICE_NUMBER", "+212 530 00 00 80"), ("MISSED_CALL_NUMBER", "+0530000080"),
    ("MISSED_CALL_NUMBER", "+1234567"), ("RECORDING_DAYS", "0"), ("RECORDING_DAYS", "366"),
    ("REVIEW_ANSWER_DAYS", "0"), ("REVIEW_ANSWER_DAYS", "a month"),
]


def refused(**changed: str) -> SettingsError:
    with pytest.raises(SettingsError) as caught:
        Settings.from_env({**GOOD, **changed})
    return caught.value


def test_a_whole_environment_is_read():
    settings = Settings.from_env(GOOD)
    assert settings.secret_keys == ((2, b"o" * 32), (1, b"k" * 32))
    assert settings.sms_providers == (("twilio", 70), ("africastalking", 30))
    assert settings.service_code == "*580#"
    assert settings.asleep == AsleepHours({"": QuietHours(20, 9)}, {"": QuietHours(18, 10)})
    assert settings.sms_rates == {}
    assert settings.review_answer_days == 30
    assert (settings.lease_s, settings.reconcile_after_s, settings.unknown_for_s) == (60, 120, 900)


def test_a_lane_may_have_hours_of_its_own_and_the_year_stands_for_ramadan():
    asleep = Settings.from_env({**GOOD, "QUIET_HOURS": "21-8,announcement:18-10"}).asleep
    assert asleep.ordinary == asleep.in_ramadan == {"": QuietHours(21, 8), "announcement": QuietHours(18, 10)}
    assert Settings.from_env({**GOOD, "RAMADAN_QUIET_HOURS": "17-11"}).asleep.in_ramadan[""] == QuietHours(17, 11)


def test_a_provider_may_have_a_rate():
    assert Settings.from_env({**GOOD, "SMS_RATES": "twilio:100,africastalking:0.5"}).sms_rates == {
        "twilio": 100, "africastalking": 0.5}


def test_recordings_lie_with_the_rest_unless_they_are_put_elsewhere():
    here = Settings.from_env({**GOOD, "VAR_DIR": "/srv/var"})
    assert (here.recordings, here.synthesized) == (Path("/srv/var/recordings"), False)
    there = Settings.from_env({**GOOD, "RECORDINGS_DIR": "/srv/voices", "SYNTHESIZED_SPEECH": "yes"})
    assert (there.recordings, there.synthesized) == (Path("/srv/voices"), True)


@pytest.mark.parametrize("nothing", ["absent", "empty", "blank"])
@pytest.mark.parametrize("name", REQUIRED)
def test_a_missing_setting_stops_the_start_and_names_itself(name, nothing):
    environment = {key: value for key, value in GOOD.items() if key != name}
    environment |= {"empty": {name: ""}, "blank": {name: "  "}}.get(nothing, {})
    with pytest.raises(SettingsError) as caught:
        Settings.from_env(environment)
    assert caught.value.problems == [f"{name}: is missing"]


@pytest.mark.parametrize(("name", "value"), MALFORMED)
def test_a_malformed_setting_stops_the_start_and_names_itself(name, value):
    problems = refused(**{name: value}).problems
    assert [problem.partition(":")[0] for problem in problems] == [name]


@pytest.mark.parametrize(("name", "value"), [
    ("SMPP_URL", "https://smsc.operator.example"), ("SMPP_URL", "smpps://user@smsc.operator.example"),
    ("SMPP_URL", "smpps://smsc.operator.example/x"), ("SMPP_URL", "smpp://smsc.operator.example:2775"),
    ("SMPP_SYSTEM_ID", "s" * 16), ("SMPP_PASSWORD", "a-bad-one"), ("SMPP_SENDER", "a sender too long"),
    ("SMPP_SENDER", "0612345678901"), ("SMPP_SYSTEM_TYPE", "t" * 13), ("SMPP_WINDOW", "0"), ("SMPP_WINDOW", "1001"),
])
def test_an_smsc_that_cannot_be_bound_to_stops_the_start_and_names_itself(name, value):
    problems = refused(**{**SMPP, "SMS_PROVIDERS": "smpp:1", name: value}).problems
    assert [problem.partition(":")[0] for problem in problems] == [name]


def test_an_smsc_in_the_clear_is_taken_on_loopback_alone():
    written = {**GOOD, **SMPP, "SMS_PROVIDERS": "smpp:1"}
    assert Settings.from_env(written).smpp == SmppAccount(
        "smpps://smsc.operator.example", "rsu", "a-secret", "RSU", "", 10, "", "")
    assert Settings.from_env({**written, "SMPP_URL": "smpp://127.0.0.1:2775"}).smpp.base_url == "smpp://127.0.0.1:2775"
    assert "a-secret" not in repr(Settings.from_env(written))
    assert Settings.from_env({**GOOD, **SMPP}).smpp is None


def test_all_problems_are_told_at_once():
    with pytest.raises(SettingsError) as caught:
        Settings.from_env({"SMS_PROVIDERS": "twilio:1,africastalking:1", "PUBLIC_URL": "http://rsu.example.ma"})
    named = {line.partition(":")[0] for line in str(caught.value).splitlines()}
    assert named == set(REQUIRED) - {"SMS_PROVIDERS"}


def test_a_problem_never_quotes_the_value():
    error = refused(SECRET_KEYS="1:a-bad-secret", CALLBACK_TOKENS="a-bad-secret!", DATABASE_URL="a-bad-secret",
                    REDIS_URL="a-bad-secret", PUBLIC_URL="https://user:a-bad-secret@host")
    assert len(error.problems) == 5
    assert "a-bad-secret" not in str(error)


@pytest.mark.parametrize("name", ["PUBLIC_URL", "TWILIO_BASE_URL", "AFRICASTALKING_BASE_URL",
                                  "AFRICASTALKING_VOICE_URL"])
@pytest.mark.parametrize("host", ["rsu.example.ma", "10.0.0.1", "127.0.0.1.example.ma", "localhost.example.ma",
                                  "127.0.0.2", "[2001:db8::1]", "0.0.0.0"])
def test_an_address_without_https_is_refused(name, host):
    assert refused(**{name: f"http://{host}/path"}).problems == [
        f"{name}: must begin with https:// (http only on loopback)"]


@pytest.mark.parametrize("address", ["http://127.0.0.1:8580", "http://localhost", "http://[::1]:8580/x",
                                     "https://rsu.example.ma:8443/gateway", "https://[2001:db8::1]"])
def test_an_address_with_https_or_on_loopback_is_taken(address):
    assert Settings.from_env({**GOOD, "PUBLIC_URL": address + "/"}).public_url == address


def test_exceptions_of_routes_are_read():
    written = "60402:twilio=0, zgh-MA:twilio=5,60401/ar-MA:twilio=30"
    assert Settings.from_env({**GOOD, "SMS_ROUTES": written}).sms_routes == (
        RouteRule("60402", "", "twilio", 0), RouteRule("", "zgh-MA", "twilio", 5),
        RouteRule("60401", "ar-MA", "twilio", 30))


def test_texts_that_nobody_would_carry_are_named():
    (problem,) = refused(SMS_ROUTES="60402:twilio=0,zgh-MA:africastalking=0").problems
    assert "leaves nobody to carry texts of 60402 in zgh-MA" in problem


@pytest.mark.parametrize("write", [repr, str])
def test_no_secret_shows_itself(write):
    settings = Settings.from_env({**GOOD, "TWILIO_NEXT_AUTH_TOKEN": NEXT_TOKEN})
    for shown in (write(settings), write(settings.twilio), write(settings.africastalking)):
        assert not [secret for secret in SECRETS if secret in shown]


def test_a_provider_that_is_not_used_needs_no_account():
    environment = {key: value for key, value in GOOD.items() if not key.startswith("TWILIO")}
    assert Settings.from_env({**environment, "SMS_PROVIDERS": "africastalking:1"}).twilio is None


def test_two_tokens_and_spaces_around_them_are_taken():
    taken = Settings.from_env({**GOOD, "CALLBACK_TOKENS": f" {TOKEN} , {'u' * 40} "})
    assert taken.callback_tokens == (TOKEN, "u" * 40)


def test_a_client_may_have_two_tokens_and_need_have_none():
    assert Settings.from_env(GOOD).api_clients == ()
    named = Settings.from_env({**GOOD, "API_CLIENTS": f"asd:{'0' * 64}, asd:{'1' * 64}"})
    assert named.api_clients == (("asd", "0" * 64), ("asd", "1" * 64))
    assert "0" * 64 not in repr(named)


@pytest.mark.parametrize("told", ["", NEXT_TOKEN])
def test_the_next_auth_token_stands_beside_the_present_one_while_there_is_one(told):
    account = Settings.from_env({**GOOD, "TWILIO_NEXT_AUTH_TOKEN": told}).twilio
    assert (account.auth_token, account.next_auth_token) == (GOOD["TWILIO_AUTH_TOKEN"], told)


def test_no_operator_of_its_own_wording_is_served_where_none_is_set():
    assert Settings.from_env(GOOD).ussd_generic is None


def test_the_wording_of_an_operator_is_read_at_the_start():
    wire = Settings.from_env({**GOOD, "USSD_GENERIC": str(WIRE)}).ussd_generic
    assert (wire.format, wire.msisdn) == ("json", "subscriber.msisdn")


def test_a_wrong_wording_of_an_operator_stops_the_start_and_names_the_key(tmp_path):
    (tmp_path / "wire.toml").write_text(WIRE.read_text(encoding="utf-8").replace("msisdn = ", "phone = "))
    (problem,) = refused(USSD_GENERIC=str(tmp_path / "wire.toml")).problems
    assert problem.startswith("USSD_GENERIC: fields: ")
    assert "msisdn" in problem


def test_the_days_for_the_answer_to_a_review_can_be_set():
    assert Settings.from_env({**GOOD, "REVIEW_ANSWER_DAYS": "45"}).review_answer_days == 45


# Telephone calls


CALLS = {"VOICE_PROVIDER": "twilio", "VOICE_NUMBER": "+212530000080"}


def test_without_a_provider_of_calls_there_are_none():
    settings = Settings.from_env(GOOD)
    assert (settings.voice_provider, settings.voice_number, settings.missed_call_number) == ("", "", "")
    assert settings.africastalking_voice_url == "https://voice.africastalking.com"
    assert settings.recording_days == 90


def test_the_numbers_of_the_service_are_read():
    settings = Settings.from_env({**GOOD, **CALLS, "MISSED_CALL_NUMBER": "+212530000081", "RECORDING_DAYS": "30"})
    assert (settings.voice_provider, settings.voice_number, settings.missed_call_number, settings.recording_days) == (
        "twilio", "+212530000080", "+212530000081", 30)


def test_where_there_are_calls_there_must_be_a_number():
    assert refused(VOICE_PROVIDER="twilio").problems == ["VOICE_NUMBER: is missing"]


def test_the_number_that_is_answered_is_not_the_one_that_is_refused():
    (problem,) = refused(**CALLS, MISSED_CALL_NUMBER=CALLS["VOICE_NUMBER"]).problems
    assert problem.startswith("MISSED_CALL_NUMBER: must be another number")


def test_the_account_by_which_we_call_must_be_there():
    (problem,) = refused(**CALLS, SMS_PROVIDERS="africastalking:1").problems
    assert problem.startswith("VOICE_PROVIDER: name twilio in SMS_PROVIDERS too")
    assert Settings.from_env({**GOOD, **CALLS, "SMS_PROVIDERS": "africastalking:1,twilio:0"}).voice_provider


@pytest.mark.parametrize(("changed", "open_to"), [
    ({}, []), (CALLS, ["africastalking", "twilio"]), ({**CALLS, "SMS_PROVIDERS": "twilio:1"}, ["twilio"]),
])
def test_calls_are_taken_by_the_accounts_that_there_are(changed, open_to, tmp_path):
    house = open_house(f"sqlite:///{tmp_path}/house.db", "redis://127.0.0.1:1", tmp_path, lambda: NOON, **changed)
    assert sorted(house.telephones) == open_to
    assert [house.telephony(name).name for name in open_to] == open_to
    for name in {"twilio", "africastalking", "pigeon"} - set(open_to):
        with pytest.raises(BadCallback, match="carries no calls"):
            house.telephony(name)


@pytest.fixture
def embedded(monkeypatch, tmp_path):
    """An environment that says nothing, and the file that an embedded house wrote."""
    for name in {*GOOD, *OF_A_SERVICE}:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("VAR_DIR", str(tmp_path))
    (tmp_path / ENVIRONMENT_FILE).write_text("".join(f"{name}={value}\n" for name, value in GOOD.items()))
    return monkeypatch


def test_where_the_environment_says_nothing_the_embedded_file_is_read(embedded):
    assert not in_service()
    assert Settings.load().service_code == "*580#"


@pytest.mark.parametrize("name", OF_A_SERVICE)
def test_any_setting_of_a_service_leaves_the_embedded_file_unread(embedded, name):
    embedded.setenv(name, GOOD[name])
    assert in_service()
    with pytest.raises(SettingsError) as caught:
        Settings.load()
    assert {f"{missing}: is missing" for missing in set(OF_A_SERVICE) - {name}} <= set(caught.value.problems)


@pytest.mark.parametrize(("named", "on", "problem"), [
    ("rsu-1999", NOON, "FORMULA: there is no formula of this id, but ppi-morocco-2013, rsu-2021"),
    ("rsu-2021", datetime(2021, 8, 8, 12, tzinfo=UTC), "FORMULA: rsu-2021 takes effect on 2021-08-09"),
])
def test_a_formula_that_there_is_not_or_that_is_not_law_yet_stops_the_start(named, on, problem, tmp_path):
    with pytest.raises(SettingsError, match=problem):
        open_house(f"sqlite:///{tmp_path}/house.db", "redis://127.0.0.1:1", tmp_path, lambda: on, FORMULA=named)
