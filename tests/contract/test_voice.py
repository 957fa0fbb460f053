"""The contract of all providers of telephone calls, over real HTTP, against each provider's true payloads."""

from __future__ import annotations

import base64
import dataclasses
import logging
import traceback
from contextlib import suppress
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from channels import open_voice, voice_providers
from channels.base import BadCallback, Misconfigured, Piece, Prompt, Recorded, Rejected, SendError, Unavailable, Unknown
from channels.voice.recording import LONGEST
from tests.contract.provider import MSISDN, form
from tests.contract.stub import Reply, Stub, answers, drips, nobody_listens, resets, sends, stalls
from tests.contract.twilio import ACCOUNT, PUBLIC_URL, TOKEN, signed
from tests.contract.voice import ADDRESS, AFRICASTALKING_VOICE, OURS, TWILIO_VOICE, Voice, telephoned

VOICES = {voice.name: voice for voice in (TWILIO_VOICE, AFRICASTALKING_VOICE)}
HOMES = {"twilio": "https://api.twilio.com", "africastalking": "https://voice.africastalking.com"}
ONWARD = f"{PUBLIC_URL}/voice/s3cret?step=2&of=3"
MP3 = b"ID3\x04\x00\xff\xfb\x90" + bytes(range(256)) * 8
AUDIO = Reply(200, MP3, "audio/mpeg")

HELLO = Piece("Bienvenue & <bonjour>", "fr-MA")
MARHABA = Piece("مرحبا", "ar-MA")
AZUL = Piece("ⴰⵣⵓⵍ", "zgh-MA", "https://rsu.example.ma/prompts/azul.mp3?v=1&w=2")

each_voice = pytest.mark.parametrize("voice", VOICES.values(), ids=VOICES)


def every(table: str):
    return pytest.mark.parametrize(
        ("voice", "row"), [pytest.param(voice, row[1:] if isinstance(row, tuple) else row,
                                        id=f"{voice.name}: {row[0] if isinstance(row, tuple) else row}")
                           for voice in VOICES.values() for row in getattr(voice, table)])


def opened(voice: Voice, url: str = "", deadline_s: float = 5.0):
    return voice_providers()[voice.name](**voice.account, base_url=url or HOMES[voice.name], deadline_s=deadline_s)


def refusal_of(act, *arguments) -> SendError:
    with pytest.raises(SendError) as caught:
        act(*arguments)
    assert MSISDN[1:] not in "".join(traceback.format_exception(caught.value))
    return caught.value


def spoken(voice: Voice, stub: Stub) -> Recorded:
    return Recorded(voice.name, stub.url + voice.recording, 17)


def document(answer: tuple[str, str]) -> ElementTree.Element:
    body, content_type = answer
    assert content_type == "text/xml; charset=utf-8"
    root = ElementTree.fromstring(body.encode())
    assert root.tag == "Response"
    return root


def told(element: ElementTree.Element) -> list[object]:
    """The verbs of a document, in order, with what is in them."""
    return [(verb.tag, dict(verb.attrib), verb.text or "", told(verb)) for verb in element]


@pytest.fixture
def stub():
    with Stub() as stub:
        yield stub


@pytest.fixture(autouse=True)
def logs_without_persons(caplog):
    caplog.set_level(logging.DEBUG)
    yield
    assert MSISDN[1:] not in "\n".join(map(logging.Formatter().format, caplog.get_records("call")))


def test_every_provider_is_under_the_contract():
    assert set(voice_providers()) == set(VOICES)


@each_voice
def test_an_account_is_opened_by_its_providers_name(voice):
    assert open_voice(voice.name, **voice.account, base_url=HOMES[voice.name]).name == voice.name


def test_a_provider_that_does_not_exist_is_refused():
    with pytest.raises(ValueError, match="carrier-pigeon"):
        open_voice("carrier-pigeon")


