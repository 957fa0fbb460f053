"""Settings: what the environment says, checked once. The only reader of the environment."""

from __future__ import annotations

import base64
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import product
from pathlib import Path
from urllib.parse import urlsplit

from channels.ussd.wire import BadWire, Wire

PROVIDERS = ("twilio", "africastalking", "smpp")
# An operator's SMSC carries no calls.
OF_CALLS = ("twilio", "africastalking")
TOKENS_OF_A_CLIENT = 2
TELEPHONE = r"\+[1-9][0-9]{7,14}"
SMPP_SENDER = rf"(?=.*[A-Za-z])[A-Za-z0-9 ._-]{{1,11}}|[0-9]{{3,8}}|{TELEPHONE}"
ROUTE_RULE = (r"(?:(?P<network>[0-9]{5,6})(?:/(?P<locale>[a-z]{2,3}-[A-Z]{2}))?|(?P<language>[a-z]{2,3}-[A-Z]{2}))"
              r":(?P<provider>[a-z]+)=(?P<weight>[0-9]{1,3})")
LOOPBACK = ("127.0.0.1", "localhost", "::1")
ENVIRONMENT_FILE = "mouachir.env"
# Whoever sets one of these means a service; what is missing then is a mistake, not a wish for the embedded house.
OF_A_SERVICE = ("DATABASE_URL", "REDIS_URL", "SECRET_KEYS", "PUBLIC_URL", "SERVICE_CODE", "CALLBACK_TOKENS",
                "SMS_PROVIDERS")


class SettingsError(Exception):
    """The start is refused. Each line names one setting and says what to write there."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


@dataclass(frozen=True)
class TwilioAccount:
    """A Twilio account. `sender` is a number, an alphanumeric sender or a messaging service (MG...).

    While the auth token is being changed, callbacks signed with `next_auth_token` are honoured too.
    """

    account_sid: str
    auth_token: str = field(repr=False)
    sender: str
    base_url: str
    next_auth_token: str = field(repr=False, default="")


@dataclass(frozen=True)
class AfricasTalkingAccount:
    """An Africa's Talking application. `sender` is a short code or alphanumeric."""

    username: str
    api_key: str = field(repr=False)
    sender: str
    base_url: str


@dataclass(frozen=True)
class SmppAccount:
    """A bind at an operator's SMSC. `sender` is a name, a short code, or a telephone with its `+`; `window` the
    contract's."""

    base_url: str
    system_id: str
    password: str = field(repr=False)
    sender: str
    system_type: str
    window: int
    ca_file: str
    server_name: str


@dataclass(frozen=True)
class RouteRule:
    """What a provider weighs for texts of one network, one language or both; `""` is any. 0: it cannot carry them."""

    network: str
    locale: str
    provider: str
    weight: int

    def holds(self, network: str, locale: str) -> bool:
        """Whether it is about these texts."""
        return self.network in ("", network) and self.locale in ("", locale)


@dataclass(frozen=True)
class QuietHours:
    """No ordinary text is sent from `start` to `end` (hours of the day in Casablanca); equal: never quiet."""

    start: int
    end: int


@dataclass(frozen=True)
class AsleepHours:
    """The quiet hours by lane, and under `""` those of every other lane that sleeps; in Ramadan and out of it."""

    ordinary: Mapping[str, QuietHours]
    in_ramadan: Mapping[str, QuietHours]


