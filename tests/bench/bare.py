"""Bare: a Flask route that reads the same form and answers a fixed screen; no session, no database, no secrets."""

from __future__ import annotations

from flask import Flask, Response, request

app = Flask("bare")


@app.post("/ussd/africastalking/<token>")
def turn(token: str) -> Response:
    final = request.form["text"].count("*") == 4
    return Response(f"{'END' if final else 'CON'} {request.form['sessionId'][:8]} 9,4972496",
                    content_type="text/plain; charset=utf-8")