@each_voice
def test_a_secret_is_in_no_representation(voice):
    assert voice.account.get("auth_token", voice.account.get("api_key")) not in repr(opened(voice))


# What is heard.

@every("heard")
def test_what_happened_in_a_call_is_heard(voice, row):
    fields, expected = row
    assert opened(voice).heard(voice.request(form(fields))) == expected


@each_voice
@pytest.mark.parametrize("withheld", [
    "", "anonymous", "Anonymous", "Restricted", "unknown", "Private", "+266696687", "+7378742833", "+86282452253",
    "+2562533", "+8656696", "0612000417", "sip:amina@example.ma", f"{MSISDN}\n", "+212٦١٢000417", "*580#",
])
def test_a_withheld_number_is_nobodys(voice, withheld):
    heard = opened(voice).heard(voice.request(form({**voice.heard[0][1], voice.persons_key: withheld})))
    assert heard == dataclasses.replace(voice.heard[0][2], msisdn="")


@each_voice
@pytest.mark.parametrize("changes", [
    {"CallSid": "", "sessionId": ""}, {"CallSid": "CA 17", "sessionId": "../x"},
    {"CallSid": "x" * 65, "sessionId": "x" * 65}, {"CallSid": f"{MSISDN}", "sessionId": f"{MSISDN}"},
    {"Digits": f"{MSISDN}", "dtmfDigits": f"{MSISDN}"}, {"Digits": "hangup", "dtmfDigits": "1 2"},
    {"Digits": "1\n", "dtmfDigits": "1\n"}, {"Digits": "1" * 65, "dtmfDigits": "1" * 65},
])
def test_a_callback_that_is_not_readable_is_refused_without_telling_of_whom(voice, changes):
    with pytest.raises(BadCallback, match="malformed") as caught:
        opened(voice).heard(voice.request(form({**voice.heard[0][1], **changes})))
    assert MSISDN[1:] not in str(caught.value)


@pytest.mark.parametrize("active", ["", "2", "true", "1\n"])
def test_a_call_is_going_on_or_over(active):
    voice = AFRICASTALKING_VOICE
    with pytest.raises(BadCallback, match="isActive"):
        opened(voice).heard(voice.request(form({**voice.heard[0][1], "isActive": active})))


@each_voice
def test_a_callback_without_one_of_its_fields_is_refused_or_complete(voice):
    _, fields, expected = voice.heard[0]
    for missing in fields:
        rest = {key: value for key, value in fields.items() if key != missing}
        try:
            assert opened(voice).heard(voice.request(form(rest))) == expected
        except BadCallback:
            continue


@each_voice
def test_a_field_that_comes_twice_is_refused(voice):
    for key in ({"From", "To", "CallSid", "CallStatus", "Direction"} if voice is TWILIO_VOICE else
                {"callerNumber", "destinationNumber", "sessionId", "isActive"}):
        fields = form(voice.heard[0][1])
        with pytest.raises(BadCallback):
            opened(voice).heard(voice.request({**fields, key: fields[key] * 2}))


ANY_TEXT = st.text(st.characters(codec=None, exclude_categories=()), max_size=20)


@each_voice
def test_a_callback_of_any_shape_is_heard_or_refused(voice):
    channel, known = opened(voice), sorted({key for _, fields, _ in voice.heard for key in fields})

    @given(st.dictionaries(st.sampled_from(known) | ANY_TEXT, st.lists(ANY_TEXT, max_size=2).map(tuple), max_size=5))
    def hear(fields):
        with suppress(BadCallback):
            channel.heard(voice.request({**form(voice.heard[0][1]), **fields}))

    hear()


def test_what_was_heard_is_in_no_representation():
    heard = opened(TWILIO_VOICE).heard(signed(form(telephoned(Digits="7913"))))
    assert "7913" not in repr(heard)
    assert MSISDN not in repr(heard)


