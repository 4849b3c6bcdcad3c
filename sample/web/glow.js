// Everything that shines: fireflies with their trails, sparks, bursts of light and the words that rise from them.

import { canvas } from "./sky.js";

const sprites = new Map();

// halo is a soft round light of a hue, made once and drawn at any size.
function halo(hue, saturation = 95) {
  const key = hue * 1000 + saturation;
  let c = sprites.get(key);
  if (c) return c;
  c = canvas(128, 128);
  const g = c.getContext("2d"), fill = g.createRadialGradient(64, 64, 0, 64, 64, 64);
  fill.addColorStop(0, `hsla(${hue},${saturation}%,88%,1)`);
  fill.addColorStop(0.09, `hsla(${hue},${saturation}%,76%,0.85)`);
  fill.addColorStop(0.25, `hsla(${hue},${saturation}%,62%,0.3)`);
  fill.addColorStop(0.55, `hsla(${hue},${saturation}%,55%,0.08)`);
  fill.addColorStop(1, `hsla(${hue},${saturation}%,50%,0)`);
  g.fillStyle = fill;
  g.fillRect(0, 0, 128, 128);
  sprites.set(key, c);
  return c;
}

function shine(g, hue, x, y, radius, alpha, saturation) {
  g.globalAlpha = Math.max(0, Math.min(1, alpha));
  g.drawImage(halo(hue, saturation), x - radius, y - radius, radius * 2, radius * 2);
}

export function drawTrails(g, cam, bodies) {
  g.globalCompositeOperation = "lighter";
  g.lineCap = "round";
  for (const b of bodies) {
    const p = b.trail, n = p.length / 2;
    g.strokeStyle = `hsl(${b.hue},95%,65%)`;
    for (let i = 1; i < n; i++) {
      const dx = p[2 * i] - p[2 * i - 2], dy = p[2 * i + 1] - p[2 * i - 1];
      if (dx * dx + dy * dy < 0.25 || dx * dx + dy * dy > 1e4) continue;
      const share = i / n;
      g.globalAlpha = share * share * 0.34 * b.fade;
      g.lineWidth = (0.6 + share * (4 + b.light)) * cam.scale;
      g.beginPath();
      g.moveTo(cam.sx(p[2 * i - 2]), cam.sy(p[2 * i - 1]));
      g.lineTo(cam.sx(p[2 * i]), cam.sy(p[2 * i + 1]));
      g.stroke();
    }
  }
  g.globalAlpha = 1;
  g.globalCompositeOperation = "source-over";
}

export function drawFirefly(g, cam, b, t, mine) {
  const bob = Math.sin(t * 2.3 + b.phase) * 4, x = cam.sx(b.x), y = cam.sy(b.y + bob);
  if (x < -300 || y < -300 || x > cam.w + 300 || y > cam.h + 300) return;
  const k = cam.scale, pulse = 0.5 + 0.5 * Math.sin(t * 2.1 + b.phase * 3);
  const reach = (64 + 30 * b.light) * k * (0.92 + 0.1 * pulse);
  g.globalCompositeOperation = "lighter";
  shine(g, b.hue, x, y, reach * 2.1, (0.16 + 0.04 * b.light) * b.fade);
  shine(g, b.hue, x, y, reach, (0.5 + 0.28 * pulse) * b.fade);
  g.globalCompositeOperation = "source-over";
  const size = (mine ? 1.12 : 1) * k, tilt = Math.max(-0.5, Math.min(0.5, b.vx / 700));
  g.save();
  g.translate(x, y);
  g.rotate(tilt);
  g.scale(b.vx < -5 ? -size : size, size);
  g.globalAlpha = b.fade;
  wings(g, t, b.phase);
  g.fillStyle = "#241a2b";
  g.beginPath();
  g.ellipse(5, -1, 6.4, 3.6, 0.12, 0, 7);
  g.fill();
  g.beginPath();
  g.arc(11.5, -1.4, 3.1, 0, 7);
  g.fill();
  g.strokeStyle = "#3a2c43";
  g.lineWidth = 0.9;
  g.beginPath();
  g.moveTo(13, -3.6);
  g.quadraticCurveTo(16, -8, 19.5, -8);
  g.moveTo(12, -4);
  g.quadraticCurveTo(13, -9, 16, -10.5);
  g.stroke();
  g.fillStyle = `hsl(${b.hue},100%,${78 + 14 * pulse}%)`;
  g.beginPath();
  g.ellipse(-4.6, 0.6, 7, 4.5, -0.1, 0, 7);
  g.fill();
  g.restore();
  g.globalCompositeOperation = "lighter";
  shine(g, b.hue, x - (b.vx < -5 ? -5 : 5) * k, y, 15 * k, (0.7 + 0.3 * pulse) * b.fade);
  g.globalCompositeOperation = "source-over";
  g.globalAlpha = 1;
}

function wings(g, t, phase) {
  const beat = Math.sin(t * 38 + phase * 5);
  g.fillStyle = "rgba(220,235,255,0.3)";
  for (const side of [0.55, 1]) {
    g.beginPath();
    g.ellipse(2 - side * 3, -8.5 * side, 4.2, 9.5 * side * (0.72 + 0.28 * beat), -0.5 * side, 0, 7);
    g.fill();
  }
}

export function drawName(g, cam, b, mine, t) {
  if (mine && !b.leaving) return;
  const x = cam.sx(b.x), y = cam.sy(b.y + Math.sin(t * 2.3 + b.phase) * 4) + 27 * cam.scale;
  if (x < -80 || y < -20 || x > cam.w + 80 || y > cam.h + 20) return;
  g.globalAlpha = 0.72 * b.fade;
  g.font = "500 12px system-ui, 'Segoe UI', sans-serif";
  g.textAlign = "center";
  g.fillStyle = "rgba(3,8,20,0.8)";
  g.fillText(b.who, x + 0.6, y + 1);
  g.fillStyle = `hsl(${b.hue},70%,86%)`;
  g.fillText(b.who, x, y);
  g.globalAlpha = 1;
}

