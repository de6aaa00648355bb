// The page of `vasari live`: shows a session, says what it is told, keeps picture and sound together.
//
// One clock rules: the session's own time, known from pings. Every frame and every sample carries
// its time in it, and is shown or played `delay` after it.

const RATE = 48000;
const [KEY_FRAME, FRAME, SOUND] = [1, 2, 3]; // kinds of binary message
const PING_EVERY = 500; // ms
const MIN_DELAY = 0.02, MAX_DELAY = 0.25; // seconds
const HOPELESS = 1; // seconds that a frame may be late at most
const MAX_QUEUE = 40; // frames that may wait for the decoder
const MARGIN = 0.006; // seconds between a frame's coming and its showing
// While there is sound, the delay follows what is needed no faster than sound can be stretched
// unheard; where that is too slow, both jump. In silence they jump sooner.
const FOLLOW = 0.004, JUMP = 0.06, SILENT_JUMP = 0.02; // seconds per tick
const HEARD_SECONDS = 4;
const KEPT = 200; // measurements that the shown figures are of

const $ = (id) => document.getElementById(id);
const seconds = () => performance.now() / 1000;
const quantile = (values, q) => [...values].sort((a, b) => a - b)[Math.floor(q * (values.length - 1))];

const keep = (values, value) => {
  values.push(value);
  if (values.length > KEPT) values.shift();
};

/** The session's time, from the quickest of the last pings. */
class Clock {
  constructor() { this.samples = []; }

  pong(sent, now) {
    const received = seconds();
    this.samples.push({ trip: received - sent, offset: now - (sent + received) / 2 });
    if (this.samples.length > 20) this.samples.shift();
    this.offset = this.samples.reduce((a, b) => (a.trip < b.trip ? a : b)).offset;
  }

  get known() { return this.offset !== undefined; }
  get now() { return seconds() + this.offset; }
}

/** Decodes frames and shows each at its time. */
class Screen {
  constructor(canvas, clock) {
    this.context = canvas.getContext("2d", { alpha: false });
    this.clock = clock;
    this.frames = []; // decoded, not yet shown
    this.arrivals = []; // seconds from a frame's time to its being decoded
    this.sizes = []; // bytes of the last frames
    this.shown = []; // when, of the last frames
    this.lags = []; // seconds from a frame's time to its being shown
    this.late = this.total = 0;
    this.delay = 0.06;
    this.draw = this.draw.bind(this);
  }

  open({ codec, size }) {
    this.close();
    const canvas = this.context.canvas;
    canvas.width = canvas.height = size;
    this.config = { codec, codedWidth: size, codedHeight: size, optimizeForLatency: true };
    this.begin();
    this.request = requestAnimationFrame(this.draw);
  }

  begin() {
    this.waiting = true; // for a key frame
    this.decoder = new VideoDecoder({
      output: (frame) => this.decoded(frame),
      error: () => this.begin(),
    });
    this.decoder.configure(this.config);
  }

  decode(kind, time, data) {
    const behind = this.clock.known ? this.clock.now - time : 0;
    const hopeless = behind > HOPELESS || this.decoder.decodeQueueSize > MAX_QUEUE;
    if (hopeless && !this.waiting) this.skip();
    if (this.waiting && (kind !== KEY_FRAME || behind > HOPELESS)) return;
    this.waiting = false;
    keep(this.sizes, data.byteLength);
    const type = kind === KEY_FRAME ? "key" : "delta";
    this.decoder.decode(new EncodedVideoChunk({ type, timestamp: Math.round(time * 1e6), data }));
  }

  /** Leave out what came too late to be of use: a machine or network that is slow for a while. */
  skip() {
    this.decoder.close();
    this.begin();
    send({ type: "keyframe" });
  }

  decoded(frame) {
    if (this.clock.known) keep(this.arrivals, this.clock.now - frame.timestamp / 1e6);
    this.frames.push(frame);
    if (this.frames.length > 30) this.frames.shift().close(); // a hidden page draws nothing
  }

