"""Problems: what the API answers where it cannot do as it is asked (RFC 9457), each with what to do."""

from __future__ import annotations

import json
from collections.abc import Mapping
from http import HTTPStatus
from typing import Literal

from flask import Response

Name = Literal["unauthorized", "too-many-requests", "too-many-unknown", "too-large", "not-json", "malformed",
               "key-missing", "key-reused", "key-in-use", "reference-reused", "household-unknown", "not-found",
               "not-allowed", "try-later", "failed"]

# What each is called, and what its reader is to do where nothing closer is said.
PROBLEMS: Mapping[Name, tuple[HTTPStatus, str, str]] = {
    "unauthorized": (HTTPStatus.UNAUTHORIZED, "Nobody we know",
                     "Send your token: Authorization: Bearer TOKEN. One that was changed is not taken any more."),
    "too-many-requests": (HTTPStatus.TOO_MANY_REQUESTS, "Too many requests",
                          "Wait for the seconds of Retry-After, then send the same request with the same key."),
    "too-many-unknown": (HTTPStatus.TOO_MANY_REQUESTS, "Too many unknown households",
                         "Compare your list with the register; nothing is taken from you until Retry-After is over."),
    "too-large": (HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "Too large", "Send one message a request, in 64 KiB at most."),
    "not-json": (HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "Not JSON", "Send JSON, with Content-Type: application/json."),
    "malformed": (HTTPStatus.BAD_REQUEST, "Malformed", "Correct what `errors` names, and send it with a new key."),
    "key-missing": (HTTPStatus.BAD_REQUEST, "No Idempotency-Key",
                    "Send the header Idempotency-Key, 8 to 128 signs that no other request has, such as a random UUID; "
                    "and the same one when you send the same request again."),
    "key-reused": (HTTPStatus.CONFLICT, "Key of another request",
                   "This key came with another body in the last 24 hours. Send a new request with a new key."),
    "key-in-use": (HTTPStatus.CONFLICT, "At work on it",
                   "The first request with this key is being worked on. Send it again after Retry-After."),
    "reference-reused": (HTTPStatus.CONFLICT, "Reference of another message",
                         "You gave this reference to another message. Give a new message a new reference."),
    "household-unknown": (HTTPStatus.UNPROCESSABLE_ENTITY, "No such household",
                          "No household that takes part in the register has this number. Compare it with your list; "
                          "so many of these a day are counted."),
    "not-found": (HTTPStatus.NOT_FOUND, "Not found", "You have no message of this name, or the address is wrong."),
    "not-allowed": (HTTPStatus.METHOD_NOT_ALLOWED, "Not allowed", "This address takes another method: see Allow."),
    "try-later": (HTTPStatus.SERVICE_UNAVAILABLE, "Not now",
                  "Nothing was taken. Send the same request with the same key after Retry-After."),
    "failed": (HTTPStatus.INTERNAL_SERVER_ERROR, "Our fault",
               "Send the same request with the same key again later: it is done once in any case."),
}
TYPES = "/api/v1/problems/"


class Refused(Exception):
    """A request ends with this problem. `errors` are sentences by field; none quotes what was sent."""

    def __init__(self, name: Name, *, retry_after_s: int | None = None,
                 errors: Mapping[str, str] | None = None) -> None:
        super().__init__(name)
        self.name, self.retry_after_s, self.errors = name, retry_after_s, errors


def problem(refused: Refused, headers: Mapping[str, str] | None = None) -> Response:
    """The answer. Its `type` is a name and no page; docs/api.yaml lists them."""
    status, title, detail = PROBLEMS[refused.name]
    told: dict[str, object] = {"type": TYPES + refused.name, "title": title, "status": int(status), "detail": detail}
    if refused.errors:
        told["errors"] = [{"field": name, "detail": said} for name, said in refused.errors.items()]
    answer = Response(json.dumps(told), status=status, content_type="application/problem+json", headers=headers)
    if refused.retry_after_s is not None:
        answer.headers["Retry-After"] = str(refused.retry_after_s)
    if status == HTTPStatus.UNAUTHORIZED:
        answer.headers["WWW-Authenticate"] = "Bearer"
    answer.headers["Cache-Control"] = "no-store"
    return answer
