import { Cutter, type Bytes } from "./frame.js";

/** A Line is one connection to a gate. It carries whole frames. */
export interface Line {
  /** send writes a frame. It may be called after opened and does nothing after closed. */
  send(frame: Bytes): void;
  /**
   * close ends the connection. With leave the client goes for good, and the gate ends its session at once; without,
   * the session waits for another connection. Nothing is told after it.
   */
  close(leave: boolean): void;
}

/** Ears are told what happens on a Line: opened once, then frames in order, then closed once, and nothing after it. */
export interface Ears {
  opened(): void;
  heard(frame: Uint8Array): void;
  closed(text: string): void;
}

/** A Dial begins a Line to a URL. It throws if it knows no way there; what fails later is told as closed. */
export type Dial = (url: string, ears: Ears) => Line;

/** dial takes ws:// and wss:// where there is a WebSocket, and tcp:// and tls:// in Node. */
export const dial: Dial = (url, ears) => {
  const { protocol } = new URL(url);
  if (protocol === "ws:" || protocol === "wss:") return new WebLine(url, ears);
  if (protocol === "tcp:" || protocol === "tls:") return new TCPLine(url, ears);
  throw new TypeError(`address ${url}: there are ws, wss, tcp and tls`);
};

const LEAVES = 1000, ABANDONS = 4000; // codes of a WebSocket's close: only the first ends the session

class WebLine implements Line {
  readonly #socket: WebSocket;
  #over = false;

  constructor(url: string, ears: Ears) {
    if (typeof WebSocket === "undefined") {
      throw new TypeError("no WebSocket: Node has it from 22 on, or 20 with --experimental-websocket; or use tcp://");
    }
    const socket = this.#socket = new WebSocket(url);
    socket.binaryType = "arraybuffer";
    socket.onopen = () => this.#over || ears.opened();
    socket.onmessage = (e: MessageEvent<ArrayBuffer>) => this.#over || ears.heard(new Uint8Array(e.data));
    const closed = (text: string) => {
      if (this.#over) return;
      this.#over = true;
      ears.closed(text);
    };
    socket.onclose = (e) => closed(`WebSocket closed with ${e.code}`);
    socket.onerror = () => closed("WebSocket failed"); // Node 20 says no more when it could not connect
  }

  send(frame: Bytes): void {
    if (this.#socket.readyState === WebSocket.OPEN) this.#socket.send(frame);
  }

  close(leave: boolean): void {
    this.#over = true;
    this.#socket.close(leave ? LEAVES : ABANDONS);
  }
}

// What of node:net and node:tls is used here; so the types of Node need not be installed.
interface Socket {
  setNoDelay(yes: boolean): void;
  on(event: "connect" | "secureConnect" | "close", fn: () => void): void;
  on(event: "data", fn: (bytes: Uint8Array) => void): void;
  on(event: "error", fn: (err: Error) => void): void;
  write(bytes: Uint8Array): void;
  end(): void;
  destroy(): void;
}
interface Net {
  connect(to: { host: string; port: number; servername?: string }): Socket;
}

class TCPLine implements Line {
  #socket: Socket | null = null;
  #over = false;

  constructor(url: string, private readonly ears: Ears) {
    const { protocol, hostname, port } = new URL(url);
    const host = hostname.replace(/^\[(.*)\]$/, "$1"), secure = protocol === "tls:";
    const module: string = secure ? "node:tls" : "node:net"; // not in the import itself: bundlers would look for it
    (import(module) as Promise<Net>).then((net) => {
      if (this.#over) return;
      const to = { host, port: Number(port) };
      this.#open(net.connect(secure ? { ...to, servername: host } : to), secure ? "secureConnect" : "connect");
    }).catch((err: unknown) => this.#closed(String(err)));
  }

  #open(socket: Socket, opened: "connect" | "secureConnect"): void {
    this.#socket = socket;
    const cutter = new Cutter();
    let why = "the other side closed";
    socket.setNoDelay(true);
    socket.on(opened, () => this.#over || this.ears.opened());
    socket.on("data", (bytes) => {
      for (const frame of cutter.cut(bytes)) if (!this.#over) this.ears.heard(frame);
    });
    socket.on("error", (err) => { why = err.message; });
    socket.on("close", () => this.#closed(why));
  }

  #closed(text: string): void {
    if (this.#over) return;
    this.#over = true;
    this.ears.closed(text);
  }

  send(frame: Bytes): void {
    if (!this.#over) this.#socket?.write(frame);
  }

  close(leave: boolean): void {
    this.#over = true;
    if (leave) this.#socket?.end();
    else this.#socket?.destroy();
  }
}