  /** Follow what nearly all frames need, and `least`. */
  adapt(least, silent) {
    if (this.arrivals.length < 20) return;
    const needed = Math.max(quantile(this.arrivals, 0.97) + MARGIN, least);
    const wanted = Math.max(MIN_DELAY, Math.min(MAX_DELAY, needed));
    const change = wanted - this.delay;
    const jumps = change > JUMP || (silent && Math.abs(change) > SILENT_JUMP);
    this.delay += jumps ? change : Math.max(-FOLLOW, Math.min(FOLLOW, change));
  }

  draw() {
    this.request = requestAnimationFrame(this.draw);
    if (!this.clock.known) return;
    const due = this.clock.now - this.delay + 0.004; // half a frame of a 120 Hz screen
    let newest = null;
    while (this.frames.length && this.frames[0].timestamp / 1e6 <= due) {
      if (newest) { newest.close(); this.late++; }
      newest = this.frames.shift();
      this.total++;
    }
    if (!newest) return;
    this.context.drawImage(newest, 0, 0);
    keep(this.lags, this.clock.now - newest.timestamp / 1e6);
    keep(this.shown, seconds());
    newest.close();
  }

  get rate() {
    const since = seconds() - 2;
    return this.shown.filter((time) => time > since).length / 2;
  }

  /** Mbit/s. */
  get bitRate() {
    return (8e-6 * this.rate * this.sizes.reduce((sum, size) => sum + size, 0)) / (this.sizes.length || 1);
  }

  close() {
    cancelAnimationFrame(this.request);
    if (this.decoder && this.decoder.state !== "closed") this.decoder.close();
    this.frames.splice(0).forEach((frame) => frame.close());
    this.arrivals = []; this.sizes = []; this.lags = []; this.shown = [];
  }
}

/** Plays the sound at the same delay as the picture. */
class Speaker {
  constructor(clock) {
    this.clock = clock;
    this.errors = []; // seconds between what is played and what should be
    this.loudAt = 0; // the session's time of the last sound
  }

  async open() {
    this.context = new AudioContext({ sampleRate: RATE, latencyHint: "interactive" });
    await this.context.audioWorklet.addModule("/page.worklet.js");
    this.player = new AudioWorkletNode(this.context, "player", { outputChannelCount: [1] });
    this.player.port.onmessage = ({ data }) => keep(this.errors, data.error);
    this.volume = new GainNode(this.context, { gain: 1 });
    this.player.connect(this.volume).connect(this.context.destination);
  }

  get on() { return this.player !== undefined && this.context.state === "running"; }

  /** Seconds from the worklet to the ear. */
  get latency() { return this.context ? this.context.outputLatency || this.context.baseLatency : 0; }

  get silent() { return this.clock.known && this.clock.now > this.loudAt + 1; }

  take(time, data) {
    const samples = new Int16Array(data);
    if (samples.some((sample) => sample !== 0)) this.loudAt = time;
    if (!this.player) return;
    this.player.port.postMessage({ start: Math.round(time * RATE), samples }, [samples.buffer]);
  }

  /** What leaves the worklet now is heard `latency` later, and should be of that moment. */
  steer(delay) {
    if (!this.on || !this.clock.known) return;
    const position = (this.clock.now - delay + this.latency) * RATE;
    this.player.port.postMessage({ time: this.context.currentTime, position });
  }
}

/** What is being said, word by word. */
class Captions {
  constructor(element) { this.element = element; this.lines = []; }

  add({ time, text, words }) {
    const end = Math.max(time + 1, ...words.map((word) => word[2])) + 0.4;
    this.lines.push({ time, text, words, end });
  }

  /** What a recogniser heard is over when it is known: it stays as long as it takes to read. */
  hear(text, now) { this.lines.push({ time: now, text, words: [], end: now + HEARD_SECONDS }); }

  cut(time) { this.lines = this.lines.filter((line) => line.time < time); this.cutAt = time; }

