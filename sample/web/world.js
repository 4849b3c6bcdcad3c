// What the client knows of the meadow: the room it is in, who flies there, what sparkles there, and itself. The
// server's pushes change it; step moves it on between them.

export const ROOM = { w: 1600, h: 1000 };
export const GRID = 3;
export const WORLD = { w: ROOM.w * GRID, h: ROOM.h * GRID };
export const PLACES = [
  ["Willow Crown", "Moonrise", "Swallow Heights"],
  ["Dandelion Reach", "The Clearing", "Poppy Sway"],
  ["Fern Hollow", "Toadstool Ring", "Mirror Pond"],
];

const SPEED = 430;       // units/s; the server allows a little more
const DELAY = 170;       // ms that others are shown late, so that there is always a next position to fly to
const STRAY = 240;       // units between what we think and what the server says, before we believe the server
const LENIENT = 4000;    // ms after a return in which we do not: it has not yet seen all of our way
const TRAIL = 26;
const HUES = [50, 68, 88, 140, 168, 190, 208, 262, 292, 326, 16, 36];

export function hueOf(name) {
  let h = 2166136261;
  for (const c of name) h = Math.imul(h ^ c.codePointAt(0), 16777619);
  return HUES[((h ^ h >>> 13) >>> 0) % HUES.length];
}

export function roomAt(x, y) {
  const cell = (v, size) => Math.max(0, Math.min(GRID - 1, Math.floor(v / size)));
  return `${cell(x, ROOM.w)},${cell(y, ROOM.h)}`;
}

export function rectOf(room) {
  const [i, j] = room.split(",").map(Number);
  return { x: i * ROOM.w, y: j * ROOM.h, w: ROOM.w, h: ROOM.h };
}

export function placeOf(room) {
  const [i, j] = room.split(",").map(Number);
  return PLACES[j]?.[i] ?? room;
}

export class World {
  constructor() {
    this.me = null;            // our own body, once the server has said where
    this.name = "";
    this.room = "";
    this.bodies = new Map();   // by name, ourselves too
    this.sparks = new Map();   // by id
    this.gold = 0;
    this.lenient = 0;          // until then we believe ourselves
    this.onroom = () => {};
    this.onlight = () => {};   // our own
    this.onspark = () => {};   // (spark, collector body or undefined, is it ours)
  }

  // begin is a login: whatever we thought to know is forgotten, except where we see ourselves.
  begin(name) {
    if (this.name !== name) {
      this.me = null;
      this.gold = 0;
      this.bodies.clear();
    }
    this.name = name;
    this.room = "";
    this.trusting = false;
  }

  // returned says that the server hears us again: what we flew meanwhile it learns now.
  returned() { this.lenient = performance.now() + LENIENT; }

  snapshot(m) {
    const now = performance.now(), here = new Set();
    for (const b of m.bodies ?? []) {
      here.add(b.who);
      this.#put(b, now);
    }
    for (const b of this.bodies.values()) if (!here.has(b.who) && b !== this.me) b.leaving = true;
    this.sparks.clear();
    for (const s of m.sparks ?? []) this.#light(s, Math.random() * 0.6);
    if (m.room !== this.room) {
      this.room = m.room;
      this.onroom(m.room);
    }
  }

  moved(m) {
    const now = performance.now();
    for (const b of m.bodies ?? []) this.#put(b, now);
  }

  left(m) {
    const b = this.bodies.get(m.who);
    if (b && b !== this.me) b.leaving = true;
  }

  sparked(m) { this.#light(m, 0); }

  collected(m) {
    const s = this.sparks.get(m.id);
    if (!s) return;
    this.sparks.delete(m.id);
    this.onspark(s, this.bodies.get(m.who), m.who === this.name);
  }

  others() { return [...this.bodies.values()].filter((b) => b !== this.me && !b.leaving).length; }

  // step lets dt seconds pass; steer is where we want to fly, in both directions -1 to 1.
  step(dt, now, steer) {
    for (const b of this.bodies.values()) {
      if (b === this.me) this.#flyMe(b, dt, steer);
      else this.#follow(b, dt, now);
      b.fade += ((b.leaving ? 0 : 1) - b.fade) * Math.min(1, dt * 5);
      if (b.leaving && b.fade < 0.02) this.bodies.delete(b.who);
      b.trail.push(b.x, b.y);
      if (b.trail.length > TRAIL * 2) b.trail.splice(0, 2);
    }
    for (const s of this.sparks.values()) s.age += dt;
  }

  #put(m, now) {
    let b = this.bodies.get(m.who);
    if (!b || (b.leaving && m.who !== this.name)) {
      b = { who: m.who, x: m.x, y: m.y, vx: 0, vy: 0, hue: hueOf(m.who), fade: 0, trail: [],
        path: [], phase: Math.random() * 7 };
      this.bodies.set(m.who, b);
    }
    b.leaving = false;
    if (m.who === this.name) {
      if (b.light !== m.light) this.onlight(m.light);
      const first = !this.trusting;
      this.trusting = true;
      this.me = b;
      if (first && Math.hypot(b.x - m.x, b.y - m.y) > STRAY / 2) this.#place(b, m);
    }
    b.light = m.light;
    this.#heard(b, m, now);
  }

  #heard(b, m, now) {
    if (b !== this.me) {
      b.path.push({ t: now, x: m.x, y: m.y });
      if (b.path.length > 12) b.path.shift();
      return;
    }
    if (now > this.lenient && Math.hypot(b.x - m.x, b.y - m.y) > STRAY) this.#place(b, m);
  }

  #place(b, m) {
    Object.assign(b, { x: m.x, y: m.y, vx: 0, vy: 0 });
    b.trail.length = 0;
  }

  #flyMe(b, dt, steer) {
    const grip = 1 - Math.exp(-dt * (steer.x || steer.y ? 5.5 : 3.2));
    b.vx += (steer.x * SPEED - b.vx) * grip;
    b.vy += (steer.y * SPEED - b.vy) * grip;
    b.x = Math.max(8, Math.min(WORLD.w - 8, b.x + b.vx * dt));
    b.y = Math.max(8, Math.min(WORLD.h - 8, b.y + b.vy * dt));
  }

  #follow(b, dt, now) {
    const at = now - DELAY, path = b.path;
    while (path.length > 2 && path[1].t <= at) path.shift();
    if (path.length === 0) return;
    const [from, to = from] = path;
    const share = to.t > from.t ? Math.max(0, Math.min(1, (at - from.t) / (to.t - from.t))) : 1;
    const x = from.x + (to.x - from.x) * share, y = from.y + (to.y - from.y) * share;
    const ease = 1 - Math.exp(-dt * 18); // rounds the corners between two straight pieces
    const px = b.x, py = b.y;
    b.x += (x - b.x) * ease;
    b.y += (y - b.y) * ease;
    if (dt > 0) {
      b.vx += ((b.x - px) / dt - b.vx) * 0.2;
      b.vy += ((b.y - py) / dt - b.vy) * 0.2;
    }
  }

  #light(s, age) {
    this.sparks.set(s.id, { id: s.id, x: s.x, y: s.y, worth: s.worth ?? 1, age, phase: s.id % 97 });
  }
}