@dataclass(frozen=True)
class Settings:
    """Everything the house is told from outside. Made by `from_env`, never changed."""

    database_url: str = field(repr=False)
    redis_url: str = field(repr=False)
    secret_keys: tuple[tuple[int, bytes], ...] = field(repr=False)
    public_url: str
    service_code: str
    callback_tokens: tuple[str, ...] = field(repr=False)
    api_clients: tuple[tuple[str, str], ...] = field(repr=False)
    api_rate: int
    sms_providers: tuple[tuple[str, int], ...]
    sms_routes: tuple[RouteRule, ...]
    sms_rates: Mapping[str, float]
    twilio: TwilioAccount | None
    africastalking: AfricasTalkingAccount | None
    smpp: SmppAccount | None
    voice_provider: str
    voice_number: str
    missed_call_number: str
    africastalking_voice_url: str
    recording_days: int
    asleep: AsleepHours
    ussd_budgets: Mapping[str, tuple[int, int]]
    ussd_generic: Wire | None
    formula: str
    near_threshold: Decimal
    late_warning_days: int
    number_wait_hours: int
    review_answer_days: int
    post_cut_off: int
    post_takes: int
    var: Path
    recordings: Path
    synthesized: bool
    lease_s: int
    reconcile_after_s: int
    unknown_for_s: int
    campaign_four_eyes: int
    budget_parts_a_day: int | None
    budget_mad_a_day: Decimal | None

    @property
    def carrying(self) -> list[str]:
        """The providers of texts that are given any."""
        return [name for name, weight in self.sms_providers if weight]

    @classmethod
    def from_env(cls, environment: Mapping[str, str]) -> Settings:
        """Read and check. Raises `SettingsError` naming every setting that is missing or malformed."""
        read = _Reader(environment)
        providers = read.weights("SMS_PROVIDERS")
        named = [name for name, _ in providers]
        settings = cls(
            database_url=read.pattern("DATABASE_URL", r"postgresql(\+psycopg)?://.+|sqlite:///.+",
                                      "postgresql://user@host/name, or sqlite:///path"),
            redis_url=read.pattern("REDIS_URL", r"(redis|rediss|unix)://.+", "redis://host:6379/0"),
            secret_keys=read.keys("SECRET_KEYS"),
            public_url=read.url("PUBLIC_URL"),
            service_code=read.pattern("SERVICE_CODE", r"\*[0-9]+(\*[0-9]+)*#", "*580#"),
            callback_tokens=read.tokens("CALLBACK_TOKENS"),
            api_clients=read.clients("API_CLIENTS"),
            api_rate=read.seconds("API_RATE", 600),
            sms_providers=providers,
            sms_routes=read.route_rules("SMS_ROUTES", providers),
            sms_rates=read.rates("SMS_RATES"),
            twilio=TwilioAccount(
                account_sid=read.pattern("TWILIO_ACCOUNT_SID", r"AC[0-9a-f]{32}", "AC and 32 hexadecimal digits"),
                auth_token=read.text("TWILIO_AUTH_TOKEN"),
                sender=read.text("TWILIO_SENDER"),
                base_url=read.url("TWILIO_BASE_URL", "https://api.twilio.com"),
                next_auth_token=read.text("TWILIO_NEXT_AUTH_TOKEN", ""),
            ) if "twilio" in named else None,
            africastalking=AfricasTalkingAccount(
                username=read.text("AFRICASTALKING_USERNAME"),
                api_key=read.text("AFRICASTALKING_API_KEY"),
                sender=read.text("AFRICASTALKING_SENDER"),
                base_url=read.url("AFRICASTALKING_BASE_URL", "https://api.africastalking.com/version1"),
            ) if "africastalking" in named else None,
            smpp=SmppAccount(
                base_url=read.smsc("SMPP_URL"),
                system_id=read.pattern("SMPP_SYSTEM_ID", r"[!-~]{1,15}", "at most 15 letters of ASCII"),
                password=read.pattern("SMPP_PASSWORD", r"[!-~]{1,8}", "at most 8 letters of ASCII"),
                sender=read.pattern("SMPP_SENDER", SMPP_SENDER, "a name of at most 11 letters, a short code, or a "
                                    "telephone with its +"),
                system_type=read.pattern("SMPP_SYSTEM_TYPE", r"[!-~]{0,12}", "at most 12 letters of ASCII", ""),
                window=read.days("SMPP_WINDOW", 10, at_most=1000),
                ca_file=read.text("SMPP_CA_FILE", ""),
                server_name=read.text("SMPP_SERVER_NAME", ""),
            ) if "smpp" in named else None,
            voice_provider=read.voice_provider("VOICE_PROVIDER", named),
            voice_number=read.voice_number("VOICE_NUMBER"),
            missed_call_number=read.missed_call_number("MISSED_CALL_NUMBER"),
            africastalking_voice_url=read.url("AFRICASTALKING_VOICE_URL", "https://voice.africastalking.com"),
            recording_days=read.days("RECORDING_DAYS", 90, at_most=365),
            asleep=read.asleep("RAMADAN_QUIET_HOURS", "18-10", read.quiet_hours("QUIET_HOURS", "20-9")),
            ussd_budgets=read.budgets("USSD_BUDGETS"),
            ussd_generic=read.wire("USSD_GENERIC"),
            formula=read.pattern("FORMULA", r"[a-z0-9-]{1,40}", "rsu-2021", "rsu-2021"),
            near_threshold=read.distance("NEAR_THRESHOLD", "0.1"),
            late_warning_days=read.days("LATE_WARNING_DAYS", 8, at_most=9),
            number_wait_hours=read.seconds("NUMBER_WAIT_HOURS", 72),
            review_answer_days=read.seconds("REVIEW_ANSWER_DAYS", 30),
            post_cut_off=read.days("POST_CUT_OFF", 15, at_most=23),
            post_takes=read.days("POST_TAKES", 3, at_most=30),
            var=Path(read.text("VAR_DIR", "var")),
            recordings=Path(read.text("RECORDINGS_DIR", str(Path(read.text("VAR_DIR", "var")) / "recordings"))),
            synthesized=read.pattern("SYNTHESIZED_SPEECH", r"yes|no", "yes or no", "no") == "yes",
            lease_s=read.seconds("LEASE_S", 60),
            reconcile_after_s=read.seconds("RECONCILE_AFTER_S", 120),
            unknown_for_s=read.seconds("UNKNOWN_FOR_S", 900),
            campaign_four_eyes=read.count("CAMPAIGN_FOUR_EYES", "1000") or 0,
            budget_parts_a_day=read.count("BUDGET_PARTS_A_DAY", ""),
            budget_mad_a_day=read.money("BUDGET_MAD_A_DAY"),
        )
        if read.problems:
            raise SettingsError(read.problems)
        return settings

    @classmethod
    def load(cls) -> Settings:
        """The process's own environment; where that says nothing, the file that `mouachir up` wrote."""
        return cls.from_env(environment())


