"""The contract of all providers, kept by one that speaks SMPP to a real SMSC, and what only it has."""

from __future__ import annotations

import asyncio
import dataclasses
import logging
import ssl
import threading
import traceback
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from smpp34 import Tlv
from smpplib.consts import DESCRIPTIONS

from channels.base import Accepted, Inbound, Outbound, Receipt, Rejected, SendError, Unavailable, Unknown
from channels.sms.smpp import SmppSms
from channels.sms.smpp.encoding import decode, encode, placed
from channels.sms.smpp.receipt import MESSAGE_STATE, RECEIPTED_MESSAGE_ID, spellings
from channels.sms.smpp.status import OK, RX_T_APPN, STATUSES, refusal
from tests.contract.provider import BODY, MESSAGE, MSISDN
from tests.contract.smpp import RECEIPT, REFUSALS
from tests.contract.smsc import (
    ACCOUNT,
    DELIVER_SM_RESP,
    QUICK,
    SUBMIT_SM_RESP,
    Gateway,
    Smsc,
    accepts,
    after,
    bound,
    command_of,
    cuts,
    eventually,
    keeps_silent,
    refuses,
    with_status,
)

RECEIPT_CLASS, WITH_HEADER = 0x04, 0x40
ARABIC = dataclasses.replace(MESSAGE, body="السجل الاجتماعي الموحد: المؤشر ديالكم تحسب. " * 4)


@pytest.fixture
def smsc():
    with Smsc() as smsc:
        yield smsc


@pytest.fixture(autouse=True)
def logs_without_persons(caplog):
    caplog.set_level(logging.DEBUG)
    yield
    logged = "\n".join(map(logging.Formatter().format, caplog.get_records("call")))
    for secret in (MSISDN[1:], MSISDN[1:].encode().hex(), BODY, BODY.encode().hex(), ACCOUNT["password"]):
        assert secret not in logged


def outcome(channel: SmppSms, message: Outbound = MESSAGE) -> Accepted | SendError:
    try:
        return asyncio.run(channel.send(message))
    except SendError as error:
        told = "".join(traceback.format_exception(error))
        assert message.msisdn[1:] not in told
        assert message.body not in told
        return error


def same(one: object, other: object) -> bool:
    return type(one) is type(other) and vars(one) == vars(other)


def test_a_message_goes_out_as_the_smsc_wants_it(smsc):
    with bound(smsc.does(accepts("0001A2B3"))) as channel:
        assert outcome(channel) == Accepted("1a2b3", parts=1)
    (seen,) = smsc.seen
    assert (seen.source_addr, seen.source_addr_ton, seen.source_addr_npi) == ("RSU", 5, 0)
    assert (seen.destination_addr, seen.dest_addr_ton, seen.dest_addr_npi) == (MSISDN[1:], 1, 1)
    assert (seen.esm_class, seen.data_coding, seen.registered_delivery, seen.protocol_id) == (0, 0, 1, 0)
    assert decode(seen.short_message, seen.data_coding) == BODY
    assert seen.tlvs == []


@pytest.mark.parametrize(("valid_for_s", "told"), [
    (7200, b"000000020000000R"), (36_000, b"000000100000000R"), (0, b"000000000001000R"), (90_061, b"000001010101000R"),
    (10 ** 9, b"000007000000000R"),
])
def test_the_validity_is_counted_from_the_smscs_clock(smsc, valid_for_s, told):
    with bound(smsc) as channel:
        outcome(channel, dataclasses.replace(MESSAGE, valid_for_s=valid_for_s))
    assert told + b"\0" in smsc.up[1]


def test_a_long_text_goes_in_parts_of_which_each_asks_for_its_receipt(smsc):
    with bound(smsc.does(accepts("A1", "A2", "A3"))) as channel:
        assert outcome(channel, ARABIC) == Accepted("a1", parts=3, more=("a2", "a3"))
    octets = [placed(seen.short_message, seen.esm_class) for seen in smsc.seen]
    assert [(place.number, place.total) for place, _ in octets] == [(1, 3), (2, 3), (3, 3)]
    assert len({place.reference for place, _ in octets}) == 1
    assert "".join(rest.decode("utf-16-be") for _, rest in octets) == ARABIC.body
    assert {(seen.esm_class, seen.data_coding, seen.registered_delivery) for seen in smsc.seen} == {(0x40, 8, 1)}


