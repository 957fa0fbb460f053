"""Paper: what is printed works, what is posted is proved, and a crash at any moment loses no letter."""

import json
import re
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import date, timedelta
from itertools import islice

import pytest
import sqlalchemy as sa
from pypdf import PdfReader

from channels.letter.tray import SHEETS, NoSuchRun, Tray
from gateway import outbox, paper, presses
from gateway.db import Base
from gateway.dialogue.access import Credential
from gateway.outbox import Attempt, Message
from gateway.registry import review
from gateway.registry.audit import AuditEntry
from gateway.registry.household import Household
from gateway.registry.numbers import spaced
from gateway.registry.score import Notification
from gateway.registry.steps import NotAllowed
from jobs.sweep import sweep
from tests.conftest import a_row, register
from tests.web.desk import rows

ANOTHER_INDEX = {"spending": {"butane": "50.00", "water_electricity": "999.50", "phone_internet": "80.00"}}
PIN = r"(?<![0-9])[0-9]{6}(?![0-9])"


class Crash(Exception):
    """The machine stops here."""


class CrashingTray(Tray):
    """Stops before or after one of its steps."""

    def __init__(self, tray: Tray, step: str, *, after: bool = False) -> None:
        super().__init__(tray.root)
        self.step, self.after = step, after

    def lay(self, *arguments):
        return self._do("lay", super().lay, *arguments)

    def keep(self, run):
        return self._do("keep", super().keep, run)

    def post(self, *arguments):
        return self._do("post", super().post, *arguments)

    def _do(self, step, act, *arguments):
        if step == self.step and not self.after:
            raise Crash
        done = act(*arguments)
        if step == self.step:
            raise Crash
        return done


def told_by_letter(runtime, number: int = 1) -> None:
    register(runtime, *(a_row(f"29000000{place:02d}", None) for place in range(1, number + 1)))


def letters(runtime) -> list[Message]:
    with runtime.database.read() as session:
        return list(session.scalars(sa.select(Message).where(Message.medium == "letter").order_by(Message.id)))


def states(runtime) -> list[str]:
    return [letter.state for letter in letters(runtime)]


def sheets(runtime) -> list[str]:
    """What each letter in the tray says, front and back."""
    found = []
    for run in runtime.tray.runs():
        if (run.path / SHEETS).exists():
            pages = iter(PdfReader(run.path / SHEETS).pages)
            found += ["\n".join(page.extract_text() for page in islice(pages, entry.pages)) for entry in run.letters]
    return found


def print_and_crash(runtime, step: str, *, after: bool = False) -> None:
    broken = replace(runtime)
    broken.__dict__["tray"] = CrashingTray(runtime.tray, step, after=after)
    with pytest.raises(Crash):
        paper.print_due(broken)


def after_the_lease(runtime, clock) -> None:
    clock.forward(seconds=5 * runtime.settings.lease_s + 1)
    sweep(runtime)


# Printing


def test_a_letter_that_is_due_lies_in_the_tray(runtime):
    told_by_letter(runtime, 3)
    assert paper.print_due(runtime) == 3
    (run,) = runtime.tray.runs()
    assert sorted(entry.number for entry in run.letters) == sorted(one.reference for one in letters(runtime))
    assert states(runtime) == ["sent"] * 3
    assert paper.print_due(runtime) == 0


def test_the_pin_on_the_sheet_opens_the_household_and_stands_nowhere_else(runtime):
    told_by_letter(runtime)
    paper.print_due(runtime)
    (sheet,) = sheets(runtime)
    (pin,) = set(re.findall(PIN, sheet))
    with runtime.database.read() as session:
        household = session.scalars(sa.select(Household)).one()
        kept = session.scalars(sa.select(Credential)).one()
        assert runtime.vault.proves_pin([kept.pin_hash], pin, household.id) == [True]
        assert runtime.vault.proves_pin([kept.pin_hash], f"{(int(pin) + 1) % 10**6:06d}", household.id) == [False]
        for table in Base.metadata.sorted_tables:
            for row in session.execute(sa.select(table)):
                assert pin not in [str(value) for value in row], table.name
    (run,) = runtime.tray.runs()
    for file in run.path.iterdir():
        assert file.name == SHEETS or pin not in file.read_text(encoding="utf-8")



