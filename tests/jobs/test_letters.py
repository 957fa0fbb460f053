"""The hour of printing: a day's letters lie in the tray, run after run."""

import shutil

import pytest

from gateway import paper
from jobs.alarm import enqueue
from jobs.letters import print_letters
from jobs.queues import worker
from tests.jobs.fakes import states


@pytest.fixture
def database_url(tmp_path, sqlite_template):
    """What a database does with letters is proved with the paper."""
    shutil.copy(sqlite_template, tmp_path / "house.db")
    return f"sqlite:///{tmp_path / 'house.db'}"


def test_one_ring_prints_all_that_is_due_a_run_at_a_time(runtime, households, monkeypatch):
    monkeypatch.setattr(paper, "A_RUN", 2)
    households(runtime, 5, phones=False)
    enqueue(runtime.redis, "print_letters", once=True)
    worker(runtime).work(burst=True, logging_level="CRITICAL")
    assert sorted(len(run.letters) for run in runtime.tray.runs()) == [1, 2, 2]
    assert states(runtime, "letter") == ["sent"] * 5


def test_a_ring_with_nothing_due_prints_nothing_and_ends(runtime):
    assert print_letters(runtime) == 0
    assert runtime.tray.runs() == []
    assert runtime.redis.keys("rq:queue:paper") == []
