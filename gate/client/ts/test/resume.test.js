// Sessions that go on over another connection of a real gate, whatever became of the one before.

import assert from "node:assert/strict";
import { test } from "node:test";
import { forgetful, plays, proxied, Recount, skip, skipWeb, tcp, until, ws } from "./player.js";
import { Ask, Deed, fails } from "./stage.js";

// converses says ten things in four ways and returns what must have been heard.
async function converses({ client, news }) {
  const heard = [];
  for (let n = 1; n <= 10; n += 2) {
    client.send(Deed, { n });
    assert.deepEqual(await client.call(Ask, { n: n + 1 }), { n: n + 1 });
    heard.push(n, n + 1);
  }
  assert.deepEqual((await client.call(Recount, {})).heard, heard);
  assert.deepEqual(news, heard.filter((n) => n % 2 === 1));
}

// cutting has somebody converse through a connection that breaks at a cut, and returns when the session went on over
// another, and the bytes that went through.
async function cutting(address, cut) {
  const ends = [], its = { after: (end) => ends.unshift(end) }, proxy = await proxied(its, address);
  proxy.next(cut);
  try {
    const one = await plays(its, proxy.url);
    await converses(one);
    return { resumed: one.states.filter((s) => s.name === "online" && s.resumed), carried: proxy.carried };
  } catch (error) {
    error.message = `cut at ${JSON.stringify(cut)}: ${error.message}`;
    throw error;
  } finally {
    for (const end of ends) await end();
  }
}

for (const [transport, address, without] of [["TCP", tcp, skip], ["WebSocket", ws, skipWeb]]) {
  test(`${transport} that breaks after any byte loses and doubles nothing`, { skip: without }, async (t) => {
    const { carried } = await cutting(address, {}), step = process.env.FIREFLY_EVERY_BYTE ? 1 : 17, cuts = [];
    for (const way of ["up", "down"]) for (let at = 1; at <= carried[way]; at += step) cuts.push({ [way]: at });
    const all = cuts.length;
    const resumed = [];
    const work = async () => {
      for (let cut; (cut = cuts.pop());) resumed.push(...(await cutting(address, cut)).resumed);
    };
    await Promise.all([work(), work(), work(), work()]);
    t.diagnostic(`${all} cuts in ${carried.up} and ${carried.down} bytes, ${resumed.length} sessions resumed`);
    assert.ok(resumed.length > all / 4, "many of them were in the middle of something");
  });
}

test("what is said while there is no gate is said when there is one", { skip: skipWeb }, async (t) => {
  const proxy = await proxied(t, ws), one = await plays(t, proxy.url), { client } = one;
  const { session } = client.state;
  proxy.down = true;
  proxy.breaks();
  await until("the loss to be noticed", () => !client.online);
  for (let n = 1; n <= 3; n++) client.send(Deed, { n });
  const call = client.call(Ask, { n: 4 });
  proxy.down = false;
  assert.deepEqual(await call, { n: 4 });
  assert.deepEqual([client.state.name, client.state.session, client.state.resumed], ["online", session, true]);
  assert.deepEqual((await client.call(Recount, {})).heard, [1, 2, 3, 4]);
  assert.deepEqual(one.news, [1, 2, 3]);
});

test("a cable that is pulled is noticed, and the session goes on over another", { skip }, async (t) => {
  const proxy = await proxied(t, tcp), one = await plays(t, proxy.url, { quiet: 100, patience: 200 }), { client } = one;
  client.send(Deed, { n: 1 });
  await until("the first news", () => one.news.length === 1);
  proxy.freezes();
  client.send(Deed, { n: 2 });
  const call = client.call(Ask, { n: 3 });
  assert.deepEqual(await call, { n: 3 });
  assert.deepEqual(one.states.map((s) => s.why?.code ?? s.resumed), [false, "SILENT", true]);
  assert.deepEqual((await client.call(Recount, {})).heard, [1, 2, 3]);
  assert.deepEqual(one.news, [1, 2]);
});

test("connections that break one after another lose and double nothing", { skip }, async (t) => {
  const proxy = await proxied(t, tcp);
  for (let i = 0; i < 12; i++) proxy.next({ down: 260 + 7 * i }); // Welcome has about 200
  const one = await plays(t, proxy.url);
  await converses(one);
  assert.ok(new Set(one.states.map((s) => s.session)).size <= 2, "it was one session");
  t.diagnostic(`${proxy.dials} connections`);
});

test("a gate that has forgotten a session begins another, and the client logs in again", { skip }, async (t) => {
  const proxy = await proxied(t, forgetful), { client } = await plays(t, proxy.url), { session } = client.state;
  assert.deepEqual(await client.call(Ask, { n: 1 }), { n: 1 });
  proxy.down = true;
  proxy.freezes();
  const sent = fails(client.call(Ask, { n: 2 }));
  proxy.breaks();
  await until("the loss to be noticed", () => !client.online);
  const waited = client.call(Ask, { n: 3 });
  await new Promise((done) => setTimeout(done, 500)); // the gate waits for 50
  proxy.down = false;
  assert.deepEqual(await waited, { n: 3 });
  assert.deepEqual([(await sent).code, (await sent).message.slice(0, 20)], ["OUTCOME_UNKNOWN", "Ask: SESSION_UNKNOWN"]);
  assert.deepEqual([client.online, client.state.resumed, client.state.session !== session], [true, false, true]);
  assert.deepEqual((await client.call(Recount, {})).heard, [1, 3]);
});