def test_the_last_day_of_a_review_stands_on_the_sheet_in_figures_and_written_out(runtime):
    told_by_letter(runtime)
    paper.print_due(runtime)
    (sheet,) = sheets(runtime)
    written = sheet.replace("\u00a0", " ")
    assert "22 janvier 2027 (22/01/2027)" in written
    assert "يناير" in written
    assert "review_until" not in written


def test_the_sheet_is_readable_by_the_service_alone(runtime):
    told_by_letter(runtime)
    paper.print_due(runtime)
    for path in [runtime.tray.root, *runtime.tray.root.rglob("*")]:
        assert path.stat().st_mode & 0o077 == 0, path.name


def test_two_letters_to_one_household_carry_the_same_pin(runtime):
    told_by_letter(runtime)
    with runtime.database.write() as session:
        assert runtime.teller.send_pin(session, session.scalars(sa.select(Household)).one(), runtime.clock())
    assert paper.print_due(runtime) == 2
    pins = {pin for sheet in sheets(runtime) for pin in re.findall(PIN, sheet)}
    assert len(sheets(runtime)) == 2
    assert len(pins) == 1


def test_a_household_that_has_a_pin_keeps_it_when_it_is_told_a_new_index(runtime, clock):
    told_by_letter(runtime)
    paper.print_due(runtime)
    with runtime.database.read() as session:
        before = session.scalars(sa.select(Credential.pin_hash)).one()
    clock.forward(days=1)
    register(runtime, a_row("2900000001", None, **ANOTHER_INDEX))
    assert paper.print_due(runtime) == 1
    assert re.findall(PIN, sheets(runtime)[1]) == []
    with runtime.database.read() as session:
        assert session.scalars(sa.select(Credential.pin_hash)).one() == before


def test_a_letter_that_cannot_be_printed_fails_alone_and_leaves_the_pin_as_it_was(runtime, caplog):
    told_by_letter(runtime, 3)
    with runtime.database.write() as session:
        spoilt = session.scalars(sa.select(Message).order_by(Message.id).limit(1)).one()
        spoilt.to_sealed = runtime.vault.seal("[]", "message.to", spoilt.id)
    assert paper.print_due(runtime) == 3
    assert sorted(states(runtime)) == ["failed", "sent", "sent"]
    (run,) = runtime.tray.runs()
    assert len(run.letters) == 2
    with runtime.database.read() as session:
        with_pin = set(session.scalars(sa.select(Credential.id)))
    assert with_pin == {letter.household_id for letter in letters(runtime) if letter.state == "sent"}
    assert "cannot be printed" in caplog.text


def test_two_letters_that_bear_the_same_number_are_printed_in_two_runs(runtime):
    told_by_letter(runtime, 3)
    first, second, _ = letters(runtime)
    with runtime.database.write() as session:
        session.execute(sa.update(Message).where(Message.id.in_([first.id, second.id])).values(reference="123456789"))
    assert paper.print_due(runtime) == 2
    assert paper.print_due(runtime) == 1
    assert [letter.state for letter in letters(runtime)] == ["sent"] * 3


def test_where_nothing_can_be_printed_no_run_is_left(runtime):
    told_by_letter(runtime)
    with runtime.database.write() as session:
        spoilt = session.scalars(sa.select(Message)).one()
        spoilt.to_sealed = runtime.vault.seal("[]", "message.to", spoilt.id)
    paper.print_due(runtime)
    assert (states(runtime), runtime.tray.runs(), runtime.tray.unfinished()) == (["failed"], [], [])


def test_two_workers_print_each_letter_once(runtime, monkeypatch):
    monkeypatch.setattr(paper, "A_RUN", 3)
    told_by_letter(runtime, 6)
    with ThreadPoolExecutor(2) as both:
        assert sum(both.map(paper.print_due, [runtime, runtime])) == 6
    numbers = [entry.number for run in runtime.tray.runs() for entry in run.letters]
    assert sorted(numbers) == sorted(letter.reference for letter in letters(runtime))
    assert states(runtime) == ["sent"] * 6


