// How a client finds out that it is alone, and how it comes back.

import assert from "node:assert/strict";
import { test } from "node:test";
import { Ask, CLOSE, connect, Deed, fails, News, PING, PONG, settled, Stage, Wire } from "./stage.js";

// opening begins a client whose connections all break at once, and returns the waits between its tries.
async function waits(stage, n) {
  stage.client.open();
  const found = [];
  for (let i = 0; i < n; i++) {
    await settled();
    stage.wire.breaks();
    found.push(stage.state.wait);
    await stage.clock.pass(stage.state.wait);
  }
  return found;
}

test("waits grow to a bound, and half of each is luck", async () => {
  const stage = new Stage({ awayFor: 1e9 });
  stage.luck = 1;
  assert.deepEqual(await waits(stage, 8), [250, 500, 1000, 2000, 4000, 8000, 10_000, 10_000]);
  stage.luck = 0;
  stage.wire.breaks();
  assert.equal(stage.state.wait, 5000);
  const other = new Stage({ backoff: { first: 100, most: 300 } });
  other.luck = 0.5;
  assert.deepEqual(await waits(other, 3), [75, 150, 225]);
});

test("while no gate is there a client is connecting, and says what it fails of", async () => {
  const stage = new Stage();
  const opened = stage.client.open();
  await settled();
  stage.wire.breaks();
  assert.deepEqual(stage.states.map((s) => [s.name, s.why.code]), [["connecting", "LOST"]]);
  await stage.returns();
  assert.equal(await opened, stage.client);
  assert.equal(stage.client.open(), stage.client.open(), "open begins once");
});

test("waits begin anew after five seconds online, and not before", async () => {
  const stage = await new Stage().begins();
  stage.luck = 1;
  const lose = () => { stage.wire.breaks(); return stage.state.wait; };
  assert.equal(lose(), 250);
  await stage.returns({ resumed: true });
  assert.equal(lose(), 500);
  await stage.returns({ resumed: true });
  await stage.clock.pass(5000);
  assert.equal(lose(), 250);
});

test("the number of a Close says whether to come back: now, later, or never", async () => {
  const stage = await new Stage().begins();
  stage.wire.closes("RESTARTING", 1001);
  assert.deepEqual([stage.state.name, stage.state.wait < 250], ["away", true]);
  assert.equal((await stage.returns({ session: "s2" })).resume, undefined, "its session is gone");
  stage.wire.closes("RATE_LIMITED", 2004);
  assert.deepEqual([stage.state.name, stage.state.wait > 2000], ["away", true]);
  await stage.returns({ session: "s3" });
  stage.wire.closes("SLOW_CLIENT", 2003);
  assert.equal((await stage.returns({ session: "s3", resumed: true })).resume.session, "s3", "this one is still there");
  const call = fails(stage.client.call(Ask, {}));
  stage.wire.closes("TAKEN_OVER", 3005);
  assert.deepEqual([stage.state.name, stage.state.why.code], ["ended", "TAKEN_OVER"]);
  assert.equal((await call).code, "OUTCOME_UNKNOWN");
  assert.equal((await fails(stage.client.call(Ask, {}))).code, "TAKEN_OVER");
  assert.throws(() => stage.client.send(Deed, {}), { name: "Ended" });
  assert.equal(stage.clock.armed, 0, "nothing is left to happen");
  assert.equal(stage.wires.length, 4);
});

test("a Close of an unknown range is final, and so is one that answers a resume", async () => {
  const stage = await new Stage().begins();
  stage.wire.breaks();
  await stage.clock.pass(stage.state.wait);
  await stage.opens();
  stage.wire.closes("KICKED", 3006);
  assert.equal(stage.state.name, "ended");
  const other = await new Stage().begins();
  other.wire.closes("GAME_OVER", 4711);
  assert.equal(other.state.name, "ended");
});

test("connect rejects when the gate does not want the client, and resolves with it otherwise", async () => {
  const stage = new Stage(), opened = fails(stage.client.open());
  await stage.opens();
  stage.wire.closes("VERSION", 3003);
  assert.deepEqual([(await opened).name, (await opened).code], ["Ended", "VERSION"]);
  assert.equal((await fails(connect("carrier-pigeon://gate"))).code, "UNREACHABLE");
});

test("close leaves for good, and a signal closes", async () => {
  const stage = await new Stage().begins();
  const call = fails(stage.client.call(Ask, {}));
  stage.client.close();
  stage.client.close();
  assert.deepEqual([stage.wire.over, stage.wire.left, stage.state.why.code], [true, true, "CLOSED"]);
  assert.deepEqual(stage.wire.heard.at(-1), { number: CLOSE, seq: 0, body: {} }, "the gate is told");
  assert.equal((await call).code, "OUTCOME_UNKNOWN");
  assert.equal(stage.clock.armed, 0);
  const control = new AbortController(), other = await new Stage({ signal: control.signal }).begins();
  control.abort();
  assert.equal(other.state.name, "ended");
});

test("a client that was closed before it was opened stays closed, by whichever way", async () => {
  const closed = new Stage(), aborted = new Stage({ signal: AbortSignal.abort() });
  closed.client.close();
  for (const stage of [closed, aborted]) {
    assert.equal((await fails(stage.client.open())).code, "CLOSED");
    assert.deepEqual([stage.wires.length, stage.clock.armed, stage.state.name], [0, 0, "ended"]);
  }
});

