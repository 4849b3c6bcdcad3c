// The picture: a camera that follows us, everything drawn from far to near, the mist over the rooms we are not in, and
// what people say above their heads. It also gives way on slow machines by drawing fewer pixels.

import { Burst, drawFirefly, drawName, drawSpark, drawTrails } from "./glow.js";
import { Grass } from "./grass.js";
import { Sky } from "./sky.js";
import { rectOf, WORLD } from "./world.js";

const BUBBLE_FOR = 6; // seconds
const SHARPEST = 2;   // device pixels per pixel that are worth drawing

class Camera {
  constructor() {
    this.x = WORLD.w / 2;
    this.y = WORLD.h / 2;
    this.scale = 1;
  }
  size(w, h) {
    this.w = w;
    this.h = h;
    this.scale = Math.max(w / 1500, h / (w < h ? 1200 : 980), 0.62);
  }
  follow(b, dt) {
    const ease = 1 - Math.exp(-dt * 3.4);
    this.x += (b.x + b.vx * 0.28 - this.x) * ease;
    this.y += (b.y + b.vy * 0.28 - this.y) * ease;
    this.#hold();
  }
  jump(b) {
    this.x = b.x;
    this.y = b.y;
    this.#hold();
  }
  #hold() {
    const hw = this.w / 2 / this.scale, hh = this.h / 2 / this.scale;
    this.x = Math.max(hw, Math.min(WORLD.w - hw, this.x));
    this.y = Math.max(hh, Math.min(WORLD.h - hh, this.y));
  }
  sx(x) { return (x - this.x) * this.scale + this.w / 2; }
  sy(y) { return (y - this.y) * this.scale + this.h / 2; }
  toWorld(px, py) {
    return { x: (px - this.w / 2) / this.scale + this.x, y: (py - this.h / 2) / this.scale + this.y };
  }
}

export class Scene {
  constructor(picture, world) {
    this.picture = picture;
    this.world = world;
    this.g = picture.getContext("2d", { alpha: false });
    this.cam = new Camera();
    this.sky = new Sky();
    this.grass = new Grass();
    this.burst = new Burst();
    this.ghosts = [50, 88, 168, 208, 292, 36].map((hue, i) => ({ who: "", hue, light: i % 3, fade: 1,
      trail: [], phase: i * 1.7, x: 0, y: 0, vx: 0, vy: 0 })); // fly before anybody is logged in
    this.bubbles = new Map(); // by name: { text, age }
    this.mist = 0;
    this.sharp = Math.min(SHARPEST, window.devicePixelRatio || 1);
    this.slow = 0;
    this.resize();
    window.addEventListener("resize", () => this.resize());
  }

  resize() {
    const w = window.innerWidth, h = window.innerHeight;
    this.picture.width = Math.round(w * this.sharp);
    this.picture.height = Math.round(h * this.sharp);
    this.cam.size(w, h);
    if (this.world.me) this.cam.jump(this.world.me);
    const g = this.g;
    this.dark = g.createRadialGradient(w / 2, h * 0.48, Math.min(w, h) * 0.35, w / 2, h / 2, Math.hypot(w, h) * 0.58);
    this.dark.addColorStop(0, "rgba(2,4,16,0)");
    this.dark.addColorStop(1, "rgba(2,4,16,0.62)");
  }

  say(who, text) {
    if (text.length > 140) text = text.slice(0, 138) + "…";
    this.bubbles.set(who, { text, age: 0 });
  }

  entered() { this.mist = 0; }

  draw(t, dt) {
    const { g, cam, world } = this;
    this.#spare(dt);
    g.setTransform(this.sharp, 0, 0, this.sharp, 0, 0);
    if (world.me) {
      if (this.following !== world.me) cam.jump(world.me);
      cam.follow(world.me, dt);
    } else { // before login: drift
      cam.follow({ x: WORLD.w / 2 + Math.sin(t * 0.06) * 900, y: 2080 + Math.sin(t * 0.09) * 160, vx: 0, vy: 0 }, dt);
    }
    this.following = world.me;
    this.mist = Math.min(1, this.mist + dt * 0.9);
    this.sky.draw(g, cam, t, dt);
    this.grass.drawBehind(g, cam, t);
    if (!world.me) this.#haunt(t, dt);
    const bodies = world.me ? [...world.bodies.values()] : this.ghosts;
    for (const s of world.sparks.values()) drawSpark(g, cam, s, t);
    drawTrails(g, cam, bodies);
    for (const b of bodies) drawFirefly(g, cam, b, t, b === world.me);
    this.burst.step(dt);
    this.burst.draw(g, cam);
    if (world.room) this.#mist(t);
    for (const b of bodies) drawName(g, cam, b, b === world.me, t);
    this.grass.drawBefore(g, cam, t);
    this.#bubbles(dt);
    g.fillStyle = this.dark;
    g.fillRect(0, 0, cam.w, cam.h);
  }