def test_a_callback_that_twilio_did_not_sign_is_not_heard():
    request, channel = signed(form(telephoned(Digits="1"))), opened(TWILIO_VOICE)
    for stranger, said in [
            (dataclasses.replace(request, headers={}), "not signed"),
            (signed(form(telephoned(Digits="1")), "another"), "wrong signature"),
            (dataclasses.replace(request, form={**request.form, "Digits": ("2",)}), "wrong signature"),
            (dataclasses.replace(request, path=request.path + "?x=1"), "wrong signature"),
            (signed(form(telephoned(AccountSid="AC" + "11" * 16))), "another account")]:
        with pytest.raises(BadCallback, match=said):
            channel.heard(stranger)


# What is said.

def test_twilio_says_plays_and_gathers_keys():
    answer = opened(TWILIO_VOICE).answer(Prompt((HELLO, MARHABA, AZUL), "keys", most=10, seconds=8), ONWARD)
    assert told(document(answer)) == [
        ("Gather", {"input": "dtmf", "action": ONWARD, "method": "POST", "numDigits": "10", "timeout": "8",
                    "finishOnKey": "#", "actionOnEmptyResult": "true"}, "", [
            ("Say", {"voice": "Polly.Lea", "language": "fr-FR"}, HELLO.text, []),
            ("Say", {"voice": "Polly.Zeina", "language": "arb"}, MARHABA.text, []),
            ("Play", {}, AZUL.recording, [])]),
        ("Redirect", {"method": "POST"}, ONWARD, [])]


def test_twilio_records_after_what_it_says():
    answer = opened(TWILIO_VOICE).answer(Prompt((HELLO,), "voice", seconds=120), ONWARD)
    assert told(document(answer)) == [
        ("Say", {"voice": "Polly.Lea", "language": "fr-FR"}, HELLO.text, []),
        ("Record", {"action": ONWARD, "method": "POST", "maxLength": "120", "timeout": "3", "finishOnKey": "#",
                    "playBeep": "true", "trim": "trim-silence"}, "", []),
        ("Redirect", {"method": "POST"}, ONWARD, [])]


def test_twilio_hangs_up_after_the_last_word():
    answer = opened(TWILIO_VOICE).answer(Prompt((AZUL,)), ONWARD)
    assert told(document(answer)) == [("Play", {}, AZUL.recording, []), ("Hangup", {}, "", [])]


def test_africas_talking_says_all_but_the_last_piece_before_it_takes_keys():
    answer = opened(AFRICASTALKING_VOICE).answer(Prompt((HELLO, MARHABA, AZUL), "keys", most=10, seconds=8), ONWARD)
    assert told(document(answer)) == [
        ("Say", {"voice": "fr-FR-Standard-A"}, HELLO.text, []),
        ("Say", {"voice": "ar-XA-Standard-A"}, MARHABA.text, []),
        ("GetDigits", {"numDigits": "10", "timeout": "8", "finishOnKey": "#", "callbackUrl": ONWARD}, "",
         [("Play", {"url": AZUL.recording}, "", [])]),
        ("Redirect", {}, ONWARD, [])]


def test_africas_talking_records_after_what_it_says():
    answer = opened(AFRICASTALKING_VOICE).answer(Prompt((AZUL, HELLO), "voice", seconds=120), ONWARD)
    assert told(document(answer)) == [
        ("Play", {"url": AZUL.recording}, "", []),
        ("Record", {"maxLength": "120", "finishOnKey": "#", "trimSilence": "true", "playBeep": "true",
                    "callbackUrl": ONWARD}, "", [("Say", {"voice": "fr-FR-Standard-A"}, HELLO.text, [])]),
        ("Redirect", {}, ONWARD, [])]


def test_africas_talking_ends_the_call_where_the_document_ends():
    answer = opened(AFRICASTALKING_VOICE).answer(Prompt((AZUL, MARHABA)), ONWARD)
    assert told(document(answer)) == [
        ("Play", {"url": AZUL.recording}, "", []), ("Say", {"voice": "ar-XA-Standard-A"}, MARHABA.text, [])]


