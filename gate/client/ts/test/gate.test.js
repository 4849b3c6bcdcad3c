// The client at a real gate: what the stage only claims about gates. TestTheTypeScriptClientPlaysAtARealGate runs it.

import assert from "node:assert/strict";
import { test } from "node:test";
import { connect } from "../../../../sample/web/firefly.js";
import { Fall, plays, proxied, skip, skipWeb, tcp, until, ws } from "./player.js";
import { Ask, Deed, fails } from "./stage.js";

const Nonsense = { number: 4711, name: "Nonsense", reply: null };

for (const [transport, address, without] of [["TCP", tcp, skip], ["WebSocket", ws, skipWeb]]) {
  test(`a conversation over ${transport}`, { skip: without }, async (t) => {
    const { client, news, states } = await plays(t, address);
    assert.deepEqual(await client.call(Ask, { n: 7 }), { n: 7 });
    assert.equal(await client.call(Deed, { n: 8 }), undefined);
    assert.deepEqual(news, [8], "the push came before the answer");
    const refusal = await fails(client.call(Ask, { n: -1 }));
    assert.deepEqual([refusal.name, refusal.code, refusal.message], ["Refusal", "POOR", "no gold"]);
    assert.equal((await fails(client.call(Nonsense, {}))).code, "UNKNOWN_NUMBER");
    const many = await Promise.all([...Array(100).keys()].map((n) => client.call(Ask, { n })));
    assert.deepEqual(many.map((m) => m.n), [...Array(100).keys()]);
    assert.deepEqual(states.map((s) => s.name), ["online"]);
  });
}

test("what is not for strangers is refused before the login, and its end is final", { skip }, async () => {
  const ended = await fails(connect(tcp, { login: (door) => door.call(Ask, { n: 1 }) }));
  assert.deepEqual([ended.name, ended.code, ended.cause.name], ["Ended", "NOT_BOUND", "Refusal"]);
});

test("who leaves says so", { skip }, async (t) => {
  const { client } = await plays(t, tcp, { name: "leaver" });
  assert.deepEqual(await client.call(Ask, { n: 1 }), { n: 1 });
  client.close(); // go test looks whether the session is gone
});

test("who is thrown out, or comes twice, does not come back", { skip }, async (t) => {
  const proxy = await proxied(t, tcp), first = await plays(t, proxy.url);
  const second = await plays(t, proxy.url, { name: first.name });
  await until("the first to be taken over", () => first.client.state.name === "ended");
  assert.equal(first.client.state.why.code, "TAKEN_OVER");
  second.client.send(Fall, { code: "CHEATED" });
  await until("the second to be thrown out", () => second.client.state.name === "ended");
  assert.equal(second.client.state.why.code, "KICKED");
  assert.equal((await fails(second.client.call(Ask, { n: 1 }))).name, "Ended");
  await new Promise((done) => setTimeout(done, 200)); // longer than any back-off here
  assert.equal(proxy.dials, 2);
});
