// What grows in the meadow: blades behind and before us, and at our own depth stems with flowers and seed heads, some
// of them taller than a room. All of it sways; nothing of it is known to the server.

import { WORLD } from "./world.js";
import { canvas, luck } from "./sky.js";

const wind = (x, t) => Math.sin(t * 0.9 + x * 0.0021) * 0.6 + Math.sin(t * 1.7 + x * 0.0093) * 0.4;

export class Grass {
  constructor() {
    const r = luck(2024);
    this.back = blades(r, 0.55, 190, 420, 1500, 15);
    this.middle = blades(r, 0.78, 250, 240, 980, 13);
    this.front = blades(r, 1.45, 150, 120, 330, 30);
    this.heads = [dandelion(), bellflower(), daisy(), lavender(), reed(), poppy()];
    this.stems = Array.from({ length: 104 }, (_, i) => {
      const x = (i + 0.1 + r() * 0.8) * WORLD.w / 104, head = Math.floor(r() * this.heads.length);
      const tall = 150 + r() ** 2.1 * 2650;
      return { x, tall, head, bend: (r() - 0.5) * (120 + tall * 0.34), size: 0.7 + r() * 0.6,
        wide: 1.7 + tall / 1300, leaves: 2 + Math.floor(tall / (230 + r() * 200)), turn: r() * 7,
        shade: ["#1d4f44", "#17423f", "#22553f", "#143b3c"][Math.floor(r() * 4)] };
    });
    this.arches = Array.from({ length: 230 }, () => {
      const tall = 130 + r() ** 2 * 720;
      return { x: r() * WORLD.w, tall, bend: (r() - 0.5) * tall * 0.85, wide: 3.5 + r() * 4.5 };
    }).sort((a, b) => a.x - b.x);
    this.caps = Array.from({ length: 34 }, () => ({
      x: r() * WORLD.w, size: 16 + r() * 34, hue: r() < 0.7 ? 168 : 285, phase: r() * 7 }));
    this.cap = [168, 285].map(mushroom);
    this.branches = Array.from({ length: 30 }, () => ({
      x: (r() - 0.1) * 1900, tall: 160 + r() * 520, phase: r() * 7 }));
    this.fluff = Array.from({ length: 38 }, () => ({ x: r(), y: r(), near: 0.4 + r(), phase: r() * 7 }));
  }

  drawBehind(g, cam, t) {
    this.#blades(g, cam, t, this.back, "#0d2a38", "#0a2230");
    this.#blades(g, cam, t, this.middle, "#0c2c30", "#082026");
    this.#willow(g, cam, t);
    this.#blades(g, cam, t, { near: 1, most: 850, blades: this.arches }, "#17463d", "#0b2a2a");
    this.#stems(g, cam, t);
    this.#caps(g, cam, t);
  }

  drawBefore(g, cam, t) {
    this.#fluff(g, cam, t);
    this.#blades(g, cam, t, this.front, "#04101a", "#030b13");
  }