  show(now) {
    while (this.lines.length > 1 && this.lines[1].time <= now) this.lines.shift();
    const line = this.lines[0];
    const over = line && (now > line.end || (this.cutAt > line.time && now > this.cutAt));
    if (over) this.lines.shift();
    const visible = line && !over && line.time <= now;
    this.element.hidden = !visible;
    if (!visible) { this.said = undefined; return; }
    const said = line.words.filter((word) => word[1] <= now).length;
    if (said === this.said && this.text === line.text) return;
    this.said = said; this.text = line.text;
    this.element.replaceChildren(...parts(line, said));
  }
}

/** A line with the words that were said set apart. */
function parts({ text, words }, said) {
  let place = 0;
  for (const [word] of words.slice(0, said)) {
    const found = text.indexOf(word, place);
    if (found >= 0) place = found + word.length;
  }
  const done = document.createElement("span");
  done.className = "said";
  done.textContent = text.slice(0, place);
  return [done, text.slice(place)];
}

const clock = new Clock();
const screen_ = new Screen($("picture"), clock);
const speaker = new Speaker(clock);
const captions = new Captions($("caption"));
let session = null, socket = null, microphone = null;

function say(text, error = false) {
  $("message").textContent = text;
  $("message").classList.toggle("error", error);
}

const send = (command) => socket?.readyState === 1 && socket.send(JSON.stringify(command));

async function ask(path, options) {
  const answer = await fetch(path, options);
  const content = answer.status === 204 ? {} : await answer.json();
  if (!answer.ok) throw new Error(content.error ?? "the service does not answer");
  return content;
}

function enter(name) {
  leave();
  const opened = new WebSocket(`${location.origin.replace(/^http/, "ws")}/api/sessions/${name}/live`);
  socket = opened;
  socket.binaryType = "arraybuffer";
  socket.onmessage = ({ data }) => (typeof data === "string" ? event(JSON.parse(data)) : media(data));
  socket.onclose = () => { if (socket === opened) gone("The connection to the service has ended."); };
  socket.onopen = () => { ping(); direct(); };
}

function leave() {
  const left = socket;
  socket = null;
  left?.close();
}

function gone(reason) {
  leave();
  stopMirror();
  screen_.close();
  session = null;
  ready(false);
  say(reason, true);
}

const events = {
  session: (told) => { session = told; screen_.open(told); ready(true); declare(told); },
  pong: ({ time, now }) => clock.pong(time, now),
  caption: (line) => captions.add(line),
  heard: ({ text }) => captions.hear(text, clock.now - screen_.delay),
  cut: ({ time }) => captions.cut(time),
  error: ({ message }) => say(message, true),
  closed: ({ reason }) => gone(`The session is over: ${reason}.`),
  recording: () => recording(true),
  recorded: ({ name, note, captions: said }) => { recording(false); offer(name, said); say(note ? `Recorded until: ${note}.` : "The recording is signed."); },
  unrecorded: ({ message }) => { recording(false); say(message, true); },
};

function event(message) { events[message.type]?.(message); }

function media(data) {
  const view = new DataView(data);
  const kind = view.getUint8(0), time = view.getFloat64(1);
  if (kind === SOUND) speaker.take(time, data.slice(9));
  else screen_.decode(kind, time, new Uint8Array(data, 9));
}

/** Ask for the time; tell how long frames take, by which the service adapts its bit rate. */
function ping() {
  const delay = quantile(screen_.arrivals.slice(-40), 0.5);
  send({ type: "ping", time: seconds(), ...(delay !== undefined && { delay }) });
}

function ready(on) {
  $("opening").hidden = on;
  $("keep").hidden = true;
  $("live").hidden = !on;
  $("note").hidden = !on;
  for (const id of ["speak", "mirror", "file", "hush", "record", "sound", "change"]) $(id).disabled = !on;
  if (!on) { recording(false); $("provenance").replaceChildren(); }
}

