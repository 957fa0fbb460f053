// The ear and the mouth of the handset: what is heard comes one after the other, what is spoken becomes a WAV file.
const READING_MS = 60;
const BEEP_S = 0.3;
const RATE_HZ = 8000;

// Hearing

let turn = 0;
let queue = Promise.resolve();
let stop = () => {};

// Comes to its end when this and all before it was heard, or was hushed.
export function hear(sound) {
  const mine = turn;
  queue = queue.then(() => (mine === turn ? play(sound) : undefined));
  return queue;
}

export function hush() {
  turn++;
  stop();
}

function play(sound) {
  return new Promise((done) => {
    stop = done;
    if (sound.beep) beep(done);
    else if (sound.url) playRecording(sound.url, done);
    else say(sound, done);
  });
}

function playRecording(url, done) {
  const audio = new Audio(url);
  stop = () => { audio.pause(); done(); };
  audio.addEventListener("ended", done);
  audio.addEventListener("error", done);
  audio.play().catch(done);
}

// Arabic has a name of its own among the languages of speech.
function voiceOf(language) {
  const wanted = language.replace(/^arb$/, "ar").split("-")[0];
  const voices = window.speechSynthesis?.getVoices() ?? [];
  return voices.find((voice) => voice.lang.toLowerCase().split(/[-_]/)[0] === wanted);
}

// Where no voice speaks the language, the time is kept that it takes to read it.
function say({ text, language }, done) {
  const voice = voiceOf(language);
  if (!voice) {
    setTimeout(done, READING_MS * text.length);
    return;
  }
  const words = new SpeechSynthesisUtterance(text);
  words.voice = voice;
  words.lang = voice.lang;
  words.addEventListener("end", done);
  words.addEventListener("error", done);
  stop = () => { speechSynthesis.cancel(); done(); };
  speechSynthesis.speak(words);
}

function beep(done) {
  const context = new AudioContext();
  const tone = new OscillatorNode(context, { frequency: 1000 });
  const end = () => { context.close().catch(() => {}); done(); };
  tone.connect(context.destination);
  tone.start();
  // By the clock, and not by the tone's own end: a browser without a loudspeaker never comes to it.
  setTimeout(end, BEEP_S * 1000);
}

// Speaking

// Begin to listen. Gives what ends it and hands over the WAV file; throws where there is no microphone.
export async function listen() {
  const stream = await navigator.mediaDevices.getUserMedia({ audio: true });
  const recorder = new MediaRecorder(stream);
  const parts = [];
  recorder.addEventListener("dataavailable", (event) => parts.push(event.data));
  const ended = new Promise((done) => recorder.addEventListener("stop", done));
  recorder.start();
  return async () => {
    recorder.stop();
    await ended;
    for (const track of stream.getTracks()) track.stop();
    const spoken = await new Blob(parts).arrayBuffer();
    const sound = await new OfflineAudioContext(1, 1, RATE_HZ).decodeAudioData(spoken);
    return wav(sound.getChannelData(0));
  };
}

// Mono, 16 bit, 8 kHz: a telephone's quality, and all that the operator takes.
function wav(samples) {
  const file = new DataView(new ArrayBuffer(44 + 2 * samples.length));
  const write = (at, letters) => [...letters].forEach((letter, i) => file.setUint8(at + i, letter.charCodeAt(0)));
  write(0, "RIFF");
  file.setUint32(4, file.byteLength - 8, true);
  write(8, "WAVEfmt ");
  file.setUint32(16, 16, true);
  file.setUint16(20, 1, true);
  file.setUint16(22, 1, true);
  file.setUint32(24, RATE_HZ, true);
  file.setUint32(28, RATE_HZ * 2, true);
  file.setUint16(32, 2, true);
  file.setUint16(34, 16, true);
  write(36, "data");
  file.setUint32(40, 2 * samples.length, true);
  samples.forEach((height, i) => file.setInt16(44 + 2 * i, Math.max(-1, Math.min(1, height)) * 0x7fff, true));
  return file.buffer;
}