def at(number: int, postal_code: str | None, locality: str, **more: object):
    """A household without a telephone, at this place."""
    return a_row(f"29000000{number:02d}", None, address={
        "lines": ["رقم 4، الزنقة 12"], "postal_code": postal_code, "locality": locality}, **more)


def test_a_run_lies_in_the_order_of_the_tariff_on_paper_and_in_its_manifest(runtime):
    register(runtime, at(1, None, "مولاي يعقوب"), at(2, "20250", "أنفا"), at(3, "10020", "سلا"),
             at(4, "10020", "الرباط"), at(5, None, "أنفا", commune="06.141.01.0"))
    paper.print_due(runtime)
    (run,) = runtime.tray.runs()
    assert [entry.address.rpartition(", ")[2] for entry in run.letters] == [
        "10020 الرباط", "10020 سلا", "20250 أنفا", "أنفا", "مولاي يعقوب"]
    for entry, sheet in zip(run.letters, sheets(runtime), strict=True):
        assert spaced(entry.number) in sheet


def test_the_most_urgent_go_into_a_run_wherever_they_live_and_only_then_are_they_sorted(runtime, monkeypatch):
    monkeypatch.setattr(paper, "A_RUN", 2)
    register(runtime, at(1, "30000", "فاس"), at(2, "20000", "أنفا"), at(3, "10000", "الرباط"))
    lines = {one.id: json.loads(runtime.vault.open(one.to_sealed, "message.to", one.id)) for one in letters(runtime)}
    by_code = {lines[one.id][-1][:5]: one for one in letters(runtime)}
    with runtime.database.write() as session:
        session.execute(sa.update(Message).where(Message.id == by_code["10000"].id).values(
            tell_by=by_code["10000"].tell_by + timedelta(days=1)))
    paper.print_all(runtime)
    assert [[entry.number for entry in run.letters] for run in sorted(
        runtime.tray.runs(), key=lambda run: -len(run.letters))] == [
        [by_code["20000"].reference, by_code["30000"].reference], [by_code["10000"].reference]]


def test_the_runs_of_a_day_follow_one_another_by_commune(runtime, monkeypatch):
    monkeypatch.setattr(paper, "A_RUN", 2)
    communes = ("06.371.01.03", "06.141.01.81", "06.371.01.01", "06.141.01.0")
    register(runtime, *(at(place, None, commune, commune=commune) for place, commune in enumerate(communes, 1)))
    paper.print_all(runtime)
    runs = [[entry.address.rpartition(", ")[2] for entry in run.letters] for run in runtime.tray.runs()]
    assert sorted(runs) == [sorted(communes)[:2], sorted(communes)[2:]]


def test_printing_tells_how_far_it_is(runtime, monkeypatch):
    monkeypatch.setattr(paper, "A_RUN", 2)
    told_by_letter(runtime, 5)
    with runtime.database.read() as session:
        assert outbox.letters_due(session, runtime.clock()) == 5
    heard: list[int] = []
    assert paper.print_all(runtime, heard.append) == sum(heard) == 5
    assert heard == [2, 2, 1]


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_presses_side_by_side_print_each_letter_once(runtime):
    told_by_letter(runtime, 5)
    heard: list[int] = []
    assert presses.print_all(runtime, 2, heard.append) == sum(heard) == 5
    assert (states(runtime), len(sheets(runtime))) == (["sent"] * 5, 5)


def test_a_press_is_worth_its_start_for_more_than_a_run(monkeypatch):
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(8)))
    assert [presses.needed(due) for due in (0, 1, paper.A_RUN, paper.A_RUN + 1, 10**6)] == [0, 1, 1, 2, 8]