export function drawSpark(g, cam, s, t) {
  const x = cam.sx(s.x), y = cam.sy(s.y + Math.sin(t * 1.4 + s.phase) * 5);
  if (x < -120 || y < -120 || x > cam.w + 120 || y > cam.h + 120) return;
  const born = Math.min(1, s.age * 1.8), k = cam.scale * (0.4 + 0.6 * born), big = s.worth > 1;
  const twinkle = 0.5 + 0.5 * Math.sin(t * (big ? 3 : 4.2) + s.phase * 1.7);
  g.globalCompositeOperation = "lighter";
  const hue = big ? 42 : 196;
  shine(g, hue, x, y, (big ? 62 : 38) * k * (1 + 0.12 * twinkle), (0.4 + 0.4 * twinkle) * born);
  g.globalAlpha = (0.65 + 0.35 * twinkle) * born;
  g.fillStyle = big ? "#fff0b8" : "#e6fbff";
  star(g, x, y, (big ? 19 : 12) * k * (0.8 + 0.3 * twinkle), big ? t * 0.5 : Math.sin(t + s.phase) * 0.2);
  if (big) star(g, x, y, 10 * k, -t * 0.8 + 0.78);
  if (born < 1) { // a ring where it was born
    g.globalAlpha = 1 - born;
    g.strokeStyle = "#cfefff";
    g.lineWidth = 1.4;
    g.beginPath();
    g.arc(x, y, 46 * born * cam.scale, 0, 7);
    g.stroke();
  }
  g.globalAlpha = 1;
  g.globalCompositeOperation = "source-over";
}

function star(g, x, y, size, turn) {
  g.beginPath();
  for (let i = 0; i < 8; i++) {
    const a = turn + i * Math.PI / 4, d = i % 2 ? size * 0.17 : size;
    g.lineTo(x + Math.cos(a) * d, y + Math.sin(a) * d);
  }
  g.fill();
}

const MOST = 500; // particles alive; the oldest go first

export class Burst {
  constructor() {
    this.bits = [];
    this.words = [];
  }

  // spark lets a spark fly into whoever took it and burst there.
  spark(s, taker) {
    const big = s.worth > 1, count = big ? 34 : 18;
    for (let i = 0; i < count; i++) {
      const a = Math.random() * 6.283, v = (40 + Math.random() * (big ? 260 : 170));
      this.bits.push({ x: s.x, y: s.y, vx: Math.cos(a) * v, vy: Math.sin(a) * v, age: 0,
        span: 0.5 + Math.random() * 0.8, size: 3 + Math.random() * 6, hue: big ? 44 : 190, to: taker });
    }
    this.bits.push({ x: s.x, y: s.y, vx: 0, vy: 0, age: 0, span: 0.5, size: 0, ring: big ? 120 : 74, hue: big ? 44 : 190 });
    if (this.bits.length > MOST) this.bits.splice(0, this.bits.length - MOST);
  }

  bloom(x, y, hue) {
    for (let i = 0; i < 60; i++) {
      const a = i / 60 * 6.283, v = 120 + Math.random() * 190;
      this.bits.push({ x, y, vx: Math.cos(a) * v, vy: Math.sin(a) * v, age: 0,
        span: 0.8 + Math.random() * 0.9, size: 4 + Math.random() * 8, hue });
    }
    for (const ring of [110, 210]) this.bits.push({ x, y, vx: 0, vy: 0, age: 0, span: 0.9, size: 0, ring, hue });
  }

  word(x, y, text, hue) { this.words.push({ x, y, text, hue, age: 0 }); }

  step(dt) {
    for (const p of this.bits) {
      p.age += dt;
      if (p.to && p.age > 0.16) { // drawn towards the taker
        const dx = p.to.x - p.x, dy = p.to.y - p.y, d = Math.hypot(dx, dy) + 1, pull = 2600 * dt;
        p.vx += dx / d * pull;
        p.vy += dy / d * pull;
      }
      const drag = Math.exp(-dt * 2.6);
      p.vx *= drag;
      p.vy *= drag;
      p.x += p.vx * dt;
      p.y += p.vy * dt;
    }
    this.bits = this.bits.filter((p) => p.age < p.span);
    for (const w of this.words) w.age += dt;
    this.words = this.words.filter((w) => w.age < 1.3);
  }

  draw(g, cam) {
    g.globalCompositeOperation = "lighter";
    for (const p of this.bits) {
      const left = 1 - p.age / p.span, x = cam.sx(p.x), y = cam.sy(p.y);
      if (p.ring) {
        g.globalAlpha = left * left * 0.7;
        g.strokeStyle = `hsl(${p.hue},100%,80%)`;
        g.lineWidth = 2.4 * left;
        g.beginPath();
        g.arc(x, y, p.ring * (1 - left * left) * cam.scale, 0, 7);
        g.stroke();
      } else {
        shine(g, p.hue, x, y, p.size * (0.5 + left) * cam.scale * 1.6, left);
      }
    }
    g.globalCompositeOperation = "source-over";
    g.textAlign = "center";
    for (const w of this.words) {
      g.globalAlpha = Math.min(1, (1.3 - w.age) * 1.6);
      g.font = "600 19px Georgia, 'Times New Roman', serif";
      g.fillStyle = `hsl(${w.hue},100%,86%)`;
      g.fillText(w.text, cam.sx(w.x), cam.sy(w.y) - 26 - w.age * 38);
    }
    g.globalAlpha = 1;
  }
}
