"""The contract of all providers of SMS: the official SDKs over real HTTP, against each provider's true payloads."""

from __future__ import annotations

import asyncio
import dataclasses
import logging
import traceback
from contextlib import suppress
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from channels import open_sms, sms_providers
from channels.base import BadCallback, Misconfigured, Rejected, SendError, Unavailable, Unknown, outcome
from tests.contract.africastalking import AFRICASTALKING
from tests.contract.provider import BODY, MESSAGE, MSISDN, Provider, form
from tests.contract.stub import (
    Reply,
    Stub,
    answers,
    drips,
    nobody_accepts,
    nobody_listens,
    resets,
    sends,
    stalls,
)
from tests.contract.twilio import TWILIO

PROVIDERS = {provider.name: provider for provider in (TWILIO, AFRICASTALKING)}
NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)

each_provider = pytest.mark.parametrize("provider", PROVIDERS.values(), ids=PROVIDERS)


def every(table: str):
    """Each row of each provider's `table`, with the provider."""
    return pytest.mark.parametrize(
        ("provider", "row"),
        [pytest.param(provider, row[1:], id=f"{provider.name}: {row[0]}")
         for provider in PROVIDERS.values() for row in getattr(provider, table)])


def opened(provider: Provider, url: str, deadline_s: float = 5.0):
    return sms_providers()[provider.name](**provider.account, base_url=url, deadline_s=deadline_s)


def send(channel, message=MESSAGE):
    """One text, in an event loop of its own."""
    return sent_at_once(channel, message)[0]


def sent_at_once(channel, *messages):
    """Texts in one event loop, one after the other; what is not accepted is raised."""
    async def sending():
        try:
            return [await channel.send(message) for message in messages]
        finally:
            await channel.close()
    return asyncio.run(sending())


def refusal_of(act, *arguments) -> SendError:
    with pytest.raises(SendError) as caught:
        act(*arguments)
    error = caught.value
    told = "".join(traceback.format_exception(error))
    assert MSISDN[1:] not in told
    assert BODY not in told
    return error


@pytest.fixture
def stub():
    with Stub() as stub:
        yield stub


@pytest.fixture(autouse=True)
def logs_without_persons(caplog):
    caplog.set_level(logging.DEBUG)
    yield
    logged = "\n".join(map(logging.Formatter().format, caplog.get_records("call")))
    assert MSISDN[1:] not in logged
    assert BODY not in logged


def test_every_provider_is_under_the_contract():
    assert set(sms_providers()) == set(PROVIDERS)


def test_an_account_is_opened_by_its_providers_name():
    channel = open_sms("twilio", **TWILIO.account, base_url="https://api.twilio.com")
    assert channel.name == "twilio"


def test_a_provider_that_does_not_exist_is_refused():
    with pytest.raises(ValueError, match="carrier-pigeon"):
        open_sms("carrier-pigeon")


@each_provider
def test_a_message_goes_out_as_the_provider_wants_it(provider, stub):
    stub.does(answers(provider.accepted))
    assert send(opened(provider, stub.url)).provider_id == provider.provider_id
    (seen,) = stub.seen
    assert (seen.method, seen.path, seen.form) == ("POST", provider.sent_to, provider.sent)


@each_provider
@pytest.mark.parametrize("content_type", ["application/json; charset=utf-8", "application/json;charset=UTF-8",
                                          "text/plain", "application/vnd.api+json"])
def test_an_answer_is_read_whatever_it_calls_itself(provider, content_type, stub):
    stub.does(answers(dataclasses.replace(provider.accepted, content_type=content_type)))
    assert send(opened(provider, stub.url)).provider_id == provider.provider_id


@every("refusals")
def test_a_refusal_says_what_to_do_next(provider, row, stub):
    reply, expected = row
    stub.does(answers(reply))
    error = refusal_of(send, opened(provider, stub.url), MESSAGE)
    assert type(error) is type(expected)
    assert vars(error) == vars(expected)
    assert len(stub.seen) == 1


