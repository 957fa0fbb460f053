// The handset: its inbox, its dial pad and its USSD session. All it knows comes from the operator.
import { inCall, leave, pressKey, start, watch } from "./call.js";
import { byId, get, languageOf, phone, post, problem } from "./line.js";

const session = byId("session");
const POLL_MS = 1000;
const KEYS = "0123456789*#";

const timeOf = new Intl.DateTimeFormat("fr-MA", {
  day: "2-digit", month: "2-digit", hour: "2-digit", minute: "2-digit", timeZone: "Africa/Casablanca",
});

// Inbox

function entry(message) {
  const item = document.createElement("li");
  const head = document.createElement("div");
  const sender = document.createElement("bdi");
  const time = document.createElement("time");
  const body = document.createElement("p");
  sender.textContent = message.from;
  time.dateTime = message.delivered_at;
  time.dir = "ltr";
  time.textContent = timeOf.format(new Date(message.delivered_at));
  body.dir = "auto";
  body.lang = languageOf(message.body);
  body.textContent = message.body;
  head.append(sender, time);
  item.append(head, body);
  return item;
}

let received = 0;

// Only what is new is added, so that a reader is told of new texts and of nothing else.
function showInbox(messages) {
  const inbox = byId("inbox");
  if (messages.length < received) {
    inbox.replaceChildren();
    received = 0;
  }
  inbox.prepend(...messages.slice(0, messages.length - received).map(entry));
  received = messages.length;
}

async function poll() {
  try {
    showInbox(await get("/inbox"));
  } catch {
    // The operator is away; the next round asks again.
  }
  setTimeout(poll, POLL_MS);
}

// What the person writes to the service stands among what it has answered.
async function write(body) {
  const written = entry({ from: "←", body, delivered_at: new Date().toISOString() });
  written.className = "mine";
  byId("inbox").prepend(written);
  try {
    await post("/sms", { body });
  } catch {
    byId("inbox").prepend(entry({ from: "!", body: problem("no_answer"), delivered_at: new Date().toISOString() }));
  }
}

// USSD session: closed, waiting for the network, asking the person, or ended and still shown

function show(state, text = "") {
  session.hidden = state === "closed";
  session.dataset.state = state;
  byId("ussd").textContent = text;
  byId("ussd").lang = languageOf(text);
  byId("typed").value = "";
  for (const id of ["typed", "send"]) byId(id).disabled = state === "waiting";
  const next = { closed: "number", waiting: "cancel", asking: "typed", ended: "close" }[state];
  byId(next).focus();
}

// A screen that comes after its call was cancelled is dropped.
let turn = 0;
// And the next call waits until the hang-up has come through, or it would be the one hung up.
let hangingUp = Promise.resolve();

async function call(request) {
  const mine = ++turn;
  show("waiting", "…");
  let display;
  try {
    await hangingUp;
    display = await post("/ussd", request);
  } catch {
    display = { text: "", final: true, problem: "no_answer" };
  }
  if (mine !== turn) return;
  const text = display.problem ? problem(display.problem) : display.text;
  show(display.final ? "ended" : "asking", text);
}

function hangUp() {
  turn++;
  show("closed");
  hangingUp = post("/ussd", { hang_up: true }).catch(() => {});
}

function close() {
  byId("number").value = "";
  show("closed");
}

// Telephone call: the rest of it is in a file of its own

function telephone(number) {
  byId("number").value = "";
  start(number);
}

// Keys, by hand and by keyboard

function field() {
  return byId(session.hidden ? "number" : "typed");
}

function press(key) {
  if (inCall()) return pressKey(key);
  if (field().disabled) return;
  field().value += key;
}

function erase() {
  field().value = field().value.slice(0, -1);
}

function escape() {
  if (inCall()) leave();
  else if (session.hidden) byId("number").value = "";
  else if (session.dataset.state === "ended") close();
  else hangUp();
}

byId("dial").addEventListener("submit", (event) => {
  event.preventDefault();
  const dialled = byId("number").value.trim();
  if (!dialled || !session.hidden || inCall()) return;
  if (/^[*#]/.test(dialled)) call({ dial: dialled });
  else telephone(dialled);
});
byId("answer").addEventListener("submit", (event) => {
  event.preventDefault();
  if (session.dataset.state === "asking") call({ type: byId("typed").value });
});
for (const button of phone.querySelectorAll("[data-key]")) {
  button.addEventListener("click", () => press(button.dataset.key));
}
byId("erase").addEventListener("click", erase);
byId("text").addEventListener("submit", (event) => {
  event.preventDefault();
  const body = byId("body").value.trim();
  if (body) write(body);
  byId("body").value = "";
});
byId("service").addEventListener("click", (event) => {
  if (session.hidden) telephone(event.currentTarget.dataset.number);
});
// The field keeps the focus, so that Enter still calls and sends.
byId("dial").addEventListener("mousedown", (event) => {
  if (event.target.tagName === "BUTTON") event.preventDefault();
});
byId("cancel").addEventListener("click", hangUp);
byId("close").addEventListener("click", close);
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape") escape();
  else if ((inCall() || event.target.tagName !== "INPUT") && !event.ctrlKey && !event.metaKey) {
    if (KEYS.includes(event.key)) press(event.key);
    if (event.key === "Backspace" && !inCall()) erase();
  }
});

byId("number").focus();
watch(() => {
  byId("number").value = "";
  field().focus();
});
poll();
