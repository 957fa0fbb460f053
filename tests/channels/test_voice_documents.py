"""What happens on the line, read from the providers' documents: their own examples, and what they would refuse."""

import pytest

from channels.sandbox.voice_documents import (
    KEYS,
    ApplicationError,
    AwaitedKeys,
    AwaitedMessage,
    HungUp,
    Paused,
    Played,
    Redirected,
    Rejected,
    Said,
    africastalking,
    twiml,
)


def response(inside: str) -> str:
    return f'<?xml version="1.0" encoding="UTF-8"?>\n<Response>{inside}</Response>'


def test_a_gather_of_twilio_hears_keys_while_it_speaks_and_goes_on_after_silence():
    steps = twiml(response(
        '<Gather action="/process_gather.php" method="POST"><Say>Please enter your account number,\n'
        "followed by the pound sign</Say></Gather><Say>We didn't receive any input. Goodbye!</Say>"
    ))
    assert steps == (
        AwaitedKeys((Said("Please enter your account number, followed by the pound sign", "en-US"),), None, 5, "#",
                    "/process_gather.php"),
        Said("We didn't receive any input. Goodbye!", "en-US"),
    )


def test_a_gather_may_tell_of_silence_and_end_by_no_key_at_all():
    told = 'input="dtmf" numDigits="10" timeout="8" finishOnKey="" actionOnEmptyResult="true"'
    inside = '<Play>/zgh/ask.mp3</Play><Pause length="2"/><Say language="arb" voice="Polly.Zeina">رقمكم</Say>'
    assert twiml(response(f"<Gather {told}>{inside}</Gather>")) == (
        AwaitedKeys((Played("/zgh/ask.mp3"), Paused(2), Said("رقمكم", "arb", "Polly.Zeina")), 10, 8, "", "", True),
    )


def test_the_verbs_of_twilio_come_in_their_order():
    steps = twiml(response(
        "<Say>Leave a message</Say><Record action='https://example.com/done' maxLength='20' finishOnKey='*'/>"
        "<Pause/><Play loop='2'>https://example.com/cowbell.mp3</Play><Redirect>../next?a=1&amp;b=2</Redirect><Hangup/>"
    ))
    cowbell = Played("https://example.com/cowbell.mp3")
    assert steps == (
        Said("Leave a message", "en-US"), AwaitedMessage(20, "*", "https://example.com/done", True), Paused(1),
        cowbell, cowbell, Redirected("../next?a=1&b=2"), HungUp(),
    )


def test_a_record_of_twilio_beeps_and_ends_by_any_key_unless_it_says_otherwise():
    assert twiml(response("<Record/>")) == (AwaitedMessage(3600, KEYS, "", True),)
    assert twiml(response('<Record playBeep="false"/>')) == (AwaitedMessage(3600, KEYS, "", False),)


@pytest.mark.parametrize(("reason", "busy"), [("", False), (' reason="rejected"', False), (' reason="busy"', True)])
def test_a_call_is_rejected_as_unknown_or_as_busy(reason, busy):
    assert twiml(response(f"<Reject{reason}/>")) == (Rejected(busy),)


def test_the_language_is_the_one_named_or_that_of_the_voice():
    assert twiml(response('<Say voice="Google.ar-XA-Wavenet-A">سلام</Say>')) == (
        Said("سلام", "ar-XA", "Google.ar-XA-Wavenet-A"),)
    assert twiml(response('<Say language="fr-FR">Un <break strength="weak"/> <emphasis>deux</emphasis></Say>')) == (
        Said("Un deux", "fr-FR"),)


def test_an_empty_document_does_nothing():
    assert twiml("<Response/>") == africastalking("<Response/>") == ()


def test_a_menu_of_africas_talking_awaits_keys_behind_one_thing_to_hear():
    steps = africastalking(response(
        '<GetDigits timeout="30" finishOnKey="#" callbackUrl="http://mycallbackURL.com"><Say>Please enter your account '
        "number followed by the hash sign</Say></GetDigits><Say>We did not get your account number. Good bye</Say>"
    ))
    assert steps == (
        AwaitedKeys((Said("Please enter your account number followed by the hash sign", "en-US"),), None, 30, "#",
                    "http://mycallbackURL.com"),
        Said("We did not get your account number. Good bye", "en-US"),
    )


