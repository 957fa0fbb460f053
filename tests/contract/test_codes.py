"""Codes: every code that the documentation names is in its provider's file, and says what to do next."""

from __future__ import annotations

import pytest

from channels import codes, sms_providers
from channels.base import Misconfigured, Rejected, SendError, Throttled, Unavailable, Unknown
from channels.codes import BadCodes, codes_of, named, strange

# https://www.twilio.com/docs/api/errors and https://developers.africastalking.com/docs/sms, by what they ask of us.
DOCUMENTED: dict[str, dict[type[SendError] | None, str]] = {
    "twilio": {
        Throttled: "20429 63018 63038 21611 30022 30023 30027 14107 10004",
        Unknown: "20500 20503",
        Unavailable: "30001 30003 30008 30009 30017 30020 30021 30036 30410 30500 21612 "
                     "21624 30010 30012 30013 30014 30016",
        Rejected: "21211 21214 21217 21610 21614 21635 30004 30005 30006 21602 21619 21618 30007 30019 30450",
        Misconfigured: "20003 20005 20403 20404 21408 21601 21606 21212 21603 21608 21609 21703 21704 21705 21709 "
                       "30002 30018 30024 30032 30033 30034 30035 30015 30028 30029 30030 30031 10001",
    },
    "africastalking": {
        None: "100 101 102",
        Misconfigured: "401 402 405 InsufficientCredit InvalidLinkId UserNotSubscribedToProduct",
        Rejected: "403 404 406 UserIsInactive UserInBlackList UserAccountSuspended NotNetworkSubcriber "
                  "NotNetworkSubscriber UserDoesNotExist",
        Unavailable: "407 409 502 DeliveryFailure DoNotDisturbRejection",
        Unknown: "500 501",
    },
}


def test_every_provider_of_texts_has_its_codes_documented():
    assert set(DOCUMENTED) <= set(sms_providers())


@pytest.mark.parametrize("provider", DOCUMENTED)
def test_every_documented_code_is_known_and_says_what_to_do_next(provider):
    for kind, listed in DOCUMENTED[provider].items():
        assert {code: codes_of(provider).find(code).kind for code in listed.split()} == dict.fromkeys(
            listed.split(), kind)


@pytest.mark.parametrize("provider", DOCUMENTED)
def test_every_code_has_a_name_and_a_source(provider):
    known = codes_of(provider)
    assert known.source.startswith("https://")
    assert all(code.name for code in (*known.codes.values(), *known.reasons.values()))
    assert {"sent", "delivered", "failed"} <= set(known.statuses.values())


def test_a_code_of_which_one_text_is_at_fault_does_not_stop_the_provider():
    assert {codes_of("twilio").find(code).kind for code in ("21624", "30010", "30013")} == {Unavailable}


def test_a_reason_is_known_however_it_is_spelled():
    assert not strange("africastalking", "USER_IN_BLACK_LIST")
    assert named("africastalking", "user in blacklist") == "UserInBlackList"


def test_a_code_of_tomorrow_is_strange_and_no_code_is_not():
    assert strange("twilio", "39999")
    assert strange("africastalking", "MoonInTheWay")
    assert not strange("twilio", "")
    assert not strange("twilio", "30005")


@pytest.mark.parametrize(("provider", "word"), [
    ("twilio", "partially_delivered"), ("africastalking", "Absent Subscriber")])
def test_a_receipts_word_is_known_and_one_of_tomorrow_is_strange(provider, word):
    assert not strange(provider, word)
    assert strange(provider, "Teleported")


def test_a_provider_without_a_file_has_no_strange_codes():
    assert not strange("pigeon", "17")
    assert named("pigeon", "17") == ""


@pytest.mark.parametrize(("line", "place"), [
    ('[codes]\n1 = { name = "x", class = "maybe" }', "codes.1"),
    ('[codes]\n1 = { class = "rejected" }', "codes.1"),
    ('[reasons]\nx = { name = "X", class = "rejected", final = true }', "reasons.x"),
    ('[statuses]\nsent = "perhaps"', "statuses.sent"),
])
def test_a_wrong_file_names_its_place(line, place, tmp_path, monkeypatch):
    (tmp_path / "pigeon.toml").write_text(f'source = "https://pigeon.example"\n{line}\n')
    monkeypatch.setattr(codes, "files", lambda _: tmp_path)
    with pytest.raises(BadCodes, match=place):
        codes_of.__wrapped__("pigeon")