test("a pulled cable closes nothing: a silent gate is asked, and given up when it does not answer", async () => {
  const stage = await new Stage().begins(), { client, wire } = stage;
  client.send(Deed, {});
  await stage.clock.pass(1500);
  assert.equal(wire.game().length, 1);
  await stage.clock.pass(500);
  assert.deepEqual(wire.heard, [{ number: PING, seq: 0, body: { received: 0 } }], "after 2 s: something is owed");
  wire.says(PONG, 0, { received: 1 });
  await stage.clock.pass(14_500);
  assert.equal(wire.heard.length, 1, "nothing is owed");
  await stage.clock.pass(1000);
  assert.equal(wire.heard.length, 2, "after the gate's heartbeat");
  wire.says(201, 0, {}); // any sign of life will do
  wire.dead = true;
  client.call(Ask, {}).catch(() => {});
  await stage.clock.pass(4500);
  assert.equal(client.online, true);
  await stage.clock.pass(1000);
  assert.deepEqual([wire.over, wire.left, stage.state.name, stage.state.why.code], [true, false, "away", "SILENT"]);
  await stage.returns({ resumed: true, received: 1 });
  assert.equal(stage.wire.game().length, 1, "the call goes on");
});

test("a machine that slept asks before it gives up", async () => {
  const stage = await new Stage().begins(), { wire, clock } = stage;
  const sleep = clock.now;
  clock.now = () => sleep.call(clock) + 3_600_000;
  await clock.pass(500);
  assert.deepEqual([wire.heard.length, stage.client.online], [1, true]);
  wire.says(PONG, 0, { received: 0 });
  await clock.pass(5000);
  assert.equal(stage.client.online, true);
});

test("a connection that is not welcomed in time is given up", async () => {
  const stage = new Stage({ welcomeWithin: 8000 });
  stage.client.open();
  await stage.opens();
  await stage.clock.pass(8000);
  assert.deepEqual([stage.wire.over, stage.state.why.code], [true, "UNREACHABLE"]);
  await stage.returns();
  assert.equal(stage.client.online, true);
  await stage.clock.pass(8000);
  assert.equal(stage.client.online, true);
});

test("address and ticket may be asked for before each try, and what is not found is a try that failed", async () => {
  let asked = 0;
  const stage = new Stage({ url: async () => `test://gate-${asked}`, ticket: () => `ticket-${++asked}` });
  stage.client.open();
  assert.equal((await stage.opens()).ticket, "ticket-1");
  stage.wire.breaks();
  await stage.clock.pass(stage.state.wait);
  assert.equal((await stage.opens()).ticket, "ticket-2");
  assert.deepEqual(stage.wires.map((w) => w.to), ["test://gate-0", "test://gate-1"]);
  const lost = new Stage({ ticket: () => Promise.reject(new Error("no tickets today")) });
  lost.client.open();
  await settled();
  assert.deepEqual([lost.state.name, lost.state.why.text], ["connecting", "Error: no tickets today"]);
  const slow = new Stage({ ticket: () => new Promise(() => {}), welcomeWithin: 1000 });
  slow.client.open();
  await slow.clock.pass(1000);
  assert.deepEqual([slow.state.why.code, slow.wires.length], ["UNREACHABLE", 0]);
});

test("an address that leads nowhere is final, unless there may be another next time", async () => {
  let asked = 0;
  const dial = (to, ears) => {
    if (to === "") throw new TypeError("no address");
    return new Wire(to, ears);
  };
  const fixed = new Stage({ url: "", dial });
  assert.equal((await fails(fixed.client.open())).code, "UNREACHABLE");
  const found = new Stage({ url: () => ++asked < 3 ? "" : "test://gate", dial });
  found.client.open();
  await found.clock.pass(1000);
  assert.deepEqual([asked, found.states.map((s) => s.why.text)], [3, Array(2).fill("TypeError: no address")]);
});

test("a browser's word that the network is back cuts the waiting short; that it is gone, the doubt", async () => {
  const page = new EventTarget();
  globalThis.addEventListener = page.addEventListener.bind(page);
  globalThis.removeEventListener = page.removeEventListener.bind(page);
  try {
    const stage = await new Stage().begins();
    page.dispatchEvent(new Event("offline"));
    assert.equal(stage.wire.heard.at(-1).number, PING);
    stage.wire.dead = true;
    await stage.clock.pass(3000);
    assert.equal(stage.state.why.code, "SILENT");
    page.dispatchEvent(new Event("online"));
    await settled();
    assert.equal(stage.wires.length, 2, "without waiting");
    page.dispatchEvent(new Event("online")); // a try that began before is given up
    await settled();
    assert.deepEqual([stage.wires.length, stage.wires[1].over], [3, true]);
    await stage.opens();
    await stage.welcomes({ resumed: true });
    stage.wire.heard = [];
    page.dispatchEvent(new Event("online")); // another network, perhaps
    assert.deepEqual(stage.wire.heard.map((f) => f.number), [PING]);
    stage.client.close();
    page.dispatchEvent(new Event("online"));
    await settled();
    assert.equal(stage.wires.length, 3);
  } finally {
    delete globalThis.addEventListener;
    delete globalThis.removeEventListener;
  }
});

test("frames that are none end the session, and what a game's code throws does not", async () => {
  const stage = await new Stage({ onState: () => { throw new Error("thrown by onState"); } });
  const thrown = [];
  globalThis.reportError = (error) => thrown.push(error.message);
  try {
    await stage.begins();
    const heard = [];
    stage.client.on(News, () => { throw new Error("thrown by a handler"); });
    stage.client.on(News, (m) => heard.push(m));
    stage.wire.says(201, 0, { n: 1 });
    assert.deepEqual([heard, thrown], [[{ n: 1 }], ["thrown by onState", "thrown by a handler"]]);
    assert.equal(stage.client.online, true);
    stage.wire.ears.heard(new Uint8Array(5));
    assert.deepEqual([stage.client.state.name, stage.client.state.why.code], ["away", "BAD_FRAME"]);
  } finally {
    delete globalThis.reportError;
  }
});
