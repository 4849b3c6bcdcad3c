// Meadow in a browser: connects the page, the picture and the sound with the server's messages.

import { Client } from "./firefly.js";
import { Input } from "./input.js";
import * as message from "./message.js";
import { Panel } from "./panel.js";
import { Scene } from "./scene.js";
import { Sound } from "./sound.js";
import { World } from "./world.js";

const FLY_EVERY = 83;      // ms between two positions that we send: about 12 a second
const REST_EVERY = 2000;   // ms between two when we do not move
const LOOK_EVERY = 3000;   // ms between two looks at an open shop or leaderboard
const VEIL_AFTER = 10_000; // ms without a connection before it is worth a word: until then nobody notices
const ASK_WITHIN = 2000;   // ms that the page's server has to name the gate

const world = new World();
const panel = new Panel();
const sound = new Sound();
const scene = new Scene(document.getElementById("picture"), world);
const input = new Input(scene.picture, (x, y) => scene.cam.toWorld(x, y));
let client = null;

// --- secrets: one for each name, random, kept by this browser

function secrets() {
  try { return JSON.parse(localStorage.getItem("meadow.secrets")) ?? {}; } catch { return {}; }
}

function secretOf(name) {
  const all = secrets();
  if (!all[name]) {
    all[name] = [...crypto.getRandomValues(new Uint8Array(24))].map((b) => b.toString(16).padStart(2, "0")).join("");
    localStorage.setItem("meadow.secrets", JSON.stringify(all));
  }
  localStorage.setItem("meadow.last", name);
  return all[name];
}

function names() {
  const last = localStorage.getItem("meadow.last");
  return Object.keys(secrets()).sort((a, b) => (b === last) - (a === last));
}

// --- the connection

let address = ""; // of the gate

// gate asks where the gate is: it may come back elsewhere. While nobody knows it is where it was.
async function gate() {
  try {
    const asked = await fetch("play.json", { cache: "no-store", signal: AbortSignal.timeout(ASK_WITHIN) });
    address = (await asked.json()).ws || address;
  } catch {
    // the page's server is away, too
  }
  if (address === "") throw new Error("there is no gate yet");
  return address;
}

function start(name) {
  sound.wake();
  panel.busy(true);
  client?.close();
  let entered = false;
  client = new Client(gate, {
    client: "meadow/1.0",
    async login(door) {
      const wish = /^#([0-2],[0-2])$/.exec(location.hash)?.[1]; // a link into a friend's room
      world.begin(name);
      panel.purse(world.gold);
      const me = await door.call(message.Login, { name, secret: secretOf(name), wish });
      panel.enter(me.name);
      if (entered) panel.note("the night goes on");
      entered = true;
    },
    onState: connection,
    onStray: (refusal) => console.warn("meadow:", refusal.code, refusal.message),
  });
  handlers(client);
  client.open();
}

let veil = 0; // the timer that draws it; 0: nothing is amiss
function connection(state) {
  if (state.name === "away") {
    veil ||= setTimeout(() => panel.veil(true), VEIL_AFTER);
    return;
  }
  clearTimeout(veil);
  veil = 0;
  if (state.name === "online") {
    panel.veil(false);
    panel.busy(false);
    if (state.resumed) world.returned();
  } else if (state.name === "connecting") panel.door("The meadow does not answer yet; trying again…");
  else if (state.why.code === "TAKEN_OVER") panel.veil(true, "You are flying in another window.", "", true);
  else if (state.why.code !== "CLOSED") panel.door(sentence(state.why));
}

function sentence(why) {
  switch (why.code) {
    case "LOGIN_WRONG_SECRET": return "That name is taken by another firefly. Choose another one.";
    case "LOGIN_BAD_NAME": return "1 to 16 letters, digits, _ or - please.";
    case "LOGIN_LOCKED": return why.text || "Too many wrong tries; wait a minute.";
    case "VERSION": return "This page is too old for the meadow. Please reload it.";
  }
  return why.text || why.code;
}

function handlers(c) {
  c.on(message.Snapshot, (m) => world.snapshot(m));
  c.on(message.Moved, (m) => world.moved(m));
  c.on(message.Left, (m) => world.left(m));
  c.on(message.Sparked, (m) => world.sparked(m));
  c.on(message.Collected, (m) => world.collected(m));
  c.on(message.Balance, (m) => {
    world.gold = m.amount;
    panel.purse(m.amount);
  });
  c.on(message.Received, (m) => {
    panel.toast(m.back ? `${m.from} is not here to take your ${m.sparks} sparks: they are back.`
      : `${m.from} gave you ${m.sparks} sparks.`, Boolean(m.back));
    sound.bell();
  });
  c.on(message.Heard, (m) => {
    panel.heard(m.who, m.text);
    if (m.old) return; // said before we came
    scene.say(m.who, m.text);
    if (m.who !== world.name) sound.whisper();
  });
}

