// The page around the picture: login, who we are, map, talk, shop, leaderboard, toasts and the veil. It shows what it
// is told and calls back what the player wants; it knows nothing of the network.

import { GRID, hueOf, placeOf, ROOM, WORLD } from "./world.js";

const $ = (id) => document.getElementById(id);
const LINES = 60; // of talk that are kept

const colour = (name, l = 72) => `hsl(${hueOf(name)} 90% ${l}%)`;

function element(tag, text, className) {
  const e = document.createElement(tag);
  if (text !== undefined) e.textContent = text;
  if (className) e.className = className;
  return e;
}

export class Panel {
  constructor() {
    this.want = {}; // start(name), say(text), buy(item), shop(), board(), mute(), again(); set by main.js
    this.gold = 0;
    $("gate").addEventListener("submit", (e) => {
      e.preventDefault();
      const name = $("who").value.trim();
      if (name) this.want.start(name);
      else $("who").focus();
    });
    $("say").addEventListener("submit", (e) => {
      e.preventDefault();
      const text = $("words").value.trim();
      if (text) this.want.say(text);
      $("words").value = "";
      $("words").blur();
      $("chat").classList.remove("open");
    });
    $("show-shop").onclick = () => this.toggle("shop");
    $("show-board").onclick = () => this.toggle("board");
    $("show-chat").onclick = () => this.talk();
    $("mute").onclick = () => this.want.mute();
    $("again").onclick = () => this.want.again();
    for (const b of document.querySelectorAll(".close")) b.onclick = () => this.hide();
    window.addEventListener("keydown", (e) => this.#key(e));
  }

  // --- login

  known(names) {
    $("known").replaceChildren(...names.slice(0, 4).map((name) => {
      const b = element("button"), dot = element("i");
      b.type = "button";
      dot.style.cssText = `background:${colour(name)};box-shadow:0 0 8px ${colour(name)}`;
      b.append(dot, name);
      b.onclick = () => this.want.start(name);
      return b;
    }));
    if (names[0]) $("who").value = names[0];
  }

  busy(yes) { $("start").disabled = yes; }

  // door opens the login again, saying why.
  door(why) {
    $("gate").classList.remove("gone");
    $("why").textContent = why;
    this.busy(false);
    this.veil(false);
    $("who").focus();
  }

  enter(name) {
    $("gate").classList.add("gone");
    $("why").textContent = "";
    $("hud").hidden = false;
    document.activeElement?.blur?.();
    $("name").textContent = name;
    $("self").style.setProperty("--mine", colour(name, 62));
    const touch = matchMedia("(pointer: coarse)").matches;
    $("hint").innerHTML = touch ? "Touch and hold to fly" :
      "Fly with <kbd>W</kbd> <kbd>A</kbd> <kbd>S</kbd> <kbd>D</kbd> or hold the mouse · <kbd>Enter</kbd> to talk";
  }

  flown() { $("hint").classList.add("gone"); }

  // --- ourselves

  purse(gold) {
    if (gold > this.gold) {
      $("purse").classList.remove("up");
      void $("purse").offsetWidth; // lets the animation begin again
      $("purse").classList.add("up");
    }
    this.gold = gold;
    $("gold").textContent = gold.toLocaleString("en");
    this.#prices();
  }

  lit(light) {
    this.light = light;
    $("light").textContent = light > 0 ? "✦".repeat(light) + " light" : "a faint light";
    this.#prices();
  }

  told(room) {
    const e = $("place");
    e.textContent = placeOf(room);
    e.classList.remove("tell");
    void e.offsetWidth;
    e.classList.add("tell");
  }

  map(world, t) {
    const c = $("map"), g = c.getContext("2d"), k = c.width / WORLD.w;
    g.clearRect(0, 0, c.width, c.height);
    for (let i = 0; i < GRID; i++) {
      for (let j = 0; j < GRID; j++) {
        const here = world.room === `${i},${j}`;
        g.fillStyle = here ? "rgba(255,224,138,0.2)" : "rgba(150,180,255,0.07)";
        g.beginPath();
        g.roundRect(i * ROOM.w * k + 3, j * c.height / GRID + 3, ROOM.w * k - 6, c.height / GRID - 6, 8);
        g.fill();
      }
    }
    const dot = (x, y, size, fill) => {
      g.fillStyle = fill;
      g.beginPath();
      g.arc(x * k, y * c.height / WORLD.h, size, 0, 7);
      g.fill();
    };
    for (const s of world.sparks.values()) dot(s.x, s.y, 1.8, s.worth > 1 ? "#ffdf86" : "rgba(190,235,255,0.75)");
    for (const b of world.bodies.values()) if (b !== world.me) dot(b.x, b.y, 3, `hsl(${b.hue} 90% 70%)`);
    if (world.me) {
      dot(world.me.x, world.me.y, 8 + 2 * Math.sin(t * 3), `hsla(${world.me.hue},95%,70%,0.35)`);
      dot(world.me.x, world.me.y, 4.4, "#fffbe6");
    }
  }

  muted(yes) { $("mute").classList.toggle("off", yes); }

  // --- talk

  talk() {
    $("chat").classList.add("open");
    $("words").focus();
  }

  heard(who, text) {
    const li = element("li"), b = element("b", who);
    b.style.color = colour(who, 78);
    li.append(b, text);
    this.#line(li);
  }

  note(text) { this.#line(element("li", text, "note")); }

  #line(li) {
    $("log").append(li);
    while ($("log").children.length > LINES) $("log").firstChild.remove();
  }

  // --- panels

  toggle(id) {
    const show = $(id).hidden;
    this.hide();
    if (!show) return;
    $(id).hidden = false;
    $("show-" + id).classList.add("on");
    this.want[id]();
  }

  hide() {
    for (const id of ["shop", "board"]) {
      $(id).hidden = true;
      $("show-" + id).classList.remove("on");
    }
  }

  open(id) { return !$(id).hidden; }

  wares(wares) {
    this.offer = wares;
    this.#prices();
  }

  #prices() {
    if (!this.offer) return;
    $("wares").replaceChildren(...this.offer.map((w) => {
      const li = element("li"), words = element("div"), have = w.light <= (this.light ?? 0), b = element("button");
      const glow = element("i");
      glow.style.setProperty("--l", w.light);
      words.append(element("b", w.name), element("small", "light " + w.light));
      b.textContent = have ? "yours" : `${w.sparks} ✦`;
      b.disabled = have;
      b.dataset.item = w.item;
      if (!have && w.sparks > this.gold) b.title = `${w.sparks - this.gold} sparks to go`;
      b.onclick = () => this.want.buy(w.item);
      li.classList.toggle("have", have);
      li.append(glow, words, b);
      return li;
    }));
  }

