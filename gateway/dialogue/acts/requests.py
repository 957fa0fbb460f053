"""Requests: what a household asks of us, and follows by its number: reviews, complaints, updates."""

from __future__ import annotations

from datetime import date
from uuid import UUID

import sqlalchemy as sa

from gateway.dialogue.acts import files
from gateway.dialogue.acts.call import Call
from gateway.dialogue.engine import Effect, Outcome
from gateway.registry import complaint, complaint_handling, explain, number_change, review, update, voice_message
from gateway.registry.clock import day_of
from gateway.registry.complaint import Complaint, TooManyComplaints
from gateway.registry.complaint_category import CATEGORIES
from gateway.registry.household import Household
from gateway.registry.numbers import kind_of, read_number
from gateway.registry.review import Window
from gateway.registry.steps import NotAllowed
from gateway.registry.things import items_of

# So many things are offered as the wrong one, beside "I do not know".
OFFERED = 4

# What a state of a request is called on the telephone: whoever overheard a number learns no more than this.
COARSE = {
    "complaint": complaint.COARSE,
    "review": {
        "asked": "received",
        "acknowledged": "received",
        "assigned": "in_progress",
        "needs_information": "in_progress",
        "decided": "answered",
        "notified": "answered",
        "withdrawn": "withdrawn",
    },
    "update": {
        "received": "received",
        "in_person": "received",
        "waiting": "in_progress",
        "forwarded": "in_progress",
        "applied": "answered",
        "refused": "answered",
        "withdrawn": "withdrawn",
    },
}


def review_state(call: Call, effect: Effect) -> Outcome:
    """What may still be done about the index; where a review may be asked, what weighs most in it."""
    seen = review.window(call.session, UUID(effect.proof), call.now)
    mine = seen.review and seen.review.asked_by == call.conversation
    if seen.score_id and seen.last_day and (seen.state == "open" or mine):
        told = explain.explained(call.session, seen.score_id)
        facts = call.session.get_one(Household, UUID(effect.proof)).facts
        things = [line.thing for line in told.lines if items_of(line.thing, facts)]
        return Outcome("open", {"deadline": seen.last_day, "things": things[:OFFERED]})
    return _window(call, seen)


def ask_review(call: Call, effect: Effect) -> Outcome:
    """Of the whole index, or of the thing that was named."""
    household_id, thing = UUID(effect.proof), effect.given.get("thing")
    home = call.session.get_one(Household, household_id)
    contested = items_of(str(thing), home.facts) if thing else ()
    asked = review.ask(call.session, call.vault, household_id, channel=call.channel, asked_by=call.conversation,
                       answer_within=call.answer_within, now=call.now, contested=contested)
    if isinstance(asked, Window):
        return _window(call, asked)
    call.teller.tell(call.session, [asked], call.now)
    return Outcome("ok", {"number": asked.number, "by": asked.answer_by})


def withdraw_review(call: Call, effect: Effect) -> Outcome:
    """Done already in this session, it is done."""
    household_id = UUID(effect.proof)
    seen = review.window(call.session, household_id, call.now)
    try:
        if seen.review:
            review.withdraw(call.session, call.vault, seen.review.id, now=call.now)
    except NotAllowed:
        return Outcome("no")
    after = review.window(call.session, household_id, call.now)
    return Outcome("ok", {"last_day": after.last_day if after.state == "open" else None})


def file_complaint(call: Call, effect: Effect) -> Outcome:
    """In the household's name where the telephone has one; of staff, in nobody's."""
    category, home = str(effect.given["category"]), effect.given.get("home")
    homes = call.homes(home)
    if category == "phone_problem" and call.certain:
        # A telephone that has filed its complaints of the day is protected all the same.
        number_change.refuse_from(call.session, call.vault, [one.id for one in homes], call.msisdn, now=call.now)
    if len(homes) > 1 and not CATEGORIES[category].sensitive:
        return Outcome("which", {"homes": call.tails(homes)})
    words = str(effect.given.get("words", ""))
    # What was spoken waits at the provider under this name, and is fetched when it is clear whose it is.
    spoken = UUID(words) if words and call.channel == "voice" else None
    try:
        filed = complaint.file(
            call.session, call.vault, household_id=homes[0].id if len(homes) == 1 else None, category=category,
            channel=call.channel, msisdn_blind=call.vault.blind(call.msisdn, "complaint.msisdn"),
            asked_by=f"{call.conversation}/{category}", now=call.now, text=None if spoken else words or None)
    except TooManyComplaints:
        return Outcome("too_many")
    if spoken:
        voice_message.attach(call.session, call.vault, spoken, filed.complaint_id, conversation=call.conversation,
                             now=call.now)
    if call.channel != "sms":  # There the answer itself is the text that is kept.
        call.teller.tell(call.session, [filed], call.now)
        if filed.household_id is None and not CATEGORIES[category].sensitive:
            call.text("complaint_received", effect.locale, str(filed.complaint_id), number=filed.number,
                      owner=filed.owner)
    return Outcome("ok", {"number": filed.number})


