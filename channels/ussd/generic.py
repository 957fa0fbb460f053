"""USSD through an operator that sends only what was typed last, in fields that its `Wire` names."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qsl

from channels.base import BadCallback, CallbackRequest, Conversation, Ended, Screen, Turn
from channels.ussd.wire import Said, Wire

TEXT = {"Content-Type": "text/plain; charset=utf-8"}
JSON = {"Content-Type": "application/json"}

MOST_FIELDS = 100
# A callback is of a Moroccan network, and so is the number: nine digits that might be another country's are not.
MOROCCAN = r"(?:\+?212|0)([5-7][0-9]{8})"
CODE = r"\*?([0-9]+(?:\*[0-9]+)*)#?"
SESSION = r"[!-~]{1,128}"
# No database keeps a NUL, and nothing a half of a surrogate pair, which JSON can write alone.
READABLE = r"[^\x00\ud800-\udfff]*"


class GenericUssd(Conversation):
    """The callbacks of one operator. The path's token is checked before."""

    name = "generic"

    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    def turn(self, request: CallbackRequest) -> Turn:
        """Raises `BadCallback`."""
        wire, sent = self._wire, self._sent(request)
        (code,) = _matched(sent, wire.service_code, CODE)
        begins = wire.first is not None and _says(sent, wire.first) is not None
        typed = _text(sent, wire.typed, "" if begins else None)
        behind = _behind(code, typed)
        if wire.first is None:
            begins = typed.startswith("*") and typed.endswith("#") and behind is not None
        (subscriber,) = _matched(sent, wire.msisdn, MOROCCAN)
        return Turn(
            self.name, _matched(sent, wire.session, f"({SESSION})")[0], f"*{code}#", f"+212{subscriber}",
            _dialled(behind, typed) if begins else "", _optional(sent, wire.network), only_last=True,
            last=None if begins else typed, order=_optional(sent, wire.order))

    def ended(self, request: CallbackRequest) -> Ended | None:
        """How the session ended, where this is the notice of an end; None where it is a turn. Raises `BadCallback`."""
        sent, wire = self._sent(request), self._wire
        status = _says(sent, wire.ended) if wire.ended else None
        if status is None:
            return None
        (subscriber,) = _matched(sent, wire.msisdn, MOROCCAN)
        return Ended(self.name, _matched(sent, wire.session, f"({SESSION})")[0], f"+212{subscriber}", status,
                     _optional(sent, wire.network))

    def answer(self, screen: Screen, turn: Turn) -> tuple[str, Mapping[str, str]]:
        """The body and headers of the HTTP answer."""
        reply = self._wire.reply
        word = reply.ends if screen.final else reply.goes_on
        if self._wire.format == "json":
            named = {reply.text: screen.text, reply.session: turn.session_id, reply.field: word}
            return json.dumps(_nested(named), ensure_ascii=False), JSON
        if reply.field:
            return screen.text, {**TEXT, reply.field: str(word)}
        return f"{word} {screen.text}", TEXT

    def _sent(self, request: CallbackRequest) -> CallbackRequest:
        """The same callback with all its fields in `form`, wherever they came."""
        form: dict[str, tuple[str, ...]] = {}
        if self._wire.format == "json":
            fields = _json_fields(request.body)
        else:
            form, fields = dict(request.form), _query_fields(request.path.partition("?")[2])
        for name, value in fields:
            form[name] = (*form.get(name, ()), value)
        return replace(request, form=form)


def _json_fields(body: bytes) -> list[tuple[str, str]]:
    """Each text, number and truth with its dotted name; a name that comes twice is told twice."""
    try:
        # As tuples, objects keep a name that stands there twice, and are told from lists.
        read = json.loads(body, object_pairs_hook=tuple)
        if not isinstance(read, tuple):
            raise BadCallback("the body is no JSON object")
        return list(_named(read, ""))
    except (ValueError, RecursionError):
        # Raised anew without its cause, which quotes the body.
        raise BadCallback("the body is no JSON") from None


def _named(pairs: tuple[tuple[str, Any], ...], before: str) -> Iterator[tuple[str, str]]:
    for name, value in pairs:
        match value:
            case tuple():
                yield from _named(value, f"{before}{name}.")
            case bool():
                yield before + name, str(value).lower()
            case str() | int():
                yield before + name, str(value)
            case None:
                yield before + name, ""


def _query_fields(query: str) -> list[tuple[str, str]]:
    try:
        return parse_qsl(query, keep_blank_values=True, max_num_fields=MOST_FIELDS)
    except ValueError:
        raise BadCallback(f"more than {MOST_FIELDS} fields") from None


def _nested(named: Mapping[str, Any]) -> dict[str, Any]:
    """`{"a.b": 1}` as `{"a": {"b": 1}}`; what has no name is left out."""
    whole: dict[str, Any] = {}
    for name, value in named.items():
        *path, last = name.split(".")
        inner = whole
        for step in path:
            inner = inner.setdefault(step, {})
        if last:
            inner[last] = value
    return whole


def _behind(code: str, typed: str) -> str | None:
    """What `typed` dials behind the service code, as `3` of `*580*3#`; None where it does not dial the code."""
    dialled = typed.strip("*#")
    return dialled[len(code) + 1:] if f"{dialled}*".startswith(f"{code}*") else None


def _dialled(behind: str | None, typed: str) -> str:
    """Some operators send the code as it was dialled, others what is behind it, and some a word of their own."""
    if behind is not None:
        return behind
    return typed if re.fullmatch(r"[0-9]+(\*[0-9]+)*", typed) else ""


def _says(sent: CallbackRequest, said: Said) -> str | None:
    value = sent.one(said.field, "")
    return value if value in said.values else None


def _matched(sent: CallbackRequest, name: str, pattern: str) -> tuple[str, ...]:
    match = re.fullmatch(pattern, sent.one(name))
    if not match:
        raise BadCallback(f"field {name} is malformed")
    return match.groups()


def _optional(sent: CallbackRequest, name: str) -> str:
    return _text(sent, name, "") if name else ""


def _text(sent: CallbackRequest, name: str, default: str | None) -> str:
    value = sent.one(name, default)
    if not re.fullmatch(READABLE, value):
        raise BadCallback(f"field {name} holds what is no text")
    return value
