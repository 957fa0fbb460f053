"""Scans: a letter goes its way as the print house and the post report it, whatever the order and however often."""

from __future__ import annotations

import io
import json
from datetime import date, datetime

import pytest
import sqlalchemy as sa
from click.testing import CliRunner

from gateway import paper, scans
from gateway.cli import main
from gateway.outbox import POST, RETURNED_FOR, TRANSITIONS, Attempt, Message
from gateway.registry.audit import AuditEntry
from gateway.registry.clock import CASABLANCA
from gateway.registry.numbers import spaced
from gateway.registry.score import Notification
from gateway.registry.steps import NotAllowed
from gateway.scans import REFUSALS, Scan, read, take_one, take_scans
from gateway.words import LOCALES, Words
from tests.conftest import EXAMPLE, SETTINGS, a_row, register
from tests.test_paper import Crash, CrashingTray, letters, sheets, states
from tests.web.desk import rows

TUESDAY, WEDNESDAY, SATURDAY = date(2026, 11, 24), date(2026, 11, 25), date(2026, 11, 28)
one_kind = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
WORDS = Words()


@pytest.fixture
def house(runtime, clock):
    """Three letters that were printed on Monday evening; it is Saturday."""
    clock.now = clock.now.replace(hour=17, minute=5)
    register(runtime, *(a_row(f"29000000{place:02d}", None) for place in range(1, 4)))
    paper.print_due(runtime)
    clock.forward(days=5)
    return runtime


def line(letter: Message, act: str, day: date = TUESDAY, **more: str) -> dict[str, str]:
    return {"letter": letter.reference, "act": act, "day": day.isoformat(), **more}


def scan(house, tmp_path, *lines: dict[str, str] | str) -> tuple[scans.Recorded, list[dict[str, object]]]:
    """Read a file of these lines. Returns what became of it, and its report."""
    report = tmp_path / "report.jsonl"
    text = "\n".join(one if isinstance(one, str) else json.dumps(one) for one in lines)
    done = take_scans(house, io.BytesIO(text.encode()), report, lambda _: None, by="Salma")
    return done, [json.loads(entry) for entry in report.read_text(encoding="utf-8").splitlines()]


def typed(house, letter: Message, act: str, day: date = TUESDAY, reason: str | None = None) -> bool:
    return take_one(house, Scan(0, letter.reference, act, day, reason), by="Salma")


def attempts(house) -> list[tuple[str, str | None, str | None]]:
    found = sorted(rows(house, Attempt), key=lambda one: one.message_id)
    return [(one.provider, one.outcome, one.code) for one in found]


# The way of a letter


def test_a_letter_is_printed_accepted_posted_and_brought_back_and_each_is_told_apart(house):
    letter, *_ = letters(house)
    seen = []
    for act, day, reason in (("accepted", TUESDAY, None), ("posted", WEDNESDAY, None), ("returned", SATURDAY, "moved")):
        assert typed(house, letter, act, day, reason)
        seen.append((states(house)[0], attempts(house)[0]))
    assert seen == [("handed", (POST, "accepted", None)), ("delivered", (POST, "posted", None)),
                    ("returned", (POST, "returned", "moved"))]


def test_only_the_posting_proves_that_a_household_was_told_and_its_day_is_the_one_that_counts(house):
    letter, *_ = letters(house)
    typed(house, letter, "accepted", TUESDAY)
    assert rows(house, Notification) == []
    typed(house, letter, "posted", WEDNESDAY)
    (told,) = rows(house, Notification)
    assert (told.notified_on, told.proof, told.message_id) == (WEDNESDAY, "posting", letter.id)


def test_a_scan_that_comes_late_changes_nothing(house):
    letter, *_ = letters(house)
    typed(house, letter, "posted", WEDNESDAY)
    assert not typed(house, letter, "accepted", TUESDAY)
    assert not typed(house, letter, "posted", TUESDAY)
    assert states(house)[0] == "delivered"
    assert [told.notified_on for told in rows(house, Notification)] == [WEDNESDAY]


def test_what_was_never_seen_at_the_post_may_come_back_from_it(house):
    letter, *_ = letters(house)
    typed(house, letter, "accepted")
    assert typed(house, letter, "returned", SATURDAY, "insufficient")
    assert (states(house)[0], rows(house, Notification)) == ("returned", [])


