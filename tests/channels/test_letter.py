"""What the reader of a letter finds on the sheet, and that nothing a person is called can break it."""

import random
import stat
from dataclasses import replace
from datetime import date

import pytest
from pypdf import PdfReader

from channels.letter.fit import SIZES
from channels.letter.fonts import MISSING, SHEETS, UNCOVERED, showable
from channels.letter.layout import LayoutError, parse
from channels.letter.page import LONGEST_IN_WINDOW, MOST_LETTERS, Letter, Unprintable, print_letters
from channels.letter.press import typeset

DAY = date(2026, 11, 21)
MM = 72 / 25.4
PAGE_HEIGHT = 297 * MM

ARABIC = """
== title
المؤشر الاجتماعي والاقتصادي لأسرتكم

== date
بتاريخ 21/11/2026

== body
السلام عليكم. بعد تسجيل أسرتكم المكونة من 11 فردا يوم 28/09/2026، والتحقق من معطياتها لدى الهيئات المعنية، بلغ
مؤشرها 9.4871236.

كلما انخفض المؤشر كانت الحاجة إلى الدعم أكبر. ولا تكون الأسرة مؤهلة للاستفادة من برنامج إلا إذا كان مؤشرها أقل
من عتبته واستوفت شروطه الخاصة. التسجيل لا يمنح الحق في الدعم: يجب تقديم طلب خاص بكل برنامج.

لا نطلب منكم أبدا في رسالة أو مكالمة الرقم السري أو رقم البطاقة أو الحساب البنكي.

== table
البرنامج | العتبة | مؤشركم
الدعم الاجتماعي المباشر | 9.7430010 | تحت العتبة
أمو تضامن | 9.3264284 | فوق العتبة

== deadline
يمكنكم طلب مراجعة التنقيط داخل 60 يوما من إشعاركم، أي إلى غاية 20/01/2027.

== pin
الرقم السري لأسرتكم
{pin}
احتفظوا به ولا تعطوه لأحد. أدخلوه فقط عندما تتصلون أنتم بالرقم *580#.

== steps
للسؤال عن المؤشر أو لطلب مراجعته أو لتقديم شكاية: اتصلوا مجانا من هاتفكم بالرقم *580#.
أو اتصلوا بالرقم +212 5 37 12 34 56، أو توجهوا بهذه الرسالة إلى مركز خدمات المواطنين.

== closing
الوكالة الوطنية للسجلات

== code
رمز التحقق من الرسالة: RSU-7K3F-9QWX
"""
FRENCH = """
== title
L’indice socio-économique de votre ménage

== date
Le 21/11/2026

== body
Madame, Monsieur, votre ménage de 11 membres est inscrit depuis le 28/09/2026. Ses données ont été vérifiées auprès
des organismes concernés ; son indice est 9.4871236.

Plus l’indice est bas, plus le besoin d’aide est grand. Un ménage n’est éligible à un programme que si son indice est
inférieur au seuil et s’il en remplit les autres conditions. Être inscrit ne donne pas droit à une aide.

Nous ne demandons jamais, par message ou au téléphone, votre code secret, votre carte ou votre compte bancaire.

== table
Programme | Seuil | Votre indice
Aide sociale directe | 9.7430010 | sous le seuil
AMO-Tadamon | 9.3264284 | au-dessus du seuil

== deadline
Révision du score : à demander dans les 60 jours suivant cet avis, soit jusqu’au 20/01/2027.

== pin
Le code secret de votre ménage
{pin}
Gardez-le et ne le donnez à personne. Ne le tapez que si vous avez vous-même composé le *580#.

== steps
Pour voir votre indice, le contester ou faire une réclamation : composez gratuitement le *580#.
Ou présentez cette lettre au centre de services aux citoyens : on peut aussi y vérifier son code.

== closing
L’Agence nationale des registres

== code
Code de vérification : RSU-7K3F-9QWX
"""
TIFINAGH = """
== body
ⴰⵎⴰⵜⴰⵔ ⴰⵏⴰⵎⵓⵏ ⴰⴷⴰⵎⵙⴰⵏ ⵏ ⵜⵡⵊⴰ ⵏⵏⵓⵏ: 9.4871236. ⵉ ⵓⵙⵇⵙⵉ: *580#.
"""
ARABIC_BACK = """
== reasons
أهم ما يؤثر في مؤشركم:
الماء والكهرباء: 350 درهم/شهر، موزع الكهرباء 03/03/2027 (ترفع المؤشر)
السيارات: 1، السلامة الطرقية 03/03/2027 (ترفع المؤشر)

== scale
سلم: مؤشر أسرتكم 9,4871236.
حاجة أكبر | حاجة أقل
مؤشركم | 9,4871236
الدعم الاجتماعي المباشر | 9,7430010
أمو تضامن | 9,3264284

== overleaf
في ظهر الورقة: استمارة للمراجعة
النص بالعربية في ظهر الورقة

== form
استمارة الجواب
ضعوا علامة، واكتبوا، ووقعوا.
[ ] أطلب المراجعة إلى غاية 20/01/2027
[ ] أقدم شكاية
___ ما أريد قوله:
___ التاريخ:
"""
FRENCH_BACK = """
== reasons
Ce qui pèse le plus dans votre indice :
Eau et électricité : 350 DH/mois, distributeur 03/03/2027 (fait monter l’indice)
Voitures : 1, sécurité routière 03/03/2027 (fait monter l’indice)

== scale
Échelle : l’indice de votre ménage est 9,4871236.
besoin plus grand | besoin moins grand
votre indice | 9,4871236
Aide sociale directe | 9,7430010
AMO-Tadamon | 9,3264284

== overleaf
Au verso : un coupon pour demander une révision
Texte en français au verso

== form
Coupon-réponse
Cochez, écrivez, signez.
[ ] Je demande la révision jusqu’au 20/01/2027
[ ] Je fais une réclamation
___ Ce que je veux dire :
___ Date :
"""
# The right-to-left override, pictograms, control characters, a letter of no face of ours, and Typst's own signs.
HOSTILE = [
    "\u202eفاطمة\u202c الزهراء",
    "حسن 😀👨‍👩‍👧 العلوي",
    "Ali\x00\x07\x1b[31m\x85\u2028 Alaoui",
    "#strong[Ali] *gras* _penché_ $x^2$ @ref <label> `code` \\ // /* */ = == - + ~ \"",
    "#panic(1) #sys.inputs #{while true {}}",
    "ط" + "\u064b" * 60 + "ارق",
    "ﻣﺤﻤﺪ ﷺ",
    "𞤀𞤁 李明",
    "\ud800 lone",
]


