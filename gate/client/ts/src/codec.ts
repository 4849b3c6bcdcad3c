import type { Message } from "./message.js";

/**
 * A Codec turns the game's bodies into bytes and back. JSON is built in. For protobuf give the functions of the
 * generated code: its messages only, since the gate sends no others to a session that speaks it.
 */
export interface Codec {
  /** What Hello asks for. */
  readonly name: "json" | "proto";
  encode<T>(message: Message<T>, body: T): Uint8Array;
  /** decode reads a body. An empty one is a message whose fields all are zero, as protobuf writes it. */
  decode(number: number, body: Uint8Array): unknown;
}

const utf8 = new TextEncoder(), text = new TextDecoder();

/** JSON as JSON.stringify has it: whole numbers beyond 2^53 lose their last digits, so send such as strings. */
export const json: Codec = {
  name: "json",
  encode: (_, body) => body === undefined ? new Uint8Array(0) : utf8.encode(JSON.stringify(body)),
  decode: (_, body) => body.length === 0 ? {} : JSON.parse(text.decode(body)),
};
