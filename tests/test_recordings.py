"""Recordings: a speaker's file is played where it is there and good, and nothing else passes for one."""

from __future__ import annotations

import json
import math
import struct
import wave
from datetime import date
from hashlib import sha256

import pytest
from click.testing import CliRunner

from channels.base import Piece
from gateway.cli import main
from gateway.dialogue.household import HOUSEHOLD
from gateway.recordings import Recordings
from gateway.spoken import Day, Digits, Pause, Phrase
from gateway.studio import SLOTS, Take, takes
from gateway.synthesizer import NoSynthesizer, Synthesizer
from gateway.words import Words, all_words
from tests.conftest import open_house
from tests.test_audio import LOW, wav
from tests.web.desk import client

one_kind = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
URL = "https://mouachir.test"
SOUND = wav(0.5)
HELLO, TAPEZ = Phrase("home.text", "Bonjour"), Phrase("voice.press", "tapez")


@pytest.fixture(scope="module")
def words() -> Words:
    return all_words()


@pytest.fixture
def here(words, tmp_path):
    return Recordings(tmp_path, words, HOUSEHOLD, URL)


def record(here, slot, *spoken, ending=".wav", data=SOUND):
    """A speaker says it."""
    folder = here._folder / slot
    folder.mkdir(parents=True, exist_ok=True)
    for one in spoken:
        for take in (one,) if isinstance(one, Take) else takes(here._words, slot, one):
            (folder / (take.stem + ending)).write_bytes(data)


def address(slot: str, take: Take, data: bytes = SOUND, ending: str = ".wav") -> str:
    return f"{URL}/voice/recordings/{slot}/{take.stem}{ending}?v={sha256(data).hexdigest()[:8]}"


# What is heard


def test_without_recordings_neighbours_are_one_text_with_its_pauses(here):
    spoken = [HELLO, Pause(), TAPEZ, Digits("12"), Pause(), Day(date(2027, 1, 20))]
    assert here.pieces(spoken, "fr-MA") == (Piece("Bonjour. tapez 1, 2. 20 janvier 2027", "fr-MA"),)


def test_what_is_recorded_is_played_between_what_is_not(here):
    record(here, "fr-MA", TAPEZ)
    take, = takes(here._words, "fr-MA", TAPEZ)
    assert here.pieces([HELLO, TAPEZ, Digits("1")], "fr-MA") == (
        Piece("Bonjour", "fr-MA"), Piece("tapez", "fr-MA", address("fr-MA", take)), Piece("1", "fr-MA"))


def test_a_recording_is_of_its_own_slot(here):
    record(here, "fr-MA", TAPEZ)
    assert here.pieces([TAPEZ], "ar-MA") == (Piece("tapez", "ar-MA"),)


def test_a_number_is_played_in_all_its_parts_or_said_whole(here):
    record(here, "fr-MA", Digits("52"))
    assert [piece.text for piece in here.pieces([Digits("525")], "fr-MA") if piece.recording] == ["5", "2", "5"]
    assert here.pieces([Digits("520")], "fr-MA") == (Piece("5, 2, 0", "fr-MA"),)


def test_a_date_is_played_as_day_month_and_year(here):
    record(here, "ar-MA", Day(date(2027, 1, 20)))
    assert [piece.text for piece in here.pieces([Day(date(2027, 1, 20))], "ar-MA") if piece.recording] == [
        "20", "يناير", "2027"]
    assert here.pieces([Day(date(2027, 2, 20))], "ar-MA") == (Piece("20 فبراير 2027", "ar-MA"),)


def test_mp3_is_played_too(here):
    record(here, "fr-MA", TAPEZ, ending=".mp3", data=LOW * 20)
    take, = takes(here._words, "fr-MA", TAPEZ)
    assert here.pieces([TAPEZ], "fr-MA") == (
        Piece("tapez", "fr-MA", address("fr-MA", take, LOW * 20, ".mp3")),)


def test_a_recording_of_other_words_is_never_played(here):
    record(here, "fr-MA", Phrase("voice.press", "appuyez sur"))
    assert here.pieces([TAPEZ], "fr-MA") == (Piece("tapez", "fr-MA"),)


def test_a_phrase_recorded_again_has_another_address(here):
    record(here, "fr-MA", TAPEZ)
    first, = here.pieces([TAPEZ], "fr-MA")
    record(here, "fr-MA", TAPEZ, data=wav(0.7))
    again, = here.pieces([TAPEZ], "fr-MA")
    assert first.recording.split("?")[0] == again.recording.split("?")[0]
    assert first.recording != again.recording


