"""USSD through operators that send only what was typed last: one speaks JSON, the other forms."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from channels.base import BadCallback, CallbackRequest, Ended, Screen, Turn
from channels.ussd.generic import GenericUssd
from channels.ussd.wire import BadWire, Reply, Said, Wire
from tests.contract.provider import MSISDN, form

EXAMPLE = Path(__file__).parents[2] / "docs" / "ussd-generic.example.toml"
PIN = "493027"
PATH = "/ussd/generic/" + "s" * 40

# An operator that names every step, and whose answer is an object.
STEPS = GenericUssd(Wire.load(EXAMPLE))
STEP = {"sessionId": "8f2c", "type": "continue", "subscriber": {"msisdn": MSISDN, "network": "60400"},
        "serviceCode": "*580#", "sequence": 3, "input": PIN}
# An operator that names none, and whose answer is a text with a header.
PLAIN = GenericUssd(Wire("form", "SESSION_ID", "MSISDN", "SC", "INPUT", ended=Said("STATE", ("abort", "timeout")),
                         reply=Reply(field="Freeflow", goes_on="FC", ends="FB")))
FORM = {"SESSION_ID": "77120934", "MSISDN": "0612000417", "SC": "580", "INPUT": PIN}


def a_body(**changes: object) -> CallbackRequest:
    return CallbackRequest(PATH, {}, {}, "s" * 40, json.dumps({**STEP, **changes}).encode())


def a_form(**changes: str) -> CallbackRequest:
    return CallbackRequest(PATH, {}, form({**FORM, **changes}), "s" * 40)


def test_a_turn_in_json_is_read():
    assert STEPS.turn(a_body()) == Turn("generic", "8f2c", "*580#", MSISDN, "", "60400", True, PIN, "3")


def test_a_turn_in_a_form_is_read():
    assert PLAIN.turn(a_form()) == Turn("generic", "77120934", "*580#", MSISDN, "", "", True, PIN, "")


def test_a_turn_in_the_query_is_read_like_one_in_the_body():
    assert PLAIN.turn(CallbackRequest(f"{PATH}?{urlencode(FORM)}", {}, {})) == PLAIN.turn(a_form())


def test_a_field_in_both_the_query_and_the_body_is_refused():
    with pytest.raises(BadCallback):
        PLAIN.turn(CallbackRequest(f"{PATH}?INPUT=1", {}, form(FORM)))


@pytest.mark.parametrize(("code", "typed", "behind"), [
    ("*580#", "*580#", ""), ("*580#", "*580*3#", "3"), ("580", "*580*3*1#", "3*1"), ("*580*3#", "*580*3#", ""),
    ("*580*3#", "*580*3*1#", "1"), ("*580", "*580*3#", "3"),
])
def test_the_code_itself_begins_a_session(code, typed, behind):
    turn = PLAIN.turn(a_form(SC=code, INPUT=typed))
    assert (turn.service_code, turn.last, turn.text) == (f"*{code.strip('*#')}#", None, behind)


@pytest.mark.parametrize("typed", ["580", "*5801#", "*58#", "*580", "580#", "*3#", "*#", "", "1", "*581*580#"])
def test_anything_but_the_code_is_typed_in_a_session(typed):
    turn = PLAIN.turn(a_form(INPUT=typed))
    assert (turn.last, turn.text) == (typed, "")


@pytest.mark.parametrize(("typed", "behind"), [
    ("*580#", ""), ("*580*3#", "3"), ("580*3", "3"), ("3*1", "3*1"), ("", ""), ("begin", ""), (None, ""), ("*999#", ""),
])
def test_what_is_dialled_stands_in_the_text_however_a_first_turn_writes_it(typed, behind):
    turn = STEPS.turn(a_body(type="begin", input=typed))
    assert (turn.last, turn.text) == (None, behind)


def test_where_first_turns_are_told_the_code_typed_later_is_an_answer():
    assert STEPS.turn(a_body(input="*580#")).last == "*580#"


def test_a_truth_can_tell_the_first_turn():
    wire = Wire("json", "id", "msisdn", "code", "input", first=Said("new", ("true",)))
    body = {"id": 1, "msisdn": MSISDN, "code": 580, "input": "", "new": True}
    assert GenericUssd(wire).turn(CallbackRequest(PATH, {}, {}, body=json.dumps(body).encode())).last is None


@pytest.mark.parametrize("written", [MSISDN, MSISDN[1:], f"0{MSISDN[4:]}", int(MSISDN[1:])])
def test_a_number_is_international_however_it_was_written(written):
    assert STEPS.turn(a_body(subscriber={"msisdn": written})).msisdn == MSISDN


@pytest.mark.parametrize("written", ["", "612000417", 612000417, f"00{MSISDN[1:]}", "+33612000417", "33612000417",
                                     "+2120612000417", f"{MSISDN}\n", f" {MSISDN}", "*580#", "٠٦١٢٠٠٠٤١٧", 2.5, True,
                                     None, [MSISDN]])
def test_a_number_that_may_be_anothers_is_refused(written):
    with pytest.raises(BadCallback):
        STEPS.turn(a_body(subscriber={"msisdn": written}))


@pytest.mark.parametrize("changes", [
    {"sessionId": ""}, {"sessionId": None}, {"sessionId": "a b"}, {"sessionId": "x" * 129}, {"serviceCode": ""},
    {"serviceCode": "*#"}, {"serviceCode": "*58a#"}, {"input": "\x00"}, {"input": "\ud800"}, {"input": ["1"]},
    {"subscriber": MSISDN}, {"subscriber.msisdn": MSISDN},
])
def test_a_turn_that_could_not_be_kept_is_refused(changes):
    with pytest.raises(BadCallback):
        STEPS.turn(a_body(**changes))


@pytest.mark.parametrize("missing", ["sessionId", "serviceCode", "input", "subscriber"])
def test_a_turn_without_one_of_its_fields_is_refused(missing):
    body = {name: value for name, value in STEP.items() if name != missing}
    with pytest.raises(BadCallback):
        STEPS.turn(CallbackRequest(PATH, {}, {}, body=json.dumps(body).encode()))


def test_an_empty_answer_is_an_answer():
    assert STEPS.turn(a_body(input=None)).last == PLAIN.turn(a_form(INPUT="")).last == ""


@pytest.mark.parametrize("body", [
    b"", b"[]", b"1", b"null", b"{", b"\xff", b"[" * 60_000, b'{"a":' * 10_000,
    b'{"sessionId":' + b"9" * 5_000 + b"}",
])
def test_a_body_that_is_no_single_object_is_refused(body):
    for read in (STEPS.turn, STEPS.ended):
        with pytest.raises(BadCallback):
            read(CallbackRequest(PATH, {}, {}, body=body))


def test_a_name_that_comes_twice_is_refused():
    body = json.dumps(STEP)[:-1]
    for again in ('"input":"2"', '"subscriber.msisdn":"0612000417"', '"subscriber":{"msisdn":"0612000417"}'):
        with pytest.raises(BadCallback, match="exactly once"):
            STEPS.turn(CallbackRequest(PATH, {}, {}, body=f"{body},{again}}}".encode()))


def test_a_refusal_quotes_nothing_of_the_body():
    with pytest.raises(BadCallback) as caught:
        STEPS.turn(CallbackRequest(PATH, {}, {}, body=f'{{"input":"{PIN}",'.encode()))
    assert PIN not in str(caught.value)
    assert caught.value.__cause__ is None


@pytest.mark.parametrize(("request_", "status"), [
    (a_body(), None), (a_body(type="begin"), None), (a_body(type=PIN), None), (a_body(type="hangup"), "hangup"),
    (a_body(type="timeout"), "timeout"),
])
def test_the_end_of_a_session_is_known_by_the_operators_word_alone(request_, status):
    ended = STEPS.ended(request_)
    assert ended == (status and Ended("generic", "8f2c", MSISDN, status, "60400"))
    assert MSISDN not in repr(ended)


def test_the_end_of_a_session_names_whose_it_was_and_needs_no_code_and_nothing_typed():
    named = {"STATE": "abort", "SESSION_ID": "77120934", "MSISDN": "0612000417"}
    assert PLAIN.ended(CallbackRequest(PATH, {}, form(named))) == Ended("generic", "77120934", MSISDN, "abort")
    for field in ("SESSION_ID", "MSISDN"):
        with pytest.raises(BadCallback):
            PLAIN.ended(CallbackRequest(PATH, {}, form({**named, field: ""})))


def test_an_operator_that_tells_no_end_has_only_turns():
    assert GenericUssd(Wire("form", "SESSION_ID", "MSISDN", "SC", "INPUT")).ended(a_form()) is None


@pytest.mark.parametrize(("screen", "action"), [(Screen("مرحبا\n1. العربية"), "request"), (Screen("Fin", True), "end")])
def test_a_screen_in_json_says_whether_the_session_goes_on(screen, action):
    body, headers = STEPS.answer(screen, STEPS.turn(a_body()))
    assert json.loads(body) == {"sessionId": "8f2c", "message": screen.text, "action": action}
    assert headers == {"Content-Type": "application/json"}


def test_names_in_an_answer_may_lie_within_each_other_and_words_may_be_truths():
    reply = Reply("reply.text", "", "reply.close", goes_on=False, ends=True)
    body, _ = GenericUssd(Wire("json", "a", "b", "c", "d", reply=reply)).answer(Screen("1"), STEPS.turn(a_body()))
    assert json.loads(body) == {"reply": {"text": "1", "close": False}}


@pytest.mark.parametrize(("final", "word", "prefix"), [(False, "FC", "CON"), (True, "FB", "END")])
def test_a_screen_in_text_has_a_header_or_begins_with_the_word(final, word, prefix):
    turn, screen = PLAIN.turn(a_form()), Screen("Merci", final)
    text = {"Content-Type": "text/plain; charset=utf-8"}
    assert PLAIN.answer(screen, turn) == ("Merci", {**text, "Freeflow": word})
    bare = GenericUssd(Wire("form", "SESSION_ID", "MSISDN", "SC", "INPUT"))
    assert bare.answer(screen, turn) == (f"{prefix} Merci", text)


def test_nothing_typed_and_no_number_is_in_a_representation():
    shown = repr((a_body(), a_form(), STEPS.turn(a_body())))
    assert PIN not in shown
    assert MSISDN[4:] not in shown


anything = st.text(st.characters(codec=None, exclude_categories=()), max_size=20)
values = st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | anything,
                      lambda inner: st.lists(inner, max_size=3) | st.dictionaries(anything, inner, max_size=3))


def read_or_refused(provider: GenericUssd, request: CallbackRequest) -> None:
    with suppress(BadCallback):
        ended = provider.ended(request)
        assert ended is None or ended.status in ("hangup", "timeout", "abort")
    with suppress(BadCallback):
        turn = provider.turn(request)
        assert (turn.last is None) or turn.text == ""
        f"{turn.session_id}{turn.text}{turn.last}{turn.order}{turn.network}".encode()
        provider.answer(Screen("1"), turn)


@given(st.dictionaries(st.sampled_from([*STEP]) | anything, values))
def test_an_object_of_any_shape_is_read_or_refused(changes):
    read_or_refused(STEPS, a_body(**changes))


@given(st.binary() | st.binary().map(lambda tail: json.dumps(STEP).encode()[:-1] + tail))
def test_any_body_is_read_or_refused(body):
    read_or_refused(STEPS, CallbackRequest(PATH, {}, {}, body=body))


@given(st.dictionaries(st.sampled_from([*FORM, "STATE"]) | anything, st.lists(anything, max_size=2).map(tuple)),
       st.text(max_size=60))
def test_a_form_of_any_shape_is_read_or_refused(fields, query):
    read_or_refused(PLAIN, CallbackRequest(f"{PATH}?{query}", {}, {**form(FORM), **fields}))


# The file


def altered(tmp_path: Path, old: str, new: str) -> Path:
    text = EXAMPLE.read_text(encoding="utf-8")
    assert text.count(old) == 1
    file = tmp_path / "wire.toml"
    file.write_text(text.replace(old, new), encoding="utf-8")
    return file


@pytest.mark.parametrize(("old", "new", "named"), [
    ('format = "json"', "", "format:"), ('format = "json"', 'format = "xml"', "format:"),
    ('format = "json"', 'format = "form"', "answer:"),
    ('session = "sessionId"\n# In json', "# In json", "fields:.*session"),
    ('msisdn = "subscriber.msisdn"', "msisdn = 3", "fields.msisdn:"),
    ('typed = "input"', 'typed = ""', "fields.typed:"), ('typed = "input"', 'tiped = "input"', "fields:"),
    ('values = ["begin"]', "values = []", "first.values:"), ('values = ["begin"]', "values = [1]", "first.values.0:"),
    ('values = ["begin"]', 'values = ["begin", "timeout"]', "ended.values:"),
    ('[ended]\nfield = "type"', "[ended]", "ended:.*field"),
    ('ends = "end"', "", "answer:.*ends"), ('ends = "end"', 'ends = "request"', "answer.ends:"),
    ('text = "message"', 'text = "action"', "answer:"), ('text = "message"', 'text = "action.text"', "answer:"),
    ('text = "message"', 'text = "action."', "answer.text:"), ("[answer]", "[answers]", "file:.*answer"),
    ('format = "json"', "format = json", "the file is no TOML"),
])
def test_a_wrong_file_is_refused_and_names_the_key(tmp_path, old, new, named):
    with pytest.raises(BadWire, match=f"^{named}"):
        Wire.load(altered(tmp_path, old, new))


def test_a_file_that_is_not_there_or_no_text_is_refused(tmp_path):
    with pytest.raises(BadWire, match="cannot be read"):
        Wire.load(tmp_path / "nowhere.toml")
    (tmp_path / "bytes.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(BadWire, match="no TOML"):
        Wire.load(tmp_path / "bytes.toml")


def test_a_header_cannot_carry_another(tmp_path):
    file = tmp_path / "wire.toml"
    file.write_text('format = "form"\n[fields]\nsession = "s"\nmsisdn = "m"\nservice_code = "c"\ntyped = "t"\n'
                    '[answer]\nfield = "Freeflow"\ngoes_on = "FC\\r\\nX: 1"\nends = "FB"\n')
    with pytest.raises(BadWire, match=r"^answer\.goes_on:"):
        Wire.load(file)
