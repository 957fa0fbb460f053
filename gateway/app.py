"""App: the web application, made of a runtime."""

from __future__ import annotations

import logging

from flask import Flask, Response

from channels.base import BadCallback
from gateway import logs
from gateway.runtime import Runtime
from gateway.settings import Settings
from gateway.web import api, health, receipts, recordings, sms, ussd, voice
from gateway.web.doors import LARGEST_FORM, MOST_FIELDS

log = logging.getLogger(__name__)


def create_app(runtime: Runtime) -> Flask:
    """Every route of the gateway. A callback that is not the provider's is refused and changes nothing."""
    app = Flask("mouachir", static_folder=None)
    app.config.update(MAX_CONTENT_LENGTH=LARGEST_FORM, MAX_FORM_MEMORY_SIZE=LARGEST_FORM, MAX_FORM_PARTS=MOST_FIELDS)
    for room in (ussd, sms, voice, receipts, recordings, health, api):
        app.register_blueprint(room.routes(runtime))

    @app.errorhandler(BadCallback)
    def refused(error: BadCallback) -> Response:
        log.warning("callback refused: %s", error)
        runtime.count("callbacks_refused")
        return Response(f"refused: {error}\n", status=403, content_type="text/plain; charset=utf-8")

    return app


def serve() -> Flask:
    """What the web server imports (`granian --interface wsgi --factory gateway.app:serve`)."""
    logs.set_up()
    return create_app(Runtime.open(Settings.load()))