@every("unclear")
def test_an_unclear_answer_is_neither_sent_nor_failed(provider, row, stub):
    stub.does(answers(row[0]))
    assert type(refusal_of(send, opened(provider, stub.url), MESSAGE)) is Unknown
    assert len(stub.seen) == 1


@each_provider
def test_a_message_was_certainly_not_sent_where_nobody_answers_the_door(provider, stub):
    with nobody_listens() as refusing, nobody_accepts() as silent:
        for url, code in [(refusing, "refused"), (silent, "connect_timeout"),
                          ("http://nowhere.invalid", "no_such_host"),
                          (stub.url.replace("http:", "https:"), "tls")]:
            error = refusal_of(send, opened(provider, url, 0.3), MESSAGE)
            assert type(error) is Unavailable
            assert error.code == code


@each_provider
@pytest.mark.parametrize(("fault", "too_slow"), [
    pytest.param(lambda reply: stalls, True, id="no answer"),
    pytest.param(lambda reply: drips(reply), True, id="headers byte by byte"),
    pytest.param(lambda reply: drips(reply, at_once=90), True, id="body byte by byte"),
    pytest.param(lambda reply: resets, False, id="reset"),
    pytest.param(lambda reply: sends(b""), False, id="hung up"),
    pytest.param(lambda reply: sends(b"\x00\xffSMTP ready\r\n\r\n"), False, id="not HTTP"),
    pytest.param(lambda reply: sends(reply.wire()[:40]), False, id="cut in the headers"),
    pytest.param(lambda reply: sends(reply.wire()[:-9]), False, id="cut in the body"),
    pytest.param(lambda reply: sends(b"HTTP/1.1 201 -\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"),
                 False, id="bad chunk"),
    pytest.param(lambda reply: sends(b"HTTP/1.1 201 -\r\nContent-Encoding: gzip\r\n\r\n{}"),
                 False, id="bad gzip"),
])
def test_a_message_may_have_been_sent_where_the_line_breaks_later(provider, fault, too_slow, stub):
    stub.does(fault(provider.accepted))
    error = refusal_of(send, opened(provider, stub.url, 0.5), MESSAGE)
    assert type(error) is Unknown
    assert (error.code == "read_timeout") is too_slow
    assert len(stub.seen) <= 1


@each_provider
def test_a_redirect_is_not_followed(provider, stub):
    stub.does(answers(Reply(307, "", headers={"Location": f"{stub.url}/elsewhere"})), answers(provider.accepted))
    assert type(refusal_of(send, opened(provider, stub.url), MESSAGE)) is Misconfigured
    assert len(stub.seen) == 1


@each_provider
def test_an_address_that_is_none_is_our_fault(provider):
    assert type(refusal_of(send, opened(provider, "https://"), MESSAGE)) is Misconfigured


@each_provider
def test_a_text_that_cannot_be_written_is_never_sent(provider, stub):
    poison = dataclasses.replace(MESSAGE, body="\ud800")
    assert type(refusal_of(send, opened(provider, stub.url), poison)) is Rejected
    assert stub.seen == []


@each_provider
def test_the_machines_proxy_is_not_asked(provider, stub, monkeypatch):
    with nobody_listens() as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy)
        stub.does(answers(provider.accepted))
        assert send(opened(provider, stub.url)).provider_id == provider.provider_id


@each_provider
def test_one_connection_carries_many_messages(provider, stub):
    stub.does(answers(provider.accepted))
    sent_at_once(opened(provider, stub.url), MESSAGE, MESSAGE, MESSAGE)
    assert len({seen.client for seen in stub.seen}) == 1


@each_provider
def test_a_slow_answer_does_not_shorten_the_next_one(provider, stub):
    stub.does(drips(provider.accepted), answers(provider.accepted))
    channel = opened(provider, stub.url, 1.0)

    async def sending():
        slow = await outcome(channel.send, MESSAGE)
        fast = await outcome(channel.send, MESSAGE)
        await channel.close()
        return slow, fast

    slow, fast = asyncio.run(sending())
    assert type(slow) is Unknown
    assert fast.provider_id == provider.provider_id