@each_voice
@pytest.mark.parametrize("awaits", ["keys", "voice"])
def test_silence_comes_onward_as_well(voice, awaits):
    last = document(opened(voice).answer(Prompt((HELLO,), awaits), ONWARD))[-1]
    assert (last.tag, last.text) == ("Redirect", ONWARD)


@each_voice
def test_a_text_in_a_language_no_machine_speaks_is_read_out_in_arabic(voice):
    spoken_in = [document(opened(voice).answer(Prompt((Piece("x", locale),)), ONWARD))[0].attrib["voice"]
                 for locale in ("zgh-MA", "ar-MA", "fr-MA")]
    assert spoken_in[0] == spoken_in[1] != spoken_in[2]


@each_voice
def test_a_piece_that_says_nothing_is_left_out(voice):
    answer = opened(voice).answer(Prompt((Piece("", "fr-MA"), Piece(" \x00\n", "fr-MA"), HELLO), "keys"), ONWARD)
    assert [(element.tag, element.text) for element in document(answer).iter("Say")] == [("Say", HELLO.text)]


@each_voice
def test_a_call_that_is_not_taken_is_rejected(voice):
    (reject,) = document(opened(voice).refuse())
    assert reject.tag == "Reject"
    assert reject.attrib == ({"reason": "busy"} if voice is TWILIO_VOICE else {})


ANY_PIECE = st.builds(Piece, ANY_TEXT, st.sampled_from(["ar-MA", "fr-MA", "zgh-MA"]), st.just("") | ANY_TEXT)
ANY_PROMPT = st.builds(Prompt, st.lists(ANY_PIECE, max_size=4).map(tuple),
                       st.sampled_from(["keys", "voice", "nothing"]), st.integers(1, 20), st.integers(1, 120))


@each_voice
def test_any_text_makes_a_document_that_can_be_read(voice):
    channel = opened(voice)

    @given(ANY_PROMPT, ANY_TEXT)
    def say(prompt, onward):
        root = document(channel.answer(prompt, onward))
        assert {element.tag for element in root.iter()} <= {
            "Response", "Say", "Play", "Gather", "GetDigits", "Record", "Redirect", "Hangup"}
        assert all(len(awaiting) <= 1 for awaiting in (*root.iter("GetDigits"), *root.iter("Record")))

    say()


# A call from us.

@each_voice
def test_a_call_goes_out_as_the_provider_wants_it(voice, stub):
    stub.does(answers(voice.accepted))
    assert opened(voice, stub.url).call(MSISDN, ADDRESS).provider_id == voice.provider_id
    (seen,) = stub.seen
    assert (seen.method, seen.path, seen.form) == ("POST", voice.called_at, voice.called)


def test_the_key_of_africas_talking_goes_in_the_header(stub):
    opened(AFRICASTALKING_VOICE, stub.does(answers(AFRICASTALKING_VOICE.accepted)).url).call(MSISDN, ADDRESS)
    assert stub.seen[0].headers["apiKey"] == AFRICASTALKING_VOICE.account["api_key"]


@every("refusals")
def test_a_refusal_says_what_to_do_next(voice, row, stub):
    reply, expected = row
    stub.does(answers(reply))
    error = refusal_of(opened(voice, stub.url).call, MSISDN, ADDRESS)
    assert type(error) is type(expected)
    assert vars(error) == vars(expected)
    assert len(stub.seen) == 1


@every("unclear")
def test_after_an_unclear_answer_the_telephone_may_be_ringing(voice, row, stub):
    stub.does(answers(row[0]))
    assert type(refusal_of(opened(voice, stub.url).call, MSISDN, ADDRESS)) is Unknown


