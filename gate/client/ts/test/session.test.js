// What a session promises: one answer for each call, nothing lost and nothing doubled over any number of connections.

import assert from "node:assert/strict";
import { test } from "node:test";
import { Ask, Deed, Enter, ERROR, fails, News, PING, PONG, settled, Stage, Told } from "./stage.js";

test("a call resolves with its own answer, and rejects with its own refusal", async () => {
  const { client, wire } = await new Stage().begins();
  const first = client.call(Ask, { n: 1 }), second = client.call(Ask, { n: 2 }), third = client.call(Deed, {});
  const [a, b, c] = wire.game();
  assert.ok(0 < a.seq && a.seq < b.seq && b.seq < c.seq, "seqs rise");
  wire.says(100, b.seq, { code: "POOR", text: "no gold", retry_after_ms: 5, incident: "i-1" }, true);
  wire.says(200, a.seq, { n: 1 });
  wire.says(101, c.seq);
  const refusal = await fails(second);
  assert.deepEqual([refusal.name, refusal.code, refusal.message, refusal.number, refusal.retryAfter, refusal.incident],
    ["Refusal", "POOR", "no gold", 100, 5, "i-1"]);
  assert.deepEqual(await first, { n: 1 });
  assert.equal(await third, undefined);
});

test("an answer that nobody waits for does no harm, and one of another type is an error", async () => {
  const { client, wire } = await new Stage().begins();
  const call = client.call(Ask, {});
  const [{ seq }] = wire.game();
  wire.says(200, seq + 7, {});
  wire.says(201, seq, {});
  assert.equal((await fails(call)).code, "UNEXPECTED");
  wire.says(200, seq, {}); // once more
  assert.equal(client.online, true);
});

test("an empty body is a message whose fields all are zero, if its number has any", async () => {
  const codec = { name: "proto", encode: () => new Uint8Array(0), decode: (_, body) => ({ n: body[0] ?? 0 }) };
  for (const [options, zero] of [[{ codec }, { n: 0 }], [{}, {}]]) {
    const { client, wire } = await new Stage(options).begins(), heard = [];
    client.on(News, (m) => heard.push(m));
    const told = client.call(Ask, {}), done = client.call(Deed, {});
    wire.says(News.number, 0);
    wire.says(Told.number, 1);
    wire.says(Deed.number, 2);
    assert.deepEqual([await told, await done, heard], [zero, undefined, [zero]]);
  }
});

test("pushes come in order, to all who listen, until they do not any more", async () => {
  const { client, wire } = await new Stage().begins();
  const heard = [], off = client.on(News, (m) => heard.push(["first", m.n]));
  client.on(News, (m) => heard.push(["second", m.n]));
  wire.says(201, 0, { n: 1 });
  off();
  wire.says(201, 0, { n: 2 });
  wire.says(299, 0, { n: 3 }); // a number that nobody knows
  assert.deepEqual(heard, [["first", 1], ["second", 1], ["second", 2]]);
});

test("what was said without asking and refused is told as a stray", async () => {
  const strays = [];
  const { client, wire } = await new Stage({ onStray: (r) => strays.push(r.code) }).begins();
  client.send(Deed, {});
  assert.equal(wire.game()[0].seq, 0);
  wire.says(ERROR, 0, { code: "RATE_LIMITED" }, true);
  assert.deepEqual(strays, ["RATE_LIMITED"]);
});