@pytest.mark.parametrize(("act", "day", "after", "why"), [
    ("posted", date(2026, 11, 23), None, "too_early"),  # printed that day, after the cut-off
    ("accepted", date(2026, 11, 22), None, "too_early"),
    ("posted", date(2026, 11, 29), None, "in_future"),
    ("posted", SATURDAY, None, "not_a_working_day"),
    ("posted", TUESDAY, ("accepted", WEDNESDAY), "too_early"),
    ("returned", TUESDAY, ("posted", WEDNESDAY), "too_early"),
    ("returned", SATURDAY, None, "not_posted"),
])
@one_kind
def test_a_day_or_an_act_that_cannot_be_is_refused(house, act, day, after, why):
    letter, *_ = letters(house)
    if after:
        typed(house, letter, *after)
    before = states(house)
    with pytest.raises(NotAllowed) as refused:
        typed(house, letter, act, day, "moved" if act == "returned" else None)
    assert (str(refused.value), states(house)) == (REFUSALS[why], before)


@one_kind
def test_a_letter_that_was_not_printed_cannot_be_scanned(house):
    register(house, a_row("2900000009", None))
    with pytest.raises(NotAllowed) as refused:
        typed(house, letters(house)[-1], "accepted", SATURDAY)
    assert str(refused.value) == REFUSALS["not_printed"]


@one_kind
def test_a_run_that_was_handed_over_is_posted_whole(house):
    first, *_ = letters(house)
    typed(house, first, "accepted", TUESDAY)
    (run,) = house.tray.runs()
    with pytest.raises(ValueError, match="POST_CUT_OFF"):
        paper.post(house, run.name, date(2026, 11, 23))
    with pytest.raises(ValueError, match="does not work"):
        paper.post(house, run.name)
    assert paper.post(house, run.name, WEDNESDAY) == 3
    assert (states(house), sheets(house)) == (["delivered"] * 3, [])


@one_kind
def test_a_letter_that_is_handed_over_keeps_its_run_in_the_tray(house):
    for letter in letters(house):
        typed(house, letter, "accepted")
    paper.recover(house)
    assert len(sheets(house)) == 3


# A file


def test_a_file_is_read_line_by_line_and_a_bad_line_hinders_no_other(house, tmp_path):
    first, second, third = letters(house)
    done, report = scan(
        house, tmp_path, line(first, "accepted"), line(first, "posted", WEDNESDAY), line(first, "returned", SATURDAY,
        reason="refused"), "not a line", line(second, "posted", SATURDAY), line(second, "eaten"), "",
        line(second, "posted"), {**line(third, "posted"), "letter": "100000009"}, line(third, "returned", SATURDAY,
        reason="moved"), line(third, "accepted", WEDNESDAY))
    assert (done.accepted, done.posted, done.returned, done.known, done.refused) == (2, 2, 1, 0, 5)
    assert states(house) == ["returned", "delivered", "handed"]
    assert [(entry["line"], entry["code"]) for entry in report] == [
        (4, "not_json"), (5, "not_a_working_day"), (6, "no_act"), (9, "no_letter"), (10, "not_posted")]
    assert all(letter.reference not in json.dumps(report) for letter in letters(house))


def test_the_same_file_read_twice_changes_nothing(house, tmp_path):
    first, second, _ = letters(house)
    lines = (line(first, "accepted"), line(first, "posted"), line(first, "returned", SATURDAY, reason="moved"),
             line(second, "posted", WEDNESDAY))
    scan(house, tmp_path, *lines)
    before = [[(row.state, row.changed_at) for row in letters(house)], attempts(house), rows(house, Notification)[0].id,
              len(rows(house, Message))]
    done, report = scan(house, tmp_path, *lines)
    assert (done.known, done.accepted + done.posted + done.returned + done.refused, report) == (4, 0, [])
    assert before == [[(row.state, row.changed_at) for row in letters(house)], attempts(house),
                      rows(house, Notification)[0].id, len(rows(house, Message))]
    assert [one.act for one in rows(house, AuditEntry)].count("letter.returned") == 1