def test_letters_to_one_household_are_never_in_two_runs_at_once(runtime, monkeypatch):
    """They would bear two PINs."""
    told_by_letter(runtime)
    with runtime.database.write() as session:
        assert runtime.teller.send_pin(session, session.scalars(sa.select(Household)).one(), runtime.clock())
    monkeypatch.setattr(paper, "A_RUN", 1)
    pins, beside = paper._pins, []

    def meanwhile(*arguments):
        if not beside:
            beside.append(None)
            beside[0] = paper.print_due(runtime)
        return pins(*arguments)

    monkeypatch.setattr(paper, "_pins", meanwhile)
    assert paper.print_due(runtime) == 1
    assert beside == [0]
    assert paper.print_all(runtime) == 1


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_press_that_stops_is_told_and_loses_no_letter(runtime, tmp_path):
    told_by_letter(runtime, 2)
    broken = replace(runtime, settings=replace(runtime.settings, database_url=f"sqlite:///{tmp_path}/none/none.db"))
    with pytest.raises(presses.Stopped, match="presses stopped"):
        presses.print_all(broken, 2, lambda _: None)
    assert states(runtime) == ["created"] * 2


# Crashes


def test_a_worker_killed_before_it_laid_anything_loses_no_letter(runtime, clock):
    told_by_letter(runtime, 2)
    print_and_crash(runtime, "lay")
    assert states(runtime) == ["sending"] * 2
    after_the_lease(runtime, clock)
    assert states(runtime) == ["created"] * 2
    assert paper.print_due(runtime) == 2


def test_who_prints_again_where_no_worker_runs_takes_up_what_was_broken_off(runtime, clock):
    told_by_letter(runtime, 2)
    print_and_crash(runtime, "lay", after=True)
    paper.take_up(runtime)
    assert states(runtime) == ["sending"] * 2
    clock.forward(seconds=5 * runtime.settings.lease_s + 1)
    paper.take_up(runtime)
    assert (states(runtime), runtime.tray.unfinished()) == (["created"] * 2, [])


def test_a_worker_killed_between_laying_and_commit_leaves_nothing_that_could_be_posted(runtime, clock):
    told_by_letter(runtime, 2)
    print_and_crash(runtime, "lay", after=True)
    assert runtime.tray.runs() == []
    sweep(runtime)
    assert len(runtime.tray.unfinished()) == 1, "it may still be printing"
    after_the_lease(runtime, clock)
    assert (runtime.tray.runs(), runtime.tray.unfinished(), states(runtime)) == ([], [], ["created"] * 2)
    with runtime.database.read() as session:
        assert session.scalar(sa.select(sa.func.count()).select_from(Credential)) == 0
    paper.print_due(runtime)
    assert len(sheets(runtime)) == 2


def test_a_worker_killed_between_commit_and_keeping_loses_no_sheet(runtime, clock):
    told_by_letter(runtime, 2)
    print_and_crash(runtime, "keep")
    assert (states(runtime), runtime.tray.runs()) == (["sent"] * 2, [])
    sweep(runtime)
    (run,) = runtime.tray.runs()
    assert len(run.letters) == 2
    assert runtime.tray.unfinished() == []


def test_a_worker_that_prints_for_longer_than_its_lease_throws_its_sheets_away(runtime, clock, caplog):
    told_by_letter(runtime, 2)

    class SlowTray(Tray):
        def lay(self, *arguments):
            clock.forward(seconds=5 * runtime.settings.lease_s + 1)
            with runtime.database.write() as session:
                outbox.expire(session, clock())
            assert paper.print_due(runtime) == 2
            return super().lay(*arguments)

    slow = replace(runtime)
    slow.__dict__["tray"] = SlowTray(runtime.tray.root)
    assert paper.print_due(slow) == 0
    assert (len(sheets(runtime)), runtime.tray.unfinished(), states(runtime)) == (2, [], ["sent"] * 2)
    assert "longer than its lease" in caplog.text
    pins = {pin for sheet in sheets(runtime) for pin in re.findall(PIN, sheet)}
    with runtime.database.read() as session:
        for kept in session.scalars(sa.select(Credential)):
            assert any(runtime.vault.proves_pin([kept.pin_hash], pin, kept.id) == [True] for pin in pins)


def test_to_recover_twice_or_where_nothing_broke_changes_nothing(runtime):
    told_by_letter(runtime)
    paper.print_due(runtime)
    for _ in range(2):
        paper.recover(runtime)
    assert (states(runtime), len(runtime.tray.runs())) == (["sent"], 1)