def a_letter(**changes) -> Letter:
    letter = Letter(
        number="580123457",
        token="h-1",
        address=("السيدة فاطمة الزهراء بنت عبد الرحمان الإدريسي العلوي", "إقامة النخيل، عمارة 12، شقة 7، زنقة 4",
                 "حي يعقوب المنصور، قرب المدرسة", "10100 الرباط"),
        order=("ar-MA", "fr-MA", "zgh-MA"),
        documents={"ar-MA": ARABIC, "fr-MA": FRENCH, "zgh-MA": TIFINAGH},
        service_code="*580#",
        pin="428517",
    )
    return replace(letter, **changes)


def two_sided(**changes) -> Letter:
    documents = {"ar-MA": ARABIC + ARABIC_BACK, "fr-MA": FRENCH + FRENCH_BACK, "zgh-MA": TIFINAGH}
    return a_letter(**{"documents": documents, **changes})


def with_french(old: str, new: str) -> dict[str, str]:
    return {"ar-MA": ARABIC, "fr-MA": FRENCH.replace(old, new), "zgh-MA": TIFINAGH}


@pytest.fixture
def read(tmp_path):
    """Print letters and read the file back: pages of each letter, and the text of each page."""

    def printed(*letters: Letter) -> tuple[list[int], list[str]]:
        out = tmp_path / "letters.pdf"
        pages = print_letters(letters, out, DAY)
        return pages, [page.extract_text() for page in PdfReader(out).pages]

    return printed