def test_the_same_text_again_has_the_same_reference_so_that_a_handset_can_join_its_parts(smsc):
    with bound(smsc) as channel:
        outcome(channel, ARABIC)
        outcome(channel, ARABIC)
        outcome(channel, dataclasses.replace(ARABIC, token="tok-another"))
    references = [placed(seen.short_message, seen.esm_class)[0].reference for seen in smsc.seen]
    assert len(set(references[:6])) == 1
    assert references[6] != references[0]


@pytest.mark.parametrize("row", [pytest.param(row[1:], id=row[0]) for row in REFUSALS])
def test_a_refusal_says_what_to_do_next(smsc, row):
    status, expected = row
    # On the cable: smpp34 knows only the statuses of the standard.
    smsc.down = lambda pdu: with_status(pdu, status) if command_of(pdu) == SUBMIT_SM_RESP else pdu
    with bound(smsc) as channel:
        assert same(outcome(channel), expected)
    assert len(smsc.seen) == 1


def test_every_status_of_the_standard_is_listed():
    assert set(STATUSES) == set(DESCRIPTIONS) - {OK}


def test_a_status_that_no_table_lists_keeps_its_number():
    assert same(refusal(0xDEADBEEF), Unavailable("0xDEADBEEF"))


@pytest.mark.parametrize("number", ["+212612000417\n", "0612000417", "+21261", "212612000417", "+2126 12",
                                    "+212\u0666\u0661\u0662000417"])
def test_what_is_no_telephone_is_not_sent_to(smsc, number):
    with bound(smsc) as channel:
        assert same(outcome(channel, dataclasses.replace(MESSAGE, msisdn=number)), Rejected("not_a_number"))
    assert smsc.seen == []


def test_a_text_that_cannot_be_written_is_never_sent(smsc):
    with bound(smsc) as channel:
        assert same(outcome(channel, dataclasses.replace(MESSAGE, body="\ud800")), Rejected("unencodable"))
    assert smsc.seen == []


def test_there_is_no_list_to_ask():
    channel = SmppSms(**ACCOUNT, base_url="smpp://127.0.0.1:1")
    with pytest.raises(Unknown, match="no_query"):
        channel.find(MESSAGE, datetime(2026, 11, 21, tzinfo=UTC))


def test_a_first_part_that_is_refused_leaves_nothing_behind(smsc):
    with bound(smsc.does(refuses(0x58))) as channel:
        assert same(outcome(channel, ARABIC), refusal(0x58))
    assert len(smsc.seen) == 1


def test_a_later_part_that_is_refused_for_now_is_offered_again_and_the_first_is_not(smsc):
    with bound(smsc.does(accepts("a1"), refuses(0x58), refuses(0x08), accepts("b2"), accepts("c3"))) as channel:
        assert outcome(channel, ARABIC) == Accepted("a1", parts=3, more=("b2", "c3"))
    assert [placed(seen.short_message, 0x40)[0].number for seen in smsc.seen] == [1, 2, 2, 2, 3]


def test_a_text_is_finished_on_the_next_line_where_the_first_broke_before_a_part_was_sent(smsc):
    def accepts_and_breaks(smsc, event):
        event.accept("a1")
        smsc.later(0.05, lambda smsc, _: smsc.cut(), event)

    with bound(smsc.does(accepts_and_breaks, refuses(0x14), accepts("b2"), accepts("c3"))) as channel:
        assert outcome(channel, ARABIC) == Accepted("a1", parts=3, more=("b2", "c3"))
    assert smsc.binds == 2


@pytest.mark.parametrize(("act", "expected"), [
    pytest.param(refuses(0x0B), Rejected("0x0B", "RINVDSTADR"), id="never"),
    pytest.param(refuses(0x58), Unknown("0x58", "RTHROTTLED", accepted=("a1",)), id="too fast to the end"),
    pytest.param(refuses(0x0A), Unknown("0x0A", "RINVSRCADR", accepted=("a1",)), id="our fault"),
    pytest.param(keeps_silent, Unknown("no_answer", accepted=("a1",)), id="no answer"),
    pytest.param(cuts, Unknown("line_broke", accepted=("a1",)), id="line broke"),
])
def test_half_a_text_is_never_called_unsent(smsc, act, expected):
    with bound(smsc.does(accepts("a1"), act), deadline_s=0.8) as channel:
        assert same(outcome(channel, ARABIC), expected)
    assert [placed(seen.short_message, 0x40)[0].number for seen in smsc.seen].count(1) == 1