  #haunt(t, dt) {
    const { cam } = this, w = cam.w / cam.scale, h = cam.h / cam.scale;
    for (const b of this.ghosts) {
      const a = t * 0.23 + b.phase * 5, x = cam.x + w * 0.42 * Math.sin(a + Math.sin(a * 1.7) * 0.6);
      const y = cam.y + h * 0.36 * Math.cos(a * 1.37 + b.phase);
      if (dt > 0) b.vx = (x - b.x) / dt;
      Object.assign(b, { x, y });
      b.trail.push(x, y);
      if (b.trail.length > 52) b.trail.splice(0, 2);
    }
  }

  // mist lies on every room but ours, softly, so that a border is seen before it is crossed.
  #mist(t) {
    const { g, cam } = this, r = rectOf(this.world.room);
    const soft = 170 * cam.scale, breath = Math.sin(t * 0.5) * 8;
    const l = cam.sx(r.x) - breath, right = cam.sx(r.x + r.w) + breath;
    const top = cam.sy(r.y) - breath, low = cam.sy(r.y + r.h) + breath;
    const thick = "rgba(108,132,190,", most = 0.34 * this.mist;
    const veil = (x0, y0, x1, y1, x, y, w, h) => {
      if (w <= 0 || h <= 0) return;
      const f = g.createLinearGradient(x0, y0, x1, y1);
      f.addColorStop(0, thick + "0)");
      f.addColorStop(0.5, thick + most * 0.55 + ")");
      f.addColorStop(1, thick + most + ")");
      g.fillStyle = f;
      g.fillRect(x, y, w, h);
    };
    if (l > 0 && r.x > 0) veil(l + soft * 0.2, 0, l - soft, 0, 0, 0, l + soft * 0.2, cam.h);
    if (right < cam.w && r.x + r.w < WORLD.w) {
      veil(right - soft * 0.2, 0, right + soft, 0, right - soft * 0.2, 0, cam.w - right + soft * 0.2, cam.h);
    }
    if (top > 0 && r.y > 0) veil(0, top + soft * 0.2, 0, top - soft, 0, 0, cam.w, top + soft * 0.2);
    if (low < cam.h && r.y + r.h < WORLD.h) {
      veil(0, low - soft * 0.2, 0, low + soft, 0, low - soft * 0.2, cam.w, cam.h - low + soft * 0.2);
    }
  }

  #bubbles(dt) {
    const { g, cam } = this;
    g.font = "14px system-ui, 'Segoe UI', sans-serif";
    for (const [who, said] of this.bubbles) {
      const b = this.world.bodies.get(who);
      said.age += dt;
      if (said.age > BUBBLE_FOR || !b) {
        this.bubbles.delete(who);
        continue;
      }
      said.lines ??= wrap(g, said.text, 210);
      const sx = cam.sx(b.x), sy = cam.sy(b.y);
      if (sx < 0 || sy < 0 || sx > cam.w || sy > cam.h) continue;
      const wide = Math.max(...said.lines.map((l) => g.measureText(l).width)) + 24;
      const tall = said.lines.length * 19 + 14, grow = Math.min(1, said.age * 6);
      const x = Math.max(wide / 2 + 8, Math.min(cam.w - wide / 2 - 8, sx));
      const y = Math.max(tall + 14, sy - 34 * cam.scale - 6 * grow);
      g.globalAlpha = Math.min(grow, (BUBBLE_FOR - said.age) * 1.5) * 0.95;
      g.fillStyle = "rgba(238,243,255,0.94)";
      g.beginPath();
      g.roundRect(x - wide / 2, y - tall, wide, tall, 13);
      g.moveTo(x - 6, y);
      g.lineTo(x, y + 8);
      g.lineTo(x + 6, y);
      g.fill();
      g.fillStyle = "#1b2340";
      g.textAlign = "center";
      said.lines.forEach((l, i) => g.fillText(l, x, y - tall + 22 + i * 19));
    }
    g.globalAlpha = 1;
  }

  // spare lowers the picture's sharpness while frames take too long.
  #spare(dt) {
    if (dt <= 0 || document.visibilityState !== "visible") return;
    this.slow += ((dt > 0.034 ? 1 : 0) - this.slow) * 0.03;
    if (this.slow > 0.6 && this.sharp > 0.6) {
      this.sharp = Math.max(0.6, this.sharp * 0.8);
      this.slow = 0;
      this.resize();
    }
  }
}

function wrap(g, text, wide) {
  const lines = [];
  let line = "";
  for (const word of text.split(/\s+/)) {
    for (let rest = word; rest;) {
      let part = rest;
      while (part.length > 1 && g.measureText(part).width > wide) part = part.slice(0, -1);
      const longer = line ? line + " " + part : part;
      if (line && g.measureText(longer).width > wide) {
        lines.push(line);
        line = part;
      } else line = longer;
      rest = rest.slice(part.length);
    }
  }
  lines.push(line);
  return lines.slice(0, 5);
}
