"""The documents that a gateway answers a call with, in both dialects, read as what happens on the line.

Sources: twilio.com/docs/voice/twiml and its pages of verbs; docs.africastalking.com/voice and its pages of actions.
What a provider would only warn of (an attribute it does not know) is an error here: the sandbox is there to be strict.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

KEYS = "0123456789*#"
LONGEST_MESSAGE_S = 3600
# A voice without a language is named for a person (Polly.Zeina); one with a language carries it (ar-XA-Wavenet-A).
VOICE_LANGUAGE = re.compile(r"(?:^|\.)([a-z]{2,3}-[A-Z]{2})\b")
DEFAULT_LANGUAGE = "en-US"
# The languages that Twilio speaks of those this project writes in (twilio.com/docs/voice/twiml/say).
TWILIO_SPEAKS = {"arb", "ar-AE", "ar-XA", "fr-FR", "fr-CA", "fr-BE", "en-US", "en-GB", "es-ES"}

_ACTION = {"action", "method"}
# Verb: its attributes
TWIML = {
    "Say": {"voice", "language", "loop"},
    "Play": {"loop"},
    "Pause": {"length"},
    "Gather": _ACTION | {"input", "timeout", "finishOnKey", "numDigits", "actionOnEmptyResult", "language", "bargeIn"},
    "Record": _ACTION
    | {"timeout", "finishOnKey", "maxLength", "playBeep", "trim", "recordingStatusCallback"}
    | {"recordingStatusCallbackMethod", "recordingStatusCallbackEvent", "recordingTrack"},
    "Redirect": {"method"},
    "Reject": {"reason"},
    "Hangup": set[str](),
}
AFRICASTALKING = {
    "Say": {"voice", "playBeep"},
    "Play": {"url"},
    "GetDigits": {"numDigits", "timeout", "finishOnKey", "callbackUrl"},
    "Record": {"finishOnKey", "maxLength", "timeout", "trimSilence", "playBeep", "callbackUrl"},
    "Redirect": set[str](),
    "Reject": set[str](),
}
# Inside <Say>: how the words are spoken (twilio.com/docs/voice/twiml/say/text-speech#ssml).
SSML = {"break", "emphasis", "lang", "p", "phoneme", "prosody", "s", "say-as", "sub", "w"}


class ApplicationError(Exception):
    """A document that the provider would not play. Names the verb or attribute that is wrong, and no text."""


@dataclass(frozen=True)
class Said:
    """Words in a voice; `language` is a BCP-47 tag."""

    text: str = field(repr=False)
    language: str
    voice: str = ""


@dataclass(frozen=True)
class Played:
    """A recording at an address, absolute or relative to the document's own."""

    url: str = field(repr=False)


@dataclass(frozen=True)
class Paused:
    seconds: int


@dataclass(frozen=True)
class AwaitedKeys:
    """`inside` is heard meanwhile; any of the keys `finish` ends sooner, without being told itself.

    `most` None is as many as are pressed. `address` empty is that of this document (Twilio) or of the call
    (Africa's Talking). Silence goes on behind it, or with `on_silence` to the address too.
    """

    inside: tuple[Said | Played | Paused, ...] = field(repr=False)
    most: int | None
    seconds: int
    finish: str
    address: str = field(repr=False)
    on_silence: bool = False


@dataclass(frozen=True)
class AwaitedMessage:
    """A message of at most `seconds`, ended by any of the keys `finish`; `address` as with keys."""

    seconds: int
    finish: str
    address: str = field(repr=False)
    beep: bool


@dataclass(frozen=True)
class Redirected:
    address: str = field(repr=False)


@dataclass(frozen=True)
class Rejected:
    """Not taken, if nothing came before it; else hung up. `busy` is what the caller is told."""

    busy: bool


@dataclass(frozen=True)
class HungUp:
    pass


Step = Said | Played | Paused | AwaitedKeys | AwaitedMessage | Redirected | Rejected | HungUp


def twiml(document: str) -> tuple[Step, ...]:
    """What a TwiML document does, in order. Raises `ApplicationError`."""
    return tuple(step for verb in _verbs(document, TWIML) for step in _twiml_steps(verb))


def africastalking(document: str) -> tuple[Step, ...]:
    """What a document of Africa's Talking's actions does, in order. Raises `ApplicationError`."""
    return tuple(_action(verb) for verb in _verbs(document, AFRICASTALKING))


def _twiml_steps(verb: Element) -> tuple[Step, ...]:
    if verb.tag in ("Say", "Play"):
        return (_twiml_heard(verb),) * _whole(verb, "loop", 1, most=10)
    return (_twiml_step(verb),)


def _twiml_step(verb: Element) -> Step:
    if verb.get("method", "POST") != "POST":
        raise ApplicationError(f"{verb.tag}: the sandbox asks by POST only")
    match verb.tag:
        case "Pause":
            return Paused(_whole(verb, "length", 1))
        case "Gather":
            return _gather(verb)
        case "Record":
            seconds = _whole(verb, "maxLength", LONGEST_MESSAGE_S)
            return AwaitedMessage(seconds, _finish(verb, KEYS), verb.get("action", ""), _flag(verb, "playBeep", True))
        case "Redirect":
            return Redirected(_address(verb, _words(verb)))
        case "Reject":
            return Rejected(_one_of(verb, "reason", ("rejected", "busy")) == "busy")
        case _:
            return HungUp()