function declare({ name, watermark, signer, standing }) {
  $("verify").href = `/api/sessions/${name}/report`;
  const lines = { Watermark: watermark, "Signed by": `${signer} (${standing})` };
  $("provenance").replaceChildren(...Object.entries(lines).flatMap(([name, value]) => {
    const [term, text] = [document.createElement("dt"), document.createElement("dd")];
    term.textContent = name;
    text.textContent = value;
    return [term, text];
  }));
}

async function upload(file) {
  if (!file) return;
  $("busy").hidden = false;
  say("");
  try {
    const query = session ? `?replacing=${encodeURIComponent(session.name)}` : "";
    const begun = await ask(`/api/sessions${query}`, { method: "POST", body: file });
    enter(begun.name);
    $("text").focus();
  } catch (error) {
    say(`This cannot be used: ${error.message}.`, true);
  } finally {
    $("busy").hidden = true;
    $("portrait").value = "";
  }
}

function direct() {
  const value = (id) => Number($(id).value);
  const emotion = $("emotion").value === "neutral" ? {} : { [$("emotion").value]: value("weight") };
  send({
    type: "controls", gaze: [value("yaw"), value("pitch")], distance: value("distance"),
    headMotion: value("head"), emotion,
  });
  const units = { yaw: "°", pitch: "°", distance: "×", head: "×", weight: "" };
  for (const output of $("controls").querySelectorAll("output")) {
    const id = output.htmlFor[0];
    output.textContent = $(id).value + units[id];
  }
  $("weight").disabled = $("emotion").value === "neutral";
}

async function listen() {
  speaker.opened ??= speaker.open();
  await speaker.opened;
  await speaker.context.resume();
  pressed("sound", true, "Sound on", "Sound off");
}

function pressed(id, on, yes, no) {
  $(id).setAttribute("aria-pressed", on);
  $(id).textContent = on ? yes : no;
}

async function mirror() {
  if (microphone) { stopMirror(); return; }
  try {
    await listen();
    const stream = await navigator.mediaDevices.getUserMedia({
      audio: { channelCount: 1, echoCancellation: true, noiseSuppression: true, autoGainControl: true },
    });
    const source = speaker.context.createMediaStreamSource(stream);
    const capture = new AudioWorkletNode(speaker.context, "capture", { numberOfOutputs: 0 });
    capture.port.onmessage = ({ data }) => socket?.readyState === 1 && socket.send(data);
    send({ type: "speech", rate: RATE });
    source.connect(capture);
    microphone = { stream, source };
    speaker.volume.gain.value = 0; // one's own voice, a moment late, is no pleasure
    pressed("mirror", true, "Stop mirroring", "Mirror my voice");
    say("The avatar says what you say. Its sound is muted here.");
  } catch {
    say("The microphone cannot be used: allow it in the browser, or type instead.", true);
  }
}

function stopMirror() {
  if (!microphone) return;
  microphone.source.disconnect();
  microphone.stream.getTracks().forEach((track) => track.stop());
  microphone = null;
  speaker.volume.gain.value = 1;
  send({ type: "end" });
  pressed("mirror", false, "Stop mirroring", "Mirror my voice");
  say("");
}

async function play(file) {
  if (!file) return;
  stopMirror();
  await listen();
  try {
    const sound = await speaker.context.decodeAudioData(await file.arrayBuffer());
    send({ type: "speech", rate: sound.sampleRate });
    const channels = Array.from({ length: sound.numberOfChannels }, (_, i) => sound.getChannelData(i));
    for (let start = 0; start < sound.length; start += sound.sampleRate) {
      const part = new Int16Array(Math.min(sound.sampleRate, sound.length - start));
      for (let i = 0; i < part.length; i++) {
        const sum = channels.reduce((total, channel) => total + channel[start + i], 0);
        part[i] = Math.max(-1, Math.min(1, sum / channels.length)) * 32767;
      }
      socket?.send(part);
    }
    send({ type: "end" });
  } catch {
    say("This sound cannot be read; try WAV, MP3 or M4A.", true);
  }
  $("file-input").value = "";
}