@each_voice
@pytest.mark.parametrize("fault", [stalls, resets, sends(b""), sends(b"HTTP/1.1 201 -\r\nContent-Length: 9\r\n\r\n{}")])
def test_after_a_line_that_breaks_the_telephone_may_be_ringing(voice, fault, stub):
    stub.does(fault)
    assert type(refusal_of(opened(voice, stub.url, 0.3).call, MSISDN, ADDRESS)) is Unknown
    assert len(stub.seen) == 1


@each_voice
def test_no_telephone_rings_where_nobody_answers_the_door(voice):
    with nobody_listens() as url:
        assert type(refusal_of(opened(voice, url).call, MSISDN, ADDRESS)) is Unavailable


@each_voice
def test_a_redirected_call_is_not_made_again(voice, stub):
    stub.does(answers(Reply(307, "", headers={"Location": f"{stub.url}/elsewhere"})), answers(voice.accepted))
    assert type(refusal_of(opened(voice, stub.url).call, MSISDN, ADDRESS)) is Misconfigured
    assert len(stub.seen) == 1


@pytest.mark.parametrize("number", ["", "0612000417", f"{MSISDN}\n", f"{MSISDN},{OURS}", "anonymous", "+212\u0666"])
def test_africas_talking_is_asked_for_one_number_at_a_time(number, stub):
    with pytest.raises(Rejected, match="not_a_number"):
        opened(AFRICASTALKING_VOICE, stub.url).call(number, ADDRESS)
    assert stub.seen == []


# What was recorded.

@each_voice
@pytest.mark.parametrize("content_type", ["audio/mpeg", "audio/x-wav", "Audio/MPEG; rate=8000"])
def test_a_recording_is_fetched_to_the_last_byte(voice, content_type, stub):
    stub.does(answers(dataclasses.replace(AUDIO, content_type=content_type)))
    assert opened(voice, stub.url).fetch(spoken(voice, stub)) == MP3
    (seen,) = stub.seen
    assert (seen.method, seen.path) == ("GET", voice.asked_for)


def test_twilio_is_shown_our_key_and_africas_talking_is_not(stub):
    for voice in VOICES.values():
        opened(voice, stub.does(answers(AUDIO)).url).fetch(spoken(voice, stub))
    twilio, africastalking = stub.seen
    assert twilio.headers["Authorization"] == "Basic " + base64.b64encode(f"{ACCOUNT}:{TOKEN}".encode()).decode()
    assert not {"Authorization", "apiKey"} & set(africastalking.headers)


def test_of_a_recordings_address_only_its_name_is_followed(stub):
    """The address that Twilio tells is its own even where we ask at another (a region, a sandbox)."""
    opened(TWILIO_VOICE, stub.does(answers(AUDIO)).url).fetch(
        Recorded("twilio", "https://api.twilio.com" + TWILIO_VOICE.recording))
    assert stub.seen[0].path == TWILIO_VOICE.asked_for


@every("strangers")
def test_a_recording_is_asked_of_its_provider_alone(voice, row):
    recorded = Recorded(voice.name, row)
    for act in (opened(voice).fetch, *([opened(voice).delete] if voice is TWILIO_VOICE else [])):
        error = refusal_of(act, recorded)
        assert (type(error), str(error)) == (Rejected, "not_the_providers")


@each_voice
def test_a_port_beside_the_configured_one_is_not_asked(voice, stub):
    with Stub() as other:
        other.does(answers(AUDIO))
        assert type(refusal_of(opened(voice, stub.url).fetch, Recorded(voice.name, other.url + voice.recording))) \
            is Rejected
        assert other.seen == []


@each_voice
def test_another_providers_recording_is_not_asked_for(voice, stub):
    recorded = dataclasses.replace(spoken(voice, stub), provider="another")
    assert type(refusal_of(opened(voice, stub.url).fetch, recorded)) is Rejected
    assert stub.seen == []