def test_a_call_is_offered_in_amazigh_only_where_nothing_is_missing(here):
    assert [slot for slot in SLOTS if here.speakable(slot)] == ["ar-MA", "fr-MA"]
    *most, last = here.needed("tashelhit").values()
    record(here, "tashelhit", *most)
    assert not here.speakable("tashelhit")
    record(here, "tashelhit", last, data=b"not a sound")
    assert not here.speakable("tashelhit")
    record(here, "tashelhit", last)
    assert [slot for slot in SLOTS if here.speakable(slot)] == ["ar-MA", "fr-MA", "tashelhit"]


# What is there


def test_a_bad_file_is_reported_with_its_reason_and_the_rest_goes_on(here):
    record(here, "fr-MA", TAPEZ)
    record(here, "fr-MA", Digits("1"), data=b"RIFF")
    record(here, "fr-MA", Digits("2"), data=wav(61))
    record(here, "fr-MA", Digits("3"), ending=".mp3")
    (here._folder / "fr-MA" / "notes.txt").write_text("hello")
    stands = here.manifest("fr-MA")
    reasons = {bad["file"].partition("-")[2] or bad["file"]: bad["reason"] for bad in stands["bad"]}
    assert len(stands["bad"]) == 4
    assert [listed["text"] for listed in stands["recorded"]] == ["tapez"]
    assert {bad["file"].split("/")[1].split("-")[0] for bad in stands["bad"]} == {
        "digit.1", "digit.2", "digit.3", "notes.txt"}
    assert [word for word in ("no WAV", "is the most", "no MP3", "no name of a recording")
            if not any(word in reason for reason in reasons.values())] == []
    assert here.pieces([Digits("2")], "fr-MA") == (Piece("2", "fr-MA"),)


def test_the_manifest_holds_what_is_there_what_is_missing_and_what_nobody_needs_any_more(here):
    record(here, "fr-MA", TAPEZ, Phrase("voice.press", "appuyez sur"))
    stands = here.manifest("fr-MA")
    take, = takes(here._words, "fr-MA", TAPEZ)
    old, = takes(here._words, "fr-MA", Phrase("voice.press", "appuyez sur"))
    assert stands["recorded"] == [{"file": f"{take.stem}.wav", "text": "tapez", "bytes": len(SOUND), "seconds": 0.5,
                                   "sha256": sha256(SOUND).hexdigest()}]
    assert stands["stale"] == [f"fr-MA/{old.stem}.wav"]
    assert {missing["file"] for missing in stands["missing"]} == here.needed("fr-MA").keys() - {take.stem}
    assert json.loads(json.dumps(stands)) == stands


def test_synthesized_speech_is_heard_only_where_it_is_allowed_and_never_counts_as_recorded(here, words, tmp_path):
    take, = takes(words, "fr-MA", TAPEZ)
    here.synthesized("fr-MA").mkdir(parents=True)
    (here.synthesized("fr-MA") / f"{take.stem}.wav").write_bytes(SOUND)
    trying = Recordings(tmp_path, words, HOUSEHOLD, URL, synthesized=True)
    assert here.pieces([TAPEZ], "fr-MA") == (Piece("tapez", "fr-MA"),)
    assert trying.pieces([TAPEZ], "fr-MA") == (Piece("tapez", "fr-MA", address("fr-MA", take)),)
    assert here.file("fr-MA", f"{take.stem}.wav") is None
    for either in (here, trying):
        stands = either.manifest("fr-MA")
        assert (stands["recorded"], [listed["text"] for listed in stands["synthesized"]]) == ([], ["tapez"])
        assert take in either.missing("fr-MA")
    record(here, "fr-MA", TAPEZ, data=wav(0.9))
    assert trying.pieces([TAPEZ], "fr-MA") == (Piece("tapez", "fr-MA", address("fr-MA", take, wav(0.9))),)


# Over HTTP


@pytest.fixture
def web(database_url, redis_url, tmp_path, clock):
    house = open_house(database_url, redis_url, tmp_path, clock)
    record(house.recordings, "fr-MA", TAPEZ)
    (tmp_path / "secret.wav").write_bytes(SOUND)
    yield client(house)
    house.close()


@pytest.fixture
def path(words):
    take, = takes(words, "fr-MA", TAPEZ)
    return f"/voice/recordings/fr-MA/{take.stem}.wav"


@one_kind
def test_a_recording_is_served_whole_in_part_and_by_its_head(web, path):
    with web.get(path) as whole:
        assert (whole.status_code, whole.data, whole.content_type) == (200, SOUND, "audio/wav")
    with web.head(path) as head:
        assert (head.status_code, head.data, head.headers["Content-Length"]) == (200, b"", str(len(SOUND)))
    with web.get(path, headers={"Range": "bytes=0-43"}) as part:
        assert (part.status_code, part.data) == (206, SOUND[:44])


@one_kind
def test_it_is_kept_for_ever_by_whoever_asked_for_this_very_sound(web, path):
    with web.get(f"{path}?v={sha256(SOUND).hexdigest()[:8]}") as kept:
        assert set(kept.headers["Cache-Control"].split(", ")) == {"max-age=31536000", "public", "immutable"}
    for asked in (f"{path}?v=00000000", path):
        with web.get(asked) as other:
            assert other.headers["Cache-Control"] == "no-cache"