def test_the_normal_letter_is_one_page_whichever_language_comes_first(read):
    orders = [("ar-MA", "fr-MA", "zgh-MA"), ("fr-MA", "ar-MA", "zgh-MA"), ("zgh-MA", "ar-MA", "fr-MA")]
    pages, texts = read(*(a_letter(order=order) for order in orders))
    assert pages == [1, 1, 1]
    assert len(texts) == 3


def test_the_pin_is_a_line_of_its_own_and_only_where_it_was_given(read):
    _, (with_pin, without) = read(a_letter(), a_letter(pin=None))
    assert with_pin.split("\n").count("428517") == 1
    assert "428517" not in without
    assert "code secret de votre ménage" in with_pin
    assert "code secret de votre ménage" not in without


def test_words_of_the_three_languages_can_be_found_in_the_file(read):
    _, (text,) = read(a_letter())
    for word in ("الاجتماعي", "الموحد", "العتبة", "شكاية", "الهيئات", "ménage", "éligible", "ⴰⵎⴰⵜⴰⵔ"):
        assert word in text


def test_values_keep_their_order_in_arabic_lines(read):
    _, (text,) = read(a_letter(order=("ar-MA",)))
    for value in ("*580#", "9.4871236", "9.7430010", "28/09/2026", "20/01/2027", "+212 5 37 12 34 56",
                  "RSU-7K3F-9QWX", "580 123 457"):
        assert value in text


def test_a_number_that_all_languages_write_alike_stands_once_in_the_table(read):
    _, (text,) = read(a_letter())
    assert text.count("9.3264284") == 1
    assert "Aide sociale directe" in text


def test_a_long_text_flows_to_a_second_page_and_nothing_is_cut(read):
    long = " ".join(f"mot{number}" for number in range(600))
    pages, texts = read(a_letter(documents=with_french("Madame, Monsieur,", long)))
    assert pages == [2]
    whole = "\n".join(texts)
    assert all(f"mot{number}" in whole for number in range(600))
    assert "L’Agence nationale des registres" in texts[1]
    assert [f"{page} / 2" in text for page, text in enumerate(texts, 1)] == [True, True]


def test_each_letter_of_a_batch_starts_its_own_page_and_its_pages_are_counted(read):
    letters = [a_letter(number=f"58012{number:04}", pin=f"9{number:05}") for number in range(20)]
    long = with_french("Madame, Monsieur,", "mot " * 900)
    letters[3], letters[19] = replace(letters[3], documents=long), replace(letters[19], documents=long)
    pages, texts = read(*letters)
    assert pages == [2 if place in {3, 19} else 1 for place in range(20)]
    expected = [letter.number for letter, count in zip(letters, pages, strict=True) for _ in range(count)]
    shown = [" ".join((number[:3], number[3:6], number[6:])) for number in expected]
    assert [number in text for number, text in zip(shown, texts, strict=True)] == [True] * 22
    assert ["\n".join(texts).count(letter.pin) for letter in letters] == [1] * 20


@pytest.mark.parametrize("name", HOSTILE)
def test_no_name_breaks_the_sheet(read, name):
    pages, (text,) = read(a_letter(address=(name, "10100 RABAT"), documents=with_french("Madame, Monsieur", name)))
    assert pages == [1]
    assert "10100 RABAT" in text
    assert "\n428517\n" in text
    assert not any(sign in text for sign in "\u202e\x00\x07\x1b")


