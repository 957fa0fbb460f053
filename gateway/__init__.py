"""The architecture page: where everything lives, and why.

One sentence to keep: the registry knows, the gateway decides, the channels speak, the templates word it, the
jobs keep the hours.

    gateway/
      settings.py    what the environment says, checked once; the only reader of it
      vault.py       seals what is personal, finds it again without opening it, proves a PIN
      db.py          engine, transactions, column types
      logs.py        one line a fact, nothing personal in it
      registry/      what is known and the rules on it (below)
      words.py       say(locale, name), hear(locale, name), notice(name, medium, locale); spoken.py what is heard of a
                     text: phrases, digits, dates, numbers
      reasons.py     a line of an explanation, as it is said; whereabouts.py where a household stands, in words
      outbox/        messages that must reach a household: the table by which they move, posting, sending, receipts,
                     letters, what nobody is sure of, and months (the large tables, in parts)
      errands.py     what programmes have households told, once however often they ask
      post.py        on which day a letter is posted, and when it is there
      routes/        by which provider a text goes: choice, weights that move, stops, and the history of both
      bind.py        which process holds the one connection to an operator's SMSC; it is `jobs.smpp`, which sends and
                     hears by `channels.sms.smpp`
      calling.py     people who are called back; doubt.py telephones that may be somebody else's by now
      keywords.py    what somebody means by a text
      tellings.py    event -> notice, and the facts that fill it
      notices.py     notice -> medium, language, hour, or silence
      proof.py       what shows that a household was told, and what takes that proof away
      campaign/      one approved text to very many: row, audience, plan, making, letting, desk (docs/campaigns.md)
      cost.py        prices, what was spent, and the budget of a day; hours.py when a lane is awake; pace.py how fast
      untold.py      what could not be worded waits, and hinders nobody; unreached.py letters that wait at a centre
      figures/       the process figures of a period, counted by the database (docs/figures.md)
      dialogue/      states (vocabulary), engine (pure), household (the tree), acts (its effects on the
                     registry), access (PIN and lock), memory (Redis, sealed), ear (a screen as it is heard);
                     for its authors longest (what each screen costs at most) and picture (the tree as an SVG);
                     for whom it is made so: docs/accessibility.md
      studio.py      all that a call can say, in five slots, as takes for a speaker; recordings.py their files, and
                     what a provider plays of them; audio.py what a file is; synthesizer.py speech to try it out
      runtime.py     what one process holds; the only opener of connections; loop.py where texts are in flight;
                     timekeeper.py the database's time, for all machines
      importing.py   an extract in batches, each stored, scored and told in one transaction; answering.py the same
                     for the answers of partner bodies
      judging.py     every household judged again, when a limit or a condition takes effect
      deadlines.py   what the passing of time does to promises, and who is told
      paper.py       letters into the tray, in the order of the post's tariff, printed again where one was spoilt,
                     and posted; presses.py a country's, by a process for each core; scans.py what the print house
                     and the post report of them; slips.py what households send back of them
      web/           a provider's callback in, an answer out: ussd, sms, voice (saying: what is said in a call),
                     receipts; conversation (one turn of any), punctual (an answer in time), departures (figures);
                     api (docs/api.yaml) for programmes' machines, problems (RFC 9457)
      app.py         create_app(runtime)
      migrations/    Alembic
      embedded.py    the whole house on one machine (embedded_redis.py); demo.py the tour (sheets.py reads a PIN),
                     story.py six households through the registry
      cli/           the command line, a file a noun (dialling.py, direct.py)
    channels/        how to speak: base (what crosses the wall), codes/ (what providers' codes mean), text (units and
                     parts), line (many texts in flight), sms/, ussd/, voice/, letter/ (layout, scale, fit, page,
                     press, bundle, tray), sandbox/ (a telephone operator in a process)
    templates/       notices/ (one document a notice, medium and language), words/ (screens), letters/ (sheet, cover)
    jobs/            alarm, relay, deliver, receipts, weigh, letters, sweep, tell, deadlines, call_backs,
                     voice_messages, doubts, campaigns, months; worker (one of them urgent), clock and smpp (bound to an
                     operator, by a tenure) are the processes

The rooms of the registry:

    coming in        extract, intake, registration, promise (the ten days), standing; household, phones, networks,
                     suppression (numbers that get no texts), communes, numbers, sample
    what counts      inquiry and answers (partner bodies), verification, evidence (operator, else partner, else
                     declaration), items
    the index        formula (formulas/), measures, index, score (tables), scoring (the one path by which a score comes
                     to be), explain (things, disclosure, reference)
    all at once      vector, batch (whole numbers, exact), bulk and chunk (COPY), crossings, rejudging, recalculation
    programmes       programme (programmes.toml), condition (CEL)
    review           review (the household), review_desk (the clerks), review_clock (the hours)
    complaint        complaint, complaint_category, complaint_reading, complaint_handling, complaint_clock;
                     voice_message (what was spoken of one)
    change           update, declaration, number_change, data_round, stale
    beneath all      steps (a state moves by a table), clock (working days), audit, events

Import order, bottom to top (checked by import-linter):

    channels | settings, vault -> db -> registry -> post -> words, outbox, calling, errands -> reasons, tellings
    -> untold -> proof -> notices -> dialogue -> studio -> recordings -> runtime -> importing, deadlines -> web -> app
    | jobs

Invariants, that is, what is deliberately absent:

- `channels` meets no household, `gateway.registry` no channel, `gateway` no job: the outbox table is the only
  door between the last two. A committed fact cannot lose its message, whatever becomes of Redis.
- No state of a message changes but along `outbox.TRANSITIONS`. No send happens before its attempt is committed.
- No personal datum stands in a log, an exception, a queue or an address; a PIN stands on one sheet of paper.
- No number is told that was not computed to the last digit; a failed computation has a reason and no number.
- What a decision rests on is never changed: the database refuses it for formulas, snapshots, scores, decisions and the
  audit. A score comes to be in `scoring` or, for all households at once, in `recalculation`, and nowhere else.
- No state of a registration, review, complaint or update changes but by `steps.step`; what time does to it, a clock
  does (`deadlines`), never somebody's looking.
- The dialogue's engine has no clock, no store and no network.

Two walks. A notice: `registry.extract` reads a row, `registry.intake` stores and scores it and returns an event,
`notices` words it into `outbox`, all in one transaction | `jobs.relay` wakes it, `routes` draws its provider,
`jobs.deliver` claims, sends and settles | `web.receipts` keeps what became of it, `jobs.receipts` settles it, `proof`
keeps it, or `notices` turns to paper, which `scans` follows.
A request: `web.ussd` reads the turn, `web.conversation` recalls the session, `dialogue.engine` takes the step,
`dialogue.acts` does what it asks, and the screen goes back. A text and a call take the same way; what they answer is
the same position, worded for three parts of an SMS or for the ear.
"""
