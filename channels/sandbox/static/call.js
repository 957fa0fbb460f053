// The telephone call: what is heard, as captions and aloud, and what the person does about it.
import { base, byId, get, languageOf, phone, post, problem, upload } from "./line.js";
import { hear, hush, listen } from "./sound.js";

const POLL_MS = 1000;
const WITHOUT_MICROPHONE_S = 5;
const NONE = { state: "none", call: "", heard: [], turn: 0 };

const panel = byId("voice");
let shown = NONE;
let leaving = false;
let silence = 0;
let limit = 0;
// What ends the listening of the microphone, while it listens.
let mouth = null;
let whenOver = () => {};

export function inCall() {
  return !panel.hidden;
}

export function start(number) {
  show({ ...NONE, state: "ringing", incoming: false, call: null, other: number });
  byId("captions").focus();
  act(() => post("/call", { dial: number }));
}

export function pressKey(key) {
  if (shown.state === "ended" || (shown.incoming && shown.state === "ringing")) return;
  hush();
  byId("number").value += key;
  if (mouth && shown.awaits?.finish.includes(key)) finishSpeaking();
  else act(() => post("/call", { keys: key }));
}

// Escape: refuse, hang up or close.
export function leave() {
  if (shown.state === "ended") return close();
  hush();
  dropMouth();
  leaving = true;
  act(() => post("/call", { hang_up: true }));
  close();
}

export function watch(over) {
  whenOver = over;
  poll();
}

// Asking the operator, one thing after the other

let acts = 0;
let last = Promise.resolve();

function act(ask) {
  const mine = ++acts;
  clearTimeout(silence);
  last = last.then(ask).catch(() => ({ ...shown, state: "ended", awaits: null, problem: "no_answer" }));
  last = last.then((next) => {
    if (mine !== acts) return;
    if (!leaving) show(next, true);
    leaving = false;
  });
}

// What was asked before the person acted is old by the time it comes, and a call that is over shows itself only once.
async function poll() {
  try {
    await last;
    const before = acts;
    const next = await get("/call");
    if (before === acts && (inCall() || next.state !== "ended")) show(next);
  } catch {
    // The operator is away; the next round asks again.
  }
  setTimeout(poll, POLL_MS);
}

// Showing

function show(next, acted = false) {
  if (next.state === "none") return;
  const before = shown;
  // The call that was dialled has its name from the first answer on.
  const another = next.call !== before.call && before.call !== null;
  if (another) {
    hush();
    byId("captions").replaceChildren();
  }
  if (next.state !== "recording") dropMouth();
  shown = next;
  showPanel(before);
  const heard = showCaptions(next.heard);
  if (acted || another || next.turn !== before.turn || next.state !== before.state) waitFor(next, heard);
}

function showPanel(before) {
  const { state, incoming } = shown;
  const ringing = state === "ringing" && incoming;
  const idle = byId("session").hidden && !byId("number").value;
  const opening = panel.hidden;
  panel.hidden = false;
  panel.dataset.state = state;
  lend(true);
  fill("status", "status", ringing ? "ringing" : { ringing: "calling", ended: "ended" }[state] ?? "talking");
  byId("other").textContent = shown.other;
  byId("detail").textContent = shown.detail ?? "";
  showHint();
  showActs(ringing);
  if (opening && ringing && idle) byId("take").focus();
  if (state === "ended" && before.state !== "ended") byId("over").focus();
  if (state === "recording" && before.state !== "recording") byId("speak").focus();
}

function showHint() {
  const { state } = shown;
  if (shown.problem) {
    byId("hint").textContent = problem(shown.problem);
  } else if (state === "waiting_keys" || state === "recording") {
    fill("hint", "hint", mouth ? "listening" : state);
  } else {
    byId("hint").replaceChildren();
  }
}

function showActs(ringing) {
  const { state } = shown;
  const seen = {
    take: ringing, refuse: ringing, speak: state === "recording" && !mouth, spoken: state === "recording" && mouth,
    leave: !ringing && state !== "ended", over: state === "ended",
  };
  for (const [id, visible] of Object.entries(seen)) byId(id).hidden = !visible;
}

// The dial pad belongs to the call while there is one.
function lend(pad) {
  for (const id of ["call", "service", "erase"]) byId(id).disabled = pad;
  byId("number").readOnly = pad;
}

// Filled anew only when it changes, so that a reader is told once.
function fill(id, kind, word) {
  const words = phone.querySelector(`[data-${kind}="${word}"]`);
  if (byId(id).textContent !== words.textContent) {
    byId(id).replaceChildren(...[...words.childNodes].map((node) => node.cloneNode(true)));
  }
}

// Adds what is new, and begins to play it. Gives what comes to its end when all of it was heard.
function showCaptions(heard) {
  const captions = byId("captions");
  let done = Promise.resolve();
  heard.forEach((sound, place) => {
    if (place < captions.children.length) return;
    captions.append(caption(sound));
    done = hear(sound.said ? { text: sound.said, language: sound.language } : { url: `${base}/call/heard/${place}` });
  });
  captions.lastElementChild?.scrollIntoView({ block: "nearest" });
  return done;
}

function caption(sound) {
  const item = document.createElement("li");
  item.dir = "auto";
  item.textContent = sound.said ?? `♪ ${new URL(sound.played).pathname.split("/").pop()}`;
  item.lang = sound.said ? languageOf(sound.said) : "fr-MA";
  return item;
}

// Waiting: silence is told when the person has heard everything and done nothing for as long as was asked

async function waitFor(next, heard) {
  clearTimeout(silence);
  if (next.state === "recording" && next.awaits.beep) hear({ beep: true });
  if (next.state !== "waiting_keys") return;
  await heard;
  if (shown.turn !== next.turn || shown.call !== next.call || shown.state !== "waiting_keys") return;
  clearTimeout(silence);
  silence = setTimeout(
    () => act(() => post("/call", { silence: true, turn: next.turn })),
    next.awaits.seconds * 1000,
  );
}

async function speak() {
  hush();
  const { call, awaits } = shown;
  byId("speak").disabled = true;
  try {
    mouth = await listen();
  } catch {
    act(() => post("/call", { speak: WITHOUT_MICROPHONE_S }));
    return;
  } finally {
    byId("speak").disabled = false;
  }
  if (shown.call !== call || shown.state !== "recording") return dropMouth();
  limit = setTimeout(finishSpeaking, awaits.seconds * 1000);
  showHint();
  showActs(false);
  byId("spoken").focus();
}

function finishSpeaking() {
  const end = takeMouth();
  if (!end) return;
  byId("captions").focus();
  act(async () => upload("/call/speech", await end()));
}

function dropMouth() {
  takeMouth()?.().catch(() => {});
}

function takeMouth() {
  clearTimeout(limit);
  const end = mouth;
  mouth = null;
  return end;
}

function close() {
  hush();
  clearTimeout(silence);
  shown = NONE;
  panel.hidden = true;
  byId("captions").replaceChildren();
  lend(false);
  whenOver();
}

byId("take").addEventListener("click", () => {
  byId("captions").focus();
  act(() => post("/call", { answer: true }));
});
byId("speak").addEventListener("click", speak);
byId("spoken").addEventListener("click", finishSpeaking);
for (const id of ["refuse", "leave"]) byId(id).addEventListener("click", leave);
byId("over").addEventListener("click", close);
