import pytest
from datetime import date
from tests.conftest import a_row, register
from tests.web.desk import *
one = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@one
def test_walk(runtime, clock):
    register(runtime, a_row(language="fr-MA"))
    give_pin(runtime)
    told(runtime, date(2026, 11, 22))
    web = client(runtime)
    h = Handset(web)
    def say(x): print(x); print("-----")
    say(h.dial()); say(h.type("2")); say(h.type("1"));say(h.type("0"));
    say(h.type("2")); say(h.type(PIN)); say(h.type("1")); say(h.type("98")); say(h.type("0")); say(h.type("0")); say(h.type("2")); say(h.type("0"));say(h.type("3")); say(h.type("2"));
    say(h.dial("4")); say(h.type(PIN)); say(h.type("1")); say(h.type("1"))
    say(h.dial("4")); say(h.type(PIN)); say(h.type("1")); say(h.type("1"))
    say(h.dial("5","1","9")); say(h.type("2")); say(h.type("Un monsieur demande 500 dh")); say(h.type("1"))
    say(h.dial("5")); say(h.type("1")); say(h.type("98"))
    say(h.dial()); say(h.type("9")); say(h.type("00"))
    say(h.dial("8","2","1")); say(h.type(PIN)); say(h.type("123456")); say(h.type("482915")); say(h.type("482915"))
    say(h.dial("8","3")); say(h.type("1")); say(h.dial("1"))
    say(h.dial()); say(h.type("77")); say(h.type("x")); say(h.type("x")); say(h.type("x"))
    for m in sorted(rows(runtime, __import__("gateway.outbox",fromlist=["Message"]).Message), key=lambda m: m.id):
        print(m.notice, m.medium, m.locale)
    print(runtime.counts()[:3])
    assert 0
