// Where the player wants to fly: keys, a held mouse button or finger, or a place clicked on.

const KEYS = { KeyW: [0, -1], ArrowUp: [0, -1], KeyS: [0, 1], ArrowDown: [0, 1],
  KeyA: [-1, 0], ArrowLeft: [-1, 0], KeyD: [1, 0], ArrowRight: [1, 0] };
const TAP = 260;     // ms; a shorter press is a click: fly there and stay
const ARRIVE = 150;  // units before the goal where we begin to slow down

export class Input {
  // toWorld turns a point of the screen into one of the meadow.
  constructor(picture, toWorld) {
    this.toWorld = toWorld;
    this.down = new Set();
    this.pointer = null;  // the screen point held down
    this.goal = null;     // the place to fly to, and whom to tell: { x, y, arrived }
    this.used = false;    // has the player ever steered?
    window.addEventListener("keydown", (e) => this.#key(e));
    window.addEventListener("keyup", (e) => this.down.delete(e.code));
    window.addEventListener("blur", () => { this.down.clear(); this.pointer = null; });
    picture.addEventListener("pointerdown", (e) => this.#press(e, picture));
    picture.addEventListener("pointermove", (e) => { if (this.pointer) this.#hold(e); });
    picture.addEventListener("pointerup", (e) => this.#release(e));
    picture.addEventListener("pointercancel", () => { this.pointer = null; });
    picture.addEventListener("contextmenu", (e) => e.preventDefault());
  }

  // flyTo resolves when we are there, or with false when something else was wanted meanwhile.
  flyTo(x, y) {
    this.goal?.arrived?.(false);
    return new Promise((arrived) => { this.goal = { x, y, arrived }; });
  }

  // steer says in which direction to fly now, at most 1 long.
  steer(me) {
    let x = 0, y = 0;
    for (const code of this.down) {
      x += KEYS[code][0];
      y += KEYS[code][1];
    }
    if (x || y) {
      const d = Math.hypot(x, y);
      return { x: x / d, y: y / d };
    }
    if (this.pointer) {
      const p = this.toWorld(this.pointer.x, this.pointer.y);
      return towards(p.x - me.x, p.y - me.y, 30);
    }
    if (this.goal) {
      const dx = this.goal.x - me.x, dy = this.goal.y - me.y;
      if (Math.hypot(dx, dy) < 12 && Math.hypot(me.vx, me.vy) < 90) { // there, and not just passing
        this.goal.arrived?.(true);
        this.goal = null;
        return { x: 0, y: 0 };
      }
      return towards(dx, dy, 0);
    }
    return { x: 0, y: 0 };
  }

  #key(e) {
    if (e.target.closest?.("input") || e.ctrlKey || e.metaKey || e.altKey || !KEYS[e.code]) return;
    e.preventDefault();
    this.used = true;
    this.#forget();
    this.down.add(e.code);
  }

  #press(e, picture) {
    picture.setPointerCapture?.(e.pointerId);
    document.activeElement?.blur?.();
    this.used = true;
    this.#forget();
    this.pressed = e.timeStamp;
    this.#hold(e);
  }

  #hold(e) { this.pointer = { x: e.clientX, y: e.clientY }; }

  #release(e) {
    if (this.pointer && e.timeStamp - this.pressed < TAP) {
      const p = this.toWorld(e.clientX, e.clientY);
      this.goal = { x: p.x, y: p.y };
    }
    this.pointer = null;
  }

  #forget() {
    this.goal?.arrived?.(false);
    this.goal = null;
  }
}

function towards(dx, dy, near) {
  const d = Math.hypot(dx, dy);
  if (d <= near) return { x: 0, y: 0 };
  const fast = Math.min(1, Math.max(0.12, d / ARRIVE));
  return { x: dx / d * fast, y: dy / d * fast };
}