def test_markup_in_a_name_is_printed_as_it_was_written(read):
    _, (text,) = read(a_letter(documents=with_french("Madame, Monsieur,", HOSTILE[3] + HOSTILE[4])))
    printed = " ".join(text.split())
    for written in ("#strong[Ali]", "*gras*", "_penché_", "$x^2$", "@ref", "<label>", "`code`", "#panic(1)", "//"):
        assert written in printed


@pytest.mark.parametrize("address", [
    ("M. Ali ALAOUI", " ".join(f"Bd{number}" for number in range(40)), "10100 RABAT"),
    ("M. Ali ALAOUI", "Boulevard " * 36, "10100 RABAT"),
    ("W" * 47,) * 8,
    ("السيدة فاطمة", "كلمة " * 60, "10100 الرباط"),
])
def test_the_longest_address_stays_whole_in_the_window(tmp_path, address):
    print_letters([a_letter(address=address)], tmp_path / "one.pdf", DAY)
    runs = []
    PdfReader(tmp_path / "one.pdf").pages[0].extract_text(
        visitor_text=lambda text, to_page, *rest: runs.append((text.strip(), to_page[4], to_page[5])))
    wanted = {word[:LONGEST_IN_WINDOW] for line in address for word in line.split()}
    found = [run for run in runs if run[1] >= 109 * MM and any(word in run[0] for word in wanted)]
    in_window = [run for run in found if PAGE_HEIGHT - 85 * MM <= run[2] <= PAGE_HEIGHT - 59 * MM]
    missing = {word for word in wanted if not any(word in run[0] for run in in_window)}
    assert missing == set()
    beneath = [run for run in runs if run[1] >= 109 * MM and PAGE_HEIGHT - 87 * MM < run[2] < PAGE_HEIGHT - 85 * MM]
    assert beneath == []


def test_a_word_without_end_is_broken_to_fit_the_window(read):
    _, (text,) = read(a_letter(address=("W" * 200, "10100 RABAT")))
    assert max(len(word) for word in text.split() if set(word) == {"W"}) < 30
    assert text.count("W") - read(a_letter(address=("x", "10100 RABAT")))[1][0].count("W") == 200


@pytest.mark.parametrize("address", [(), ("",), (" ", "\t"), ("\u202e\u2066", "😀")])
def test_a_letter_without_an_address_is_refused_by_its_number_and_nothing_is_written(tmp_path, address):
    with pytest.raises(Unprintable, match="580999999: its address is empty") as refused:
        print_letters([a_letter(), a_letter(number="580999999", address=address)], tmp_path / "out.pdf", DAY)
    assert refused.value.number == "580999999"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("changes", "reason"), [
    ({"address": ("x " * 400,)}, "its address is longer than 8 lines or 400 characters"),
    ({"address": ("x",) * 9}, "its address is longer than 8 lines or 400 characters"),
    ({"number": "12"}, "its number has not nine digits"),
    ({"pin": "42851"}, "its PIN has not six digits"),
    ({"order": ("fr-MA", "en-GB")}, "it has no text in en-GB"),
    ({"order": ("zgh-MA",)}, "it has a PIN and no text has a panel for it"),
    ({"order": ("zgh-MA",), "pin": None}, "none of its texts has a title"),
    ({"documents": with_french("AMO-Tadamon | 9.3264284 | au-dessus du seuil\n", "")}, "its tables have not the same"),
    ({"documents": with_french("== steps", "== form\nx\n[ ] a\n___ b\n\n== steps") | {
        "ar-MA": ARABIC + ARABIC_BACK}}, "its forms have not the same boxes and fields"),
    ({"documents": with_french("== steps", "== stepps")}, "its text in fr-MA: line 30: no such section"),
])
def test_a_letter_that_cannot_be_printed_says_why_and_nothing_is_written(changes, reason, tmp_path):
    with pytest.raises(Unprintable, match=reason):
        print_letters([a_letter(**changes)], tmp_path / "out.pdf", date(2026, 11, 21))
    assert not (tmp_path / "out.pdf").exists()


