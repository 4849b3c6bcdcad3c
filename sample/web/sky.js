// What stands still behind the meadow: the night's colours, stars, the moon, clouds and the hills.

import { WORLD } from "./world.js";

// luck returns the same numbers between 0 and 1 for the same seed, so that everybody sees the same meadow.
export function luck(seed) {
  let a = seed >>> 0;
  return () => {
    a = (a + 0x6d2b79f5) >>> 0;
    let t = Math.imul(a ^ a >>> 15, 1 | a);
    t = (t + Math.imul(t ^ t >>> 7, 61 | t)) ^ t;
    return ((t ^ t >>> 14) >>> 0) / 4294967296;
  };
}

export function canvas(w, h) {
  const c = document.createElement("canvas");
  c.width = w;
  c.height = h;
  return c;
}

const TILE = { w: 1500, h: 1100 }; // the stars repeat; nobody has noticed

export class Sky {
  constructor() {
    const r = luck(7);
    this.stars = Array.from({ length: 230 }, () => ({
      x: r() * TILE.w, y: r() * TILE.h, size: 0.5 + r() ** 3 * 1.7, phase: r() * 7,
      pace: 0.4 + r() * 1.6, warm: r() < 0.25 }));
    this.milky = milkyWay();
    this.moon = moon();
    this.cloud = cloud();
    this.clouds = Array.from({ length: 7 }, () => ({
      x: r() * 2600, y: r() * 700, w: 500 + r() * 700, pace: 4 + r() * 7, alpha: 0.1 + r() * 0.14 }));
    this.hills = [
      ridge(11, 0.1, "#16304f", "#12284a", 330, 0.0021, 0),
      ridge(23, 0.17, "#122a45", "#0f2440", 235, 0.0034, 0.1),
      ridge(31, 0.27, "#0d2238", "#0b1d33", 150, 0.005, 0.75),
      ridge(47, 0.4, "#0a1b2c", "#081727", 95, 0.008, 1),
    ];
    this.next = 4;
  }

  draw(g, cam, t, dt) {
    const { w, h } = cam;
    const low = cam.y / WORLD.h; // 0 high up, 1 at the ground
    const fill = g.createLinearGradient(0, -h * (0.1 + low * 0.9), 0, h * (1.75 - low * 0.75));
    fill.addColorStop(0, "#050818");
    fill.addColorStop(0.38, "#0b1436");
    fill.addColorStop(0.62, "#152a55");
    fill.addColorStop(0.8, "#2a4270");
    fill.addColorStop(0.92, "#4a5583");
    fill.addColorStop(1, "#6a6488");
    g.fillStyle = fill;
    g.fillRect(0, 0, w, h);
    this.#milky(g, cam, low);
    this.#stars(g, cam, t);
    this.#shooting(g, cam, dt);
    const mx = w * 0.74 - (cam.x - WORLD.w / 2) * 0.05, my = h * 0.3 - (cam.y - WORLD.h / 2) * 0.06;
    const size = Math.min(w, h) * 0.95;
    g.drawImage(this.moon, mx - size / 2, my - size / 2, size, size);
    this.#clouds(g, cam, t);
    for (const hill of this.hills) this.#hill(g, cam, hill);
  }