def status(call: Call, effect: Effect) -> Outcome:
    """Of a review, a complaint, an update, a registration or a message, by its number."""
    number = read_number(effect.typed)
    if number is None:
        return Outcome("check")
    kind = kind_of(number)
    if kind in ("message", "letter"):
        return files.message(call, effect)
    if kind == "registration":
        told = files.by_number(call, effect)
        return Outcome("file", told.facts) if told.name == "found" else told
    if not call.may_look_up(number):
        return Outcome("unknown")
    if kind == "review" and (asked := review.state_of(call.session, number, call.now)):
        return _found("review", asked.state, asked.on, asked.answer_by)
    if kind == "update" and (changed := update.state_of(call.session, number)):
        return _found("update", changed.state, changed.since, None)
    return _complaint(call, number) if kind == "complaint" else Outcome("unknown")


def open_again(call: Call, effect: Effect) -> Outcome:
    """The household is not content with the answer. Done already in this session, it is done."""
    found = complaint.find(call.session, str(effect.given["number"]))
    try:
        if found.state != "reopened":
            complaint_handling.reopen(call.session, call.vault, found.id, now=call.now)
    except NotAllowed:
        return Outcome("no")
    return Outcome("ok", {"by": day_of(complaint.find(call.session, found.number).first_action_by)})


def rate(call: Call, effect: Effect) -> Outcome:
    """Said once; again, it is thanked for again."""
    found = complaint.find(call.session, str(effect.given["number"]))
    if found.satisfaction is None:
        complaint_handling.rate(call.session, call.vault, found.id, int(str(effect.given["rating"])), now=call.now)
    return Outcome("ok")


def report_update(call: Call, effect: Effect) -> Outcome:
    """Something has changed: a number to come to the centre with."""
    reported = update.file(call.session, call.vault, UUID(effect.proof), str(effect.given["change"]),
                           channel=call.channel, asked_by=call.conversation, by="household", now=call.now)
    call.teller.tell(call.session, [reported], call.now)
    return Outcome("ok", {"number": reported.number})


def _window(call: Call, seen: Window) -> Outcome:
    if seen.state == "already" and seen.review:
        stands = review.state_of(call.session, seen.review.number, call.now)
        return Outcome("already", {"number": seen.review.number, "state": COARSE["review"][seen.review.state],
                                   "by": stands.answer_by if stands else None})
    return Outcome("late", {"deadline": seen.last_day}) if seen.state == "late" else Outcome("none")


def _complaint(call: Call, number: str) -> Outcome:
    followed = complaint.state_of(call.session, number, call.now)
    if followed is None:
        return Outcome("unknown")
    # Only the day of an answer is told as one; when somebody takes it up is no answer yet.
    by = followed.by if followed.next_step in ("answered", "answered_by_register", "read_or_reopen") else None
    facts = {"kind": "complaint", "state": followed.state, "date": followed.since, "by": by, "number": number}
    if followed.may_reopen:
        return Outcome("open_again", facts)
    row = call.session.scalars(sa.select(Complaint).where(Complaint.number == number)).one()
    if row.state == "closed" and row.satisfaction is None:
        return Outcome("rate", facts)
    return Outcome("found", facts)


def _found(kind: str, state: str, since: date, by: date | None) -> Outcome:
    return Outcome("found", {"kind": kind, "state": COARSE[kind][state], "by": by, "date": since})
