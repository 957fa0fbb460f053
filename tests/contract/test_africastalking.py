"""What only Africa's Talking has: a check of its numbers that is not one, and no list to ask."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime

import pytest

from channels.base import BadCallback, Rejected, Unknown
from channels.sms.africastalking import AfricasTalkingSms
from tests.contract.africastalking import AFRICASTALKING, report, unsigned
from tests.contract.provider import MESSAGE, form
from tests.contract.stub import Stub, answers
from tests.contract.test_providers import send


def opened(base_url: str = "https://api.africastalking.com/version1") -> AfricasTalkingSms:
    return AfricasTalkingSms(**AFRICASTALKING.account, base_url=base_url)


@pytest.mark.parametrize("number", ["+212612000417\n", "+212612000417,+212612000418", "0612000417", "",
                                    "+212512000417", "+21261200041", "+212\u0666\u0661\u0662000417"])
def test_what_is_not_a_moroccan_mobile_is_not_sent_to(number):
    with Stub() as stub:
        with pytest.raises(Rejected, match="not_a_mobile"):
            send(opened(stub.url), dataclasses.replace(MESSAGE, msisdn=number))
        assert stub.seen == []


def test_the_key_goes_in_the_header_and_a_base_addresss_path_is_kept():
    with Stub() as stub:
        send(opened(stub.does(answers(AFRICASTALKING.accepted)).url + "/version1/"))
    assert stub.seen[0].headers["apiKey"] == AFRICASTALKING.account["api_key"]
    assert stub.seen[0].path == "/version1/messaging"


def test_there_is_no_list_to_ask():
    with pytest.raises(Unknown, match="no_query"):
        opened().find(MESSAGE, datetime(2026, 11, 21, tzinfo=UTC))


@pytest.mark.parametrize("missing", ["id", "status", "phoneNumber"])
def test_a_receipt_names_its_message_its_state_and_its_number(missing):
    fields = report("Success")
    del fields[missing]
    with pytest.raises(BadCallback, match=missing):
        opened().receipt(unsigned(form(fields)))


@pytest.mark.parametrize("nothing", ["", "None"])
def test_a_receipt_of_no_message_is_refused(nothing):
    with pytest.raises(BadCallback):
        opened().receipt(unsigned(form(report("Success", id=nothing))))
