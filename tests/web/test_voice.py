"""Calls: the tree by keypad, for both providers: what is heard, spoken complaints, silence, repeats."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from datetime import date
from urllib.parse import urlsplit
from xml.etree import ElementTree

import pytest
from flask.testing import FlaskClient

from gateway.calling import CallBack
from gateway.outbox import Message
from gateway.registry.complaint import Complaint
from gateway.registry.voice_message import VoiceMessage
from gateway.runtime import Runtime
from tests.conftest import SETTINGS, a_row, open_house, register
from tests.web.desk import PHONE, PIN, TOKEN, client, contents, give_pin, rows, signed, told

one_kind = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
SERVICE, MISSED = "+212530000080", "+212530000081"
SID = "RE" + "5c" * 16
CALLS = itertools.count(1)
VOICE = {"VOICE_PROVIDER": "twilio", "VOICE_NUMBER": SERVICE, "MISSED_CALL_NUMBER": MISSED}


@pytest.fixture
def house(database_url, redis_url, tmp_path, clock) -> Iterator[Runtime]:
    """A house that people can call."""
    opened = open_house(database_url, redis_url, tmp_path, clock, **VOICE)
    register(opened, a_row(language="fr-MA"))
    yield opened
    opened.close()


class Line:
    """A telephone call by one provider: what is heard, and the keys that answer it."""

    def __init__(self, web: FlaskClient, provider: str, phone: str = PHONE, dialled: str = SERVICE, *,
                 placed: bool = False) -> None:
        self.web, self.provider, self.phone, self.dialled, self.placed = web, provider, phone, dialled, placed
        self.call = next(CALLS)
        self.path = "/voice/twilio" if provider == "twilio" else f"/voice/africastalking/{TOKEN}"
        self.document = ElementTree.Element("Response")
        self.text = ""

    def form(self, keys: str = "", recording: str = "", *, over: bool = False) -> dict[str, str]:
        """The provider's fields of one callback."""
        if self.provider == "twilio":
            from_, to = (self.dialled, self.phone) if self.placed else (self.phone, self.dialled)
            return {"CallSid": f"CA{self.call:032x}", "AccountSid": SETTINGS["TWILIO_ACCOUNT_SID"], "From": from_,
                    "To": to, "Direction": "outbound-api" if self.placed else "inbound", "ApiVersion": "2010-04-01",
                    "CallStatus": "completed" if over else "in-progress", **({"Digits": keys} if keys else {}),
                    **({"RecordingSid": recording, "RecordingDuration": "7", "RecordingUrl":
                        f"{SETTINGS['TWILIO_BASE_URL']}/2010-04-01/Accounts/{SETTINGS['TWILIO_ACCOUNT_SID']}"
                        f"/Recordings/{recording}"} if recording else {})}
        return {"isActive": "0" if over else "1", "sessionId": f"ATVId_{self.call:032x}", "callerNumber": self.phone,
                "direction": "Outbound" if self.placed else "Inbound", "destinationNumber": self.dialled,
                **({"dtmfDigits": keys} if keys else {}),
                **({"recordingUrl": f"https://voice.africastalking.com/{recording}.mp3"} if recording else {})}

    def send(self, form: dict[str, str], path: str | None = None) -> str:
        """One callback. What is answered is a document that any parser reads."""
        path = path or self.path
        headers = signed(path, form) if self.provider == "twilio" else {}
        answer = self.web.post(path, data=form, headers=headers)
        assert answer.status_code == 200, answer.text
        self.text = answer.text
        if answer.text:
            self.document = ElementTree.fromstring(answer.text)
            onward = next(self.document.iter("Redirect"), None)
            self.path = urlsplit(onward.text).path if onward is not None else self.path
        return self.heard

    def dial(self) -> str:
        return self.send(self.form())

    def press(self, *keys: str) -> str:
        """So many answers; what is heard after the last."""
        for one in keys:
            self.send(self.form(one))
        return self.heard

    def speak(self, recording: str = SID) -> str:
        return self.send(self.form(recording=recording))

    @property
    def heard(self) -> str:
        return "\n".join(one.text or "" for one in self.document.iter("Say"))

    @property
    def final(self) -> bool:
        return not {"Gather", "GetDigits", "Record"} & {one.tag for one in self.document.iter()}


@pytest.fixture(params=["twilio", "africastalking"])
def line(request, house) -> Line:
    """Somebody calls, through either provider."""
    return Line(client(house), request.param)


@one_kind
def test_the_language_is_asked_for_first_in_each_and_amazigh_not_before_it_is_recorded(line):
    heard = line.dial()
    assert "العربية" in heard
    assert "Français" in heard
    assert "Tamazight" not in heard


