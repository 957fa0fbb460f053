"""Doors: what every callback passes before anything reads it: its secret token, its size, its one-valued fields."""

from __future__ import annotations

import hmac
from collections.abc import Sequence

from flask import Request

from channels.base import BadCallback, CallbackRequest

LARGEST_FORM = 64 * 1024
MOST_FIELDS = 100


def callback(request: Request, token: str = "") -> CallbackRequest:
    """The request as it came over the wire. The path is the raw one: a signature is made over that.

    Raises `BadCallback` for what could not be kept.
    """
    environ = request.environ
    path = environ.get("RAW_URI") or environ.get("REQUEST_URI")
    if not path:
        query = environ.get("QUERY_STRING", "")
        path = environ.get("PATH_INFO", "") + (f"?{query}" if query else "")
    if path.startswith("http"):
        path = "/" + path.split("/", 3)[3]
    form = {key: tuple(values) for key, values in request.form.lists()}
    if sum(map(len, form.values())) > MOST_FIELDS:
        raise BadCallback(f"more than {MOST_FIELDS} fields")
    if any("\x00" in value for values in form.values() for value in values):
        raise BadCallback("a field holds a NUL, which no database keeps")
    # Read after the form, which leaves nothing of its own; no larger than a form may be (MAX_CONTENT_LENGTH).
    return CallbackRequest(path=path, headers=dict(request.headers), form=form, token=token, body=request.get_data())


def check_token(token: str, tokens: Sequence[str]) -> None:
    """Raises `BadCallback` unless `token` is one of ours; the comparison takes the same time for all."""
    matches = [hmac.compare_digest(token.encode(), ours.encode()) for ours in tokens]
    if not any(matches):
        raise BadCallback("unknown callback token")
