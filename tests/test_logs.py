"""Logs: whatever people are called by, told or write, through whatever door it goes, it stands in no line."""

from __future__ import annotations

import io
import itertools
import json
import logging
import sys
from dataclasses import dataclass, replace
from datetime import timedelta
from uuid import UUID

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from gateway import logs, outbox
from gateway.importing import import_extract
from gateway.outbox import Message
from gateway.registry.household import Contact
from gateway.words import Words
from jobs.deliver import deliver
from jobs.sweep import sweep
from tests.conftest import EXAMPLE, SETTINGS
from tests.web.desk import TOKEN, Handset, client, give_pin, homes, rows, signed

one_kind = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
ARABIC_DIGITS = str.maketrans("0123456789", "٠١٢٣٤٥٦٧٨٩")
SHAPES = ("{}", "to {}.", "to={}", "({})", "'{}'", "pin:{}", "a-{}-b", "x{}x", "/{}/", "é{}é", "1*2*{}", "text={}&a=1",
          '{{"msisdn": "{}"}}', "Key (msisdn)=({}) already exists.", "Decimal('{}')", "%2B{}", "code {}, again {}")


@pytest.fixture
def written(capsys):
    """What the house writes when everything is logged, and how to read it; the logs are as before afterwards."""
    root, before = logging.getLogger(), (logging.getLogger().handlers[:], logging.getLogger().level)
    raised, levels = logging.raiseExceptions, {name: logging.getLogger(name).level for name in logs.NOISY}
    for handler in before[0]:
        root.removeHandler(handler)
    logs.set_up(logging.DEBUG)
    lines = io.StringIO()
    root.handlers[0].setStream(lines)
    yield lines
    root.handlers, logging.raiseExceptions = before[0], raised
    root.setLevel(before[1])
    for name, level in levels.items():
        logging.getLogger(name).setLevel(level)


def digits(count, first="0123456789"):
    return st.builds(str.__add__, st.sampled_from(first), st.text("0123456789", min_size=count - 1, max_size=count - 1))


between = st.sampled_from(["", " ", "-", ".", " - "])


@st.composite
def spelled(draw, first="567"):
    """A telephone, as one of us may write it."""
    national = draw(digits(9, first))
    begins = draw(st.sampled_from(["0", "+212", "00212", "212", "+212 ", "+212 (0)", "(0)", "+212-"]))
    gap = draw(between)
    spelling = begins + national[0] + gap + gap.join(national[at:at + 2] for at in range(1, 9, 2))
    return spelling.translate(ARABIC_DIGITS) if draw(st.booleans()) else spelling


indexes = st.builds(lambda whole, rest, point: f"{whole}{point}{rest}", st.integers(4, 15),
                    digits(7) | digits(4) | digits(12), st.sampled_from(".,"))
arabic = st.text(st.sampled_from("ابتثجحخدذرزسشصضطظعغفقكلمنهوي "), min_size=3, max_size=60).map(str.strip).filter(bool)
tifinagh = st.text(st.sampled_from("ⴰⴱⴳⴷⴹⴻⴼⴽⵀⵃⵄⵅⵇⵉⵊⵍⵎⵏⵓⵔⵕⵖⵙⵚⵛⵜⵟⵡⵢⵣⵥ"), min_size=2, max_size=60)


@given(st.one_of(spelled(), digits(10), digits(6), digits(9), indexes, arabic, tifinagh), st.sampled_from(SHAPES))
@settings(max_examples=600, deadline=None, database=None)
def test_whatever_looks_like_a_person_is_struck_out_wherever_it_stands(value, shape):
    line = logs.redact(shape.format(value, value))
    parts = [part for part in value.replace("-", " ").replace(".", " ").split() if len(part) > 2] or [value]
    assert value not in line
    assert not [part for part in parts if part in line]