test("a session is resumed: what the gate has not got is said again, in order, and calls go on", async () => {
  const stage = await new Stage().begins(), { client } = stage;
  let { wire } = stage;
  wire.says(201, 0, {}); // counted: 1
  const calls = [1, 2, 3].map((n) => client.call(Ask, { n }));
  client.send(Deed, { n: 4 });
  const said = wire.game();
  wire.says(200, said[0].seq, { n: 1 }); // counted: 2
  wire.says(ERROR, 0, { code: "RATE_LIMITED" }, true); // not counted
  wire.breaks();
  assert.equal(stage.state.name, "away");
  const late = client.call(Ask, { n: 5 });
  const hello = await stage.returns({ received: 2, resumed: true, token: "t2" });
  assert.deepEqual(hello.resume, { session: "s1", token: "t1", received: 2 });
  ({ wire } = stage);
  const again = wire.game();
  assert.deepEqual(again.slice(0, 2), said.slice(2), "what the gate lacks, as it was said");
  assert.deepEqual([again.length, again[2].body.n, again[2].seq > said[2].seq], [3, 5, true], "then what waited");
  assert.deepEqual(stage.state, { name: "online", session: "s1", resumed: true, reason: "" });
  for (const f of [said[1], said[2], again[2]]) wire.says(200, f.seq, { n: f.body.n });
  assert.deepEqual(await Promise.all([...calls, late]), [{ n: 1 }, { n: 2 }, { n: 3 }, { n: 5 }]);
  wire.breaks();
  await stage.clock.pass(stage.state.wait);
  assert.deepEqual((await stage.opens()).resume, { session: "s1", token: "t2", received: 5 }, "the token rotates");
});

test("nothing is said between Hello and Welcome", async () => {
  const stage = await new Stage().begins();
  stage.client.send(Deed, { n: 1 });
  stage.wire.breaks();
  await stage.clock.pass(stage.state.wait);
  await stage.opens();
  stage.client.send(Deed, { n: 2 });
  assert.deepEqual(stage.wire.heard, []);
  await stage.welcomes({ received: 0, resumed: true });
  assert.deepEqual(stage.wire.game().map((f) => f.body.n), [1, 2]);
});

test("what is acknowledged is not said again: by Ping, by Pong and by Welcome", async () => {
  const stage = await new Stage().begins();
  for (let n = 1; n <= 4; n++) stage.client.send(Deed, { n });
  stage.wire.says(PING, 9, { received: 1 });
  assert.deepEqual(stage.wire.heard.at(-1), { number: PONG, seq: 9, body: { received: 0 } });
  stage.wire.says(PONG, 0, { received: 2 });
  stage.wire.breaks();
  await stage.returns({ received: 3, resumed: true });
  assert.deepEqual(stage.wire.game().map((f) => f.body.n), [4]);
});

test("the gate is asked what it has after 64 counted frames, and after 64 KiB", async () => {
  const { client, wire } = await new Stage().begins();
  const pings = () => wire.heard.filter((f) => f.number === PING).length;
  for (let n = 1; n < 64; n++) client.send(Deed, {});
  assert.equal(pings(), 0);
  wire.says(201, 0, {});
  client.send(Deed, {});
  assert.deepEqual(wire.heard.at(-1), { number: PING, seq: 0, body: { received: 1 } });
  client.send(Deed, { text: "x".repeat(40_000) });
  assert.equal(pings(), 1);
  client.send(Deed, { text: "x".repeat(40_000) });
  assert.equal(pings(), 2);
});

test("at most 256 frames are unacknowledged; what follows waits, and leaves when there is room", async () => {
  const { client, wire } = await new Stage({ queue: { frames: 2, bytes: 1 << 20 } }).begins();
  for (let n = 1; n <= 258; n++) client.send(Deed, { n });
  assert.throws(() => client.send(Deed, { n: 259 }), { code: "QUEUE_FULL" });
  assert.equal(wire.game().length, 256);
  wire.says(PONG, 0, { received: 1 });
  assert.deepEqual(wire.game().map((f) => f.body.n), [257]);
  wire.says(PONG, 0, { received: 200 });
  assert.deepEqual(wire.game().map((f) => f.body.n), [258]);
});

test("at most 1 MiB is unacknowledged", async () => {
  const { client, wire } = await new Stage().begins({ frame_max: 1 << 20 });
  for (let n = 1; n <= 3; n++) client.send(Deed, { n, text: "x".repeat(400_000) });
  assert.equal(wire.game().length, 2);
  wire.says(PONG, 0, { received: 1 });
  assert.deepEqual(wire.game().map((f) => f.body.n), [3]);
});

