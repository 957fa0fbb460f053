"""The book of accepted texts: what each became, in whose inbox it lies, and how many there are of each kind."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field, replace
from datetime import datetime
from operator import attrgetter
from threading import Lock
from typing import Literal

Step = Literal["accepted", "sent", "delivered", "failed"]
# Why a text failed: nobody has that number, nobody heard it just now, or for a reason of which nobody has heard.
Failure = Literal["", "nobody", "absent", "unheard_of"]
FINAL = ("delivered", "failed")


@dataclass(slots=True)
class Text:
    """One accepted text. `service` is the messaging service it was sent through, where there was one.

    Only the book changes it. `receipts_sent` counts the receipts that the gateway answered with success.
    """

    provider: str
    provider_id: str
    msisdn: str = field(repr=False)
    sender: str
    body: str = field(repr=False)
    parts: int
    accepted_at: datetime
    service: str = ""
    reply: bool = False
    status: Step = "accepted"
    failure: Failure = ""
    delivered_at: datetime | None = None
    receipts_sent: int = 0


@dataclass
class Count:
    """What one provider did so far.

    `requests` are those to send that were let in, many telephones in one or not, refused or not. `duplicates` are the
    texts that were accepted after another one of the same body for the same telephone, by whichever provider; what
    answers a person's text is none, since it was asked for as often.
    `receipts_unanswered` are those that the gateway was called for and has not taken yet, or never will.
    """

    requests: int = 0
    accepted: int = 0
    delivered: int = 0
    failed: int = 0
    parts: int = 0
    duplicates: int = 0
    receipts_sent: int = 0
    receipts_unanswered: int = 0


class Book:
    """Texts by their provider's name for them and by telephone. Every entry costs the same, however many."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._texts: dict[str, Text] = {}
        self._to: defaultdict[str, list[Text]] = defaultdict(list)
        self._last: dict[str, Text] = {}
        self._told: set[tuple[str, str]] = set()
        self._counts: defaultdict[str, Count] = defaultdict(Count)

    def request(self, provider: str) -> None:
        """A request to send was let in."""
        with self._lock:
            self._counts[provider].requests += 1

    def add(self, text: Text) -> None:
        told = text.msisdn, text.body
        with self._lock:
            self._texts[text.provider_id] = text
            self._to[text.msisdn].append(text)
            count = self._counts[text.provider]
            count.accepted += 1
            count.parts += text.parts
            if not text.reply:
                count.duplicates += told in self._told
                self._told.add(told)

    def move(self, text: Text, step: Step, at: datetime, failure: Failure = "") -> None:
        """Take a text one step on. A final step stays; what is delivered lies in its inbox from then on."""
        with self._lock:
            if text.status in FINAL:
                return
            text.status = step
            if step == "delivered":
                text.delivered_at = at
                self._last[text.msisdn] = text
                self._counts[text.provider].delivered += 1
            elif step == "failed":
                text.failure = failure
                self._counts[text.provider].failed += 1

    def receipt_begun(self, text: Text) -> None:
        with self._lock:
            self._counts[text.provider].receipts_unanswered += 1

    def receipt_sent(self, text: Text) -> None:
        """A receipt that was begun was taken."""
        with self._lock:
            text.receipts_sent += 1
            count = self._counts[text.provider]
            count.receipts_sent += 1
            count.receipts_unanswered -= 1

    def find(self, provider_id: str) -> Text | None:
        return self._texts.get(provider_id)

    def texts(self) -> list[Text]:
        """Everything accepted, oldest first."""
        with self._lock:
            return list(self._texts.values())

    def texts_to(self, msisdn: str) -> list[Text]:
        """Everything accepted for one telephone, oldest first."""
        with self._lock:
            return list(self._to.get(msisdn, ()))

    def inbox(self, msisdn: str) -> list[Text]:
        """What one telephone has received, newest first."""
        received = [text for text in self.texts_to(msisdn) if text.delivered_at]
        return sorted(received, key=attrgetter("delivered_at"))[::-1]

    def telephones(self) -> dict[str, Text]:
        """Every telephone that has received a text, with its last one."""
        with self._lock:
            return dict(self._last)

    def counts(self) -> tuple[dict[str, Count], int]:
        """What each provider did, and how many different telephones received something."""
        with self._lock:
            return {name: replace(count) for name, count in self._counts.items()}, len(self._last)