@each_provider
def test_many_are_in_flight_at_once(provider, stub):
    stub.does(answers(provider.accepted))
    channel = opened(provider, stub.url)

    async def sending():
        sent = await asyncio.gather(*(channel.send(MESSAGE) for _ in range(64)))
        await channel.close()
        return sent

    assert {one.provider_id for one in asyncio.run(sending())} == {provider.provider_id}
    assert len(stub.seen) == 64


@each_provider
@pytest.mark.parametrize("fault", [
    pytest.param(stalls, id="no answer"),
    pytest.param(answers(Reply(200, "<html>")), id="a page"),
    pytest.param(answers(Reply(200, "[]")), id="a list"),
    pytest.param(answers(Reply(200, "null")), id="null"),
    pytest.param(answers(Reply(200, {"messages": None})), id="no list"),
    pytest.param(answers(Reply(200, {"messages": [None]})), id="a list of nothing"),
    pytest.param(answers(Reply(429, "")), id="too fast"),
    pytest.param(answers(Reply(404, "")), id="no such address"),
    pytest.param(sends(b"HTTP/1.1 200 -\r\nBad Header\r\n\r\n"), id="bad headers"),
])
def test_a_question_that_fails_leaves_the_message_unknown(provider, fault, stub):
    stub.does(fault)
    assert type(refusal_of(opened(provider, stub.url, 0.3).find, MESSAGE, NOON)) is Unknown


@each_provider
def test_a_question_that_reaches_nobody_leaves_the_message_unknown(provider):
    with nobody_listens() as url:
        assert type(refusal_of(opened(provider, url).find, MESSAGE, NOON)) is Unknown


@every("receipts")
def test_a_receipt_is_translated(provider, row):
    fields, expected = row
    assert opened(provider, "https://provider.example").receipt(provider.request(form(fields))) == expected


@every("inbound")
def test_a_text_from_a_person_is_read(provider, row):
    fields, expected = row
    assert opened(provider, "https://provider.example").inbound(provider.request(form(fields))) == expected


@each_provider
def test_a_field_that_comes_twice_is_refused(provider):
    channel = opened(provider, "https://provider.example")
    for read, (_, fields, _) in [(channel.receipt, provider.receipts[-1]), (channel.inbound, provider.inbound[0])]:
        key = next(key for key in ("MessageSid", "id") if key in fields)
        with pytest.raises(BadCallback):
            read(provider.request({**form(fields), key: (fields[key], fields[key])}))


@each_provider
def test_a_receipt_without_one_of_its_fields_is_refused_or_complete(provider):
    channel = opened(provider, "https://provider.example")
    _, fields, expected = provider.receipts[1]
    for missing in fields:
        rest = {key: value for key, value in fields.items() if key != missing}
        try:
            assert channel.receipt(provider.request(form(rest))) == expected
        except BadCallback:
            continue


ANY_TEXT = st.text(st.characters(codec=None, exclude_categories=()), max_size=20)
KNOWN_KEYS = st.sampled_from(sorted({key for provider in PROVIDERS.values()
                                     for _, fields, _ in (*provider.receipts, *provider.inbound)
                                     for key in fields}))
KNOWN_VALUES = st.sampled_from(sorted({value for provider in PROVIDERS.values()
                                       for _, fields, _ in (*provider.receipts, *provider.inbound)
                                       for value in fields.values()}))
ANY_FORM = st.dictionaries(
    KNOWN_KEYS | ANY_TEXT, st.lists(KNOWN_VALUES | ANY_TEXT, min_size=1, max_size=3).map(tuple), max_size=9)


@each_provider
def test_a_callback_of_any_shape_is_read_or_refused(provider):
    channel = opened(provider, "https://provider.example")

    @given(fields=ANY_FORM, known=st.booleans())
    def read(fields, known):
        base = form(provider.receipts[0][1]) if known else {}
        for ask in (channel.receipt, channel.inbound):
            with suppress(BadCallback):
                ask(provider.request({**base, **fields}))

    read()
