// A Proxy stands between clients and a gate, and is the network that goes wrong.

import { connect, createServer } from "node:net";

export class Proxy {
  #server;
  #pairs = new Set();
  #cuts = []; // for the connections to come, in order: {up, down} bytes after which each breaks
  down = false; // nobody gets through
  dials = 0;
  carried = { up: 0, down: 0 }; // bytes

  // open is a proxy before the gate at host:port of an address.
  static async open(address) {
    const p = new Proxy(), { protocol, hostname, port } = new URL(address);
    p.#server = createServer((near) => p.#accept(near, { host: hostname, port: Number(port) }));
    await new Promise((listening) => p.#server.listen(0, "127.0.0.1", listening));
    p.url = `${protocol}//127.0.0.1:${p.#server.address().port}`;
    return p;
  }

  // next breaks the next connection after so many bytes in a direction.
  next(cut) { this.#cuts.push(cut); }

  #accept(near, gate) {
    this.dials++;
    if (this.down) return near.destroy();
    const far = connect(gate), pair = { near, far, frozen: false };
    const { up = Infinity, down = Infinity } = this.#cuts.shift() ?? {};
    const end = () => {
      this.#pairs.delete(pair);
      near.destroy();
      far.destroy();
    };
    for (const s of [near, far]) s.setNoDelay(true).on("error", end).on("close", end);
    this.#pairs.add(pair);
    const carry = (way, from, to, left) => from.on("data", (bytes) => {
      if (pair.frozen) return;
      this.carried[way] += bytes.length;
      to.write(bytes.subarray(0, left));
      left -= bytes.length;
      if (left <= 0) setImmediate(end);
    });
    carry("up", near, far, up);
    carry("down", far, near, down);
  }

  // breaks ends all connections.
  breaks() { for (const { near, far } of [...this.#pairs]) { near.destroy(); far.destroy(); } }

  // freezes carries nothing any more over the connections that there are: their cable is pulled.
  freezes() { for (const pair of this.#pairs) pair.frozen = true; }

  async close() {
    this.breaks();
    await new Promise((closed) => this.#server.close(closed));
  }
}
