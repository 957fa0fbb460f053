"""Twilio: one account, its SDK over our connections, its signature on a callback, and the sense of its error codes."""

from __future__ import annotations

import json
import logging
from collections.abc import Awaitable, Callable
from hmac import compare_digest
from typing import Any
from urllib.parse import urlsplit

from aiohttp import encode_basic_auth
from requests.structures import CaseInsensitiveDict
from twilio.base.exceptions import TwilioException
from twilio.http import AsyncHttpClient, HttpClient
from twilio.http.response import Response
from twilio.request_validator import SIGNATURE_HEADER, RequestValidator
from twilio.rest import Client

from channels import http
from channels.base import (
    Accepted,
    BadCallback,
    CallbackRequest,
    Misconfigured,
    Rejected,
    SendError,
    Throttled,
    Unknown,
)
from channels.codes import codes_of
from channels.line import Line

CODES = codes_of("twilio")


class TwilioAccount:
    """One account, for whatever is done with it.

    `public_url` is the address under which Twilio reaches us: it stands in callbacks and in their signatures.
    `next_auth_token` is accepted in signatures beside `auth_token` while the token is being changed.
    """

    def __init__(self, account_sid: str, auth_token: str, base_url: str, public_url: str, next_auth_token: str,
                 client: http.Http, line: Line | None = None) -> None:
        self.sid = account_sid
        self.public_url = public_url.rstrip("/")
        self.rest = Client(account_sid, auth_token, http_client=_Transport(base_url.rstrip("/"), client))
        # The same SDK for what goes out many at a time.
        self.many = Client(account_sid, auth_token, http_client=_ManyTransport(base_url.rstrip("/"), line or Line()))
        self._validators = [RequestValidator(token) for token in (auth_token, next_auth_token) if token]

    def check(self, request: CallbackRequest) -> None:
        """https://www.twilio.com/docs/usage/security#validating-requests: over every field, known or not.

        Raises `BadCallback` when the callback is not Twilio's, or not for this account.
        """
        signature = CaseInsensitiveDict(request.headers).get(SIGNATURE_HEADER, "")
        if not signature:
            raise BadCallback("not signed")
        url, form = self.public_url + request.path, _Form(request.form)
        try:
            # The address as it came is nearly always the one that was signed; `validate` tries it with a port as well.
            signed = any(compare_digest(validator.compute_signature(url, form), signature)
                         or validator.validate(url, form, signature) for validator in self._validators)
        except (TypeError, ValueError):
            raise BadCallback("not readable") from None
        if not signed:
            raise BadCallback("wrong signature")
        if request.one("AccountSid") != self.sid:
            raise BadCallback("another account")


def accepted(create: Callable[..., Any], **fields: Any) -> Accepted:
    """Have the SDK create a message or a call, and read the name it got. Raises a `SendError`."""
    try:
        return _read(create(**fields))
    except (TwilioException, *http.UNREADABLE):
        raise Unknown("unreadable") from None


async def accepted_of_many(create: Callable[..., Awaitable[Any]], **fields: Any) -> Accepted:
    """The same without waiting. Raises a `SendError`."""
    try:
        return _read(await create(**fields))
    except (TwilioException, *http.UNREADABLE):
        raise Unknown("unreadable") from None


def _read(created: Any) -> Accepted:
    """`num_segments` is 0 where a messaging service has not chosen its sender yet; a call has none."""
    if not isinstance(created.sid, str) or not created.sid:
        raise Unknown("no_sid")
    parts, price = getattr(created, "num_segments", None), getattr(created, "price", None)
    return Accepted(created.sid, int(parts) if isinstance(parts, str) and parts.isdigit() and int(parts) else None,
                    f"{created.price_unit} {price}" if price else "")


def kind_of(code: str, otherwise: type[SendError] = Rejected) -> type[SendError]:
    """What a code asks of us. One that nobody has told us of is taken for the person's (never again)."""
    known = CODES.find(code)
    return (known and known.kind) or otherwise


class _Form(dict[str, tuple[str, ...]]):
    """A form as the validator reads one: all values of a key."""

    def getlist(self, key: str) -> tuple[str, ...]:
        return self[key]


# At INFO the SDK logs queries, which hold numbers.
LOGGER = logging.getLogger("twilio.http_client")
LOGGER.setLevel(logging.WARNING)


class _Transport(HttpClient):  # type: ignore[misc]
    """Carries the SDK's requests to `base_url` under our deadline.

    Refusals are told from here, since the SDK's two kinds of exception both lose the answer's headers.
    """

    def __init__(self, base_url: str, client: http.Http) -> None:
        super().__init__(LOGGER, is_async=False)
        self._base_url = base_url
        self._http = client

    def request(self, method: str, uri: str, params: dict[str, object] | None = None,
                data: dict[str, object] | None = None, headers: dict[str, str] | None = None,
                auth: tuple[str, str] | None = None, timeout: float | None = None,
                allow_redirects: bool = False) -> Response:
        address = urlsplit(uri)
        query = f"?{address.query}" if address.query else ""
        return _response(self._http.call(method, f"{self._base_url}{address.path}{query}",
                                         params=params, data=data, headers=headers, auth=auth))


class _ManyTransport(AsyncHttpClient):  # type: ignore[misc]
    """The same over a line, for what is created only."""

    def __init__(self, base_url: str, line: Line) -> None:
        super().__init__(LOGGER, is_async=True)
        self._base_url = base_url
        self._line = line

    async def request(self, method: str, uri: str, params: dict[str, object] | None = None,
                      data: dict[str, object] | None = None, headers: dict[str, str] | None = None,
                      auth: tuple[str, str] | None = None, timeout: float | None = None,
                      allow_redirects: bool = False) -> Response:
        signed = {"Authorization": encode_basic_auth(*auth)} if auth else {}
        return _response(await self._line.post(f"{self._base_url}{urlsplit(uri).path}", data or {},
                                               {**(headers or {}), **signed}))


def _response(answer: http.Answer) -> Response:
    if not 200 <= answer.status < 300:
        raise _refusal(answer)
    return Response(answer.status, answer.text, answer.headers)


def _refusal(answer: http.Answer) -> SendError:
    """The error for an answer that is not 2xx: by status where that is certain, else by Twilio's code."""
    kind, code = http.refusal(answer.status), _code(answer)
    known = CODES.find(code)
    if kind is Misconfigured and code:
        kind = kind_of(code, Misconfigured if answer.status in (401, 403, 404) else Rejected)
    code = code or f"http_{answer.status}"
    if kind is Throttled:
        wait_s = http.LONGEST_WAIT_S if known and known.daily else http.retry_after_s(answer)
        return Throttled(code, retry_after_s=wait_s)
    if kind is Rejected:
        return Rejected(code, opted_out=known is not None and known.opted_out)
    return kind(code)


def _code(answer: http.Answer) -> str:
    """`code` of both kinds of error body, Twilio's own and RFC 9457's; "" where there is none."""
    try:
        return str(int(json.loads(answer.text)["code"]))
    except http.UNREADABLE:
        return ""
