"""The architecture page: where everything lives, and why.

One sentence to keep: the registry knows, the gateway decides, the channels speak, the templates word it, the
jobs keep the hours.

    gateway/
      settings.py    what the environment says, checked once; the only reader of it
      vault.py       seals what is personal, finds it again without opening it, proves a PIN
      db.py          engine, transactions, column types
      logs.py        one line a fact, nothing personal in it
      registry/      what is known and the rules on it: extract and intake, household, formula (formulas/),
                     measures, index, scoring, explain (things, disclosure), programme (condition), score, review,
                     complaint, clock, numbers, phones, communes, sample, events
      words.py       say(locale, name), notice(name, medium, locale)
      reasons.py     a line of an explanation, as it is said
      outbox.py      messages that must reach a household; TRANSITIONS; post, claim, settle, receive
      notices.py     event -> notice, medium, language, or silence
      figures/       the process figures of a period, counted by the database (docs/figures.md)
      dialogue/      states (vocabulary), engine (pure), household (the tree), acts (its effects on the
                     registry), access (PIN and lock), memory (Redis, sealed)
      runtime.py     what one process holds; the only opener of connections
      importing.py   an extract in batches, each stored, scored and told in one transaction
      paper.py       letters into the tray, and posted
      web/           a provider's callback in, an answer out; conversation (one USSD turn)
      app.py         create_app(runtime)
      migrations/    Alembic
      embedded.py    the whole house on one machine (embedded_redis.py); demo.py the tour (sheets.py reads a PIN)
      cli.py         the command line (dialling.py, direct.py)
    channels/        how to speak: base (what crosses the wall), text (units and parts), sms/, ussd/, letter/,
                     sandbox/ (a telephone operator in a process)
    templates/       notices/ (one document a notice, medium and language), words/ (screens), letters/ (the sheet)
    jobs/            alarm, relay, deliver, letters, sweep; worker and clock are the processes

Import order, bottom to top (checked by import-linter):

    channels | settings, vault -> db -> registry -> words, outbox -> notices -> dialogue -> runtime -> web -> app
    | jobs

Invariants, that is, what is deliberately absent:

- `channels` meets no household, `gateway.registry` no channel, `gateway` no job: the outbox table is the only
  door between the last two. A committed fact cannot lose its message, whatever becomes of Redis.
- No state of a message changes but along `outbox.TRANSITIONS`. No send happens before its attempt is committed.
- No personal datum stands in a log, an exception, a queue or an address; a PIN stands on one sheet of paper.
- No number is told that was not computed to the last digit; a failed computation has a reason and no number.
- The dialogue's engine has no clock, no store and no network.

Two walks. A notice: `registry.extract` reads a row, `registry.intake` stores and scores it and returns an event,
`notices` words it into `outbox`, all in one transaction | `jobs.relay` wakes it, `jobs.deliver` claims, sends
and settles | `web.receipts` hears what became of it, `notices` records the proof or turns to paper.
A request: `web.ussd` reads the turn, `web.conversation` recalls the session, `dialogue.engine` takes the step,
`dialogue.acts` does what it asks, and the screen goes back.
"""