  #blades(g, cam, t, layer, tip, root) {
    const k = cam.scale * layer.near;
    const ground = cam.h / 2 + (WORLD.h + 30 - cam.y) * k;
    if (ground - layer.most * k > cam.h) return;
    const fill = g.createLinearGradient(0, ground - layer.most * k, 0, ground);
    fill.addColorStop(0, tip);
    fill.addColorStop(1, root);
    g.fillStyle = fill;
    g.beginPath();
    for (const b of layer.blades) {
      const x = cam.w / 2 + (b.x - cam.x) * k, lean = (b.bend + wind(b.x, t) * b.tall * 0.055) * k;
      if (x < -260 || x > cam.w + 260) continue;
      const top = ground - b.tall * k, half = b.wide * k / 2;
      g.moveTo(x - half, ground);
      g.quadraticCurveTo(x - half * 0.6 + lean * 0.1, ground - b.tall * k * 0.55, x + lean, top);
      g.quadraticCurveTo(x + half * 0.8 + lean * 0.1, ground - b.tall * k * 0.5, x + half, ground);
    }
    g.fill();
    if (ground < cam.h) g.fillRect(0, ground - 1, cam.w, cam.h - ground + 1);
  }

  #stems(g, cam, t) {
    const k = cam.scale;
    for (const s of this.stems) {
      const x = cam.sx(s.x), ground = cam.sy(WORLD.h + 10), top = ground - s.tall * k;
      if (x < -320 || x > cam.w + 320 || top > cam.h + 40) continue;
      const lean = (s.bend + wind(s.x, t) * s.tall * 0.03) * k, midX = x + lean * 0.15;
      const midY = ground - s.tall * k * 0.55;
      g.strokeStyle = g.fillStyle = s.shade;
      g.lineWidth = s.wide * k;
      g.lineCap = "round";
      g.beginPath();
      g.moveTo(x, ground);
      g.quadraticCurveTo(midX, midY, x + lean, top);
      g.stroke();
      for (let i = 0; i < s.leaves; i++) {
        const at = (i + 0.6) / (s.leaves + 0.8), a = (1 - at) ** 2, b = 2 * at * (1 - at), c = at * at;
        const lx = a * x + b * midX + c * (x + lean), ly = a * ground + b * midY + c * top;
        if (ly < -60 || ly > cam.h + 60) continue;
        leaf(g, lx, ly, i % 2 ? 1 : -1, (20 + 46 * (1 - at)) * k, wind(s.x, t + i));
      }
      const head = this.heads[s.head], size = head.size * s.size * k;
      if (top < -size * 2) continue;
      g.save();
      g.translate(x + lean, top);
      g.rotate((lean / Math.max(60, s.tall * k)) * 1.3 + (head.nods ? Math.sin(t + s.turn) * 0.08 : 0));
      g.drawImage(head.picture, -size / 2, -size * head.at, size, size);
      g.restore();
    }
  }

  #caps(g, cam, t) {
    const ground = cam.sy(WORLD.h + 6);
    if (ground > cam.h + 160) return;
    for (const c of this.caps) {
      const x = cam.sx(c.x), size = c.size * cam.scale * 4;
      if (x < -150 || x > cam.w + 150) continue;
      const picture = this.cap[c.hue === 168 ? 0 : 1];
      g.globalAlpha = 0.75 + 0.25 * Math.sin(t * 0.8 + c.phase);
      g.drawImage(picture, x - size / 2, ground - size * 0.86, size, size);
    }
    g.globalAlpha = 1;
  }

  // willow branches hang from above into the first room.
  #willow(g, cam, t) {
    if (cam.sy(0) < -720 * cam.scale) return;
    g.lineCap = "round";
    for (const b of this.branches) {
      const x = cam.sx(b.x);
      if (x < -90 || x > cam.w + 90) continue;
      const top = cam.sy(-60), tall = b.tall * cam.scale, sway = wind(b.x * 3, t + b.phase) * 26 * cam.scale;
      g.strokeStyle = "#123a35";
      g.lineWidth = 2 * cam.scale;
      g.beginPath();
      g.moveTo(x, top);
      g.quadraticCurveTo(x, top + tall * 0.6, x + sway, top + tall);
      g.stroke();
      g.fillStyle = "#174b3f";
      for (let i = 1; i < 11; i++) {
        const at = i / 11;
        leaf(g, x + sway * at * at, top + tall * at, i % 2 ? 1 : -1, 17 * cam.scale, 0.9);
      }
    }
  }

  #fluff(g, cam, t) {
    g.fillStyle = "#e9f1ff";
    for (const f of this.fluff) {
      const w = cam.w + 80, h = cam.h + 80;
      let x = (f.x * w + t * 13 * f.near - cam.x * f.near * cam.scale) % w;
      let y = (f.y * h + Math.sin(t * 0.5 + f.phase) * 26 - cam.y * f.near * cam.scale) % h;
      if (x < 0) x += w;
      if (y < 0) y += h;
      g.globalAlpha = 0.1 + 0.16 * (0.5 + 0.5 * Math.sin(t * 0.7 + f.phase));
      g.beginPath();
      g.arc(x - 40, y - 40, 1.1 * f.near + 0.4, 0, 7);
      g.fill();
    }
    g.globalAlpha = 1;
  }
}

function leaf(g, x, y, side, length, lift) {
  const tx = x + side * length, ty = y - length * (0.55 + lift * 0.12);
  g.beginPath();
  g.moveTo(x, y);
  g.quadraticCurveTo(x + side * length * 0.35, y - length * 0.62, tx, ty);
  g.quadraticCurveTo(x + side * length * 0.6, y - length * 0.1, x, y);
  g.fill();
}

function blades(r, near, count, least, most, wide) {
  const span = WORLD.w / near + 1600; // what parallax can bring into view
  const from = WORLD.w / 2 - span / 2;
  return { near, most, blades: Array.from({ length: count }, () => {
    const tall = least + r() ** 2 * (most - least);
    return { x: from + r() * span, tall, bend: (r() - 0.5) * tall * 0.5, wide: wide * (0.6 + r() * 0.8) };
  }) };
}

function head(size, at, nods, paint) {
  const picture = canvas(200, 200), g = picture.getContext("2d");
  g.translate(100, 200 * at);
  paint(g);
  return { picture, size, at, nods };
}

function dandelion() {
  return head(120, 0.5, false, (g) => {
    const r = luck(3);
    const haze = g.createRadialGradient(0, 0, 10, 0, 0, 84);
    haze.addColorStop(0, "rgba(210,225,255,0.34)");
    haze.addColorStop(0.8, "rgba(190,210,255,0.16)");
    haze.addColorStop(1, "rgba(190,210,255,0)");
    g.fillStyle = haze;
    g.fillRect(-100, -100, 200, 200);
    for (let i = 0; i < 110; i++) {
      const a = r() * 6.283, d = 34 + r() * 44, x = Math.cos(a) * d, y = Math.sin(a) * d;
      g.strokeStyle = `rgba(215,228,255,${0.12 + r() * 0.2})`;
      g.lineWidth = 0.8;
      g.beginPath();
      g.moveTo(0, 0);
      g.lineTo(x, y);
      for (let j = -2; j <= 2; j++) {
        g.moveTo(x, y);
        g.lineTo(x + Math.cos(a + j * 0.5) * 8, y + Math.sin(a + j * 0.5) * 8);
      }
      g.stroke();
    }
    g.fillStyle = "#4f6d63";
    g.beginPath();
    g.arc(0, 0, 9, 0, 7);
    g.fill();
  });
}

