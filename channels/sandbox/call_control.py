"""The controls of a handset's calls: dial, answer, press, speak, be silent, hang up, and what is heard meanwhile."""

from __future__ import annotations

from flask import Blueprint, Response, jsonify, request
from werkzeug.exceptions import BadGateway, BadRequest, NotFound

from channels.sandbox.calls import Shown
from channels.sandbox.control import asked_for, telephone
from channels.sandbox.courier import NoAnswer
from channels.sandbox.operator import Operator
from channels.sandbox.recordings import NotSound, tone
from channels.sandbox.voice_documents import KEYS, AwaitedKeys, AwaitedMessage, Played, Said

LONGEST_TONE_S = 120
LONGEST_SOUND = 1 << 24
SOUND_TIMEOUT_S = 10.0


def routes(operator: Operator) -> Blueprint:
    """Everything under /sandbox/handset/<msisdn>/call."""
    control = Blueprint("call_control", __name__, url_prefix="/sandbox/handset/<msisdn>/call")

    @control.get("")
    def call(msisdn: str) -> Response:
        return jsonify(_call(operator.calls.shown(telephone(msisdn))))

    @control.post("")
    def act(msisdn: str) -> Response:
        return jsonify(_call(_act(operator, telephone(msisdn), asked_for())))

    @control.post("/speech")
    def speech(msisdn: str) -> Response:
        shown = _speak(operator, telephone(msisdn), request.get_data(), hang_up="hang_up" in request.args)
        return jsonify(_call(shown))

    @control.get("/heard/<int:place>")
    def sound(msisdn: str, place: int) -> Response:
        return _sound(operator, telephone(msisdn), place)

    return control


def _act(operator: Operator, msisdn: str, asked: dict[str, object]) -> Shown:
    calls = operator.calls
    match asked:
        case {"dial": str(number)}:
            return calls.dial(msisdn, number)
        case {"answer": True}:
            return calls.answer(msisdn)
        case {"keys": str(keys)} if keys and set(keys) <= set(KEYS):
            return calls.press(msisdn, keys)
        case {"silence": True, "turn": int(turn)}:
            return calls.silence(msisdn, turn)
        case {"silence": True}:
            return calls.silence(msisdn)
        case {"speak": int(seconds)} if 0 < seconds <= LONGEST_TONE_S:
            return _speak(operator, msisdn, tone(seconds), hang_up=asked.get("hang_up") is True)
        case {"hang_up": True}:
            return calls.hang_up(msisdn)
        case _:
            raise BadRequest("dial, answer, keys, silence, speak or hang_up")


def _speak(operator: Operator, msisdn: str, sound: bytes, *, hang_up: bool) -> Shown:
    """Leave a message; the gateway fetches it from where this server listens, whatever name it was called by."""
    here = f"http://{request.environ['SERVER_NAME']}:{request.environ['SERVER_PORT']}"
    try:
        return operator.calls.speak(msisdn, sound, here, hang_up=hang_up)
    except NotSound as wrong:
        raise BadRequest(str(wrong)) from wrong


def _sound(operator: Operator, msisdn: str, place: int) -> Response:
    """A recording that is heard in the call, for the page; no other address is asked for."""
    played = dict(enumerate(operator.calls.shown(msisdn).heard)).get(place)
    if not isinstance(played, Played):
        raise NotFound("nothing was played there")
    try:
        kind, content = operator.courier.fetch(played.url, SOUND_TIMEOUT_S, LONGEST_SOUND)
    except NoAnswer as error:
        raise BadGateway("the recording did not come") from error
    if not kind.startswith("audio/"):
        raise BadGateway("the recording is no sound")
    return Response(content, content_type=kind, headers={"X-Content-Type-Options": "nosniff"})


def _call(shown: Shown) -> dict[str, object]:
    return {
        "state": shown.state,
        "call": shown.call,
        "incoming": shown.incoming,
        "other": shown.other,
        "heard": [_heard(step) for step in shown.heard],
        "awaits": _awaits(shown.awaits),
        "turn": shown.turn,
        "problem": shown.problem,
        "detail": shown.detail,
    }


def _heard(step: Said | Played) -> dict[str, str]:
    if isinstance(step, Played):
        return {"played": step.url}
    return {"said": step.text, "language": step.language, "voice": step.voice}


def _awaits(awaits: AwaitedKeys | AwaitedMessage | None) -> dict[str, object] | None:
    match awaits:
        case AwaitedKeys():
            return {"kind": "keys", "most": awaits.most, "seconds": awaits.seconds, "finish": awaits.finish}
        case AwaitedMessage():
            return {"kind": "message", "seconds": awaits.seconds, "finish": awaits.finish, "beep": awaits.beep}
        case None:
            return None