def weights_in(weights: Sequence[tuple[str, int]], rules: Sequence[RouteRule], network: str,
               locale: str) -> dict[str, int]:
    """What each provider weighs for texts of this network and language.

    What it cannot do in one of the two it cannot do at all; else the closer rule counts: both, then network, then
    language, then `SMS_PROVIDERS`.
    """
    found = dict(weights)
    about = [rule for rule in rules if rule.holds(network, locale)]
    for rule in sorted(about, key=lambda rule: (bool(rule.network), bool(rule.locale))):
        found[rule.provider] = rule.weight
    return found | {rule.provider: 0 for rule in about if not rule.weight}


def in_service() -> bool:
    """Whether the environment names a service's settings, be they all there or not."""
    return any(name in os.environ for name in OF_A_SERVICE)


def environment() -> dict[str, str]:
    """The environment, over the embedded defaults in `VAR_DIR` where there are any."""
    file = Path(os.environ.get("VAR_DIR", "var")) / ENVIRONMENT_FILE
    written = {}
    if not in_service() and file.is_file():
        written = dict(line.split("=", 1) for line in file.read_text().splitlines() if "=" in line)
    return {**written, **os.environ}


class _Reader:
    """Reads one setting after the other and collects what is wrong, so that all is told at once."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self.environment = environment
        self.problems: list[str] = []

    def text(self, name: str, default: str | None = None) -> str:
        value = self.environment.get(name, "").strip()
        if value:
            return value
        if default is None:
            self.problems.append(f"{name}: is missing")
            return ""
        return default

    def pattern(self, name: str, pattern: str, example: str, default: str | None = None) -> str:
        value = self.text(name, default)
        if value and not re.fullmatch(pattern, value):
            self.problems.append(f"{name}: is malformed; write {example}")
        return value

    def url(self, name: str, default: str | None = None) -> str:
        """An address that paths can be put behind; a password in it would stand in every trace."""
        value = self.text(name, default).rstrip("/")
        if value and not re.fullmatch(r"https?://(\[[0-9a-fA-F:]+\]|[^][:/?#@\s]+)(:[0-9]{1,5})?(/[^?#@\s]*)?", value):
            self.problems.append(f"{name}: write an address, as https://host or https://host:8443/path")
        elif value.startswith("http:") and urlsplit(value).hostname not in LOOPBACK:
            self.problems.append(f"{name}: must begin with https:// (http only on loopback)")
        return value

    def smsc(self, name: str) -> str:
        """An SMSC's address."""
        value = self.text(name)
        if value and not re.fullmatch(r"smpps?://(\[[0-9a-fA-F:]+\]|[^][:/?#@\s]+)(:[0-9]{1,5})?", value):
            self.problems.append(f"{name}: write an address, as smpps://host:3550")
        elif value.startswith("smpp:") and urlsplit(value).hostname not in LOOPBACK:
            self.problems.append(f"{name}: must begin with smpps:// (smpp only on loopback, as to a tunnel's end)")
        return value

    def distance(self, name: str, default: str) -> Decimal:
        """A distance between two indexes."""
        value = self.text(name, default)
        if not re.fullmatch(r"[0-9](\.[0-9]{1,7})?", value):
            self.problems.append(f"{name}: is malformed; write a number with a point, as 0.1")
            return Decimal(default)
        return Decimal(value)

    def seconds(self, name: str, default: int) -> int:
        value = self.text(name, str(default))
        if not re.fullmatch(r"[0-9]{1,6}", value) or int(value) < 1:
            self.problems.append(f"{name}: must be a whole number from 1")
            return default
        return int(value)

    def count(self, name: str, default: str) -> int | None:
        """A whole number from 0; None where nothing is written."""
        value = self.pattern(name, r"[0-9]{1,9}", "a whole number", default)
        return int(value) if value.isdecimal() else None

    def money(self, name: str) -> Decimal | None:
        """An amount of dirhams, to the ten-thousandth; None where nothing is written."""
        value = self.text(name, "")
        if value and not re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,4})?", value):
            self.problems.append(f"{name}: is malformed; write dirhams with a point, as 12000.50")
            return None
        return Decimal(value) if value else None

    def days(self, name: str, default: int, at_most: int) -> int:
        value = self.text(name, str(default))
        if not re.fullmatch(r"[0-9]{1,6}", value) or not 1 <= int(value) <= at_most:
            self.problems.append(f"{name}: must be a whole number from 1 to {at_most}")
            return default
        return int(value)

    def asleep(self, name: str, default: str, ordinary: Mapping[str, QuietHours]) -> AsleepHours:
        """Whoever sets the hours of the year and not those of Ramadan means both."""
        if self.text("QUIET_HOURS", "") and not self.text(name, ""):
            return AsleepHours(ordinary, ordinary)
        return AsleepHours(ordinary, self.quiet_hours(name, default))

    def quiet_hours(self, name: str, default: str) -> dict[str, QuietHours]:
        """`20-9,announcement:18-10`: of every lane that sleeps, and of one by itself."""
        found = {"": QuietHours(0, 0)}
        for part in self.text(name, default).split(","):
            match = re.fullmatch(r"(?:(decision|notice|announcement):)?([0-9]{1,2})-([0-9]{1,2})", part.strip())
            if not match or not all(int(hour) < 24 for hour in match.groups()[1:]):
                self.problems.append(f"{name}: write two hours of the day, as 20-9, and where one of decision, notice "
                                     "or announcement has its own, as 20-9,announcement:18-10; equal hours mean none")
                return {"": QuietHours(0, 0)}
            found[match[1] or ""] = QuietHours(int(match[2]), int(match[3]))
        return found

    def budgets(self, name: str) -> dict[str, tuple[int, int]]:
        """`60400:182/80`: by network code, the septets and the UCS-2 units of a screen, within the standard's most.

        `60400:160/0` is a network that shows no Arabic.
        """
        found: dict[str, tuple[int, int]] = {}
        value = self.text(name, "")
        for part in value.split(",") if value else ():
            match = re.fullmatch(r"([0-9]{3,8}):([0-9]{3})/(0|[0-9]{2})", part.strip())
            if not match or match[1] in found or not (160 <= int(match[2]) <= 182 and (
                    match[3] == "0" or 70 <= int(match[3]) <= 80)):
                self.problems.append(f"{name}: write network codes and sizes from 160/70 to 182/80, as 60400:182/80, "
                                     "or 60400:160/0 where a network shows no Arabic")
                return {}
            found[match[1]] = (int(match[2]), int(match[3]))
        return found

    def wire(self, name: str) -> Wire | None:
        """The file that tells how an operator words its USSD callbacks."""
        file = self.text(name, "")
        try:
            return Wire.load(Path(file)) if file else None
        except BadWire as error:
            self.problems.append(f"{name}: {error}")
            return None

    def tokens(self, name: str) -> tuple[str, ...]:
        value = self.text(name)
        values = tuple(token.strip() for token in value.split(","))
        if value and any(not re.fullmatch(r"[A-Za-z0-9_-]{32,}", token) for token in values):
            self.problems.append(f"{name}: each token needs 32 or more of A-Z a-z 0-9 _ -")
        return values

    def clients(self, name: str) -> tuple[tuple[str, str], ...]:
        """`tayssir:HEX`: a programme and the SHA-256 of its token; two of a programme while it changes its own."""
        value = self.text(name, "")
        found = [tuple(part.strip().split(":", 1)) for part in value.split(",")] if value else []
        names = [client for client, *_ in found]
        if (any(not re.fullmatch(r"[a-z0-9-]{1,40}:[0-9a-f]{64}", ":".join(one)) for one in found)
                or len({one[-1] for one in found}) < len(found)
                or any(names.count(client) > TOKENS_OF_A_CLIENT for client in names)):
            self.problems.append(f"{name}: write a programme and the SHA-256 of its token in hexadecimal, as "
                                 "tayssir:HEX,asd:HEX; two of one programme at most, none of two")
            return ()
        return tuple((client, digest) for client, digest in found)

    def weights(self, name: str) -> tuple[tuple[str, int], ...]:
        value = self.text(name)
        pairs = [part.strip().partition(":") for part in value.split(",")] if value else []
        good = all(key in PROVIDERS and re.fullmatch(r"[0-9]{1,3}", weight) for key, _, weight in pairs)
        if pairs and (not good or not any(int(weight) for _, _, weight in pairs)
                      or len({key for key, _, _ in pairs}) < len(pairs)):
            self.problems.append(f"{name}: write weights, as twilio:70,africastalking:30")
            return ()
        return tuple((key, int(weight)) for key, _, weight in pairs)

    def route_rules(self, name: str, weights: Sequence[tuple[str, int]]) -> tuple[RouteRule, ...]:
        """`60402:twilio=0,zgh-MA:africastalking=0,60401/ar-MA:twilio=30`; no texts may be left without a provider."""
        value, named = self.text(name, ""), dict(weights)
        matches = [re.fullmatch(ROUTE_RULE, part.strip()) for part in value.split(",")] if value else []
        rules = [RouteRule(match["network"] or "", match["locale"] or match["language"] or "", match["provider"],
                           int(match["weight"])) for match in matches if match and match["provider"] in named]
        if weights and (len(rules) < len(matches)
                        or len({(rule.network, rule.locale, rule.provider) for rule in rules}) < len(rules)):
            self.problems.append(f"{name}: write network or language or both, a provider of SMS_PROVIDERS and its "
                                 "weight there (0: none), each once, as 60402:twilio=0,zgh-MA:africastalking=0,"
                                 "60401/ar-MA:twilio=30")
            return ()
        for network, locale in product({rule.network for rule in rules}, {rule.locale for rule in rules}):
            if not any(weights_in(weights, rules, network, locale).values()):
                where = " in ".join(part for part in (network, locale) if part)
                self.problems.append(f"{name}: leaves nobody to carry texts of {where}; give a provider a weight there")
                return ()
        return tuple(rules)

    def rates(self, name: str) -> dict[str, float]:
        """`twilio:100,africastalking:30`: parts a second; one that is not named has no limit of ours."""
        value = self.text(name, "")
        pairs = [part.strip().partition(":") for part in value.split(",")] if value else []
        if any(key not in PROVIDERS or not re.fullmatch(r"[0-9]{1,5}(\.[0-9]{1,3})?", rate) or not float(rate)
               for key, _, rate in pairs) or len({key for key, _, _ in pairs}) < len(pairs):
            self.problems.append(f"{name}: write parts a second, each provider once, as twilio:100,africastalking:30")
            return {}
        return {key: float(rate) for key, _, rate in pairs}

    def voice_provider(self, name: str, accounts: Sequence[str]) -> str:
        """Whose account carries telephone calls; empty for none. `accounts` are those that were read."""
        value = self.pattern(name, "|".join(OF_CALLS), " or ".join(OF_CALLS), "")
        if value in OF_CALLS and accounts and value not in accounts:
            self.problems.append(f"{name}: name {value} in SMS_PROVIDERS too, to have its account read; "
                                 f"{value}:0 sends no texts")
        return value

    def voice_number(self, name: str) -> str:
        """Needed only where there are calls."""
        needed = None if self.text("VOICE_PROVIDER", "") in OF_CALLS else ""
        return self.pattern(name, TELEPHONE, "+212530000080", needed)

    def missed_call_number(self, name: str) -> str:
        """A number that is never answered: it must be another one than that which is."""
        value = self.pattern(name, TELEPHONE, "+212530000081", "")
        if value and value == self.text("VOICE_NUMBER", ""):
            self.problems.append(f"{name}: must be another number than VOICE_NUMBER, which is answered")
        return value

    def keys(self, name: str) -> tuple[tuple[int, bytes], ...]:
        """`1:BASE64,2:BASE64`: key number (1 to 255) and 32 bytes; the first one seals, all of them open."""
        value = self.text(name)
        found: dict[int, bytes] = {}
        for part in value.split(",") if value else ():
            number, _, encoded = part.strip().partition(":")
            try:
                key = base64.b64decode(encoded, validate=True)
            except ValueError:
                key = b""
            good = re.fullmatch(r"[0-9]{1,3}", number) and 0 < int(number) < 256 and int(number) not in found
            if not good or len(key) != 32:
                self.problems.append(f"{name}: write 1:KEY,2:KEY, each KEY 32 bytes in base64, no number twice")
                return ()
            found[int(number)] = key
        return tuple(found.items())
