"""Paper: what is printed works, what is posted is proved, and a crash at any moment loses no letter."""

import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import date, timedelta
from itertools import islice

import pytest
import sqlalchemy as sa
from pypdf import PdfReader

from channels.letter.tray import SHEETS, NoSuchRun, Tray
from gateway import outbox, paper
from gateway.db import Base
from gateway.dialogue.access import Credential
from gateway.outbox import Message
from gateway.registry import review
from gateway.registry.household import Household
from gateway.registry.score import Notification
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


# Crashes


def test_a_worker_killed_before_it_laid_anything_loses_no_letter(runtime, clock):
    told_by_letter(runtime, 2)
    print_and_crash(runtime, "lay")
    assert states(runtime) == ["sending"] * 2
    after_the_lease(runtime, clock)
    assert states(runtime) == ["created"] * 2
    assert paper.print_due(runtime) == 2


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
