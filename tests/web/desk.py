"""The desk: what a test of the web side does: call from a handset, report as a provider, look at the tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from flask.testing import FlaskClient
from twilio.request_validator import RequestValidator

from gateway.app import create_app
from gateway.db import Base
from gateway.dialogue.access import IssuedPin, keep_pins
from gateway.registry import score
from gateway.registry.household import Household
from gateway.runtime import Runtime
from tests.conftest import SETTINGS

TOKEN = SETTINGS["CALLBACK_TOKENS"]
CODE = SETTINGS["SERVICE_CODE"]
PHONE = "+212612345678"
PIN = "407193"
USSD = f"/ussd/africastalking/{TOKEN}"


def client(runtime: Runtime) -> FlaskClient:
    """The web application as the web server holds it: an error inside is answered and not raised."""
    return create_app(runtime).test_client()


class Handset:
    """A telephone on a network that speaks to us as Africa's Talking does: all that was typed, joined with `*`."""

    calls = 0

    def __init__(self, web: FlaskClient, phone: str = PHONE) -> None:
        self.web, self.phone = web, phone
        self.session_id, self.typed = "", []

    def dial(self, *typed: str) -> str:
        """A new session; `typed` is dialled behind the code."""
        Handset.calls += 1
        self.session_id, self.typed = f"ATUid_{Handset.calls:032x}", list(typed)
        return self.again()

    def type(self, *typed: str) -> str:
        """Answer so many screens; the last one is returned."""
        for one in typed:
            self.typed.append(one)
            shown = self.again()
        return shown

    def again(self) -> str:
        """The same callback once more."""
        return self.send(text="*".join(self.typed))

    def hang_up(self, status: str = "Incomplete", **fields: str) -> None:
        """The network tells that the session is over."""
        form = {"sessionId": self.session_id, "phoneNumber": self.phone, "networkCode": "60401", "status": status,
                **fields}
        assert self.web.post(f"{USSD}/ended", data=form).status_code == 200

    def send(self, **fields: str) -> str:
        """The callback with other fields. Whatever comes of it, a telephone can show it."""
        form = {"sessionId": self.session_id, "phoneNumber": self.phone, "networkCode": "60401",
                "serviceCode": CODE, "text": "", **fields}
        answer = self.web.post(USSD, data=form)
        assert answer.status_code == 200, answer.text
        assert answer.text.startswith(("CON ", "END "))
        return answer.text


def homes(runtime: Runtime) -> list[Household]:
    """Every household, in the order of their numbers."""
    return sorted(rows(runtime, Household),
                  key=lambda home: runtime.vault.open(home.number_sealed, "household.number", home.id))


def give_pin(runtime: Runtime, pin: str = PIN, home: Household | None = None) -> None:
    """The household has had its letter."""
    home = home or homes(runtime)[0]
    with runtime.database.write() as session:
        keep_pins(session, runtime.vault, [IssuedPin(home.id, pin, runtime.vault.hash_pin(pin, home.id))],
                  runtime.clock())


def told(runtime: Runtime, on: date, home: Household | None = None) -> None:
    """The household was told its latest index on this day."""
    home = home or homes(runtime)[0]
    with runtime.database.write() as session:
        score.record_notification(
            session, household_id=home.id, score_id=score.latest(session, home.id).id, medium="sms",
            notified_on=on, proof="receipt", message_id=UUID(int=1), now=runtime.clock())


def rows(runtime: Runtime, model: type[Base]) -> list[Any]:
    with runtime.database.read() as session:
        return list(session.scalars(sa.select(model).order_by(*model.__table__.primary_key)))


def contents(runtime: Runtime) -> dict[str, list[Sequence[Any]]]:
    """Everything that is stored, to see that nothing has changed."""
    with runtime.database.read() as session:
        return {table.name: sorted(map(tuple, session.execute(sa.select(table))), key=repr)
                for table in Base.metadata.sorted_tables}


def signed(path: str, form: Mapping[str, str], auth_token: str = SETTINGS["TWILIO_AUTH_TOKEN"]) -> dict[str, str]:
    """The header by which Twilio proves itself."""
    url = SETTINGS["PUBLIC_URL"] + path
    return {"X-Twilio-Signature": RequestValidator(auth_token).compute_signature(url, dict(form))}
