"""Recordings over HTTP: what a provider plays to a caller. They hold what anybody hears who calls, and no person."""

from __future__ import annotations

from http import HTTPStatus

from flask import Blueprint, Response, abort, request, send_from_directory

from gateway.runtime import Runtime

TYPES = {".mp3": "audio/mpeg", ".wav": "audio/wav"}
YEAR_S = 365 * 24 * 60 * 60


def routes(runtime: Runtime) -> Blueprint:
    """`/voice/recordings/<slot>/<file>`: the whole of it or a range, and kept by whoever asked for this very sound."""
    blueprint = Blueprint("recordings", __name__)

    @blueprint.get("/voice/recordings/<slot>/<file>")
    def recording(slot: str, file: str) -> Response:
        found = runtime.recordings.file(slot, file)
        if found is None:
            abort(HTTPStatus.NOT_FOUND)
        path, sound = found
        answer = send_from_directory(path.parent.resolve(), path.name, mimetype=TYPES[path.suffix])
        if request.args.get("v") == sound.sha256[:8]:
            answer.cache_control.max_age = YEAR_S
            answer.cache_control.public = True
            answer.cache_control.no_cache = None
            answer.cache_control.immutable = True
        return answer

    return blueprint
