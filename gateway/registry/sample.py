"""Sample: an invented extract, good rows and bad, that looks like the country. No one in it exists.

Communes are drawn by their population of 2024 (HCP). Sizes, schooling, dwellings and spending differ by area
as they do in the census (HCP, RGPH 2024), so that indexes fall on both sides of every threshold.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import cycle
from random import Random
from typing import Any, BinaryIO, Literal

from stdnum import verhoeff

from gateway.registry.communes import Commune, communes
from gateway.registry.extract import Row, field_schema, read
from gateway.registry.inquiry import PARTNERS

Area = Literal["urban", "rural"]
Sex = Literal["female", "male"]
Json = dict[str, Any]
Weights = dict[str, int]

# First and family names, in both scripts.
FIRST: dict[Sex, str] = {
    "female": """فاطمة Fatima, خديجة Khadija, عائشة Aïcha, مريم Maryam, زينب Zineb, أمينة Amina, حليمة Halima,
        نعيمة Naïma, رشيدة Rachida, سعيدة Saïda, لطيفة Latifa, مليكة Malika, نجاة Najat, حنان Hanane,
        سميرة Samira, كريمة Karima, نادية Nadia, سناء Sanae, هدى Houda, إيمان Imane, سكينة Soukaina,
        سلمى Salma, ياسمين Yasmine, هاجر Hajar, إكرام Ikram, حسناء Hasnae, وفاء Wafae, أسماء Asmae, بشرى
        Bouchra, غزلان Ghizlane, لبنى Loubna, منى Mouna, نورة Noura, رجاء Rajae, سهام Siham, حفيظة
        Hafida, زهرة Zahra, ربيعة Rabia, فوزية Fouzia, ثورية Touria, يامنة Yamna, رقية Rkia, إيطو Itto,
        تودة Touda, زهور Zhour, مينة Mina, عزيزة Aziza, جميلة Jamila, حياة Hayat, ابتسام Ibtissam, شيماء
        Chaimae, دنيا Dounia, كوثر Kaoutar, مروة Marwa, آية Aya, هبة Hiba, ملاك Malak, ريم Rim, جنات
        Jannat, نهيلة Nouhaila""",
    "male": """محمد Mohamed, أحمد Ahmed, حسن Hassan, حسين Houcine, علي Ali, عمر Omar, يوسف Youssef, إبراهيم
        Brahim, إدريس Driss, رشيد Rachid, سعيد Saïd, خالد Khalid, كريم Karim, عبد الله Abdellah, عبد
        الرحمان Abderrahmane, عبد العزيز Abdelaziz, عبد الكريم Abdelkrim, مصطفى Mostafa, محمود Mahmoud,
        حميد Hamid, جمال Jamal, نور الدين Noureddine, عز الدين Azzeddine, كمال Kamal, منير Mounir, نبيل
        Nabil, هشام Hicham, طارق Tarik, عادل Adil, أنس Anas, أمين Amine, أيوب Ayoub, بلال Bilal, حمزة
        Hamza, إلياس Ilyas, زكرياء Zakaria, سفيان Soufiane, ياسين Yassine, المهدي El Mehdi, عثمان
        Othmane, آدم Adam, ريان Rayane, موسى Moussa, عيسى Aïssa, لحسن Lahcen, باسو Basso, موحى Moha, حدو
        Haddou, العربي Larbi, الطيب Taïeb, بوشعيب Bouchaïb, الحبيب Lahbib, المختار Mokhtar, سليمان
        Slimane, صالح Salah, فؤاد Fouad, وليد Walid, مراد Mourad, عماد Imad, بدر Badr""",
}
FAMILY = """
    العلوي Alaoui, الإدريسي Idrissi, بناني Bennani, التازي Tazi, الفاسي Fassi, برادة Berrada, الشرقاوي
    Cherkaoui, الحسني Hassani, العمراني Amrani, الناصري Naciri, الصقلي Skalli, بنجلون Benjelloun,
    الوزاني Ouazzani, المرابط Mrabet, الخطابي Khattabi, أوحساين Ouhssaine, أيت علي Aït Ali, أيت بلا Aït
    Bella, أيت حمو Aït Hammou, أوعلي Ouali, بوعزة Bouazza, بنعلي Benali, بنسعيد Bensaïd, بوزيد Bouzid,
    الحداد Haddad, النجار Najjar, الصباغ Sebbagh, الخياط Khayat, الزياني Ziani, الرحماني Rahmani,
    السباعي Sbaï, الدكالي Doukkali, السرغيني Serghini, الشاوي Chaoui, الزعري Zaari, الريفي Rifi, السوسي
    Soussi, الدرعي Draï, الفيلالي Filali, المسعودي Messaoudi, الهاشمي Hachimi, القاسمي Kasmi, البقالي
    Bakkali, الطاهري Tahiri, اليعقوبي Yacoubi, المنصوري Mansouri, الغازي Ghazi, الكتاني Kettani, لحلو
    Lahlou, بوشتى Bouchta, الجابري Jabri, حمداوي Hamdaoui, زروال Zeroual, قدوري Kaddouri, مزيان Meziane,
    صبري Sabri, رفيق Rafik, نصيري Nassiri, وهبي Wahbi, يحياوي Yahyaoui"""
DOUARS = """أيت أوبلال Aït Oubellal, أولاد بوزيان Oulad Bouziane, تيزي نتاقا Tizi n'Taqqa, الكدية El Koudia,
    أولاد الحاج Oulad El Haj, أيت داود Aït Daoud, العين البيضاء Aïn Beïda, بني خلاد Beni Khellad,
    تاوريرت Taourirt, المرجة El Merja, أولاد سالم Oulad Salem, إغرم Ighrem"""
QUARTERS = """
    حي السلام Hay Salam, حي النهضة Hay Nahda, حي الأمل Hay Al Amal, المدينة القديمة Médina, حي الفرح Hay
    Al Farah, حي الوحدة Hay Al Wahda, حي المسيرة Hay Massira, حي القدس Hay Al Qods, درب الجديد Derb
    Jdid, حي الانبعاث Hay Inbiaat"""

SIZES: dict[Area, tuple[int, ...]] = {  # in a hundred households, of 1, 2, ... 10 members
    "urban": (12, 16, 18, 22, 16, 8, 4, 2, 1, 1),
    "rural": (6, 11, 13, 18, 18, 14, 9, 6, 3, 2),
}
LANGUAGES: dict[Area, Weights] = {
    "urban": {"ar-MA": 80, "fr-MA": 17, "zgh-MA": 3},
    "rural": {"ar-MA": 88, "fr-MA": 5, "zgh-MA": 7},
}
DWELLINGS: dict[Area, Weights] = {
    "urban": {"modern_house": 58, "apartment": 26, "traditional_house": 7, "villa": 3, "shack": 5,
              "other": 1},
    "rural": {"rural_house_stone": 28, "rural_house_adobe": 30, "modern_house": 30, "traditional_house": 8,
              "shack": 3, "villa": 1},
}
EDUCATIONS: dict[Area, Weights] = {
    "urban": {"none": 18, "basic": 42, "secondary": 25, "higher": 15},
    "rural": {"none": 42, "basic": 45, "secondary": 10, "higher": 3},
}
DIPLOMAS: dict[str, Weights] = {
    "none": {"none": 1},
    "basic": {"none": 40, "basic": 54, "technical": 6},
    "secondary": {"basic": 30, "secondary": 45, "technical": 25},
    "higher": {"secondary": 10, "technical": 20, "higher": 70},
}
WORK: dict[tuple[Area, Sex], Weights] = {  # of people from 18 to 59 who have left school
    ("urban", "male"): {"employee": 46, "self_employed": 24, "unemployed": 13, "public_employee": 9,
                        "employer": 3, "inactive": 5},
    ("urban", "female"): {"homemaker": 66, "employee": 17, "unemployed": 7, "public_employee": 5,
                          "self_employed": 5},
    ("rural", "male"): {"self_employed": 44, "employee": 28, "family_worker": 13, "unemployed": 8,
                        "public_employee": 2, "employer": 2, "inactive": 3},
    ("rural", "female"): {"homemaker": 78, "family_worker": 13, "self_employed": 5, "employee": 4},
}
OCCUPATIONS: dict[Area, Weights] = {
    "urban": {"labourer": 24, "service": 22, "craftsman": 16, "trade": 14, "clerk": 9, "machine_operator": 7,
              "middle_manager": 5, "senior_executive": 2, "other": 1},
    "rural": {"farmer": 42, "labourer": 36, "craftsman": 7, "trade": 6, "service": 5, "machine_operator": 3,
              "clerk": 1},
}
WORKING = ("employee", "public_employee", "self_employed", "employer", "family_worker")
COVER: Weights = {"amo_tadamon": 45, "none": 28, "other": 27}
# How a hundred households are reached. `shared` is a mobile that another household gave too; `withheld` is one
# without consent.
REACHED: Weights = {"mobile": 80, "shared": 3, "landline": 3, "withheld": 2, "none": 12}
# Ranges that the operators have opened (ANRT's numbering plan); providers refuse the others.
MOBILES = ("600", "613", "622", "636", "648", "650", "661", "662", "667", "670", "677", "690", "701", "708", "770",
           "777")
LANDLINES = ("522", "523", "524", "528", "535", "536", "537", "539")
EASTERN = str.maketrans("0123456789", "٠١٢٣٤٥٦٧٨٩")
WRITINGS: tuple[Callable[[str], str], ...] = (
    lambda msisdn: f"0{msisdn[4:]}",
    lambda msisdn: f"0{msisdn[4]} {msisdn[5:7]} {msisdn[7:9]} {msisdn[9:11]} {msisdn[11:]}",
    lambda msisdn: f"00{msisdn[1:]}",
    lambda msisdn: f"0{msisdn[4:]}".translate(EASTERN),
    lambda msisdn: f"+212-{msisdn[4:7]}-{msisdn[7:]}",
    lambda msisdn: f"\u202a{msisdn}\u202c",
)
BAD_PER_THOUSAND = 15


@dataclass(frozen=True)
class Counts:
    """What was written. Good `households` are those `with_mobile`, `landline_only`, `without_consent` and
    `without_phone` together: only the first are reached by text. `lines` are good and `bad`.
    """

    households: int
    lines: int
    bad: int
    with_mobile: int
    landline_only: int
    without_consent: int
    without_phone: int


def write_sample(out: BinaryIO, households: int, seed: int, today: date) -> Counts:
    """Write `households` good rows, registered in the five days before `today`, and about 1.5 % bad ones.

    The same seed and day give the same bytes. From 600 households on, every kind of bad row is there.
    """
    people = _People(Random(seed), today)  # noqa: S311 - invented people, not secrets
    reached: Weights = dict.fromkeys(REACHED, 0)
    bad, kinds = 0, cycle(SPOILED)
    for done in range(1, households + 1):
        how, household = people.household()
        reached[how] += 1
        out.write(_line(household))
        if done * BAD_PER_THOUSAND // 1000 > bad:
            bad += 1
            kind = next(kinds)
            victim = household if kind == "duplicate household" else people.household()[1]
            out.write(SPOILED[kind](victim, today))
    return Counts(households, households + bad, bad, reached["mobile"] + reached["shared"],
                  reached["landline"], reached["withheld"], reached["none"])


def write_answers(out: BinaryIO, extract: BinaryIO, seed: int, today: date, share_corrected: float = 0.05) -> int:
    """Write what every partner body might answer about the good rows of an invented extract. Returns how many.

    Some answers in a hundred are `unknown`, `share_corrected` of them corrections. The same seed gives the same bytes.
    """
    rng = Random(seed)  # noqa: S311 - invented answers, not secrets
    written = 0
    for row in read(extract, today):
        if not isinstance(row, Row):
            continue
        for partner, item, member in _questions(row.household):
            declared = (member or row.household[item.partition(".")[0]])[item.partition(".")[2]]
            drawn, written = rng.random(), written + 1
            answer: Json = {"partner": partner, "household_number": row.household["household_number"], "item": item}
            if member:
                answer["idcs"] = member["idcs"]
            if drawn < share_corrected:
                answer |= {"outcome": "corrected", "value": _otherwise(item, declared, rng)}
            else:
                answer["outcome"] = "unknown" if drawn > 0.98 else "confirmed"
            out.write(_line(answer | {"answered_on": str(today), "reference": f"{partner[:3].upper()}-{written}"}))
    return written


def _questions(household: Json) -> Iterator[tuple[str, str, Json | None]]:
    """Body, item and member, as `inquiry` asks."""
    for partner, items in PARTNERS.items():
        for item in items:
            for member in household["members"] if item.startswith("members.") else (None,):
                yield partner, item, member


def _otherwise(item: str, declared: Any, rng: Random) -> Any:
    """Another value of its kind."""
    if isinstance(declared, bool):
        return not declared
    if isinstance(declared, int):
        return declared + 1
    if item.startswith("spending."):
        return f"{float(declared) * rng.uniform(1.1, 2) + 10:.2f}"
    if item.endswith("birth_date"):
        return str(date.fromisoformat(declared) - timedelta(days=rng.randint(1, 400)))
    return rng.choice([value for value in field_schema(item.replace("members.", "members.1."))["enum"]
                       if value != declared])


def _line(household: Json) -> bytes:
    return json.dumps(household, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


class _People:
    """Invents households; no number, identifier or telephone is drawn twice."""

    def __init__(self, rng: Random, today: date) -> None:
        self._rng, self._today = rng, today
        self._taken: set[str] = set()
        self._mobile: str | None = None
        places = communes()
        divided = {place.within for place in places.values()}
        self._places = [place for place in places.values() if place.code not in divided]
        self._crowds = [place.population for place in self._places]

    def household(self) -> tuple[str, Json]:
        """How it is reached (a key of `REACHED`), and the row."""
        rng = self._rng
        place = rng.choices(self._places, self._crowds)[0]
        ease = min(1.0, max(0.0, rng.gauss(*{"urban": (0.46, 0.22), "rural": (0.33, 0.20)}[place.area])))
        members = self._members(place.area, ease)
        adults = [position for position, member in enumerate(members, 1) if self._age(member) >= 19]
        how = self._pick(REACHED)
        return how, {
            "household_number": self._unused(lambda: f"{rng.randrange(10 ** 9, 10 ** 10)}"),
            "area": place.area, "region": place.region, "commune": place.code,
            "registered_on": str(self._today - timedelta(days=rng.randint(1, 5))),
            "language": (language := self._pick(LANGUAGES[place.area])),
            "address": self._address(place, language),
            "contacts": self._contacts(how),
            "declarant": 1 if rng.random() < 0.85 else rng.choice(adults),
            "members": members,
            **self._belongings(place.area, ease, len(members), how),
        }

    # People

    def _members(self, area: Area, ease: float) -> list[Json]:
        rng = self._rng
        size = rng.choices(range(1, 11), SIZES[area])[0]
        family = self._name(FAMILY)
        sex: Sex = "female" if rng.random() < (0.5 if size == 1 else 0.18) else "male"
        age = round(rng.triangular(24, 86, 44)) if size > 1 else round(rng.triangular(22, 90, 64))
        couple = size > 1 and rng.random() < (0.9 if sex == "male" else 0.15)
        alone = "widowed" if age > 60 else rng.choice(("single", "divorced", "widowed"))
        status = "married" if couple else alone
        cover = self._pick(COVER) if rng.random() > ease * 0.5 else "other"
        members = [self._person(area, ease, "head", sex, age, status, family, cover)]
        mother = age
        if couple:
            other: Sex = "male" if sex == "female" else "female"
            mother = max(20, age + rng.randint(-9, 1)) if sex == "male" else age
            members.append(self._person(area, ease, "spouse", other, mother if sex == "male" else age + 4,
                                        "married", self._name(FAMILY), cover))
        if len(members) < size - 1 and age < 58 and rng.random() < 0.18:
            members.append(self._person(area, ease, "parent", "female", age + rng.randint(19, 30), "widowed",
                                        family, cover))
        while len(members) < size:
            members.append(self._younger(area, ease, age, mother, family, cover))
        return members

    def _younger(self, area: Area, ease: float, age: int, mother: int, family: tuple[str, str],
                 cover: str) -> Json:
        """A child of the household; a sibling where the head is too young, a grandchild where too old."""
        rng = self._rng
        sex: Sex = rng.choice(("female", "male"))
        born_at = rng.randint(19, 42)
        child = min(mother, age) - born_at
        if child < 0:
            relation, years = "sibling", max(1, age - rng.randint(1, 12))
        elif child > 34:
            relation, years = "grandchild", rng.randint(1, 17)
        else:
            relation, years = "child", child
        return self._person(area, ease, relation, sex, years, "single", family, cover)

    def _person(self, area: Area, ease: float, relation: str, sex: Sex, age: int, status: str,
                family: tuple[str, str], cover: str) -> Json:
        rng = self._rng
        schooling = self._schooling(area, ease, age)
        education = self._education(area, age, schooling)
        activity = self._activity(area, sex, age, schooling)
        first = self._name(FIRST[sex])
        return {
            "idcs": self._unused(self._identifier),
            "name_ar": f"{first[0]} {family[0]}", "name_latin": f"{first[1]} {family[1]}",
            "birth_date": str(self._today - timedelta(days=int(age * 365.25) + rng.randint(6, 360))),
            "sex": sex, "relation": relation, "marital_status": status, "schooling": schooling,
            "literate": age >= 7 and (education != "none" or rng.random() < 0.08),
            "education": education, "diploma": self._pick(DIPLOMAS[education]) if age >= 15 else "none",
            "activity": activity,
            "occupation": self._pick(OCCUPATIONS[area]) if activity in WORKING else "none",
            "health_cover": cover,
            "disability": self._pick({"none": 94, "moderate": 4, "severe": 2}),
        }

    def _identifier(self) -> str:
        digits = str(self._rng.randrange(2 * 10 ** 8, 10 ** 9))
        return digits + str(verhoeff.calc_check_digit(digits))

    def _schooling(self, area: Area, ease: float, age: int) -> str:
        attends = 0.97 if 6 <= age <= 14 else 0.7 if 15 <= age <= 17 else 0.25 if 18 <= age <= 23 else 0.0
        if self._rng.random() >= (attends if area == "urban" or age < 15 else attends * 0.6):
            return "none"
        return "private" if self._rng.random() < (ease * 0.4 if area == "urban" else 0.02) else "public"

    def _education(self, area: Area, age: int, schooling: str) -> str:
        if age < 6:
            return "none"
        if schooling != "none":
            return "basic" if age < 15 else "secondary" if age < 18 else "higher"
        if age > 55 and self._rng.random() < 0.5:
            return "none"
        return self._pick(EDUCATIONS[area]) if age >= 20 else "basic"

    def _activity(self, area: Area, sex: Sex, age: int, schooling: str) -> str:
        if schooling != "none":
            return "student"
        if age < 15:
            return "child"
        if age >= 60:
            kept = {"male": {"retired": 45, "inactive": 35, "self_employed": 18, "private_income": 2},
                    "female": {"homemaker": 60, "inactive": 32, "retired": 7, "private_income": 1}}
            return self._pick(kept[sex])
        return self._pick(WORK[area, sex]) if age >= 18 else self._pick({"inactive": 70, "unemployed": 30})

    # Where they live and how to reach them

    def _address(self, place: Commune, language: str) -> Json:
        rng = self._rng
        arabic = language == "ar-MA"
        locality = place.name_ar if arabic else place.name_fr.upper()
        spot = self._name(QUARTERS if place.area == "urban" else DOUARS)
        if place.area == "urban":
            street, door = rng.randint(1, 60), rng.randint(1, 240)
            lines = ([f"رقم {door}، الزنقة {street}", spot[0]] if arabic
                     else [f"{door}, rue {street}", spot[1]])
        else:
            lines = ([f"دوار {spot[0]}", f"جماعة {place.name_ar}"] if arabic
                     else [f"Douar {spot[1]}", f"Commune de {place.name_fr}"])
        coded = rng.random() < (0.9 if place.area == "urban" else 0.55)
        postal_code = f"{place.region * 5 + 10}{rng.randrange(100):02}0" if coded else None
        return {"lines": lines, "postal_code": postal_code, "locality": locality}

    def _contacts(self, how: str) -> list[Json]:
        rng = self._rng
        if how == "none":
            # Some wrote a number that cannot be one: the row loads, with a warning.
            return [{"phone": "06 12 3", "consent": True}] if rng.random() < 0.05 else []
        if how == "landline":
            landline = self._unused(lambda: f"+212{rng.choice(LANDLINES)}{rng.randrange(10 ** 6):06}")
            return [self._contact(landline, consent=True)]
        if how == "shared" and self._mobile:
            mobile, self._mobile = self._mobile, None
            return [self._contact(mobile, consent=True)]
        mobile = self._unused(self._new_mobile)
        if how == "mobile":
            self._mobile = mobile
        return [self._contact(mobile, consent=how != "withheld")]

    def _new_mobile(self) -> str:
        rng = self._rng
        # To the sandbox operator a number that ends in 99 is out of service.
        end = 99 if rng.random() < 0.0125 else rng.randrange(99)
        return f"+212{rng.choice(MOBILES)}{rng.randrange(10 ** 4):04}{end:02}"

    def _contact(self, msisdn: str, *, consent: bool) -> Json:
        plain = self._rng.random() < 0.7
        return {"phone": (WRITINGS[0] if plain else self._rng.choice(WRITINGS))(msisdn), "consent": consent}

    # What they have

    def _belongings(self, area: Area, ease: float, size: int, how: str) -> Json:
        rng = self._rng
        rural = area == "rural"

        def owns(chance: float) -> bool:
            return rng.random() < chance * ease * 2

        def dirhams(mean: float) -> str:
            return f"{max(0.0, rng.gauss(mean, mean / 4)):.2f}"

        return {
            "dwelling": {
                "type": self._pick(DWELLINGS[area]),
                "rooms": max(1, min(12, round(rng.gauss(1.2 + 3 * ease + size / 6, 0.8)))),
                "family_nuclei": 2 if size > 5 and rng.random() < 0.25 else 1,
                "bath_or_shower": owns(0.35 if rural else 0.7),
                "own_electricity_meter": rng.random() < (0.8 if rural else 0.9),
            },
            "equipment": {
                "computers": int(owns(0.06 if rural else 0.3)), "satellite_dish": rng.random() < 0.85,
                "fixed_telephone": how == "landline" or owns(0.02 if rural else 0.12),
                "mobile_phones": 0 if how in ("landline", "none") else max(1, round(size * ease)),
                "cars": int(owns(0.08 if rural else 0.2)), "motorcycles": int(owns(0.15 if rural else 0.12)),
            },
            "property": {
                "loan": owns(0.04 if rural else 0.12), "secondary_dwelling": owns(0.02),
                "garage": owns(0.02 if rural else 0.06), "professional_premises": owns(0.03),
                "non_agricultural_land": owns(0.04), "irrigated_land": rural and owns(0.25),
                "cows": rng.choice((1, 1, 2, 3, 5)) if rural and owns(0.3) else 0,
            },
            "spending": {
                "butane": dirhams(30 + 8 * size),
                "water_electricity": dirhams((40 if rural else 110) + 160 * ease),
                "phone_internet": ("0.00" if how == "none" else
                                   dirhams((15 if rural else 30) + (90 if rural else 200) * ease)),
            },
        }

    # Drawing lots

    def _pick(self, weights: Weights) -> str:
        return self._rng.choices(tuple(weights), tuple(weights.values()))[0]

    def _name(self, names: str) -> tuple[str, str]:
        """One of the names, in Arabic and in Latin letters."""
        written = self._rng.choice(names.split(",")).split()
        latin = next(place for place, word in enumerate(written) if word[0] < "\u0600")
        return " ".join(written[:latin]), " ".join(written[latin:])

    def _unused(self, draw: Callable[[], str]) -> str:
        drawn = draw()
        while drawn in self._taken:
            drawn = draw()
        self._taken.add(drawn)
        return drawn

    def _age(self, member: Json) -> int:
        return (self._today - date.fromisoformat(member["birth_date"])).days * 100 // 36525


# Spoiling a good household, one way each


def _with(**changes: Any) -> Callable[[Json, date], bytes]:
    return lambda household, _: _line(household | changes)


def _with_last(**changes: Any) -> Callable[[Json, date], bytes]:
    """Change the last member; None takes the field away."""
    def spoil(household: Json, _: date) -> bytes:
        changed = household["members"][-1] | changes
        last = {name: value for name, value in changed.items() if value is not None}
        return _line(household | {"members": [*household["members"][:-1], last]})
    return spoil


def _child_declares(household: Json, today: date) -> bytes:
    members = [*household["members"][:-1],
               household["members"][-1] | {"birth_date": str(today - timedelta(days=10 * 365))}]
    return _line(household | {"declarant": len(members), "members": members})


def _short_identifier(household: Json, today: date) -> bytes:
    return _with_last(idcs=household["members"][-1]["idcs"][:9])(household, today)


def _born_tomorrow(household: Json, today: date) -> bytes:
    return _with_last(birth_date=str(today + timedelta(days=30)))(household, today)


def _negative(household: Json, today: date) -> bytes:
    return _with(spending=household["spending"] | {"butane": "-40.00"})(household, today)


def _not_utf8(household: Json, _: date) -> bytes:
    return _line(household).replace(household["members"][0]["name_latin"][0].encode(), b"\xff", 1)


SPOILED: dict[str, Callable[[Json, date], bytes]] = {
    "unknown region": _with(region=13),
    "child as declarant": _child_declares,
    "missing identifier": _with_last(idcs=None),
    "9-digit identifier": _short_identifier,
    "negative spending": _negative,
    "future birth date": _born_tomorrow,
    "duplicate household": _with(),
    "invalid UTF-8": _not_utf8,
    "truncated JSON": lambda household, _: _line(household).decode()[:200].encode() + b"\n",
}