function petals(g, count, length, wide, colour, turn = 0) {
  g.fillStyle = colour;
  for (let i = 0; i < count; i++) {
    g.save();
    g.rotate(turn + i / count * 6.283);
    g.beginPath();
    g.ellipse(0, -length / 2 - 6, wide, length / 2, 0, 0, 7);
    g.fill();
    g.restore();
  }
}

function daisy() {
  return head(74, 0.5, true, (g) => {
    g.scale(1, 0.62);
    petals(g, 15, 70, 8, "#6f7fb0");
    petals(g, 15, 62, 6.5, "#98a8d4", 0.2);
    g.fillStyle = "#a98d55";
    g.beginPath();
    g.arc(0, 0, 19, 0, 7);
    g.fill();
  });
}

function poppy() {
  return head(84, 0.62, true, (g) => {
    for (const [x, c] of [[-24, "#5b2140"], [24, "#652547"], [0, "#7a2d55"]]) {
      g.fillStyle = c;
      g.beginPath();
      g.moveTo(0, 20);
      g.bezierCurveTo(x - 62, 6, x - 44, -74, x, -68);
      g.bezierCurveTo(x + 44, -74, x + 62, 6, 0, 20);
      g.fill();
    }
  });
}

function bellflower() {
  return head(92, 0.22, true, (g) => {
    for (const [x, y, s] of [[0, 0, 1], [-46, 26, 0.7], [44, 34, 0.66]]) {
      g.save();
      g.translate(x, y);
      g.scale(s, s);
      const fill = g.createLinearGradient(0, -10, 0, 90);
      fill.addColorStop(0, "#33407e");
      fill.addColorStop(1, "#6f7fd0");
      g.fillStyle = fill;
      g.beginPath();
      g.moveTo(0, -12);
      g.bezierCurveTo(46, -8, 26, 52, 48, 84);
      g.quadraticCurveTo(24, 72, 0, 92);
      g.quadraticCurveTo(-24, 72, -48, 84);
      g.bezierCurveTo(-26, 52, -46, -8, 0, -12);
      g.fill();
      g.restore();
    }
  });
}

function lavender() {
  return head(96, 0.95, false, (g) => {
    const r = luck(8);
    for (let i = 0; i < 60; i++) {
      const y = -i * 2.9, wide = 15 * (1 - i / 66);
      g.fillStyle = `hsl(${255 + r() * 25},${30 + r() * 20}%,${30 + r() * 22}%)`;
      g.beginPath();
      g.ellipse((r() - 0.5) * wide * 2, y, 6, 4.4, r(), 0, 7);
      g.fill();
    }
  });
}

function reed() {
  return head(120, 0.98, false, (g) => {
    g.strokeStyle = "#5d6a58";
    g.lineWidth = 2;
    for (let i = 0; i < 24; i++) {
      const y = -i * 7, side = i % 2 ? 1 : -1, reach = 34 * Math.sin((i + 3) / 27 * 3.14);
      g.globalAlpha = 0.75;
      g.beginPath();
      g.moveTo(0, y);
      g.quadraticCurveTo(side * reach * 0.5, y - 8, side * reach, y - 26);
      g.stroke();
    }
  });
}

function mushroom(hue) {
  const c = canvas(240, 240), g = c.getContext("2d");
  g.translate(120, 208);
  const glow = g.createRadialGradient(0, -60, 6, 0, -60, 112);
  glow.addColorStop(0, `hsla(${hue},90%,65%,0.42)`);
  glow.addColorStop(1, `hsla(${hue},90%,60%,0)`);
  g.fillStyle = glow;
  g.fillRect(-120, -208, 240, 240);
  g.fillStyle = `hsl(${hue},25%,52%)`;
  g.fillRect(-5, -56, 10, 58);
  const cap = g.createLinearGradient(0, -98, 0, -48);
  cap.addColorStop(0, `hsl(${hue},60%,42%)`);
  cap.addColorStop(1, `hsl(${hue},80%,72%)`);
  g.fillStyle = cap;
  g.beginPath();
  g.moveTo(-40, -50);
  g.bezierCurveTo(-38, -106, 38, -106, 40, -50);
  g.quadraticCurveTo(0, -38, -40, -50);
  g.fill();
  g.fillStyle = `hsla(${hue},90%,90%,0.7)`;
  for (const [x, y, s] of [[-16, -70, 4], [8, -80, 5], [20, -62, 3]]) {
    g.beginPath();
    g.arc(x, y, s, 0, 7);
    g.fill();
  }
  return c;
}
