// A client of the firefly/2 protocol over WebSocket: requests are promises, pushes are handlers, and a lost
// connection comes back by itself. It knows frames and the runtime's own numbers, and nothing of any game.
//
//   const c = new Client("ws://127.0.0.1:9401/", { name: "meadow/1.0" });
//   c.on(1102, (heard) => ...);             // a push
//   c.onopen = async () => { await c.request(101, { name, secret }); };
//   c.onstate = (state, why) => ...;        // "connecting", "open", "waiting", "closed"
//   c.connect();

const HELLO = 1, WELCOME = 2, ERROR = 3, CLOSE = 4, PING = 5, PONG = 6;
const HEADER = 12; // flags 1, length 3, number 4, seq 4; big-endian
const FIRST_GAME_NUMBER = 100;
const ACKNOWLEDGE_EVERY = 64; // counted frames
const REQUEST_TIMEOUT = 9000; // ms; the gate answers before that, whatever happens behind it
const BACKOFF_FIRST = 250, BACKOFF_MOST = 5000; // ms

const encoder = new TextEncoder(), decoder = new TextDecoder();

// A Refusal is an answer that is not a result. Its code is for programs, its text for people.
export class Refusal extends Error {
  constructor(number, body) {
    super(body.text || body.code);
    this.name = "Refusal";
    this.number = number;
    this.code = body.code;
    this.retryAfter = body.retry_after_ms || 0;
  }
}

export class Client {
  constructor(url, { name = "web/1.0" } = {}) {
    this.url = url;
    this.name = name;
    this.state = "closed";
    this.onopen = null; // async; runs after each Welcome; the state is "open" when it has succeeded
    this.onstate = () => {};
    this.onerror = () => {}; // refusals of frames that wanted no answer
    this.handlers = new Map();
    this.attempts = 0;
    this.pending = new Map();
  }

  // on sets the handler of a push.
  on(number, fn) { this.handlers.set(number, fn); }

  connect() {
    this.wanted = true;
    this.#dial();
  }

  close() {
    this.wanted = false;
    clearTimeout(this.timer);
    this.socket?.close(1000);
    this.#lost("CLOSED", "closed by this side");
    this.#enter("closed", { code: "CLOSED" });
  }

  // send wants no answer. It is false when there is no connection.
  send(number, body) { return this.#write(number, 0, body); }

  // request resolves with the body of the answer, or rejects with a Refusal.
  request(number, body, timeout = REQUEST_TIMEOUT) {
    return new Promise((resolve, reject) => {
      const seq = ++this.seq;
      if (!this.#write(number, seq, body)) {
        reject(new Refusal(number, { code: "DISCONNECTED", text: "not connected" }));
        return;
      }
      const timer = setTimeout(() => {
        this.pending.delete(seq);
        reject(new Refusal(number, { code: "DEADLINE", text: "no answer in time" }));
      }, timeout);
      this.pending.set(seq, { number, resolve, reject, timer });
    });
  }

  #dial() {
    this.seq = this.received = this.acknowledged = 0;
    this.verdict = null;
    this.#enter("connecting");
    const socket = new WebSocket(this.url);
    this.socket = socket;
    socket.binaryType = "arraybuffer";
    socket.onopen = () => this.#write(HELLO, 0, { version: 2, codec: "json", client: this.name });
    socket.onmessage = (e) => { if (socket === this.socket) this.#read(e.data); };
    socket.onclose = () => { if (socket === this.socket && this.wanted) this.#closed(); };
  }

  #closed() {
    clearInterval(this.heart);
    const why = this.verdict || { code: "LOST", number: 1000, text: "the connection was lost" };
    this.#lost(why.code, why.text);
    if (why.number >= 3000) { // do not come back
      this.wanted = false;
      this.#enter("closed", why);
      return;
    }
    const base = Math.min(BACKOFF_MOST, BACKOFF_FIRST * 2 ** this.attempts++);
    const wait = base * (0.6 + 0.8 * Math.random()) + (why.number >= 2000 ? 1000 : 0);
    this.timer = setTimeout(() => this.#dial(), wait);
    this.#enter("waiting", { ...why, wait });
  }

  #lost(code, text) {
    for (const p of this.pending.values()) {
      clearTimeout(p.timer);
      p.reject(new Refusal(p.number, { code, text }));
    }
    this.pending.clear();
  }

  #enter(state, why = {}) {
    this.state = state;
    this.onstate(state, why);
  }

  #write(number, seq, body) {
    if (this.socket?.readyState !== WebSocket.OPEN) return false;
    const bytes = body === undefined ? new Uint8Array(0) : encoder.encode(JSON.stringify(body));
    const frame = new Uint8Array(HEADER + bytes.length);
    const view = new DataView(frame.buffer);
    view.setUint32(0, bytes.length); // the top byte holds the flags: none
    view.setUint32(4, number);
    view.setUint32(8, seq);
    frame.set(bytes, HEADER);
    this.socket.send(frame);
    return true;
  }

  #read(buffer) {
    const view = new DataView(buffer);
    const flags = view.getUint8(0), number = view.getUint32(4), seq = view.getUint32(8);
    const text = decoder.decode(new Uint8Array(buffer, HEADER));
    const body = text === "" ? {} : JSON.parse(text);
    if (number >= FIRST_GAME_NUMBER) this.#count();
    if (number < FIRST_GAME_NUMBER && this.#runtime(number, seq, body)) return;
    if (seq === 0) {
      this.handlers.get(number)?.(body);
      return;
    }
    const p = this.pending.get(seq);
    if (!p) return; // too late: its promise was rejected
    this.pending.delete(seq);
    clearTimeout(p.timer);
    if (flags & 1) p.reject(new Refusal(number, body));
    else p.resolve(body);
  }

  // runtime handles the runtime's own numbers; false for an error that answers a request.
  #runtime(number, seq, body) {
    switch (number) {
      case WELCOME: this.#welcomed(body); return true;
      case PING: this.#write(PONG, seq, { received: this.received }); return true;
      case CLOSE: this.verdict = body; return true;
      case ERROR:
        if (seq !== 0) return false;
        this.onerror(new Refusal(ERROR, body));
        return true;
    }
    return true; // Pong, and what later versions may add
  }

  async #welcomed(body) {
    const socket = this.socket;
    this.session = body.session;
    clearInterval(this.heart);
    this.heart = setInterval(() => this.#ping(), (body.heartbeat_s || 15) * 1000);
    try {
      await this.onopen?.(body);
    } catch (refusal) {
      if (socket === this.socket && this.wanted) this.#refused(refusal);
      return;
    }
    if (socket !== this.socket) return;
    this.attempts = 0;
    this.#enter("open");
  }

  // refused ends a connection whose opening the game refused; what may pass by itself is tried again.
  #refused(refusal) {
    const passing = ["DEADLINE", "UNAVAILABLE", "DISCONNECTED", "LOST", "STORE_UNAVAILABLE",
      "OVERLOADED", "RESTARTED", "MAILBOX_FULL", "STORE_BEHIND", "RATE_LIMITED"];
    this.verdict = { code: refusal.code || "FAILED", text: refusal.message,
      number: passing.includes(refusal.code) ? 1000 : 3000, refusal };
    this.socket.close(1000);
  }

  #ping() {
    this.acknowledged = this.received;
    this.#write(PING, 0, { received: this.received });
  }

  #count() {
    this.received++;
    if (this.received - this.acknowledged >= ACKNOWLEDGE_EVERY) this.#ping();
  }
}