  #milky(g, cam, low) {
    const s = Math.max(cam.w, cam.h) * 1.5;
    g.save();
    g.globalAlpha = 0.75 - low * 0.3;
    g.translate(cam.w * 0.35 - (cam.x - WORLD.w / 2) * 0.03, cam.h * 0.3 - (cam.y - 1500) * 0.03);
    g.rotate(-0.6);
    g.drawImage(this.milky, -s / 2, -s / 6, s, s / 3);
    g.restore();
  }

  #stars(g, cam, t) {
    const ox = cam.x * 0.04, oy = cam.y * 0.05;
    for (const s of this.stars) {
      let x = (s.x - ox) % TILE.w, y = (s.y - oy) % TILE.h;
      if (x < 0) x += TILE.w;
      if (y < 0) y += TILE.h;
      const glint = 0.55 + 0.45 * Math.sin(t * s.pace + s.phase);
      g.fillStyle = s.warm ? "#ffe7c4" : "#dfeaff";
      for (; x < cam.w; x += TILE.w) {
        for (let v = y; v < cam.h; v += TILE.h) {
          g.globalAlpha = glint * Math.max(0.15, 1 - v / cam.h * 0.9);
          g.beginPath();
          g.arc(x, v, s.size, 0, 6.3);
          g.fill();
          if (s.size > 1.7) {
            g.globalAlpha *= 0.4;
            g.fillRect(x - 5 * glint, v - 0.35, 10 * glint, 0.7);
            g.fillRect(x - 0.35, v - 5 * glint, 0.7, 10 * glint);
          }
        }
      }
    }
    g.globalAlpha = 1;
  }

  #shooting(g, cam, dt) {
    this.next -= dt;
    if (this.next < 0 && !this.star) {
      this.star = { x: cam.w * (0.2 + Math.random() * 0.8), y: cam.h * 0.25 * Math.random(), age: 0 };
      this.next = 7 + Math.random() * 14;
    }
    const s = this.star;
    if (!s) return;
    s.age += dt * 1.4;
    const x = s.x - s.age * 420, y = s.y + s.age * 170;
    const tail = g.createLinearGradient(x, y, x + 130, y - 53);
    tail.addColorStop(0, `rgba(255,255,255,${0.9 * Math.sin(Math.min(1, s.age) * Math.PI)})`);
    tail.addColorStop(1, "rgba(180,210,255,0)");
    g.strokeStyle = tail;
    g.lineWidth = 1.6;
    g.beginPath();
    g.moveTo(x, y);
    g.lineTo(x + 130, y - 53);
    g.stroke();
    if (s.age > 1) this.star = null;
  }

  #clouds(g, cam, t) {
    for (const c of this.clouds) {
      const span = cam.w + c.w * 2;
      let x = (c.x + t * c.pace - cam.x * 0.08) % span;
      if (x < 0) x += span;
      g.globalAlpha = c.alpha;
      g.drawImage(this.cloud, x - c.w, c.y - (cam.y - 1500) * 0.08, c.w, c.w * 0.3);
    }
    g.globalAlpha = 1;
  }

  #hill(g, cam, hill) {
    const base = cam.h * 0.62 + (WORLD.h * 0.62 - cam.y) * hill.near * cam.scale * 1.2;
    if (base - 420 > cam.h) return;
    const width = hill.picture.width, offset = (cam.x * hill.near * cam.scale) % width;
    for (let x = -offset - width; x < cam.w; x += width) {
      if (x + width > 0) g.drawImage(hill.picture, x, base - hill.picture.height + 60);
    }
    if (base + 60 < cam.h) {
      g.fillStyle = hill.below;
      g.fillRect(0, base + 59, cam.w, cam.h - base);
    }
    const mist = g.createLinearGradient(0, base - 70, 0, base + 110);
    mist.addColorStop(0, "rgba(120,150,200,0)");
    mist.addColorStop(0.7, "rgba(120,160,205,0.12)");
    mist.addColorStop(1, "rgba(120,160,205,0)");
    g.fillStyle = mist;
    g.fillRect(0, base - 70, cam.w, 180);
  }
}

// ridge draws one line of hills into a picture that repeats sideways; trees says how wooded it is.
function ridge(seed, near, top, below, height, pace, trees) {
  const r = luck(seed), w = 2048, h = height + 150, picture = canvas(w, h), g = picture.getContext("2d");
  const waves = [1, 2, 3, 5, 9].map((n) => ({ n, a: r() / n ** 0.9, p: r() * 7 }));
  const most = waves.reduce((sum, v) => sum + v.a, 0);
  const up = (x) => {
    let y = 0;
    for (const v of waves) y += v.a * Math.sin(x / w * 2 * Math.PI * v.n + v.p);
    return 90 + (0.5 - 0.5 * y / most) * (height - 40);
  };
  const fill = g.createLinearGradient(0, 60, 0, h);
  fill.addColorStop(0, top);
  fill.addColorStop(1, below);
  g.fillStyle = fill;
  g.beginPath();
  g.moveTo(0, h);
  for (let x = 0; x <= w; x += 4) g.lineTo(x, up(x));
  g.lineTo(w, h);
  g.fill();
  for (let x = 20; x < w - 20; x += 9 + r() * 26) {
    if (r() > trees * (0.35 + 0.65 * Math.sin(x * pace) ** 2)) continue;
    const tall = (14 + r() * 40) * (0.5 + near * 1.6), y = up(x) + 4;
    g.beginPath();
    if (r() < 0.55) { // a fir
      g.moveTo(x, y - tall * 1.35);
      g.lineTo(x - tall * 0.27, y);
      g.lineTo(x + tall * 0.27, y);
    } else {
      g.ellipse(x, y - tall * 0.55, tall * 0.42, tall * 0.5, 0, 0, 7);
      g.ellipse(x + tall * 0.25, y - tall * 0.4, tall * 0.3, tall * 0.34, 0, 0, 7);
      g.rect(x - 1, y - tall * 0.3, 2.5, tall * 0.35);
    }
    g.fill();
  }
  return { picture, near, below };
}

