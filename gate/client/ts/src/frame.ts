// A frame is a header of 12 bytes, big-endian, and a body:
//
//	0  flags   1 byte   bit 0: the body is an error
//	1  length  3 bytes  of the body alone
//	4  number  4 bytes  what the body is
//	8  seq     4 bytes  client: 0 wants no answer. server: the request it answers, 0 is a push

/** Bytes of a header. */
export const HEADER = 12;
/** The most bytes that a length of 3 bytes can say. */
export const MAX_BODY = 0xffffff;

/** Numbers of the runtime's own frames, whose bodies are JSON whatever codec the session speaks. */
export const HELLO = 1, WELCOME = 2, ERROR = 3, CLOSE = 4, PING = 5, PONG = 6;
/** The lowest number of a game. Frames with such a number are counted, in both directions. */
export const FIRST_GAME_NUMBER = 100;

/** A Frame of the gate's. */
export interface Frame {
  readonly failed: boolean;
  readonly number: number;
  readonly seq: number;
  readonly body: Uint8Array;
}

/** Bytes as sockets take them: a buffer of its own, never shared. */
export type Bytes = Uint8Array<ArrayBuffer>;

const encoder = new TextEncoder(), decoder = new TextDecoder();

/** pack makes a frame of the client's. */
export function pack(number: number, seq: number, body: Uint8Array): Bytes {
  const frame = new Uint8Array(HEADER + body.length), view = new DataView(frame.buffer);
  view.setUint32(0, body.length); // the top byte is the flags: none
  view.setUint32(4, number);
  view.setUint32(8, seq);
  frame.set(body, HEADER);
  return frame;
}

/** packJSON is pack for the runtime's own. */
export function packJSON(number: number, seq: number, body: unknown): Bytes {
  return pack(number, seq, encoder.encode(JSON.stringify(body)));
}

/** unpack reads one whole frame; the body is a part of bytes. What is none throws a RangeError. */
export function unpack(bytes: Uint8Array): Frame {
  const length = lengthOf(bytes);
  if (length !== bytes.length) throw new RangeError(`a frame of ${length} bytes came as ${bytes.length}`);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const flags = view.getUint8(0);
  if ((flags & ~1) !== 0) throw new RangeError(`a frame's flags have bits that must be 0: ${flags}`);
  return { failed: flags === 1, number: view.getUint32(4), seq: view.getUint32(8), body: bytes.subarray(HEADER) };
}

/** unpackJSON is the body of one of the runtime's own. */
export function unpackJSON<T>(frame: Frame): T {
  return JSON.parse(decoder.decode(frame.body)) as T;
}

// lengthOf is how long the frame at the front is; HEADER while its header is not whole.
function lengthOf(bytes: Uint8Array): number {
  if (bytes.length < HEADER) return HEADER;
  return HEADER + (bytes[1]! << 16 | bytes[2]! << 8 | bytes[3]!);
}

/** A Cutter makes frames of a stream, where they follow one another. */
export class Cutter {
  #rest: Uint8Array = new Uint8Array(0);

  /** cut takes what has come and returns the frames that are whole, each for itself. */
  cut(bytes: Uint8Array): Uint8Array[] {
    const all = new Uint8Array(this.#rest.length + bytes.length), frames: Uint8Array[] = [];
    all.set(this.#rest);
    all.set(bytes, this.#rest.length);
    let at = 0;
    for (let n; (n = lengthOf(all.subarray(at))) <= all.length - at; at += n) frames.push(all.subarray(at, at + n));
    this.#rest = all.subarray(at);
    return frames;
  }
}