@pytest.mark.parametrize(("answered", "receipted"), [
    ("1A2B3C", "1A2B3C"), ("1A2B3C", "001A2B3C"), ("1A2B3C", "1715004"), ("1715004", "1A2B3C"),
    ("0001715004", "1715004"), ("001A2B3C", "0001715004"),
])
def test_a_receipt_is_told_under_a_name_that_the_message_is_known_by(smsc, answered, receipted):
    gateway = Gateway()
    with bound(smsc.does(accepts(answered)), gateway) as channel:
        accepted = outcome(channel)
        text = RECEIPT.format(id=receipted, stat="DELIVRD", err="000").encode()
        assert smsc.deliver(text, esm_class=RECEIPT_CLASS) == OK
    (receipt,) = gateway.receipts
    assert accepted.provider_id in (receipt.provider_id, *receipt.also)
    assert (receipt.status, receipt.outcome, receipt.msisdn) == ("DELIVRD", "delivered", MSISDN)


def test_a_receipt_of_optional_parameters_alone_is_told(smsc):
    gateway = Gateway()
    options = [Tlv(RECEIPTED_MESSAGE_ID, b"ref-7\0"), Tlv(MESSAGE_STATE, b"\x05"), Tlv(0x1400, b"the operator's own")]
    with bound(smsc, gateway):
        assert smsc.deliver(b"", esm_class=RECEIPT_CLASS, tlvs=options) == OK
    assert gateway.receipts == [Receipt("smpp", "ref-7", "UNDELIV", "failed", MSISDN)]


def test_a_receipt_that_comes_before_the_answer_is_told(smsc):
    gateway = Gateway()

    def receipt_first(smsc, event):
        told = smsc.delivering(RECEIPT.format(id="77", stat="DELIVRD", err="000").encode(), esm_class=RECEIPT_CLASS)
        told.add_done_callback(lambda _: event.accept("77"))

    with bound(smsc.does(receipt_first), gateway) as channel:
        assert outcome(channel).provider_id == "77"
        assert [receipt.provider_id for receipt in gateway.receipts] == ["77"]


def test_a_receipt_is_acknowledged_only_when_it_is_kept(smsc):
    gateway = Gateway()
    gateway.broken = True
    text = RECEIPT.format(id="77", stat="DELIVRD", err="000").encode()
    with bound(smsc, gateway):
        assert smsc.deliver(text, esm_class=RECEIPT_CLASS) == RX_T_APPN
        gateway.broken = False
        assert smsc.deliver(text, esm_class=RECEIPT_CLASS) == OK
    assert len(gateway.receipts) == 1


def test_receipts_that_come_together_are_kept_together(smsc):
    class Slow(Gateway):
        def __init__(self) -> None:
            super().__init__()
            self.batches: list[int] = []
            self.may_go = threading.Event()

        def on_receipts(self, receipts) -> None:
            self.batches.append(len(receipts))
            self.may_go.wait(5.0)
            super().on_receipts(receipts)

    gateway = Slow()
    with bound(smsc, gateway) as channel:
        texts = [RECEIPT.format(id=number, stat="DELIVRD", err="000").encode() for number in range(100, 120)]
        handing = [smsc.delivering(text, esm_class=RECEIPT_CLASS) for text in texts]
        eventually(lambda: gateway.batches)
        # A slow database stops no sending.
        assert type(outcome(channel)) is Accepted
        gateway.may_go.set()
        assert {one.result(5.0) for one in handing} == {OK}
    assert sorted(receipt.provider_id for receipt in gateway.receipts) == sorted(map(str, range(100, 120)))
    assert len(gateway.batches) < 20


def test_a_receipt_that_settles_nothing_is_not_asked_for_again(smsc):
    gateway = Gateway()
    gateway.broken = True
    with bound(smsc, gateway):
        assert smsc.deliver(b"garbage", esm_class=RECEIPT_CLASS) == OK
    assert (gateway.receipts, gateway.texts) == ([], [])


