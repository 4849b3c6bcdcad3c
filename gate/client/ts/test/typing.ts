// What the compiler must refuse. It is compiled and never run.

import { connect, type Message, type Request } from "../src/index.js";

interface Bought { item: string; light: number }
interface Buy { item: string }
interface Say { text: string }
const Bought: Message<Bought> = { number: 5104, name: "Bought" };
const Buy: Request<Buy, Bought> = { number: 5103, name: "Buy", reply: Bought };
const Say: Request<Say, void> = { number: 1101, name: "Say", reply: null };

export async function typed(): Promise<number> {
  const c = await connect("ws://gate", { login: (door) => door.call(Say, { text: "hello" }) });
  const bought = await c.call(Buy, { item: "sword" });
  const nothing: void = await c.call(Say, { text: "good night" }, { within: 1000 });
  c.send(Say, { text: "good night" });
  c.on(Bought, (m) => m.light + 1);
  // @ts-expect-error: a Buy has an item
  c.send(Buy, { text: "sword" });
  // @ts-expect-error: and nothing else
  c.send(Buy, { item: "sword", price: 0 });
  // @ts-expect-error: its item is a string
  await c.call(Buy, { item: 7 });
  // @ts-expect-error: clients do not send what they receive
  c.send(Bought, { item: "sword", light: 1 });
  // @ts-expect-error: a Bought has no price
  c.on(Bought, (m) => m.price);
  // @ts-expect-error: a reply without a body is nothing
  const light: number = await c.call(Say, { text: "" });
  return bought.light + light + Number(nothing);
}