# Posting


def printed(runtime) -> str:
    paper.print_due(runtime)
    return runtime.tray.runs()[0].name


def test_the_posting_record_is_the_proof_and_the_sheets_are_gone(runtime):
    told_by_letter(runtime, 2)
    run = printed(runtime)
    assert paper.post(runtime, run) == 2
    with runtime.database.read() as session:
        proofs = list(session.scalars(sa.select(Notification)))
    assert {(proof.medium, proof.proof, proof.notified_on) for proof in proofs} == {
        ("letter", "posting", date(2026, 11, 23))}
    assert (states(runtime), sheets(runtime)) == (["delivered"] * 2, [])
    assert {entry.state for entry in runtime.tray.runs()[0].letters} == {"posted"}


def test_posting_twice_notifies_once_and_does_not_move_the_day(runtime, clock):
    told_by_letter(runtime)
    run = printed(runtime)
    assert paper.post(runtime, run) == 1
    clock.forward(days=5)
    assert paper.post(runtime, run) == 0
    with runtime.database.read() as session:
        assert session.scalars(sa.select(Notification.notified_on)).one() == date(2026, 11, 23)


def test_the_sixty_days_run_from_the_day_of_posting(runtime, clock):
    told_by_letter(runtime)
    run = printed(runtime)
    clock.forward(days=7)
    paper.post(runtime, run, date(2026, 11, 25))
    household = letters(runtime)[0].household_id
    for days, state in ((60, "open"), (61, "late")):
        clock.now = clock.now.replace(year=2026, month=11, day=25) + timedelta(days=days)
        with runtime.database.read() as session:
            seen = review.window(session, household, clock())
        assert (seen.state, seen.last_day) == (state, date(2027, 1, 24))


@pytest.mark.parametrize("day", [date(2026, 11, 22), date(2026, 11, 24)])
def test_nothing_is_posted_before_it_is_printed_or_tomorrow(runtime, day):
    told_by_letter(runtime)
    run = printed(runtime)
    with pytest.raises(ValueError, match="cannot have taken it"):
        paper.post(runtime, run, day)
    assert states(runtime) == ["sent"]


def test_what_does_not_lie_in_the_tray_is_not_posted(runtime):
    with pytest.raises(NoSuchRun):
        paper.post(runtime, "20261123T110000000000-abcdef")


def test_a_run_of_which_the_record_was_committed_and_the_sheets_were_left_is_finished_by_posting_again(runtime):
    told_by_letter(runtime)
    run = printed(runtime)
    broken = replace(runtime)
    broken.__dict__["tray"] = CrashingTray(runtime.tray, "post")
    with pytest.raises(Crash):
        paper.post(broken, run)
    assert (len(sheets(runtime)), states(runtime)) == (1, ["delivered"])
    assert paper.post(runtime, run) == 0
    assert sheets(runtime) == []


def test_of_more_letters_than_a_run_takes_those_go_first_that_have_the_nearest_day(runtime, clock):
    register(runtime, a_row(phone=None), a_row("2900000002", None))
    older, younger = sorted(rows(runtime, Message), key=lambda letter: letter.id)
    with runtime.database.write() as session:
        session.execute(sa.update(Message).where(Message.id == younger.id).values(
            tell_by=older.tell_by - timedelta(days=1)))
        (paper_,) = outbox.claim_letters(session, runtime.vault, "run", clock(), timedelta(minutes=1), 1)
    assert paper_.id == younger.id


# A sheet that the print house has spoilt


def pin_of(runtime, letter: Message) -> str | None:
    """The PIN on the newest sheet of this letter."""
    for run in reversed(runtime.tray.runs()):
        if letter.reference in {entry.number for entry in run.letters if entry.state != "spoilt"}:
            file, page = run.page_of(letter.reference)
            found = re.search(PIN, PdfReader(file).pages[page].extract_text())
            return found and found[0]
    raise LookupError


def opens(runtime, household_id, pin: str) -> bool:
    with runtime.database.read() as session:
        kept = session.get(Credential, household_id)
        return kept is not None and any(runtime.vault.proves_pin(
            [one for one in (kept.pin_hash, kept.next_hash) if one], pin, household_id))


