"""Wire: how one operator words its USSD callbacks and wants them answered, read from its file and checked whole."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

import jsonschema_rs

NAME = {"type": "string", "minLength": 1, "maxLength": 100}
DOTTED = {"type": "string", "maxLength": 100, "pattern": r"^[^.]+(\.[^.]+)*$"}
# A line break in a header would begin another.
HEADER = {"type": "string", "pattern": "^[!-~]{1,100}$"}
SAID = {
    "type": "object", "required": ["field", "values"], "additionalProperties": False,
    "properties": {"field": NAME, "values": {"type": "array", "minItems": 1, "items": NAME}},
}
FIELDS = {
    "type": "object", "required": ["session", "msisdn", "service_code", "typed"], "additionalProperties": False,
    "properties": dict.fromkeys(("session", "msisdn", "service_code", "typed", "network", "order"), NAME),
}
WORD = {"type": ["string", "boolean", "integer"]}
ANSWERS: dict[str, dict[str, Any]] = {
    "json": {
        "type": "object", "required": ["text", "field", "goes_on", "ends"], "additionalProperties": False,
        "properties": {"text": DOTTED, "session": DOTTED, "field": DOTTED, "goes_on": WORD, "ends": WORD},
    },
    "form": {
        "type": "object", "required": ["field", "goes_on", "ends"], "additionalProperties": False,
        "properties": {"field": HEADER, "goes_on": HEADER, "ends": HEADER},
    },
}


class BadWire(Exception):
    """A file that no callback could be read by; the message names the key."""


@dataclass(frozen=True)
class Said:
    """A field, and the words in it that say so."""

    field: str
    values: tuple[str, ...]


@dataclass(frozen=True)
class Reply:
    """How a screen is written.

    - `json`: an object of `text`, the session's id as `session` where it is wanted, and `field`.
    - `form`: the text alone and `field` as a header; without one, the text behind `CON ` or `END `.

    `goes_on` and `ends` are what `field` says of the session.
    """

    text: str = ""
    session: str = ""
    field: str = ""
    goes_on: str | int = "CON"
    ends: str | int = "END"


@dataclass(frozen=True)
class Wire:
    """The names of an operator's fields; in `json`, a dot leads into an object (`subscriber.msisdn`).

    `order` is the operator's count of the turns and `network` its code of the caller's network, empty where there
    is none. Without `first` a session begins with the code that was dialled.
    """

    format: Literal["json", "form"]
    session: str
    msisdn: str
    service_code: str
    typed: str
    network: str = ""
    order: str = ""
    first: Said | None = None
    ended: Said | None = None
    reply: Reply = Reply()

    @classmethod
    def load(cls, file: Path) -> Wire:
        """Raises `BadWire`."""
        try:
            content = tomllib.loads(file.read_text(encoding="utf-8"))
        except OSError as error:
            raise BadWire(f"the file cannot be read ({error.strerror})") from None
        except ValueError as error:
            raise BadWire(f"the file is no TOML ({error})") from None
        _check(content)
        wire = cls(content["format"], **content["fields"], first=_said(content.get("first")),
                   ended=_said(content.get("ended")), reply=Reply(**content.get("answer", {})))
        _check_sense(wire)
        return wire


def _check(content: dict[str, Any]) -> None:
    answer = ANSWERS.get(str(content.get("format")))
    if answer is None:
        raise BadWire(f"format: write {' or '.join(ANSWERS)}")
    form = {
        "type": "object", "required": ["fields", *(["answer"] if content["format"] == "json" else [])],
        "properties": {"format": NAME, "fields": FIELDS, "first": SAID, "ended": SAID, "answer": answer},
        "additionalProperties": False,
    }
    for error in jsonschema_rs.validator_for(form).iter_errors(content):
        raise BadWire(f"{'.'.join(map(str, error.instance_path)) or 'file'}: {error.message}")


def _check_sense(wire: Wire) -> None:
    first, ended, reply = wire.first, wire.ended, wire.reply
    if first and ended and first.field == ended.field and {*first.values} & {*ended.values}:
        raise BadWire("ended.values: a word of them stands in first.values too")
    if reply.goes_on == reply.ends:
        raise BadWire("answer.ends: is the word for a session that goes on")
    names = sorted(f"{name}." for name in (reply.text, reply.session, reply.field) if name)
    if any(later.startswith(earlier) for earlier, later in pairwise(names)):
        raise BadWire("answer: one name is given to two things, or stands within another")


def _said(table: dict[str, Any] | None) -> Said | None:
    return Said(table["field"], tuple(table["values"])) if table else None