@one_kind
def test_five_choices_at_a_time_each_named_before_its_key_and_the_star_says_more(line):
    line.dial()
    heard = line.press("2")
    assert heard.index("Voir mon indice") < heard.index("tapez 2")
    assert "Vérifier un message" not in heard
    assert "Vérifier un message" in line.press("*")
    assert "Voir mon indice" in line.press("*")


def test_a_household_hears_its_index_by_its_pin_and_asks_for_a_review(house, line):
    give_pin(house)
    told(house, date(2026, 11, 22))
    line.dial()
    assert "code secret" in line.press("2", "2")
    heard = line.press(PIN)
    assert "1, 0, virgule, 2, 2, 2, 5, 3, 7, 5" in heard
    assert "Téléphone et internet" in line.press("1")
    heard = line.press("1", "9", "1")
    number = house.vault.open(rows(house, Message)[-1].body_sealed, "message.body", rows(house, Message)[-1].id)
    spelt = re.search("[0-9](, [0-9]){8}", heard)[0]
    assert spelt.replace(", ", "") in number
    assert heard.count(spelt) == 2, "a number is said twice"
    assert "23 décembre 2026" in heard
    assert line.final


@one_kind
def test_no_index_and_no_pin_stands_in_an_address_or_in_redis(house, line):
    give_pin(house)
    line.dial()
    line.press("2", "2", PIN)
    held = b"".join(key + (house.redis.get(key) or b"") for key in house.redis.scan_iter()
                    if house.redis.type(key) == b"string")
    for secret in (PIN, PHONE, PHONE[4:], "10,2225375", "10.2225375"):
        assert secret not in line.path
        assert secret.encode() not in held


@one_kind
def test_a_wrong_pin_and_a_stranger_hear_the_same_until_it_is_locked(house):
    give_pin(house)
    heard = []
    for phone in (PHONE, "+212799999999"):
        caller = Line(client(house), "twilio", phone)
        caller.dial()
        caller.press("2", "2")
        heard.append([caller.press(f"11122{number}") for number in range(6)])
    assert heard[0] == heard[1]
    assert "24 heures" in heard[0][-1]


@one_kind
def test_a_callback_that_comes_again_gets_the_same_document_and_nothing_is_done_twice(house, line):
    line.dial()
    line.press("1", "5", "1", "1", "1")
    form, path = line.form("1"), line.path
    first = line.send(form) and line.text
    line.send(form, path)
    assert line.text == first
    assert len(rows(house, Complaint)) == 1


@one_kind
def test_a_spoken_complaint_is_announced_before_the_beep_and_waits_to_be_fetched(house, line):
    line.dial()
    line.press("1", "5", "1", "6")
    heard = line.press("2")
    [record] = line.document.iter("Record")
    assert record.get("maxLength") == "120"
    assert "90" in heard
    line.speak()
    line.press("1")
    [complaint], [message] = rows(house, Complaint), rows(house, VoiceMessage)
    assert (complaint.category, complaint.channel, complaint.text_sealed) == ("payment_not_received", "voice", None)
    assert (message.complaint_id, message.state) == (complaint.id, "announced")
    spelt = ", ".join(complaint.number)
    assert line.heard.count(spelt) == 2
    assert [one.notice for one in rows(house, Message)].count("complaint_received") == 1


@one_kind
def test_a_message_that_was_not_sent_belongs_to_no_complaint(house, line):
    line.dial()
    line.press("1", "5", "1", "6", "2")
    line.speak()
    line.press("0")
    assert rows(house, Complaint) == []
    assert [one.complaint_id for one in rows(house, VoiceMessage)] == [None]


@one_kind
def test_silence_is_asked_again_three_times_and_then_called_back_once(house, line):
    line.dial()
    first = line.press("2")
    assert [line.press("") for _ in range(2)] == [first, first]
    assert "rappeler" in line.press("")
    assert line.final
    assert [one.why for one in rows(house, CallBack)] == ["silence"]


@one_kind
def test_a_key_ends_the_count_of_silences(line):
    line.dial()
    line.press("2", "", "", "8")
    assert "rappeler" not in line.press("")


@one_kind
def test_whoever_rings_the_other_number_is_refused_at_no_cost_and_called_back(house):
    caller = Line(client(house), "twilio", dialled=MISSED)
    caller.dial()
    assert [one.tag for one in caller.document] == ["Reject"]
    caller.dial()
    assert [(one.why, one.state) for one in rows(house, CallBack)] == [("missed", "due")]


@one_kind
def test_in_a_call_that_we_make_nobody_is_asked_for_a_pin_nor_called_back_again(house, line):
    give_pin(house)
    line.placed = True
    line.dial()
    assert "étoile, 5, 8, 0, dièse" in line.press("2", "2")
    again = Line(line.web, line.provider, placed=True)
    again.dial()
    again.press("", "")
    assert "rappeler" not in again.press("")
    assert rows(house, CallBack) == []