  leaders(m) {
    $("leaders").replaceChildren(...(m.top ?? []).map((s) => {
      const li = element("li", undefined, s.who === m.you.who ? "me" : ""), dot = element("i");
      dot.style.background = colour(s.who);
      li.append(dot, element("b", s.who), element("span", s.sparks.toLocaleString("en")));
      return li;
    }));
    $("rank").textContent = m.you.sparks ? `You have gathered ${m.you.sparks.toLocaleString("en")} ${m.you.sparks === 1 ? "spark" : "sparks"}.` :
      "Gather a spark to appear here.";
  }

  // --- notices

  toast(text, bad = false) {
    const p = element("p", text, bad ? "bad" : "");
    $("toasts").append(p);
    while ($("toasts").children.length > 3) $("toasts").firstChild.remove();
    setTimeout(() => p.remove(), 3600);
  }

  veil(show, words = "The night is holding its breath…", small = "reconnecting", again = false) {
    $("veil").hidden = !show;
    if (!show) return;
    $("veil").querySelector("p").textContent = words;
    $("veil").querySelector("small").textContent = small;
    $("again").hidden = !again;
  }

  #key(e) {
    if (!$("gate").classList.contains("gone")) return;
    if (e.key === "Escape") {
      this.hide();
      document.activeElement?.blur?.();
    }
    if (e.target.closest?.("input") || e.ctrlKey || e.metaKey || e.altKey) return;
    const act = { Enter: () => this.talk(), KeyB: () => this.toggle("shop"), KeyL: () => this.toggle("board"),
      KeyM: () => this.want.mute() }[e.code];
    if (!act || (e.code === "Enter" && e.target.closest?.("button"))) return;
    e.preventDefault();
    act();
  }
}
