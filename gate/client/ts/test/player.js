// Players at a real gate, whose address go test gives, and the messages that its game has beside the stage's.

import assert from "node:assert/strict";
import { connect } from "../../../../sample/web/firefly.js";
import { Proxy } from "./proxy.js";
import { Enter, News } from "./stage.js";

export const { FIREFLY_GATE_TCP: tcp, FIREFLY_GATE_WS: ws, FIREFLY_FORGETFUL_TCP: forgetful } = process.env;
export const skip = tcp ? false : "it needs a gate: go test ./gate/client/ts";
export const skipWeb = skip || typeof WebSocket === "undefined" && "this Node has no WebSocket";

const Account = { number: 203, name: "Account" };
export const Recount = { number: 103, name: "Recount", reply: Account };
export const Fall = { number: 104, name: "Fall", reply: null };

let players = 0;
const someone = () => `player-${process.pid}-${++players}`;

const AT_MOST = 100_000; // ms that anybody plays: a test whose gate is gone ends, too

// plays connects somebody who is logged in; t's end closes it.
export async function plays(t, url, options = {}) {
  const name = options.name ?? someone(), states = [], news = [];
  const client = await connect(url, {
    client: "test/1", login: (door) => door.call(Enter, { name }), onState: (s) => states.push(s),
    backoff: { first: 2, most: 50 }, signal: AbortSignal.timeout(AT_MOST), ...options,
  });
  t.after(() => client.close());
  client.on(News, (m) => news.push(m.n));
  return { client, states, news, name };
}

// until waits for what must happen; within ms.
export async function until(what, is, within = 30_000) {
  for (const end = Date.now() + within; !is(); await new Promise((done) => setTimeout(done, 5))) {
    assert.ok(Date.now() < end, `waited ${within} ms for ${what}`);
  }
}

export async function proxied(t, address) {
  const proxy = await Proxy.open(address);
  t.after(() => proxy.close());
  return proxy;
}