async function ask(request, body) {
  try {
    return await client.call(request, body);
  } catch (refusal) {
    sound.sorry();
    panel.toast(refusal.code === "RATE_LIMITED" ? "Gently, gently…" : sorry(refusal), true);
    return null;
  }
}

function sorry(refusal) {
  switch (refusal.code) {
    case "WALLET_POOR": return "Not enough sparks yet. The night is long.";
    case "NOT_SENT": case "QUEUE_FULL": return "Not connected just now.";
    case "UNAVAILABLE": case "RESTARTED": case "DEADLINE": case "OUTCOME_UNKNOWN":
      return "The meadow did not answer; please try again.";
  }
  return refusal.message;
}

world.onlight = (light) => panel.lit(light);

world.onroom = (room) => {
  scene.entered();
  panel.told(room);
};

world.onspark = (spark, taker, mine) => {
  scene.burst.spark(spark, taker);
  if (!mine) return;
  scene.burst.word(spark.x, spark.y, "+" + spark.worth, spark.worth > 1 ? 44 : 190);
  sound.chime(spark.worth);
};

panel.want = {
  start,
  async say(text) {
    const gift = /^\/give (\S+) (\d+)$/.exec(text);
    if (!gift) return ask(message.Say, { text });
    const got = await ask(message.Give, { to: gift[1], sparks: Number(gift[2]) });
    if (got) panel.toast(`${got.sparks} sparks are on their way to ${got.to}.`);
  },
  async buy(item) {
    const got = await ask(message.Buy, { item });
    if (!got) return;
    sound.bell();
    panel.lit(got.light);
    panel.toast("Your light grows brighter.");
    if (world.me) scene.burst.bloom(world.me.x, world.me.y, world.me.hue);
    panel.want.shop();
  },
  async shop() {
    const m = await ask(message.Browse, {});
    if (m) panel.wares(m.wares);
  },
  async board() {
    const m = await ask(message.Top, {});
    if (m) panel.leaders(m);
  },
  mute() {
    sound.wake();
    sound.mute(!sound.muted);
    panel.muted(sound.muted);
  },
  again: () => start(world.name),
};

// --- the clockwork

let before = performance.now(), sentAt = 0, sentX = 0, sentY = 0;
function frame(now) {
  const dt = Math.min(0.1, (now - before) / 1000);
  before = now;
  move(now, dt);
  scene.draw(now / 1000, dt);
  if (world.room) panel.map(world, now / 1000);
  requestAnimationFrame(frame);
}

function move(now, dt) {
  const online = client?.online;
  const steer = world.me && (online || veil) ? input.steer(world.me) : { x: 0, y: 0 };
  world.step(dt, now, steer);
  if (input.used) panel.flown();
  const me = world.me;
  if (!me || !online || !world.trusting) return;
  const still = Math.hypot(me.x - sentX, me.y - sentY) < 0.5;
  if (now - sentAt < (still ? REST_EVERY : FLY_EVERY)) return;
  try {
    client.send(message.Fly, { x: Math.round(me.x * 10) / 10, y: Math.round(me.y * 10) / 10 });
  } catch {
    return; // too much waits already: the next one will do
  }
  [sentAt, sentX, sentY] = [now, me.x, me.y];
}

setInterval(() => {
  if (!client?.online || document.visibilityState !== "visible") return;
  for (const id of ["shop", "board"]) if (panel.open(id)) panel.want[id]();
}, LOOK_EVERY);

// A browser may keep a page that was left, connection and all, to come back to it: a firefly would hang there.
window.addEventListener("pagehide", () => client?.close());
window.addEventListener("pageshow", (e) => { if (e.persisted && world.name) start(world.name); });

// meadow is for tests and for the curious.
window.meadow = {
  flyTo: (x, y) => input.flyTo(x, y),
  say: (text) => panel.want.say(text),
  get state() {
    const { me } = world;
    return { name: world.name, sparks: world.gold, x: me?.x ?? 0, y: me?.y ?? 0, room: world.room,
      light: me?.light ?? 0, others: world.others(), connected: Boolean(client?.online && me), line: client?.state,
      visible: [...world.sparks.values()].map(({ id, x, y, worth }) => ({ id, x, y, worth })) };
  },
};

panel.muted(sound.muted);
panel.known(names());
panel.busy(false); // until now a click would have come too early
requestAnimationFrame(frame);