@one_kind
def test_a_withheld_number_is_told_so_and_nothing_is_kept(house, line):
    before = contents(house)
    line.phone = "anonymous" if line.provider == "twilio" else ""
    heard = line.dial()
    assert "masqué" in heard or "caché" in heard
    assert line.final
    assert contents(house) == before


@one_kind
def test_when_redis_is_emptied_the_call_goes_on_in_the_menus_and_asks_for_the_pin_again(house, line):
    give_pin(house)
    line.dial()
    line.press("2", "5")
    house.redis.flushall()
    assert "Avis pas arrivé" in line.press("1")
    other = Line(line.web, line.provider)
    other.dial()
    other.press("2", PIN)
    house.redis.flushall()
    assert "10," not in other.press("1").replace(" ", "")
    assert "code secret" in other.heard
    assert rows(house, Complaint) == []


@one_kind
@pytest.mark.parametrize("place", ["AAAA", "x", "%00", "a" * 3000])
def test_a_place_that_is_not_ours_is_refused_and_changes_nothing(house, line, place):
    before = contents(house)
    form, path = line.form("1"), f"{line.path}/{place}"
    answer = line.web.post(path, data=form, headers=signed(path, form) if line.provider == "twilio" else {})
    assert answer.status_code in (403, 404)
    assert contents(house) == before


@one_kind
def test_a_place_of_another_call_is_refused(line):
    line.dial()
    other = Line(line.web, line.provider)
    form = other.form("1")
    answer = line.web.post(line.path, data=form, headers=signed(line.path, form) if line.provider == "twilio" else {})
    assert answer.status_code == 403


@one_kind
def test_a_call_that_twilio_has_not_signed_is_refused(house):
    caller = Line(client(house), "twilio")
    assert caller.web.post("/voice/twilio", data=caller.form()).status_code == 403
    assert caller.web.post(f"/voice/africastalking/{TOKEN[:-1]}x", data=caller.form()).status_code == 403


@one_kind
def test_a_call_that_is_over_is_counted_and_answered_by_nothing(house, line):
    line.dial()
    line.press("2")
    assert line.send(line.form(over=True)) is not None
    assert line.text == ""
    assert ("calls", {"provider": line.provider}, 1) in house.counts()


@one_kind
def test_an_error_of_ours_is_said_and_ends_the_call(house, line, monkeypatch):
    line.dial()
    house.redis.connection_pool.reset()
    monkeypatch.setattr("gateway.web.voice._position", lambda *_: 1 / 0)
    assert "تعذرت" in line.press("1")
    assert line.final


@one_kind
def test_an_old_callback_presses_no_key_on_the_screen_that_is_there_now(house, line):
    line.dial()
    first, begins = line.form("1"), line.path
    line.press("1", "5", "1", "1")
    form, path, stands = line.form("1"), line.path, line.text
    line.press("1")
    now = line.text
    for old_form, old_path in ((form, path), (first, begins)):
        line.send(old_form, old_path)
        assert line.text == now
    assert rows(house, Complaint) == []
    assert stands != now


@one_kind
def test_who_hangs_up_while_speaking_leaves_a_message_that_is_known(house, line):
    line.dial()
    line.press("1", "5", "1", "6", "2")
    line.send(line.form(recording=SID, over=True))
    assert [(one.state, one.complaint_id) for one in rows(house, VoiceMessage)] == [("announced", None)]


@one_kind
def test_a_number_that_anybody_can_show_opens_no_file_and_changes_nothing(house, line):
    """Whose call it is, is certain only where we have called."""
    line.dial()
    line.press("2")
    before = contents(house)
    assert "récépissé" in line.press("1")
    for keys in (("3", "1"), ("4", "1")):
        caller = Line(line.web, line.provider)
        caller.dial()
        assert "étoile, 5, 8, 0, dièse" in caller.press("8", *keys)
    assert contents(house)["contact"] == before["contact"]
    ours = Line(line.web, line.provider, placed=True)
    ours.dial()
    assert "récépissé" not in ours.press("1")


@one_kind
def test_a_language_that_is_not_recorded_is_asked_for_anew_and_not_said_in_another_voice(house, line):
    line.dial()
    line.press("3")
    assert "Dfr" not in line.heard
    other = Line(line.web, line.provider)
    assert "Français" in other.dial()


@one_kind
def test_a_call_that_we_have_made_stays_one_whatever_a_later_callback_leaves_out(house, line):
    give_pin(house)
    line.placed = True
    line.dial()
    line.press("2")
    line.placed = False
    assert "étoile, 5, 8, 0, dièse" in line.press("2")


@one_kind
def test_keys_are_no_words_where_a_message_is_awaited(house, line):
    line.dial()
    line.press("1", "5", "1", "6", "2")
    heard = line.heard
    assert line.press("7") == heard