def test_what_is_posted_and_comes_back_in_one_file_proves_nothing(house, tmp_path):
    first, *_ = letters(house)
    scan(house, tmp_path, line(first, "returned", SATURDAY, reason="moved"), line(first, "accepted"),
         line(first, "posted"), line(first, "returned", SATURDAY, reason="moved"))
    assert (states(house)[0], rows(house, Notification)) == ("returned", [])


@one_kind
def test_a_table_of_a_spreadsheet_is_read_as_well_and_a_reason_in_its_own_words(house, tmp_path):
    first, second, _ = letters(house)
    spaced = f"{second.reference[:3]} {second.reference[3:6]} {second.reference[6:]}"
    done, report = scan(
        house, tmp_path, "\ufeffDay;Letter;Act;Reason", f"2026-11-24;{first.reference};posted;",
        f'2026-11-24;"{spaced}";posted;', f"2026-11-28;{first.reference};returned;Refusé",
        f"2026-11-28;{second.reference};returned;مجهول بالعنوان", f"28/11/2026;{second.reference};accepted;lost")
    assert (done.posted, done.returned) == (2, 2)
    assert [(entry["line"], entry["field"], entry["code"]) for entry in report] == [
        (6, "/day", "no_day"), (6, "/reason", "unexpected_reason")]
    assert attempts(house)[:2] == [(POST, "returned", "refused"), (POST, "returned", "unknown")]


@one_kind
@pytest.mark.parametrize(("text", "code"), [
    ('{"letter": "1', "not_json"), ('[{"letter": 1}]', "unexpected"), ("{" + "x" * 2_000, "line_too_long"),
    ('{"letter": "x", "letter": "y"}', "repeated_key"), ('{"letter": "x", "name": "y"}', "unexpected"),
    ('{"act": "posted", "day": "2026-11-24"}', "no_letter"), ('{"act": 7, "day": null, "letter": {}}', "no_act"),
    ('{"day": "20261124"}', "no_day"), ('{"day": "2026-02-30"}', "no_day"), ('{"act": "returned"}', "no_reason"),
])
def test_no_content_of_a_line_stops_the_reading(runtime, text, code):
    for stream in (io.BytesIO(f"{{}}\n{text}\n".encode()), io.BytesIO(b"letter,act\n\xff\xfe\n" + text.encode()),
                   io.BytesIO(b"letter\ract\n1\r2\n")):
        *_, last = read(stream, WORDS)
        assert not isinstance(last, Scan)
    assert code in [problem.code for problem in list(read(io.BytesIO(f"{{}}\n{text}\n".encode()), WORDS))[-1].problems]


@one_kind
def test_an_empty_file_is_read(house, tmp_path):
    assert scan(house, tmp_path, "\n \n") == (scans.Recorded(), [])


def test_every_reason_is_said_in_every_language_and_means_one_thing():
    for locale in LOCALES:
        assert len({WORDS.say(locale, f"returned_for.{code}") for code in RETURNED_FOR}) == len(RETURNED_FOR)


def test_every_reason_is_told_to_whoever_writes_the_file():
    page = (EXAMPLE.parent / "deploy.md").read_text(encoding="utf-8")
    for code in RETURNED_FOR:
        assert f"| `{code}` | {WORDS.say('ar-MA', f'returned_for.{code}')} | " \
               f"{WORDS.say('fr-MA', f'returned_for.{code}')} |" in page


@one_kind
def test_the_sheets_go_when_the_last_letter_of_their_run_is_scanned_as_posted(house, tmp_path):
    first, *others = letters(house)
    scan(house, tmp_path, line(first, "posted"))
    assert len(sheets(house)) == 3
    scan(house, tmp_path, *(line(other, "posted", WEDNESDAY) for other in others))
    (run,) = house.tray.runs()
    assert ({entry.posted_on for entry in run.letters}, sheets(house)) == ({TUESDAY, WEDNESDAY}, [])


@one_kind
def test_a_file_that_was_recorded_and_its_sheets_left_is_finished_by_reading_it_again(house, tmp_path):
    house.__dict__["tray"], whole = CrashingTray(house.tray, "post"), house.tray
    lines = [line(letter, "posted") for letter in letters(house)]
    with pytest.raises(Crash):
        scan(house, tmp_path, *lines)
    house.__dict__["tray"] = whole
    assert (states(house), len(sheets(house))) == (["delivered"] * 3, 3)
    scan(house, tmp_path, *lines)
    assert sheets(house) == []