function moon() {
  const size = 900, c = canvas(size, size), g = c.getContext("2d"), m = size / 2;
  const halo = g.createRadialGradient(m, m, 40, m, m, m);
  halo.addColorStop(0, "rgba(220,230,255,0.5)");
  halo.addColorStop(0.16, "rgba(170,195,255,0.22)");
  halo.addColorStop(0.45, "rgba(130,160,240,0.08)");
  halo.addColorStop(1, "rgba(120,150,240,0)");
  g.fillStyle = halo;
  g.fillRect(0, 0, size, size);
  const face = g.createRadialGradient(m - 22, m - 24, 8, m, m, 78);
  face.addColorStop(0, "#fffdf2");
  face.addColorStop(0.7, "#f3ecd6");
  face.addColorStop(1, "#d5cdb9");
  g.fillStyle = face;
  g.beginPath();
  g.arc(m, m, 74, 0, 7);
  g.fill();
  g.clip();
  for (const [x, y, s, a] of [[-28, -16, 22, .1], [14, -34, 13, .09], [24, 10, 26, .08], [-12, 30, 17, .1],
    [-44, 18, 9, .09], [42, -20, 8, .08], [6, -4, 8, .07], [30, 44, 10, .08]]) {
    const sea = g.createRadialGradient(m + x, m + y, 0, m + x, m + y, s);
    sea.addColorStop(0, `rgba(120,120,140,${a * 2.2})`);
    sea.addColorStop(0.7, `rgba(120,120,140,${a * 1.6})`);
    sea.addColorStop(1, "rgba(120,120,140,0)");
    g.fillStyle = sea;
    g.fillRect(0, 0, size, size);
  }
  return c;
}

function cloud() {
  const c = canvas(700, 210), g = c.getContext("2d"), r = luck(99);
  for (let i = 0; i < 46; i++) {
    const x = 90 + r() * 520, y = 105 + (r() - 0.5) * 70 * (1 - Math.abs(x - 350) / 380), s = 30 + r() * 70;
    const puff = g.createRadialGradient(x, y, 0, x, y, s);
    puff.addColorStop(0, "rgba(170,190,235,0.13)");
    puff.addColorStop(1, "rgba(170,190,235,0)");
    g.fillStyle = puff;
    g.fillRect(0, 0, 700, 210);
  }
  return c;
}

function milkyWay() {
  const w = 1400, h = 466, c = canvas(w, h), g = c.getContext("2d"), r = luck(5);
  const bell = () => (r() + r() + r()) / 3 - 0.5;
  for (let i = 0; i < 70; i++) {
    const x = r() * w, y = h / 2 + bell() * h * 0.5, s = 60 + r() * 130;
    const haze = g.createRadialGradient(x, y, 0, x, y, s);
    haze.addColorStop(0, r() < 0.4 ? "rgba(170,150,230,0.035)" : "rgba(140,175,240,0.04)");
    haze.addColorStop(1, "rgba(140,170,240,0)");
    g.fillStyle = haze;
    g.fillRect(x - s, y - s, 2 * s, 2 * s);
  }
  g.fillStyle = "#e8eeff";
  for (let i = 0; i < 1500; i++) {
    g.globalAlpha = r() * 0.5 * Math.sin(i / 1500 * Math.PI) + 0.05;
    g.fillRect(r() * w, h / 2 + bell() * h * 0.75, 0.6 + r(), 0.6 + r());
  }
  g.globalCompositeOperation = "destination-in"; // soft ends
  const ends = g.createLinearGradient(0, 0, w, 0);
  ends.addColorStop(0, "rgba(0,0,0,0)");
  ends.addColorStop(0.25, "#000");
  ends.addColorStop(0.75, "#000");
  ends.addColorStop(1, "rgba(0,0,0,0)");
  g.globalAlpha = 1;
  g.fillStyle = ends;
  g.fillRect(0, 0, w, h);
  return c;
}