@pytest.mark.parametrize(("octets", "fields", "body"), [
    (b"STOP", {}, "STOP"),
    ("قف".encode("utf-16-be"), {"data_coding": 8}, "قف"),
    (b"", {"tlvs": [Tlv(0x0424, b"a payload")]}, "a payload"),
    (RECEIPT.format(id="1", stat="DELIVRD", err="0").encode(), {}, RECEIPT.format(id="1", stat="DELIVRD", err="0")),
    (b"", {}, ""),
])
def test_a_text_from_a_person_is_read(smsc, octets, fields, body):
    gateway = Gateway()
    with bound(smsc, gateway):
        assert smsc.deliver(octets, destination="580", **fields) == OK
    (text,) = gateway.texts
    assert text == Inbound("smpp", text.provider_id, MSISDN, body)


def test_a_text_is_acknowledged_only_when_it_is_kept_and_keeps_its_name(smsc):
    gateway = Gateway()
    gateway.broken = True
    with bound(smsc, gateway):
        assert smsc.deliver(b"STOP") == RX_T_APPN
        gateway.broken = False
        assert smsc.deliver(b"STOP") == OK
        assert smsc.deliver(b"STOP") == OK
    first, again, another = (text.provider_id for text in gateway.asked)
    assert first == again != another


def test_a_text_from_no_telephone_has_nobody_to_answer_to(smsc):
    gateway = Gateway()
    with bound(smsc, gateway):
        assert smsc.deliver(b"Win!", source="Operator", ton=5) == OK
    assert gateway.asked == []


def test_a_long_text_in_arabic_is_whole_when_its_parts_come_together(smsc):
    gateway = Gateway()
    with bound(smsc, gateway):
        handing = [smsc.delivering(part.octets, esm_class=WITH_HEADER, data_coding=8)
                   for part in reversed(encode(ARABIC.body, 9))]
        assert {one.result(5.0) for one in handing} == {OK}
    assert [text.body for text in gateway.texts] == [ARABIC.body]


def test_a_long_text_is_whole_where_the_smsc_hands_over_one_thing_at_a_time(smsc):
    """It hands over no second part before the first is answered; what is told to come again does."""
    gateway = Gateway()
    with bound(smsc, gateway):
        first, second = (part.octets for part in encode("a" * 200, 9))
        assert smsc.deliver(first, esm_class=WITH_HEADER) == RX_T_APPN
        assert gateway.texts == []
        assert smsc.deliver(second, esm_class=WITH_HEADER) == OK
        assert smsc.deliver(first, esm_class=WITH_HEADER) == OK
    assert [text.body for text in gateway.texts] == ["a" * 200]


def test_what_was_handed_over_on_a_line_that_broke_is_told_once(smsc):
    gateway = Gateway()
    with bound(smsc, gateway) as channel:
        assert smsc.deliver(b"1") == OK
        smsc.cut()
        eventually(lambda: smsc.binds == 2 and channel.bound)
        assert smsc.deliver(b"1") == OK
        assert len(gateway.texts) == 1
        assert smsc.deliver(b"1") == OK
        assert len(gateway.texts) == 2


def test_what_was_heard_on_a_line_that_broke_is_not_answered_on_the_next(smsc):
    """Its number there is that of something else, which would be acknowledged unkept."""
    asked, may_go = threading.Event(), threading.Event()

    class Slow(Gateway):
        def on_inbound(self, text: Inbound) -> None:
            asked.set()
            may_go.wait(5.0)
            super().on_inbound(text)

    gateway = Slow()
    with bound(smsc, gateway) as channel:
        smsc.delivering(b"STOP")
        assert asked.wait(5.0)
        smsc.cut()
        eventually(lambda: smsc.binds == 2 and channel.bound)
        may_go.set()
        eventually(lambda: gateway.texts)
        assert smsc.deliver(b"AIDE") == OK
    assert [command_of(pdu) for pdu in smsc.up].count(DELIVER_SM_RESP) == 1


def test_texts_that_are_begun_are_finished_before_more_are_begun(smsc):
    smsc.does(after(0.02, accepts()))

    async def together(channel: SmppSms) -> None:
        await asyncio.gather(*(channel.send(dataclasses.replace(ARABIC, token=f"tok-{n}", msisdn=f"+21261200000{n}"))
                               for n in range(4)))

    with bound(smsc, window=1) as channel:
        asyncio.run(together(channel))
    begun: set[str] = set()
    for seen in smsc.seen:
        place, _ = placed(seen.short_message, seen.esm_class)
        begun = begun | {seen.destination_addr} if place.number < place.total else begun - {seen.destination_addr}
        assert len(begun) <= 2


