"""The line to a provider: bounded waits, and nothing taken for an answer that is none."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st

from channels.base import Misconfigured, Throttled, Unavailable, Unknown
from channels.http import LONGEST_ANSWER, Answer, Http, refusal, retry_after_s
from tests.contract.stub import Reply, Stub, answers, drips, resets, sends

NOW = "Sat, 21 Nov 2026 09:00:00 GMT"


@pytest.mark.parametrize(("headers", "seconds"), [
    ({}, 1.0),
    ({"Retry-After": "2"}, 2.0),
    ({"Retry-After": "0"}, 1.0),
    ({"Retry-After": "-5"}, 1.0),
    ({"Retry-After": "1000000000"}, 3600.0),
    ({"Retry-After": "9" * 40}, 1.0),
    ({"Retry-After": "soon"}, 1.0),
    ({"Retry-After": "nan"}, 1.0),
    ({"Retry-After": "Sat, 21 Nov 2026 09:02:00 GMT", "Date": NOW}, 120.0),
    ({"Retry-After": "Sat, 21 Nov 2026 08:00:00 GMT", "Date": NOW}, 1.0),
    ({"Retry-After": "Sat, 21 Nov 2099 09:00:00 GMT", "Date": NOW}, 3600.0),
    ({"Retry-After": "Sat, 21 Nov 2026 09:02:00 GMT"}, 1.0),
    ({"Retry-After": "Sat, 21 Nov 2026 09:02:00 -0000", "Date": NOW}, 1.0),
])
def test_a_wish_to_wait_is_kept_within_bounds(headers, seconds):
    assert retry_after_s(Answer(429, headers, b"")) == seconds


@given(st.text(), st.text())
def test_a_wish_of_any_shape_is_a_wait_within_bounds(wish, date):
    assert 1.0 <= retry_after_s(Answer(429, {"Retry-After": wish, "Date": date}, b"")) <= 3600.0


@pytest.mark.parametrize(("status", "kind"), [
    (301, Misconfigured), (400, Misconfigured), (401, Misconfigured), (404, Misconfigured), (407, Misconfigured),
    (408, Unknown), (429, Throttled), (500, Unknown), (503, Unknown), (599, Unknown),
])
def test_a_status_alone_burns_no_message(status, kind):
    assert refusal(status) is kind


def test_an_answer_that_comes_slowly_but_in_time_is_whole():
    with Stub() as stub:
        stub.does(drips(Reply(200, "تم", "text/plain"), at_once=40))
        answer = Http(deadline_s=9.0).call("GET", stub.url)
    assert (answer.status, answer.text) == (200, "تم")


def test_an_answer_is_read_up_to_a_limit():
    with Stub() as stub:
        stub.does(answers(Reply(200, "x" * (LONGEST_ANSWER + 5), "text/plain")))
        assert len(Http().call("GET", stub.url).text) == LONGEST_ANSWER


def test_a_connection_that_the_other_side_has_closed_is_opened_again():
    with Stub() as stub:
        stub.does(answers(Reply(200, "", headers={"Connection": "close"})))
        client = Http(deadline_s=2.0)
        assert [client.call("GET", stub.url).status for _ in range(3)] == [200] * 3
        assert len({seen.client for seen in stub.seen}) == 3


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """The file of a certificate of 127.0.0.1, with its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "a provider")])
    today = datetime.now(UTC)
    made = (x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
            .not_valid_before(today - timedelta(days=1)).not_valid_after(today + timedelta(days=1))
            .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .sign(key, hashes.SHA256()))
    file = tmp_path_factory.mktemp("tls") / "provider.pem"
    file.write_bytes(made.public_bytes(serialization.Encoding.PEM) + key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))
    return str(file)


@pytest.fixture
def tls_stub(certificate):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with Stub(tls=context) as stub:
        yield stub


@pytest.fixture
def trusted(certificate, monkeypatch):
    monkeypatch.setattr("requests.adapters.DEFAULT_CA_BUNDLE_PATH", certificate)


@pytest.mark.usefixtures("trusted")
def test_one_tls_connection_carries_many_calls(tls_stub):
    tls_stub.does(answers(Reply(200, "تم", "text/plain")))
    client = Http(deadline_s=5.0)
    assert [client.call("POST", tls_stub.url, data={"a": "b"}).text for _ in range(3)] == ["تم"] * 3
    assert len({seen.client for seen in tls_stub.seen}) == 1


@pytest.mark.usefixtures("trusted")
@pytest.mark.parametrize("fault", [resets, sends(b""), drips(Reply(200, "x" * 500)),
                                   drips(Reply(200, "x" * 500), at_once=100)])
def test_a_tls_connection_that_breaks_later_leaves_the_message_unknown(tls_stub, fault):
    tls_stub.does(fault)
    with pytest.raises(Unknown):
        Http(deadline_s=1.0).call("POST", tls_stub.url)


def test_a_certificate_that_nobody_vouches_for_is_not_spoken_to(tls_stub):
    with pytest.raises(Unavailable, match="tls"):
        Http(deadline_s=2.0).call("POST", tls_stub.url)
    assert tls_stub.seen == []


@pytest.mark.usefixtures("trusted")
def test_a_certificate_of_another_host_is_not_spoken_to(tls_stub):
    with pytest.raises(Unavailable, match="tls"):
        Http(deadline_s=2.0).call("POST", tls_stub.url.replace("127.0.0.1", "localhost"))
    assert tls_stub.seen == []


def test_what_was_answered_is_in_no_representation():
    assert "0612" not in repr(Answer(200, {"X-Number": "0612"}, b"0612"))
