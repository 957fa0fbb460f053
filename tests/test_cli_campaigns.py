"""`mouachir campaign` and `mouachir costs`: what a clerk sees before, during and after, in words and as JSON."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest

from gateway.campaign import Campaign
from gateway.outbox import Message
from gateway.registry.clock import CASABLANCA
from jobs.campaigns import pace_campaigns
from tests.test_campaign import households, states
from tests.test_cli import house, run  # noqa: F401 - fixtures
from tests.web.desk import rows

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
BEGINS = datetime.now(CASABLANCA).replace(hour=9, minute=0, second=0, microsecond=0) + timedelta(days=1)
WINDOW = ("--from", f"{BEGINS:%Y-%m-%dT%H:%M}", "--to", f"{BEGINS + timedelta(hours=5):%Y-%m-%dT%H:%M}",
          "--per-minute", 60)


@pytest.fixture
def campaign(run, house, runtime):  # noqa: F811
    """`campaign("start")`: what it prints, or the one line that says what is wrong."""
    households(runtime, 6)

    def command(verb: str, *arguments, name="days", exit_code=0, **environment):
        named = () if name is None else (name,)
        done = run("campaign", verb, *named, *arguments, **{**house, **environment})
        assert done.exit_code == exit_code, done.output
        return done.stdout if exit_code == 0 else done.stderr

    command("new", "--notice", "centre_days", *WINDOW, "--by", "asker")
    return command


def test_a_campaign_goes_from_the_question_to_the_last_text(campaign, runtime):
    assert "days  draft  centre_days" in campaign("show")
    assert "days  approved" in campaign("approve", "--by", "approver")
    assert "days  running" in campaign("start")
    assert "6 held; the last is let go on" in campaign("show")
    at_noon = runtime.at(lambda: (BEGINS + timedelta(days=1)).astimezone(UTC))
    pace_campaigns(at_noon)
    assert "days  finished" in campaign("list", name=None)
    assert json.loads(campaign("watch", "--json"))["states"] == {"created": 6}
    assert "finished: 6 created" in campaign("watch")


def test_the_preview_tells_languages_networks_parts_prices_and_times_and_sends_nothing(campaign, runtime):
    said = campaign("preview")
    for words in ("6 telephones of 6 households; 0 households have none", "ar-MA: 2 telephones, ucs2, 2 parts each, 4",
                  "fr-MA: 2 telephones, gsm7, 1 part each, 2", "60400", "5.12", "4.16", "prices of an example",
                  "at 60 a minute: 0:00:06", "the window has 5:00:00", "8 parts, at most 5.12 MAD; budget of the day: "
                  "no limit, all left", "no native reader has read it in ar-MA, fr-MA, zgh-MA", "*580#"):
        assert words in said, words
    told = json.loads(campaign("preview", "--json"))
    assert (told["recipients"], told["parts"], told["state"]) == (6, 8, "draft")
    assert rows(runtime, Message) == []


def test_the_preview_tells_what_was_replaced_to_be_cheaper(campaign):
    replaced = {one["locale"]: one["replaced"] for one in json.loads(campaign("preview", "--json"))["languages"]}
    assert replaced["ar-MA"] == {}
    assert replaced["zgh-MA"]["ẓ"] == "z"
    assert "ẓ by z" in campaign("preview")


def test_the_preview_says_which_day_the_budget_does_not_cover_and_the_approval_is_refused(campaign):
    assert "7 parts left, which does NOT cover it" in campaign("preview", BUDGET_PARTS_A_DAY="7")
    refused = campaign("approve", exit_code=1, BUDGET_PARTS_A_DAY="7")
    assert "takes 8 parts, at most 5.12 MAD, and the budget of that day has 7 parts left" in refused


def test_a_start_that_the_budget_does_not_cover_any_more_is_refused(campaign, runtime):
    campaign("approve")
    assert "has 5.00 MAD left" in campaign("start", exit_code=1, BUDGET_MAD_A_DAY="5")
    assert rows(runtime, Message) == []


def test_it_is_paused_resumed_and_called_off(campaign, runtime):
    campaign("approve")
    campaign("start")
    assert json.loads(campaign("pause", "--json"))["state"] == "paused"
    assert "days  running" in campaign("resume")
    assert "days  cancelled" in campaign("cancel")
    assert states(runtime) == {"cancelled": 6}
    assert "cancelled already" in campaign("cancel", exit_code=1)
    (row,) = rows(runtime, Campaign)
    assert row.cleared_at is not None


def test_many_telephones_need_a_second_person(campaign):
    refused = campaign("approve", "--by", "asker", exit_code=1, CAMPAIGN_FOUR_EYES="5")
    assert "somebody else than asker approves it" in refused
    assert "approved" in campaign("approve", "--by", "approver", CAMPAIGN_FOUR_EYES="5")


def test_an_audience_is_asked_for_by_options_and_kept(campaign, runtime):
    told = json.loads(campaign("new", "--notice", "centre_days", *WINDOW, "--region", 6, "--region", 7, "--language",
                               "fr-MA", "--programme", "asd", "--not-eligible", "--json", name="some"))
    assert told["audience"] == {"regions": [6, 7], "languages": ["fr-MA"], "programme": "asd", "eligible": False}


@pytest.mark.parametrize(("arguments", "words"), [
    (("--notice", "index_assigned"), "there are centre_days"),
    (("--notice", "centre_days", "--commune", "1"), "no commune"),
    (("--notice", "centre_days", "--programme", "asd"), "goes with --eligible")])
def test_what_cannot_be_asked_for_is_one_sentence(campaign, arguments, words):
    refused = campaign("new", *arguments, *WINDOW, name="another", exit_code=1)
    assert words in refused
    assert refused.count("\n") == 1


def test_a_campaign_that_there_is_not_is_said_so(campaign):
    for verb in ("preview", "approve", "start", "pause", "resume", "cancel", "show", "watch"):
        assert "There is no campaign nothing" in campaign(verb, name="nothing", exit_code=1)


def test_costs_are_told_by_day_and_provider(campaign, run, house):  # noqa: F811
    days = ("--from", "2026-11-01", "--to", "2026-11-30")
    assert "today's budget: 9 parts left for campaigns" in run("costs", *days, **house, BUDGET_PARTS_A_DAY="9").stdout
    told = json.loads(run("costs", *days, "--json", **house).stdout)
    assert told["costs"] == []
    assert told["left_parts"] is None