def test_what_is_heard_while_stopping_is_kept_and_acknowledged(smsc):
    asked, may_go = threading.Event(), threading.Event()

    class Slow(Gateway):
        def on_inbound(self, text: Inbound) -> None:
            asked.set()
            may_go.wait(5.0)
            super().on_inbound(text)

    gateway = Slow()
    with bound(smsc, gateway) as channel:
        handing = smsc.delivering(b"STOP")
        assert asked.wait(5.0)
        stopping = threading.Thread(target=channel.stop, args=(5.0,))
        stopping.start()
        may_go.set()
        stopping.join()
        assert handing.result(5.0) == OK
    assert [text.body for text in gateway.texts] == ["STOP"]


def certified(folder, host: str = "smsc.operator.example"):
    """An authority of our own and a certificate it gave: (its file, the server's context)."""
    def name(words: str) -> x509.Name:
        return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, words)])

    def made(subject: str, issuer: str, key, signing_key, *extensions):
        today = datetime.now(UTC)
        builder = (x509.CertificateBuilder(name(issuer), name(subject), key.public_key(), x509.random_serial_number())
                   .not_valid_before(today - timedelta(days=1)).not_valid_after(today + timedelta(days=1)))
        for extension, critical in extensions:
            builder = builder.add_extension(extension, critical=critical)
        return builder.sign(signing_key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)

    authority, server = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    ca_file, server_file = folder / "ca.pem", folder / "server.pem"
    ca_file.write_bytes(made("an authority", "an authority", authority, authority,
                             (x509.BasicConstraints(ca=True, path_length=None), True)))
    names = x509.SubjectAlternativeName([x509.DNSName(host), x509.IPAddress(ip_address("127.0.0.2"))])
    server_file.write_bytes(made("an SMSC", "an authority", server, authority, (names, False)) + server.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(server_file)
    return str(ca_file), context


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    return certified(tmp_path_factory.mktemp("tls"))


@pytest.fixture
def secure(certificate):
    with Smsc(tls=certificate[1]) as smsc:
        yield smsc


def test_an_encrypted_line_carries_both_ways(secure, certificate):
    gateway = Gateway()
    with bound(secure, gateway, ca_file=certificate[0], server_name="smsc.operator.example", window=50) as channel:
        async def together():
            return await asyncio.gather(*(channel.send(dataclasses.replace(ARABIC, token=f"t{n}")) for n in range(50)))
        assert len({accepted.provider_id for accepted in asyncio.run(together())}) == 50
        handing = [secure.delivering(b"%d" % number) for number in range(50)]
        assert {one.result(5.0) for one in handing} == {OK}
    assert len(gateway.texts) == 50


@pytest.mark.parametrize("account", [
    pytest.param({"server_name": "smsc.operator.example"}, id="nobody vouches for it"),
    pytest.param({"ca": "ours"}, id="another host"),
    pytest.param({"ca": "ours", "server_name": "smsc.other.example"}, id="another name"),
])
def test_a_certificate_that_is_not_the_smscs_is_not_bound_to(secure, certificate, account):
    account = {"server_name": account.get("server_name", ""), "ca_file": certificate[0] if "ca" in account else ""}
    channel = SmppSms(**ACCOUNT, base_url=secure.url, pace=QUICK, **account)
    channel.start(Gateway().on_receipts, Gateway().on_inbound)
    try:
        eventually(lambda: same(outcome(channel), Unavailable("tls")))
        assert secure.binds == 0
    finally:
        channel.stop(1.0)


def test_a_line_in_the_clear_is_not_taken_for_an_encrypted_one(smsc, certificate):
    channel = SmppSms(**ACCOUNT, base_url=smsc.url.replace("smpp:", "smpps:"), ca_file=certificate[0], pace=QUICK)
    channel.start(Gateway().on_receipts, Gateway().on_inbound)
    try:
        eventually(lambda: outcome(channel).code in ("tls", "connect_timeout"))
        assert smsc.binds == 0
    finally:
        channel.stop(1.0)


def test_every_spelling_of_a_name_is_a_candidate():
    assert spellings("0012") == ["12", "18", "c"]