test("the queue of one who is away has its bounds, in frames and in bytes", async () => {
  const stage = await new Stage({ queue: { frames: 2, bytes: 200 } }).begins(), { client } = stage;
  stage.wire.breaks();
  client.send(Deed, { n: 1 });
  const call = client.call(Ask, { n: 2 });
  assert.throws(() => client.send(Deed, { n: 3 }), { name: "Full", code: "QUEUE_FULL" });
  assert.equal((await fails(client.call(Ask, { n: 4 }))).code, "QUEUE_FULL");
  await stage.returns({ resumed: true });
  const [, asked] = stage.wire.game();
  stage.wire.says(200, asked.seq, {});
  await call;
  stage.wire.breaks();
  client.send(Deed, { n: 5 });
  assert.throws(() => client.send(Deed, { text: "x".repeat(200) }), { code: "QUEUE_FULL" });
});

test("a body that the gate would not take goes nowhere", async () => {
  const { client, wire } = await new Stage().begins({ frame_max: 100 });
  assert.throws(() => client.send(Deed, { text: "x".repeat(100) }), RangeError);
  assert.equal((await fails(client.call(Ask, { text: "x".repeat(100) }))).name, "RangeError");
  assert.deepEqual(wire.heard, []);
});

test("a session that begins anew: what was sent is lost, what waited is said, and there is a login first", async () => {
  const logins = [];
  const stage = await new Stage({ async login(door) {
    logins.push(1);
    await door.call(Enter, { name: "ann" });
  } }).begins(), { client } = stage;
  client.send(Deed, { n: 1 });
  assert.deepEqual(stage.wire.heard.map((f) => f.number), [102], "all waits for the login");
  stage.wire.says(102, stage.wire.game()[0].seq);
  await settled();
  assert.equal(stage.state.name, "online");
  assert.deepEqual(stage.wire.game().map((f) => f.body.n), [1]);
  const sent = fails(client.call(Ask, { n: 2 }));
  stage.wire.breaks();
  const waited = client.call(Ask, { n: 3 });
  await stage.returns({ session: "s2", token: "t2", reason: "unknown here" });
  const lost = await sent;
  assert.deepEqual([lost.name, lost.code, lost.message], ["Lost", "OUTCOME_UNKNOWN", "Ask: unknown here"]);
  const [enter] = stage.wire.game();
  assert.deepEqual([enter.number, logins.length, stage.state.name], [102, 2, "away"]);
  stage.wire.says(102, enter.seq);
  await settled();
  assert.deepEqual(stage.state, { name: "online", session: "s2", resumed: false, reason: "unknown here" });
  const [ask] = stage.wire.game();
  assert.deepEqual([ask.body.n, ask.seq > enter.seq], [3, true], "seqs rise, whoever waited longer");
  stage.wire.says(200, ask.seq, { n: 3 });
  assert.deepEqual(await waited, { n: 3 });
  stage.wire.breaks();
  await stage.clock.pass(stage.state.wait);
  assert.deepEqual((await stage.opens()).resume, { session: "s2", token: "t2", received: 2 }, "counts began anew");
});

test("a login goes on over another connection", async () => {
  const stage = new Stage({ async login(door) {
    await door.call(Enter, { n: 1 });
    await door.call(Enter, { n: 2 });
  } });
  await stage.begins();
  const [one] = stage.wire.game();
  stage.wire.breaks();
  assert.equal(stage.state.name, "connecting");
  await stage.returns({ resumed: true, received: 1 });
  stage.wire.says(102, one.seq);
  await settled();
  const [two] = stage.wire.game();
  assert.deepEqual(two.body, { n: 2 });
  stage.wire.says(102, two.seq);
  await settled();
  assert.deepEqual(stage.state, { name: "online", session: "s1", resumed: false, reason: "" });
});

test("what a login says while its connection is gone is said over the next one", async () => {
  let go;
  const login = async (door) => {
    await new Promise((resolve) => { go = resolve; });
    await door.call(Enter, {});
  };
  const stage = await new Stage({ login }).begins();
  stage.wire.breaks();
  go();
  await stage.returns({ token: "t2", resumed: true });
  const [enter] = stage.wire.game();
  assert.equal(enter?.number, Enter.number, "and not only when the gate pings");
  stage.wire.says(Enter.number, enter.seq);
  await settled();
  assert.equal(stage.client.online, true);
});