@pytest.mark.parametrize("line", [
    "callback refused: wrong signature", "12 sends were left by a worker that died", "http_503", "a USSD turn failed",
    "twilio refuses us (21606): paused", "the queue cannot be reached (ConnectionError)", "http://127.0.0.1:8580"])
def test_a_line_about_the_house_stays_readable(line):
    assert logs.redact(line) == line


def test_a_line_keeps_its_own_date_and_time(written):
    logging.getLogger("gateway").warning("to %s", "0612345678")
    line = written.getvalue()
    assert line.endswith(" WARNING gateway to [-]\n")
    assert line[:4].isdigit()
    assert line.count(":") == 2


@pytest.mark.parametrize("way", ["raise", "cause", "context", "notes", "broken call", "formatted before"])
def test_the_words_of_an_exception_are_left_out_and_its_path_is_kept(written, capsys, way):
    secret = "Votre indice est neuf, Khadija Bennani, 0612345678"
    log = logging.getLogger("gateway.web")
    if way == "broken call":
        log.warning("two %s %s", secret)
    else:
        try:
            fail(secret, way)
        except ValueError:
            record = log.makeRecord(log.name, logging.ERROR, "", 0, "a turn failed", (), sys.exc_info())
        if way == "formatted before":
            assert secret in logging.Formatter().format(record)
        log.handle(record)
        assert "in fail" in written.getvalue()
        assert written.getvalue().rstrip().endswith("ValueError")
    shown = written.getvalue() + "".join(capsys.readouterr())
    assert not [word for word in ("indice", "Khadija", "612345678") if word in shown]


def fail(secret, way):
    error = ValueError("nothing" if way in ("cause", "context", "notes") else secret)
    if way == "notes":
        error.add_note(secret)
    if way == "cause":
        raise error from RuntimeError(secret)
    try:
        raise RuntimeError(secret)
    except RuntimeError:
        raise error  # noqa: B904


def test_a_library_that_was_silenced_further_stays_so(written):
    logger = logging.getLogger("urllib3")
    logger.setLevel(logging.ERROR)
    logs.set_up()
    assert logger.level == logging.ERROR


# Through every door


@dataclass(frozen=True)
class Person:
    """Everything of a household that must stand in no line."""

    phone: str
    number: str
    identifier: str
    pin: str
    body: str
    name: str = "Khadija Bennani"

    def secrets(self, runtime) -> set[str]:
        national = self.phone.translate(str.maketrans("٠١٢٣٤٥٦٧٨٩", "0123456789"))
        national = "".join(char for char in national if char.isdigit())[-9:]
        texts = {runtime.vault.open(message.body_sealed, "message.body", message.id)
                 for message in rows(runtime, Message)}
        words = {word for text in texts | {self.body} for word in text.split() if len(word) > 6}
        return {self.phone, national, national[1:], self.number, self.identifier, self.pin, self.body, TOKEN, "Khadija",
                "Bennani", "خديجة", SETTINGS["TWILIO_AUTH_TOKEN"], *texts, *words} - {"Registre", "registre"}


@dataclass(frozen=True)
class Angry:
    """A provider that fails with all it was given in its mouth."""

    name: str = "twilio"
    together: int = 1

    def _fail(self, *given: object, **facts: object):
        raise RuntimeError(f"cannot: {given} {facts} {[vars(one) for one in given if hasattr(one, '__dict__')]}")

    send = find = receipt = inbound = _fail


@dataclass(frozen=True)
class Stammer(Angry):
    """Words that fail with all that they should tell; only the farewell they can say."""

    words: Words | None = None

    def say(self, locale: str, name: str, /, **facts: object) -> str:
        return self.words.say(locale, name, **facts) if name == "sorry.text" else self._fail(locale, name, **facts)


count = itertools.count()
french = st.sampled_from(["Bonjour, quel est mon indice familial", "Arrêtez ces messages maintenant"])
people = st.builds(Person, spelled("67"), st.builds(lambda: f"2{next(count):09}"), digits(10, "345"), digits(6),
                   arabic | french)