@pytest.mark.parametrize(("text", "reason"), [
    ("hello", "line 1: text before the first section"),
    ("== title\nx\n== titel\n", "line 3: no such section"),
    ("== title\nx\n== title\n", "line 3: section title stands twice"),
    ("== table\na | b\nc\n", "not all the same number of cells"),
    ("== pin\nno place for it\n", "it needs the line {pin}, once"),
    ("== scale\ntold\nless | more\nindex | 9,1\n", "it needs a line that tells it, two ends, an index and a limit"),
    ("== scale\ntold\nless | more\nindex | hello\na | 9\n", "an index or a limit is not a number"),
    ("== scale\n", "section scale"),
    ("== overleaf\none\n", "section overleaf: it needs two lines"),
    ("== form\nhello\n[ ] a box\n", "section form: it needs a title, a box and a field"),
    ("== form\n", "section form"),
])
def test_a_text_outside_the_layout_language_is_refused_without_quoting_it(text, reason):
    with pytest.raises(LayoutError) as refused:
        parse(text)
    assert reason in str(refused.value)
    assert "titel" not in str(refused.value)
    assert "hello" not in str(refused.value)


def test_a_letter_with_a_slip_is_one_sheet_and_each_text_has_a_page_of_its_own(read):
    orders = [("ar-MA", "fr-MA", "zgh-MA"), ("fr-MA", "ar-MA", "zgh-MA"), ("zgh-MA", "ar-MA", "fr-MA")]
    pages, texts = read(*(two_sided(order=order) for order in orders))
    assert pages == [2, 2, 2]
    assert ["Madame, Monsieur" in text for text in texts] == [False, True, True, False, False, True]
    assert ["Coupon-réponse" in text for text in texts] == [False, True] * 3
    assert ["Texte en français au verso" in text for text in texts] == [True, False, False, False, True, False]
    assert ["Au verso : un coupon" in text.replace("\u00a0", " ") for text in texts] == [
        False, False, True, False, False, False]


@pytest.fixture
def settings_of_type(monkeypatch):
    """The sizes in which a file was set, each time that it was."""
    seen = []

    def noted(data, printed_on):
        seen.append([letter["fit"] for letter in data["letters"]])
        return typeset(data, printed_on)

    monkeypatch.setattr("channels.letter.page.typeset", noted)
    return seen


def test_a_text_that_leaves_its_page_room_is_set_at_once_in_the_size_that_most_eyes_read(read, settings_of_type):
    assert read(two_sided(pin=None))[0] == [2]
    ((front, _),), *again = settings_of_type
    assert front == SIZES[0]
    assert not again


def test_a_text_that_takes_more_than_was_guessed_is_set_anew_until_it_keeps_to_its_page(read, settings_of_type):
    wide = "WWWWWWWW " * 52
    with_wide = {"ar-MA": ARABIC + ARABIC_BACK, "fr-MA": FRENCH.replace("Madame", wide) + FRENCH_BACK}
    pages, _ = read(two_sided(documents={**with_wide, "zgh-MA": TIFINAGH}), two_sided(number="580999999"))
    assert pages == [2, 2]
    backs = [SIZES.index(back) for (_, back), _ in settings_of_type]
    assert backs == list(range(backs[0], backs[-1] + 1))
    assert len(backs) > 1
    assert len({other for _, other in settings_of_type}) == 1


def test_a_text_too_long_for_a_page_in_any_size_flows_on_in_the_smallest(read, settings_of_type):
    long = FRENCH.replace("Madame", "Un texte plus long. " * 200)
    pages, _ = read(two_sided(documents={"ar-MA": ARABIC + ARABIC_BACK, "fr-MA": long + FRENCH_BACK,
                                         "zgh-MA": TIFINAGH}))
    assert pages == [4]
    assert [back for ((_, back),) in settings_of_type] == [SIZES[-1]]