test("a login goes on though all else has waited for too long, and what it waited for is lost", async () => {
  const login = (door) => door.call(Enter, {});
  const stage = await new Stage({ login, awayFor: 5000 }).begins(), { client } = stage;
  const [first] = stage.wire.game();
  stage.wire.says(Enter.number, first.seq);
  await settled();
  stage.wire.breaks();
  await stage.clock.pass(4000);
  await stage.opens();
  await stage.welcomes({ session: "s2", token: "t2" });
  const [enter] = stage.wire.game(), waited = fails(client.call(Ask, {}));
  await stage.clock.pass(1500);
  assert.equal((await waited).code, "NOT_SENT");
  client.send(Deed, { n: 1 });
  stage.wire.says(Enter.number, enter.seq);
  await settled();
  assert.equal(client.online, true);
  assert.deepEqual(stage.wire.game().map((f) => f.number), [Deed.number]);
});

test("a login that is refused ends the client; one that could not be answered is tried again", async () => {
  const stage = new Stage({ login: (door) => door.call(Enter, {}) }), opened = fails(stage.client.open());
  await stage.opens();
  await stage.welcomes();
  stage.wire.says(102, stage.wire.game()[0].seq, { code: "UNAVAILABLE" }, true);
  await settled();
  assert.deepEqual([stage.state.name, stage.state.why.code], ["connecting", "UNAVAILABLE"]);
  assert.equal((await stage.returns()).resume, undefined, "in another session");
  stage.wire.says(102, stage.wire.game()[0].seq, { code: "LOGIN_WRONG_SECRET", text: "no" }, true);
  await settled();
  assert.deepEqual([stage.state.name, stage.state.why.code], ["ended", "LOGIN_WRONG_SECRET"]);
  const ended = await opened;
  assert.deepEqual([ended.name, ended.code, ended.cause.name], ["Ended", "LOGIN_WRONG_SECRET", "Refusal"]);
});

test("who is away for too long loses what waited, and may not queue any more until there is a gate", async () => {
  const stage = await new Stage({ awayFor: 60_000 }).begins(), { client } = stage;
  const sent = fails(client.call(Ask, { n: 1 }));
  stage.wire.breaks();
  const waited = fails(client.call(Ask, { n: 2 }));
  await stage.clock.pass(59_999);
  client.send(Deed, { n: 3 });
  await stage.clock.pass(1);
  assert.deepEqual([(await sent).sent, (await waited).sent], [true, false]);
  assert.throws(() => client.send(Deed, {}), { name: "Lost", code: "NOT_SENT" });
  assert.equal((await stage.returns()).resume, undefined);
  client.send(Deed, { n: 4 });
  assert.deepEqual(stage.wire.game().map((f) => f.body.n), [4]);
});

test("a call may have a time of its own, sent or not", async () => {
  const stage = await new Stage().begins(), { client } = stage;
  const sent = fails(client.call(Ask, { n: 1 }, { within: 1000 }));
  const [{ seq }] = stage.wire.game();
  stage.wire.breaks();
  const waited = fails(client.call(Ask, { n: 2 }, { within: 500 }));
  await stage.clock.pass(1000);
  const [a, b] = [await sent, await waited];
  assert.deepEqual([a.code, a.sent, b.code, b.sent], ["LATE", true, "LATE", false]);
  await stage.opens();
  await stage.welcomes({ received: 1, resumed: true });
  assert.deepEqual(stage.wire.game(), [], "who has gone says nothing");
  stage.wire.says(200, seq, {}); // too late
  const call = client.call(Ask, {}, { within: 1000 });
  stage.wire.says(200, stage.wire.game()[0].seq, { n: 3 });
  assert.deepEqual(await call, { n: 3 });
});

test("a gate that counts what cannot be is left, and its session with it", async () => {
  const stage = await new Stage().begins();
  stage.client.send(Deed, {});
  stage.wire.breaks();
  await stage.clock.pass(stage.state.wait);
  await stage.opens();
  await stage.welcomes({ received: 2, resumed: true });
  assert.deepEqual([stage.state.name, stage.state.why.code, stage.wire.over], ["away", "BAD_FRAME", true]);
  assert.equal((await stage.returns()).resume, undefined);
  stage.wire.says(PONG, 0, { received: 1 });
  assert.deepEqual([stage.state.name, stage.state.why.code], ["away", "BAD_FRAME"]);
});
