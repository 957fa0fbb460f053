// What all of the handset shares: its elements, its operator, and the language a text is in.
export const byId = (id) => document.getElementById(id);
export const phone = byId("phone");
export const base = `/sandbox/handset/${encodeURIComponent(phone.dataset.msisdn)}`;

export function languageOf(text) {
  if (/[\u2d30-\u2d7f]/.test(text)) return "zgh-MA";
  return /[\u0600-\u06ff]/.test(text) ? "ar-MA" : "fr-MA";
}

export function problem(word) {
  return phone.querySelector(`[data-problem="${word}"]`).textContent;
}

async function answered(answer) {
  if (!answer.ok) throw new Error(answer.status);
  return answer.json();
}

export async function get(path) {
  return answered(await fetch(base + path));
}

export async function post(path, request) {
  const headers = { "Content-Type": "application/json" };
  return answered(await fetch(base + path, { method: "POST", headers, body: JSON.stringify(request) }));
}

export async function upload(path, sound) {
  return answered(await fetch(base + path, { method: "POST", headers: { "Content-Type": "audio/wav" }, body: sound }));
}