def _twiml_heard(verb: Element) -> Said | Played:
    if verb.tag == "Play":
        return Played(_address(verb, _words(verb)))
    said = _said(verb, verb.get("language", ""), inner=SSML)
    if said.language not in TWILIO_SPEAKS:
        raise ApplicationError(f"Say: no voice for the language {said.language}")
    return said


def _gather(verb: Element) -> AwaitedKeys:
    if "dtmf" not in verb.get("input", "dtmf").split():
        raise ApplicationError("Gather: the sandbox understands keys only")
    children = _children(verb, TWIML, {"Say", "Play", "Pause"})
    steps = (step for child in children for step in _twiml_steps(child))
    return AwaitedKeys(
        inside=tuple(step for step in steps if isinstance(step, Said | Played | Paused)),
        most=_whole(verb, "numDigits", 1) if "numDigits" in verb.attrib else None,
        seconds=_whole(verb, "timeout", 5),
        finish=_finish(verb, "#"),
        address=verb.get("action", ""),
        on_silence=_flag(verb, "actionOnEmptyResult", False),
    )


def _action(verb: Element) -> Step:
    match verb.tag:
        case "Say" | "Play":
            return _africastalking_heard(verb)
        case "GetDigits":
            return _get_digits(verb)
        case "Record":
            seconds = _whole(verb, "maxLength", LONGEST_MESSAGE_S)
            return AwaitedMessage(
                seconds, _finish(verb, ""), verb.get("callbackUrl", ""), _flag(verb, "playBeep", False)
            )
        case "Redirect":
            return Redirected(_address(verb, _words(verb)))
        case _:
            return Rejected(busy=False)


def _africastalking_heard(verb: Element) -> Said | Played:
    return Played(_address(verb, verb.get("url", ""))) if verb.tag == "Play" else _said(verb, "")


def _get_digits(verb: Element) -> AwaitedKeys:
    children = _children(verb, AFRICASTALKING, {"Say", "Play"})
    if len(children) != 1:
        raise ApplicationError("GetDigits: exactly one Say or Play inside")
    return AwaitedKeys(
        inside=(_africastalking_heard(children[0]),),
        most=_whole(verb, "numDigits", 1) if "numDigits" in verb.attrib else None,
        seconds=_whole(verb, "timeout", 30),
        finish=_finish(verb, ""),
        address=verb.get("callbackUrl", ""),
    )


def _verbs(document: str, dialect: Mapping[str, set[str]]) -> list[Element]:
    try:
        response = ElementTree.fromstring(document.strip())  # noqa: S314 - our own gateway's answer, on loopback
    except ElementTree.ParseError:
        raise ApplicationError("the document is not XML") from None
    if response.tag != "Response":
        raise ApplicationError("the document is no Response")
    return _children(response, dialect, set(dialect))


def _children(parent: Element, dialect: Mapping[str, set[str]], allowed: set[str]) -> list[Element]:
    """The verbs of a parent, each with attributes that it has. Raises `ApplicationError`."""
    if any(text and text.strip() for text in (parent.text, *(child.tail for child in parent))):
        raise ApplicationError(f"{parent.tag}: words outside a verb")
    for child in parent:
        if child.tag not in allowed:
            raise ApplicationError(f"{parent.tag}: no verb {child.tag}")
        unknown = child.attrib.keys() - dialect[child.tag]
        if unknown:
            raise ApplicationError(f"{child.tag}: no attribute {', '.join(sorted(unknown))}")
        if len(child) and child.tag not in ("Say", "Gather", "GetDigits"):
            raise ApplicationError(f"{child.tag}: nothing goes inside")
    return list(parent)


def _said(verb: Element, language: str, inner: set[str] | frozenset[str] = frozenset()) -> Said:
    for inside in verb.iter():
        if inside is not verb and inside.tag not in inner:
            raise ApplicationError(f"Say: no {inside.tag} inside")
    text, voice = _words(verb), verb.get("voice", "")
    if not text:
        raise ApplicationError("Say: no words")
    named = VOICE_LANGUAGE.search(voice)
    return Said(text, language or (named[1] if named else DEFAULT_LANGUAGE), voice)


def _words(verb: Element) -> str:
    return " ".join("".join(verb.itertext()).split())


def _address(verb: Element, written: str) -> str:
    if not written:
        raise ApplicationError(f"{verb.tag}: no address")
    return written


def _whole(verb: Element, name: str, default: int, most: int = LONGEST_MESSAGE_S) -> int:
    written = verb.get(name, str(default))
    if not written.isascii() or not written.isdigit() or not 1 <= int(written) <= most:
        raise ApplicationError(f"{verb.tag}: {name} is no number from 1 to {most}")
    return int(written)


def _finish(verb: Element, default: str) -> str:
    written = verb.get("finishOnKey", default)
    if set(written) - set(KEYS):
        raise ApplicationError(f"{verb.tag}: finishOnKey is no key")
    return written


def _flag(verb: Element, name: str, default: bool) -> bool:
    return _one_of(verb, name, (str(default).lower(), str(not default).lower())) == "true"


def _one_of(verb: Element, name: str, known: tuple[str, ...]) -> str:
    """One of the words known, the first by default."""
    written = verb.get(name, known[0])
    if written not in known:
        raise ApplicationError(f"{verb.tag}: {name} is none of {', '.join(known)}")
    return written