@one_kind
def test_of_two_letters_with_one_code_the_run_says_which_was_scanned(house, tmp_path):
    first, second, third = letters(house)
    with house.database.write() as session:
        for letter, run in ((first, "one"), (second, "two"), (third, None)):
            session.execute(sa.update(Message).where(Message.id == letter.id).values(
                reference=first.reference, run=run, state="sent" if run else "created"))
    done, report = scan(house, tmp_path, line(first, "posted"), line(first, "posted", run="two"),
                        line(first, "posted", run="three"))
    assert (done.posted, [(entry["code"], entry["line"]) for entry in report]) == (
        1, [("several_letters", 1), ("unknown_letter", 3)])
    assert "one, two" in str(report[0]["reason"])
    assert states(house) == ["sent", "delivered", "created"]


def test_every_act_leads_along_the_table():
    for act, (state, starts) in scans.ACTS.items():
        assert all(state in TRANSITIONS[start] for start in starts), act


# At the terminal


@one_kind
def test_a_clerk_scans_a_file_types_a_code_and_hands_over_what_came_back(runtime, tmp_path, database_url, redis_url):
    """By the clock of this machine, on any day: the post is not asked."""
    environment = {**SETTINGS, "DATABASE_URL": database_url, "REDIS_URL": redis_url, "VAR_DIR": str(tmp_path)}

    def run(*arguments: object):
        return CliRunner().invoke(main, ["letters", *map(str, arguments), "--by", "Salma"], env=environment)

    register(runtime, *(a_row(f"29000000{place:02d}", None) for place in range(1, 3)))
    run("--print")
    first, second = letters(runtime)
    file = tmp_path / "scans.csv"
    file.write_text(f"letter,act,day\n{first.reference},accepted,{datetime.now(CASABLANCA):%Y-%m-%d}\nx,accepted,\n")
    assert "1 accepted, 0 posted, 0 returned, 0 known before, 1 refused" in run("--scan", file).stdout
    assert {json.loads(one)["code"] for one in file.with_suffix(".report.jsonl").read_text().splitlines()} == {
        "no_letter", "no_day"}
    assert "1 were handed over" in run("--accepted", second.reference, "--returned", first.reference).stdout
    assert "known already" in run("--returned", first.reference, "--reason", "moved").stdout
    listed = run("--centre").stdout
    assert (spaced(first.reference) in listed, "other" in listed, second.reference[:3] in listed) == (True, True, False)
    assert "1 letters wait at their centre; of 1 the household was not called" in listed
    assert "handed over" in run("--handed-over", first.reference).stdout
    assert run("--handed-over", first.reference).exit_code == 1
    assert "0 letters wait at their centre" in run("--centre").stdout
    assert run("--returned", "123").exit_code == 2
    assert run("--reason", "moved").exit_code == run("--on", "2026-11-24").exit_code == 2
    wrong = run("--posted", second.reference, "--on", "2020-01-01")
    assert (wrong.exit_code, "POST_CUT_OFF" in wrong.stderr) == (1, True)
    file.write_text("a,b\n1,2\n")
    assert run("--scan", file).exit_code == 1


@one_kind
def test_a_clerk_has_a_spoilt_letter_printed_again_and_says_why(runtime, tmp_path, database_url, redis_url):
    environment = {**SETTINGS, "DATABASE_URL": database_url, "REDIS_URL": redis_url, "VAR_DIR": str(tmp_path)}

    def run(*arguments: object):
        return CliRunner().invoke(main, ["letters", *map(str, arguments), "--by", "Salma"], env=environment)

    register(runtime, *(a_row(f"29000000{place:02d}", None) for place in range(1, 3)))
    assert "2 letters printed" in run("--print").stdout
    first, _ = letters(runtime)
    run("--accepted", first.reference)
    assert run("--reprint", first.reference).exit_code == run("--why", "torn").exit_code == 2
    done = run("--reprint", spaced(first.reference), "--why", "torn in the machine")
    assert f"{spaced(first.reference)}  printed again: destroy its old sheet" in done.stdout
    assert len([one for one in done.stdout.splitlines() if " letters  " in one]) == 2
    assert states(runtime)[0] == "sent"
    assert [one.outcome for one in rows(runtime, Attempt) if one.message_id == first.id] == ["spoilt", None]
