"""The pages that a person opens: the list of handsets, and one handset."""

from __future__ import annotations

from flask import Blueprint, Response, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as Answer

from channels.sandbox.control import known, telephone
from channels.sandbox.operator import Operator

# Nothing from elsewhere, and no script in the page itself: texts come from outside.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:;"
    " media-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)


def routes(operator: Operator) -> Blueprint:
    """The pages at the root."""
    pages = Blueprint("pages", __name__, template_folder="templates", static_folder="static")

    @pages.get("/")
    def handsets() -> str:
        return render_template("handsets.html", handsets=known(operator))

    @pages.post("/open")
    def open_handset() -> Answer:
        return redirect(url_for(".handset", msisdn=telephone(request.form.get("number", ""))), 303)

    @pages.get("/handset/<msisdn>")
    def handset(msisdn: str) -> str:
        config = operator.config
        numbers = {"service_code": config.service_code, "voice_number": config.voice_number}
        return render_template("handset.html", msisdn=telephone(msisdn), **numbers)

    @pages.after_request
    def guard(answer: Response) -> Response:
        answer.headers["Content-Security-Policy"] = POLICY
        answer.headers["Referrer-Policy"] = "no-referrer"
        answer.headers["Cache-Control"] = "no-store"
        return answer

    return pages