def spoil(runtime, letter: Message, **more: str) -> list[str]:
    return paper.reprint(runtime, letter.reference, by="Salma", why="torn in the folding machine", **more)


def test_a_spoilt_letter_is_printed_again_in_a_run_of_its_own_and_once(runtime, clock):
    told_by_letter(runtime, 3)
    old = printed(runtime)
    spoilt, *_ = letters(runtime)
    clock.forward(seconds=60)
    assert spoil(runtime, spoilt) == [spoilt.reference]
    first, again = runtime.tray.runs()
    assert (first.name, [entry.number for entry in again.letters]) == (old, [spoilt.reference])
    assert [entry.state for entry in first.letters if entry.number == spoilt.reference] == ["spoilt"]
    assert (states(runtime), paper.print_due(runtime)) == (["sent"] * 3, 0)
    assert [one.outcome for one in rows(runtime, Attempt) if one.message_id == spoilt.id] == ["spoilt", None]


def test_who_had_a_letter_printed_again_and_why_is_written_down(runtime):
    told_by_letter(runtime)
    printed(runtime)
    (letter,) = letters(runtime)
    with pytest.raises(NotAllowed):
        paper.reprint(runtime, letter.reference, by="Salma", why="the sheet of 0612345678")
    assert (states(runtime), len(runtime.tray.runs())) == (["sent"], 1), "nothing is done that is not written down"
    spoil(runtime, letter)
    (entry,) = [one for one in rows(runtime, AuditEntry) if one.act == "letter.reprinted"]
    assert (entry.by, entry.why, entry.subject) == ("Salma", "torn in the folding machine", str(letter.id))


def test_the_pin_of_a_spoilt_sheet_opens_nothing_and_the_new_one_does(runtime, clock):
    told_by_letter(runtime)
    printed(runtime)
    (letter,) = letters(runtime)
    before = pin_of(runtime, letter)
    clock.forward(seconds=60)
    spoil(runtime, letter)
    after = pin_of(runtime, letter)
    assert (opens(runtime, letter.household_id, before), opens(runtime, letter.household_id, after)) == (False, True)


def test_a_new_pin_that_is_spoilt_leaves_the_one_that_the_household_has(runtime, clock):
    told_by_letter(runtime)
    printed(runtime)
    (letter,) = letters(runtime)
    in_hand = pin_of(runtime, letter)
    clock.forward(days=1)
    paper.post(runtime, runtime.tray.runs()[0].name)
    with runtime.database.write() as session:
        assert runtime.teller.send_pin(session, session.scalars(sa.select(Household)).one(), clock())
    paper.print_due(runtime)
    _, asked = letters(runtime)
    on_its_way = pin_of(runtime, asked)
    clock.forward(seconds=60)
    spoil(runtime, asked)
    pins = (in_hand, on_its_way, pin_of(runtime, asked))
    assert [opens(runtime, letter.household_id, pin) for pin in pins] == [True, False, True]


def test_a_spoilt_letter_without_a_pin_leaves_the_pin_as_it_is(runtime, clock):
    told_by_letter(runtime)
    printed(runtime)
    pin = pin_of(runtime, letters(runtime)[0])
    clock.forward(days=1)
    register(runtime, a_row("2900000001", None, **ANOTHER_INDEX))
    paper.print_due(runtime)
    second = max(letters(runtime), key=lambda letter: letter.id)
    assert pin_of(runtime, second) is None
    spoil(runtime, second)
    assert pin_of(runtime, second) is None
    assert opens(runtime, second.household_id, pin)


def test_while_a_newer_pin_is_in_the_post_a_spoilt_sheet_opens_nothing_either(runtime, clock):
    told_by_letter(runtime)
    printed(runtime)
    (letter,) = letters(runtime)
    spoilt = pin_of(runtime, letter)
    clock.forward(days=1)
    with runtime.database.write() as session:
        assert runtime.teller.send_pin(session, session.scalars(sa.select(Household)).one(), clock())
    paper.print_due(runtime)
    newer = pin_of(runtime, letters(runtime)[1])
    spoil(runtime, letter)
    assert (opens(runtime, letter.household_id, spoilt), opens(runtime, letter.household_id, newer)) == (False, True)