@each_voice
def test_an_address_with_anything_around_it_is_a_strangers(voice, stub):
    channel = opened(voice, stub.does(answers(AUDIO)).url)

    @given(ANY_TEXT.filter(bool), st.sampled_from([stub.url, HOMES[voice.name]]), st.sampled_from("@:\\#? \n"),
           ANY_TEXT)
    def ask(before, home, between, after):
        for url in (before + home + voice.recording, home + between + after + voice.recording):
            with pytest.raises(Rejected, match="not_the_providers"):
                channel.fetch(Recorded(voice.name, url))

    ask()


@each_voice
@pytest.mark.parametrize(("reply", "kind", "code"), [
    (Reply(200, MP3, "text/html"), Rejected, "not_audio"),
    (Reply(200, MP3, "application/octet-stream"), Rejected, "not_audio"),
    (Reply(200, MP3, "x-audio/mpeg"), Rejected, "not_audio"),
    (Reply(200, b"\xff" * (LONGEST + 1), "audio/mpeg"), Rejected, "too_large"),
    (Reply(302, "", "audio/mpeg", {"Location": "http://169.254.169.254/"}), Rejected, "http_302"),
    (Reply(307, MP3, "audio/mpeg", {"Location": "/elsewhere"}), Rejected, "http_307"),
    (Reply(400, MP3, "audio/mpeg"), Rejected, "http_400"),
    (Reply(410, "", "text/plain"), Rejected, "http_410"),
    (Reply(404, "", "text/plain"), Unavailable, "http_404"),
    (Reply(401, "", "text/plain"), Unavailable, "http_401"),
    (Reply(429, "", "text/plain"), Unavailable, "http_429"),
    (Reply(503, MP3, "audio/mpeg"), Unavailable, "http_503"),
])
def test_a_recording_that_does_not_come_is_asked_for_later_or_never(voice, reply, kind, code, stub):
    stub.does(answers(reply), answers(AUDIO))
    error = refusal_of(opened(voice, stub.url).fetch, spoken(voice, stub))
    assert (type(error), error.code) == (kind, code)
    assert len(stub.seen) == 1


@each_voice
def test_a_recording_of_just_the_limit_is_kept(voice, stub):
    stub.does(answers(Reply(200, b"\xff" * LONGEST, "audio/mpeg")))
    assert len(opened(voice, stub.url).fetch(spoken(voice, stub))) == LONGEST


@each_voice
@pytest.mark.parametrize("fault", [stalls, resets, drips(AUDIO, at_once=100), sends(AUDIO.wire()[:-9])])
def test_half_a_recording_is_none_yet(voice, fault, stub):
    stub.does(fault)
    assert type(refusal_of(opened(voice, stub.url, 0.3).fetch, spoken(voice, stub))) is Unavailable


@pytest.mark.parametrize("status", [204, 404])
def test_a_recording_is_deleted_at_twilio_or_found_gone(status, stub):
    opened(TWILIO_VOICE, stub.does(answers(Reply(status, ""))).url).delete(spoken(TWILIO_VOICE, stub))
    (seen,) = stub.seen
    assert (seen.method, seen.path) == ("DELETE", TWILIO_VOICE.recording + ".json")
    assert seen.headers["Authorization"].startswith("Basic ")


@pytest.mark.parametrize(("act", "kind"), [
    (answers(Reply(500, "")), Unavailable), (answers(Reply(401, "")), Unavailable), (answers(Reply(409, "")), Rejected),
    (answers(Reply(307, "", headers={"Location": "/elsewhere"})), Rejected), (stalls, Unavailable),
])
def test_a_deletion_that_fails_is_asked_for_later_or_never(act, kind, stub):
    channel = opened(TWILIO_VOICE, stub.does(act).url, 0.3)
    assert type(refusal_of(channel.delete, spoken(TWILIO_VOICE, stub))) is kind
    assert len(stub.seen) == 1


def test_africas_talking_deletes_nothing_for_us(stub):
    with pytest.raises(Rejected, match="no_deletion"):
        opened(AFRICASTALKING_VOICE, stub.url).delete(spoken(AFRICASTALKING_VOICE, stub))