def test_the_actions_of_africas_talking_come_in_their_order():
    steps = africastalking(response(
        '<Say voice="ar-XA-Standard-A" playBeep="false">سلام</Say><Play url="http://www.myvoicemailserver.com/hello.mp3"/>'
        '<GetDigits numDigits="1"><Play url="/menu.mp3"/></GetDigits>'
        '<Record finishOnKey="#" maxLength="10" trimSilence="true" playBeep="true" callbackUrl="https://me.example/x"/>'
        "<Redirect>http://www.mycallbackURL.com</Redirect><Reject/>"
    ))
    assert steps == (
        Said("سلام", "ar-XA", "ar-XA-Standard-A"), Played("http://www.myvoicemailserver.com/hello.mp3"),
        AwaitedKeys((Played("/menu.mp3"),), 1, 30, "", ""), AwaitedMessage(10, "#", "https://me.example/x", True),
        Redirected("http://www.mycallbackURL.com"), Rejected(False),
    )


BOTH = [
    ("", "the document is not XML"),
    ("<Response><Say>a & b</Say></Response>", "the document is not XML"),
    ("END goodbye", "the document is not XML"),
    ("<response/>", "the document is no Response"),
    (response("<say>a</say>"), "Response: no verb say"),
    (response("<Sms>a</Sms>"), "Response: no verb Sms"),
    (response("<Dial>+212612345678</Dial>"), "Response: no verb Dial"),
    (response("Hello"), "Response: words outside a verb"),
    (response("<Say>a</Say>b"), "Response: words outside a verb"),
    (response("<Say> </Say>"), "Say: no words"),
    (response("<Say tone='x'>a</Say>"), "Say: no attribute tone"),
    (response("<Say>a<Play/></Say>"), "Say: no Play inside"),
    (response("<Play/>"), "Play: no address"),
    (response("<Redirect/>"), "Redirect: no address"),
    (response("<Record maxLength='0'/>"), "Record: maxLength is no number from 1 to 3600"),
    (response("<Record maxLength='٣'/>"), "Record: maxLength is no number from 1 to 3600"),
    (response("<Record finishOnKey='A'/>"), "Record: finishOnKey is no key"),
    (response("<Record playBeep='yes'/>"), "Record: playBeep is none of"),
    (response("<Record><Say>a</Say></Record>"), "Record: nothing goes inside"),
]
TWILIO_ONLY = [
    (response("<GetDigits><Say>a</Say></GetDigits>"), "Response: no verb GetDigits"),
    (response('<Play url="/x.mp3"/>'), "Play: no attribute url"),
    (response("<Gather><Record/></Gather>"), "Gather: no verb Record"),
    (response("<Gather input='speech'/>"), "Gather: the sandbox understands keys only"),
    (response("<Gather method='GET'/>"), "Gather: the sandbox asks by POST only"),
    (response("<Reject reason='no'/>"), "Reject: reason is none of"),
    (response("<Say language='zgh-MA'>ⴰⵣⵓⵍ</Say>"), "Say: no voice for the language zgh-MA"),
    (response("<Gather><Say language='ar-MA'>سلام</Say></Gather>"), "Say: no voice for the language ar-MA"),
]
AFRICASTALKING_ONLY = [
    (response("<Gather/>"), "Response: no verb Gather"),
    (response("<Hangup/>"), "Response: no verb Hangup"),
    (response("<Play>/x.mp3</Play>"), "Play: no address"),
    (response("<GetDigits/>"), "GetDigits: exactly one Say or Play inside"),
    (response("<GetDigits><Say>a</Say><Say>b</Say></GetDigits>"), "GetDigits: exactly one Say or Play inside"),
    (response("<GetDigits><Record/></GetDigits>"), "GetDigits: no verb Record"),
]


@pytest.mark.parametrize(("document", "problem"), BOTH + TWILIO_ONLY)
def test_twilio_plays_nothing_of_a_document_with_an_error(document, problem):
    with pytest.raises(ApplicationError) as wrong:
        twiml(document)
    assert str(wrong.value).startswith(problem)


@pytest.mark.parametrize(("document", "problem"), BOTH + AFRICASTALKING_ONLY)
def test_africas_talking_plays_nothing_of_a_document_with_an_error(document, problem):
    with pytest.raises(ApplicationError) as wrong:
        africastalking(document)
    assert str(wrong.value).startswith(problem)