@one_kind
@given(people)
@settings(max_examples=5, deadline=None, database=None, phases=[Phase.generate],
          suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_nothing_of_a_person_stands_in_any_line(runtime, tmp_path, written, capsys, person):
    written.seek(0)
    written.truncate()
    load(runtime, tmp_path, person)
    home = homes(runtime)[-1]
    give_pin(runtime, person.pin, home)
    contact = rows(runtime, Contact)[-1]
    msisdn = runtime.vault.open(contact.msisdn_sealed, "contact.msisdn", contact.id)
    angry = {"twilio": Angry(), "africastalking": Angry("africastalking")}
    broken, mute = replace(runtime, channels=angry), replace(runtime, words=Stammer(words=runtime.words))
    send_in_vain(runtime, broken)
    for house in (runtime, broken, mute):
        knock(house, msisdn, person)
    shown = written.getvalue() + "".join(capsys.readouterr())
    assert "in _fail" in shown, "the neighbours did fail, and it was logged"
    assert "a USSD turn failed" in shown
    assert "a send by " in shown
    found = [secret for secret in person.secrets(runtime) | {msisdn} if secret in shown]
    assert found == []


def load(runtime, tmp_path, person):
    """Imported, with a row beside it that is refused."""
    row = json.loads(EXAMPLE.read_text(encoding="utf-8").splitlines()[0])
    row["members"][0]["idcs"] = person.identifier
    good = {**row, "household_number": person.number, "contacts": [{"phone": person.phone, "consent": True}]}
    lines = [json.dumps(one) for one in (good, {**good, "area": person.body}, {**good, "contacts": person.name})]
    import_extract(runtime, io.BytesIO("\n".join(lines).encode()), tmp_path / "report.jsonl", lambda _: None)


def send_in_vain(runtime, broken):
    """By a neighbour that fails and by providers who are not there; then asked about, and given up."""
    ids = [str(message.id) for message in rows(runtime, Message) if message.medium == "sms"]
    assert deliver(broken, "twilio", outbox.DECISION, ids) > 0
    later = runtime.clock() + timedelta(minutes=5)
    sweep(broken.at(lambda: later))
    sweep(runtime.at(lambda: later))
    with runtime.database.write() as session:
        for message_id in ids:
            message = session.get(Message, UUID(message_id))
            message.state, message.not_before = "created", runtime.clock()
    deliver(runtime, "twilio", outbox.DECISION, ids)
    with runtime.database.write() as session:
        outbox.expire(session, later)


def knock(house, msisdn, person):
    """A call, a receipt and a text, right and wrong, as the providers bring them."""
    web = client(house)
    handset = Handset(web, msisdn)
    handset.dial("1", "000000", person.pin)
    handset.type("98", person.body, person.identifier)
    handset.dial("4", person.number)
    receipt = {"id": person.identifier, "status": "Success", "phoneNumber": msisdn, "failureReason": person.body}
    text = {"id": person.identifier, "from": msisdn, "text": person.body, "to": "580"}
    signed_text = {"MessageSid": person.number, "AccountSid": SETTINGS["TWILIO_ACCOUNT_SID"], "From": msisdn,
                   "Body": person.body, "To": person.phone}
    for path, form, headers in (
            (f"/receipts/africastalking/{TOKEN}", receipt, {}), (f"/sms/africastalking/{TOKEN}", text, {}),
            ("/sms/twilio", signed_text, signed("/sms/twilio", signed_text)), ("/sms/twilio", signed_text, {}),
            (f"/receipts/twilio/{person.identifier}", signed_text, {}),
            (f"/receipts/africastalking/{person.pin}", receipt, {}),
            (f"/ussd/africastalking/{TOKEN}/ended", {**receipt, "sessionId": "x", "input": person.pin}, {})):
        assert web.post(path, data=form, headers=headers).status_code in (200, 403, 500)