def test_where_backs_are_printed_no_letter_stands_on_the_back_of_another(read):
    plain = [a_letter(number=f"58000000{number}", pin=f"10000{number}") for number in range(3)]
    pages, texts = read(plain[0], two_sided(), plain[1], plain[2], two_sided(number="580999999"))
    assert pages == [2] * 5
    fronts = [texts[sum(pages[:place])] for place in range(5)]
    assert ["100000" in fronts[0], "100001" in fronts[2], "100002" in fronts[3]] == [True] * 3
    assert [texts[place].strip() for place in (1, 5, 7)] == ["", "", ""]
    assert read(*plain)[0] == [1, 1, 1]


def test_the_slip_bears_the_code_of_its_letter_and_never_a_pin(read):
    _, (front, back) = read(two_sided())
    assert back.count("580 123 457") == 2
    assert "428517" in front
    assert "428517" not in back


def test_the_slip_lies_on_the_back_of_the_address_and_what_the_household_keeps_beneath_both(tmp_path):
    print_letters([two_sided()], tmp_path / "one.pdf", DAY)
    fold = PAGE_HEIGHT - 105 * MM
    heights = []
    for page in PdfReader(tmp_path / "one.pdf").pages:
        runs: list[tuple[str, float]] = []
        page.extract_text(visitor_text=lambda text, at, *rest, runs=runs: runs.append((text, at[5])))
        heights.append(runs)
    front, back = heights
    assert min(height for text, height in front if "10100" in text) > fold
    assert max(height for text, height in front if "428517" in text) < fold
    assert min(height for text, height in back if "Je demande" in text) > fold
    assert max(height for text, height in back if "Madame" in text) < fold


def test_the_picture_is_told_in_the_first_language_to_who_does_not_see_it(tmp_path):
    for order, first in ((("ar-MA", "fr-MA", "zgh-MA"), "سلم"), (("fr-MA", "ar-MA", "zgh-MA"), "Échelle")):
        print_letters([two_sided(order=order)], tmp_path / "one.pdf", DAY)
        told = alternatives(PdfReader(tmp_path / "one.pdf").trailer["/Root"]["/StructTreeRoot"])
        pictures = [text for text in told if not text.startswith("QR")]
        assert len(pictures) == 2
        assert pictures[0].startswith(first)


def alternatives(node) -> list[str]:
    """The alternative texts of a file, in its reading order."""
    node = node.get_object()
    if isinstance(node, list):
        return [text for each in node for text in alternatives(each)]
    if not isinstance(node, dict) or node.get("/Type") == "/MCR":
        return []
    return [*([str(node["/Alt"])] if "/Alt" in node else []), *(alternatives(node["/K"]) if "/K" in node else [])]


def test_names_of_both_directions_pictograms_and_controls_leave_neither_the_window_nor_the_sheet(tmp_path):
    chance = random.Random(580)
    pieces = ["فاطمة", "Ali", "\u202e", "\u2066", "😀", "\x00", "\x1b[2J", "\u0300" * 9, "12", "-", "(", "ﷺ", "W" * 30,
              "ⵜⵉⵡⵉⵙⵉ", "\u2028", "\ufeff", "李", "#panic()", "\u064b" * 9, "ـ" * 40, ",", "*580#"]
    for _ in range(12):
        lines = tuple(" ".join(chance.choices(pieces, k=chance.randint(1, 5))) for _ in range(chance.randint(1, 5)))
        letter = two_sided(address=("X Z", *lines), number=f"{chance.randrange(10**9):09d}")
        assert print_letters([letter], tmp_path / "one.pdf", DAY) == [2]
        runs: list[tuple[str, float, float]] = []
        PdfReader(tmp_path / "one.pdf").pages[0].extract_text(
            visitor_text=lambda text, at, *rest, runs=runs: runs.append((text.strip(), at[4], at[5])))
        beside = [run for run in runs if run[0] and run[1] >= 109 * MM and run[2] < PAGE_HEIGHT - 45 * MM
                  and run[2] > PAGE_HEIGHT - 104 * MM]
        assert all(PAGE_HEIGHT - 85 * MM <= height <= PAGE_HEIGHT - 59 * MM for _, _, height in beside), lines
        assert all(across <= 190 * MM for _, across, _ in beside), lines