def test_another_letter_with_the_same_pin_is_printed_again_as_well(runtime, clock):
    told_by_letter(runtime, 2)
    with runtime.database.write() as session:
        assert runtime.teller.send_pin(session, session.get(Household, letters(runtime)[0].household_id), clock())
    printed(runtime)
    both = [one for one in letters(runtime) if one.household_id == letters(runtime)[0].household_id]
    clock.forward(seconds=60)
    assert sorted(spoil(runtime, both[0])) == sorted(one.reference for one in both)
    assert len(runtime.tray.runs()[1].letters) == 2
    assert len({pin_of(runtime, one) for one in both}) == 1


def test_the_days_of_a_letter_that_was_printed_again_begin_with_its_own_posting(runtime, clock):
    told_by_letter(runtime, 2)
    old = printed(runtime)
    letter, _ = letters(runtime)
    clock.forward(days=1)
    spoil(runtime, letter)
    assert paper.post(runtime, old) == 1, "the spoilt one is not among them"
    assert (runtime.tray.runs()[0].state, states(runtime)) == ("posted", ["sent", "delivered"])
    with pytest.raises(ValueError, match="cannot have taken it"):
        paper.post(runtime, runtime.tray.runs()[1].name, date(2026, 11, 23))
    clock.forward(days=1)
    assert paper.post(runtime, runtime.tray.runs()[1].name) == 1
    days = sorted(proof.notified_on for proof in rows(runtime, Notification))
    assert days == [date(2026, 11, 24), date(2026, 11, 25)]


def test_what_was_posted_is_not_printed_again_nor_what_was_never_printed(runtime, clock):
    told_by_letter(runtime)
    (letter,) = letters(runtime)
    with pytest.raises(NotAllowed, match="has not been printed"):
        spoil(runtime, letter)
    with pytest.raises(NotAllowed, match="no letter bears this code"):
        paper.reprint(runtime, "123456789", by="Salma", why="torn")
    run = printed(runtime)
    paper.post(runtime, run)
    before = rows(runtime, Notification)[0].notified_on
    with pytest.raises(NotAllowed, match="the post has taken"):
        spoil(runtime, letter)
    assert (states(runtime), rows(runtime, Notification)[0].notified_on) == (["delivered"], before)
    assert [one.act for one in rows(runtime, AuditEntry)].count("letter.reprinted") == 0


@pytest.mark.parametrize(("step", "after"), [("lay", False), ("lay", True), ("keep", False)])
def test_a_crash_while_a_letter_is_printed_again_loses_no_letter_and_opens_no_old_pin(runtime, clock, step, after):
    told_by_letter(runtime)
    printed(runtime)
    (letter,) = letters(runtime)
    before = pin_of(runtime, letter)
    broken = replace(runtime)
    broken.__dict__["tray"] = CrashingTray(runtime.tray, step, after=after)
    with pytest.raises(Crash):
        spoil(broken, letter)
    assert not opens(runtime, letter.household_id, before)
    after_the_lease(runtime, clock)
    paper.print_all(runtime)
    assert states(runtime) == ["sent"]
    assert len([entry for run in runtime.tray.runs() for entry in run.letters if entry.state == "printed"]) == 1
    assert opens(runtime, letter.household_id, pin_of(runtime, letter))


def test_of_two_letters_with_one_code_the_run_says_which_is_printed_again(runtime, monkeypatch):
    monkeypatch.setattr(paper, "A_RUN", 1)
    told_by_letter(runtime, 2)
    first, second = letters(runtime)
    with runtime.database.write() as session:
        session.execute(sa.update(Message).values(reference=first.reference).where(Message.id == second.id))
    paper.print_all(runtime)
    with pytest.raises(NotAllowed, match="several letters bear this code"):
        spoil(runtime, first)
    assert spoil(runtime, first, of_run=letters(runtime)[1].run) == [first.reference]
    printings = Counter(one.message_id for one in rows(runtime, Attempt))
    assert (printings[first.id], printings[second.id]) == (1, 2)