function recording(on) {
  pressed("record", on, "Stop and sign", "Record");
  $("recording-badge").hidden = !on;
}

function offer(name, said) {
  const address = `/api/recordings/${name}`;
  const link = (textContent, label, rest) => {
    const anchor = Object.assign(document.createElement("a"), { textContent, ...rest });
    anchor.setAttribute("aria-label", `${label} ${name}`);
    return anchor;
  };
  const item = document.createElement("li");
  item.append(name, document.createElement("br"), link("Download", "Download", { href: address, download: name }));
  if (said) item.append(link("Captions", "Captions of", { href: `${address}/captions`, download: name.replace(/mp4$/, "vtt") }));
  item.append(link("Verify this", "Verify", { href: `${address}/report`, target: "_blank", rel: "noopener" }));
  $("recordings").prepend(item);
}

function tick() {
  ping();
  screen_.adapt(speaker.on ? speaker.latency - 0.03 : 0, speaker.silent);
  speaker.steer(screen_.delay);
  if (!session) { $("figures").textContent = ""; return; }
  const [half, most] = [0.5, 0.95].map((q) => Math.round(1000 * (quantile(screen_.lags, q) ?? 0)));
  $("figures").textContent = `${Math.round(screen_.rate)} frames/s · ${half} ms (95 %: ${most} ms) · ${screen_.bitRate.toFixed(1)} Mbit/s`;
}

function speak() {
  const text = $("text").value.trim();
  if (!text) return;
  stopMirror();
  send({ type: "text", text });
  $("text").value = "";
  listen().catch(() => say("The browser plays no sound; the avatar speaks without.", true));
}

$("say").onsubmit = (submitted) => { submitted.preventDefault(); speak(); };
$("text").onkeydown = (key) => {
  if (key.key === "Enter" && !key.shiftKey && !key.isComposing) { key.preventDefault(); speak(); }
};
$("portrait").onchange = ({ target }) => upload(target.files[0]);
$("change").onclick = () => { $("opening").hidden = $("keep").hidden = false; $("portrait").focus(); };
$("keep").onclick = () => { $("opening").hidden = true; $("change").focus(); };
for (const sample of document.querySelectorAll(".samples button")) {
  sample.onclick = async () => upload(await (await fetch(sample.value)).blob());
}
$("file").onclick = () => $("file-input").click();
$("file-input").onchange = ({ target }) => play(target.files[0]);
$("mirror").onclick = mirror;
$("hush").onclick = () => { stopMirror(); send({ type: "stop" }); };
$("record").onclick = () => send({ type: "record", on: $("record").getAttribute("aria-pressed") !== "true" });
$("controls").oninput = direct;
$("controls").onreset = () => setTimeout(direct);
$("sound").onclick = async () => {
  if (!speaker.on) { await listen(); return; }
  await speaker.context.suspend();
  pressed("sound", false, "Sound on", "Sound off");
};
document.ondragover = (dragged) => dragged.preventDefault();
document.ondrop = (dropped) => { dropped.preventDefault(); upload(dropped.dataTransfer.files[0]); };

(function animate() {
  requestAnimationFrame(animate);
  if (clock.known) captions.show(clock.now - screen_.delay);
})();

async function begin() {
  ready(false);
  const status = await ask("/api/status");
  $("emotion").replaceChildren(...["neutral", ...status.emotions.filter((name) => name !== "neutral")].map((name) => new Option(name)));
  $("text").maxLength = status.maxText;
  direct();
  setInterval(tick, PING_EVERY);
  if (!("VideoDecoder" in window)) say("This browser has no WebCodecs: use a current one, over HTTPS or on localhost.", true);
  else if (status.default) enter("default");
  else if (status.room < 1) say("All avatars that this machine can move are in use; try again later.", true);
}

begin().catch((error) => say(error.message, true));

// For tests and for who looks into the matter.
window.vasari = { clock, screen: screen_, speaker, captions };