def test_a_text_is_read_section_by_section():
    read = parse(FRENCH)
    assert read.title == "L’indice socio-économique de votre ménage"
    assert [len(read.body), len(read.table), len(read.steps)] == [3, 3, 2]
    assert read.table[2] == ("AMO-Tadamon", "9.3264284", "au-dessus du seuil")
    assert read.pin is not None
    assert read.pin[0] == "Le code secret de votre ménage"
    assert read.pin[1].endswith("composé le *580#.")


def test_every_character_that_is_let_through_has_a_glyph_in_either_language_plain_and_bold(read):
    # A PDF/A file with a missing glyph is not written, so printing them all is the proof.
    covered = " ".join(chr(code) for code in range(0x20, 0x10000) if not UNCOVERED.match(chr(code)))
    text = f"== title\nx {covered.replace('|', '')}\n\n== body\nx {covered}\n"
    pages, _ = read(a_letter(pin=None, documents={"ar-MA": text, "fr-MA": text, "zgh-MA": text}))
    assert pages[0] > 1


def test_every_character_of_the_notices_is_printed_as_written():
    files = [*SHEETS.parent.glob("notices/**/*letter*.j2"), *SHEETS.parent.glob("notices/_*.j2")]
    assert files
    for file in files:
        text = file.read_text(encoding="utf-8")
        assert showable(text) == text, file


def test_a_letter_of_no_face_is_seen_to_be_missing_and_a_pictogram_is_left_out():
    assert showable("李 Ali 😀") == f"{MISSING} Ali "
    assert showable("ﻣﺤﻤﺪ") == "محمد"


def test_the_file_is_for_the_service_alone_even_where_another_stood(tmp_path):
    out = tmp_path / "letters.pdf"
    out.write_text("open to all")
    out.chmod(0o644)
    print_letters([a_letter()], out, DAY)
    assert stat.S_IMODE(out.stat().st_mode) == 0o600


def test_the_same_letters_on_the_same_day_are_the_same_file(tmp_path):
    print_letters([a_letter()], tmp_path / "a.pdf", DAY)
    print_letters([a_letter()], tmp_path / "b.pdf", DAY)
    assert (tmp_path / "a.pdf").read_bytes() == (tmp_path / "b.pdf").read_bytes()


def test_the_file_is_made_for_the_archive_with_its_fonts_inside(tmp_path):
    print_letters([a_letter()], tmp_path / "a.pdf", DAY)
    reader = PdfReader(tmp_path / "a.pdf")
    described = reader.trailer["/Root"]["/Metadata"].get_data()
    assert b"<pdfaid:part>2</pdfaid:part>" in described
    assert b"<pdfuaid:part>1</pdfuaid:part>" in described
    fonts = [font.get_object() for font in reader.pages[0]["/Resources"]["/Font"].values()]
    names = {str(font["/BaseFont"]) for font in fonts}
    for family in ("Amiri", "NotoSans", "Tifinagh"):
        assert any(family in name for name in names)
    for font in fonts:
        descriptor = font["/DescendantFonts"][0].get_object()["/FontDescriptor"]
        assert descriptor.keys() & {"/FontFile2", "/FontFile3"}


def test_one_file_holds_no_more_letters_than_memory_is_meant_for(tmp_path):
    for letters in ([], [a_letter()] * (MOST_LETTERS + 1)):
        with pytest.raises(ValueError, match=f"{len(letters)} letters"):
            print_letters(letters, tmp_path / "out.pdf", DAY)


def test_what_is_written_of_a_letter_in_a_log_tells_nothing_of_the_household():
    written = repr(a_letter())
    assert not any(told in written for told in ("428517", "فاطمة", "9.4871236"))