@one_kind
@pytest.mark.parametrize("asked", [
    "fr-MA/secret.wav", "fr-MA/../secret.wav", "fr-MA/..%2f..%2fsecret.wav", "../secret.wav", "fr-MA/",
    "synthesized/x.wav",
    "fr-MA/voice.press-00000000.wav", "en-GB/voice.press-00000000.wav", "fr-MA/.wav", "fr-MA/%00.wav"])
def test_nothing_else_is_served(web, asked):
    assert web.get(f"/voice/recordings/{asked}").status_code == 404


@one_kind
def test_a_file_that_is_no_sound_is_not_served(web, path, tmp_path):
    found, = (tmp_path / "recordings" / "fr-MA").iterdir()
    found.write_bytes(b"<script>")
    assert web.get(path).status_code == 404


# Commands


def run(*arguments: str):
    return CliRunner().invoke(main, ["recordings", *arguments])


def test_the_commands_list_the_slots_and_write_the_script_of_what_is_missing(here, tmp_path):
    record(here, "fr-MA", TAPEZ)
    record(here, "fr-MA", Digits("1"), data=b"RIFF")
    listed = run("list", "--folder", str(tmp_path))
    row, = (line for line in listed.stdout.splitlines() if line.startswith("fr-MA"))
    assert "   1 recorded" in row
    assert "   1 bad" in row
    assert "no WAV" in listed.stderr
    assert [line.split()[0] for line in listed.stdout.splitlines() if "no calls" in line] == [
        "tashelhit", "tamazight", "tarifit"]
    everything = run("script", "fr-MA", "--folder", str(tmp_path)).stdout
    lacking = run("script", "fr-MA", "--missing", "--folder", str(tmp_path)).stdout
    assert len(everything.splitlines()) - len(lacking.splitlines()) == 1
    assert ",tapez," not in lacking


def test_a_script_in_a_file_is_one_that_spreadsheets_read(tmp_path):
    out = tmp_path / "script.csv"
    done = run("script", "ar-MA", "--out", str(out), "--folder", str(tmp_path))
    assert done.exit_code == 0
    assert out.read_bytes().startswith(b"\xef\xbb\xbffile,text,where,how\r\n")


def test_the_manifest_is_json(here, tmp_path):
    record(here, "tarifit", Digits("7"))
    stands = json.loads(run("manifest", "tarifit", "--folder", str(tmp_path)).stdout)
    assert ([listed["text"] for listed in stands["recorded"]], stands["speakable"]) == (["7"], False)


# The synthesizer


def loudness(file) -> tuple[float, float]:
    """The root mean square of its samples, of 32768, and its seconds."""
    with wave.open(str(file)) as read:
        assert (read.getnchannels(), read.getsampwidth()) == (1, 2)
        samples = struct.unpack(f"<{read.getnframes()}h", read.readframes(read.getnframes()))
        return math.sqrt(sum(sample * sample for sample in samples) / len(samples)), len(samples) / read.getframerate()


@pytest.mark.parametrize("slot", ["ar-MA", "fr-MA"])
def test_what_is_synthesized_can_be_heard(words, here, tmp_path, slot):
    done = run("synthesize", slot, "--folder", str(tmp_path))
    assert done.exit_code == 0, done.output
    stands = here.manifest(slot)
    assert len(stands["synthesized"]) == len(here.needed(slot))
    assert (stands["recorded"], stands["bad"], stands["stale"]) == ([], [], [])
    for file in sorted(here.synthesized(slot).iterdir()):
        loud, seconds = loudness(file)
        assert loud > 150, file.name
        assert 0.15 < seconds < 12, file.name
    longest = max(stands["synthesized"], key=lambda listed: len(listed["text"]))
    shortest = min(stands["synthesized"], key=lambda listed: len(listed["text"]))
    assert longest["seconds"] > 3 * shortest["seconds"]
    trying = Recordings(tmp_path, words, HOUSEHOLD, URL, synthesized=True)
    assert all(piece.recording for piece in trying.pieces([Digits("9,7"), Day(date(2027, 1, 20))], slot))


def test_a_recorded_phrase_is_not_synthesized(here, tmp_path):
    record(here, "fr-MA", *here.needed("fr-MA").values())
    assert run("synthesize", "fr-MA", "--folder", str(tmp_path)).stdout.endswith(": 0 files\n")


def test_amazigh_needs_a_speaker(tmp_path):
    done = run("synthesize", "tashelhit", "--folder", str(tmp_path))
    assert (done.exit_code, "needs a speaker" in done.stderr) == (1, True)
    with pytest.raises(NoSynthesizer):
        Synthesizer().wav("azul", "tashelhit")
