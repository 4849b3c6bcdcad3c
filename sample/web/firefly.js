// A client of Firefly's gates for browsers and Node: typed messages, calls as promises, pushes as handlers, and a
// connection that comes back by itself. It knows frames and the runtime's own numbers, and nothing of any game.

// Made of gate/client/ts by `npm run build` there; change it there.

/** adviceOf reads the range of a close number. */
function adviceOf(number) {
    if (number >= 1000 && number < 2000)
        return "now";
    return number >= 2000 && number < 3000 ? "later" : "never";
}
const LATER = 2000; // ms that "later" is at least
/**
 * A Backoff says how long to wait before each attempt: twice as long each time, up to a bound, and half of it luck, so
 * that those whom a gate lost together do not come back together.
 */
class Backoff {
    first;
    most;
    random;
    #attempts = 0;
    /** first and most are milliseconds; random is 0 to 1, as Math.random. */
    constructor(first, most, random) {
        this.first = first;
        this.most = most;
        this.random = random;
    }
    /** next is the wait before the next attempt, in milliseconds. */
    next(advice) {
        const whole = Math.min(this.most, this.first * 2 ** this.#attempts);
        if (whole < this.most)
            this.#attempts++;
        return (advice === "later" ? LATER : 0) + whole * (0.5 + this.random() / 2);
    }
    /** reset lets the next attempt be a first one. */
    reset() {
        this.#attempts = 0;
    }
}

// What can go wrong, by what a game can do about it. Every error has a code for programs, and a text for people.
/** A Failure is any error of this client. */
class Failure extends Error {
    code;
    constructor(code, text) {
        super(text === "" ? code : text);
        this.code = code;
        this.name = new.target.name;
    }
}
/** A Refusal is the gate's or the game's answer to a request that it did not grant. docs/errors.md has the codes. */
class Refusal extends Failure {
    number;
    /** Milliseconds after which to try again; 0 if the answer does not say. */
    retryAfter;
    /** What operators find the cause by; empty if there is none. */
    incident;
    /** number is the request's; 3 if the gate refused a frame that was no request. */
    constructor(number, body) {
        super(body.code, body.text ?? "");
        this.number = number;
        this.retryAfter = body.retry_after_ms ?? 0;
        this.incident = body.incident ?? "";
    }
}
/**
 * Lost means that no answer will come, because the session has ended. With sent, the request may have taken effect
 * or not (code OUTCOME_UNKNOWN): ask the game. Without, it certainly has not (code NOT_SENT).
 */
class Lost extends Failure {
    sent;
    constructor(sent, text) {
        super(sent ? "OUTCOME_UNKNOWN" : "NOT_SENT", text);
        this.sent = sent;
    }
}
/** Late means that the time is over which the caller gave a call (code LATE). With sent, its outcome is unknown. */
class Late extends Failure {
    sent;
    constructor(sent, text) {
        super("LATE", text);
        this.sent = sent;
    }
}
/** Full means that too much waits for the gate already (code QUEUE_FULL): nothing was sent or queued. */
class Full extends Failure {
    constructor(text) {
        super("QUEUE_FULL", text);
    }
}
/** Ended means that the client does not come back by itself: it was closed from here, or the gate said 3xxx. */
class Ended extends Failure {
    why;
    constructor(why) {
        super(why.code, why.text);
        this.why = why;
        this.cause = why.error;
    }
}

// A frame is a header of 12 bytes, big-endian, and a body:
//
//	0  flags   1 byte   bit 0: the body is an error
//	1  length  3 bytes  of the body alone
//	4  number  4 bytes  what the body is
//	8  seq     4 bytes  client: 0 wants no answer. server: the request it answers, 0 is a push
/** Bytes of a header. */
const HEADER = 12;
/** The most bytes that a length of 3 bytes can say. */
const MAX_BODY = 0xffffff;
/** Numbers of the runtime's own frames, whose bodies are JSON whatever codec the session speaks. */
const HELLO = 1, WELCOME = 2, ERROR = 3, CLOSE = 4, PING = 5, PONG = 6;
/** The lowest number of a game. Frames with such a number are counted, in both directions. */
const FIRST_GAME_NUMBER = 100;
const encoder = new TextEncoder(), decoder = new TextDecoder();
/** pack makes a frame of the client's. */
function pack(number, seq, body) {
    const frame = new Uint8Array(HEADER + body.length), view = new DataView(frame.buffer);
    view.setUint32(0, body.length); // the top byte is the flags: none
    view.setUint32(4, number);
    view.setUint32(8, seq);
    frame.set(body, HEADER);
    return frame;
}
/** packJSON is pack for the runtime's own. */
function packJSON(number, seq, body) {
    return pack(number, seq, encoder.encode(JSON.stringify(body)));
}
/** unpack reads one whole frame; the body is a part of bytes. What is none throws a RangeError. */
function unpack(bytes) {
    const length = lengthOf(bytes);
    if (length !== bytes.length)
        throw new RangeError(`a frame of ${length} bytes came as ${bytes.length}`);
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    const flags = view.getUint8(0);
    if ((flags & ~1) !== 0)
        throw new RangeError(`a frame's flags have bits that must be 0: ${flags}`);
    return { failed: flags === 1, number: view.getUint32(4), seq: view.getUint32(8), body: bytes.subarray(HEADER) };
}
/** unpackJSON is the body of one of the runtime's own. */
function unpackJSON(frame) {
    return JSON.parse(decoder.decode(frame.body));
}
// lengthOf is how long the frame at the front is; HEADER while its header is not whole.
function lengthOf(bytes) {
    if (bytes.length < HEADER)
        return HEADER;
    return HEADER + (bytes[1] << 16 | bytes[2] << 8 | bytes[3]);
}
/** A Cutter makes frames of a stream, where they follow one another. */
class Cutter {
    #rest = new Uint8Array(0);
    /** cut takes what has come and returns the frames that are whole, each for itself. */
    cut(bytes) {
        const all = new Uint8Array(this.#rest.length + bytes.length), frames = [];
        all.set(this.#rest);
        all.set(bytes, this.#rest.length);
        let at = 0;
        for (let n; (n = lengthOf(all.subarray(at))) <= all.length - at; at += n)
            frames.push(all.subarray(at, at + n));
        this.#rest = all.subarray(at);
        return frames;
    }
}

/** A Call is a request that waits for its answer. */
class Call {
    request;
    resolve;
    reject;
    /** Nothing stops the time that its caller gave it, unless somebody sets this. */
    stop = () => { };
    constructor(request, resolve, reject) {
        this.request = request;
        this.resolve = resolve;
        this.reject = reject;
    }
    /** answer settles it with the gate's frame. */
    answer(frame, codec) {
        this.stop();
        try {
            if (frame.failed)
                this.reject(new Refusal(this.request.number, unpackJSON(frame)));
            else if (frame.number !== this.#reply)
                this.reject(new Failure("UNEXPECTED", this.#unexpected(frame)));
            else
                this.resolve(this.request.reply === null ? undefined : codec.decode(frame.number, frame.body));
        }
        catch (error) { // a body that the codec does not read
            this.reject(error);
        }
    }
    // reply is the number that the answer must have: its own, if it has no body.
    get #reply() { return (this.request.reply ?? this.request).number; }
    #unexpected({ number }) {
        return `${this.request.name}: the answer is number ${number}, not ${this.#reply}: were the messages written anew?`;
    }
    /** lose settles it without an answer. */
    lose(sent, text) {
        this.stop();
        this.reject(new Lost(sent, `${this.request.name}: ${text}`));
    }
    /** late settles it because its time is over. */
    late(sent, ms) {
        this.reject(new Late(sent, `${this.request.name}: no answer within ${ms} ms`));
    }
}
/** Calls are those that were sent and not answered, by seq. */
class Calls {
    #open = new Map();
    #seq = 0;
    get size() { return this.#open.size; }
    /** open gives a call the next seq. Seqs rise as long as the client lives: 4 billion are enough for two years. */
    open(call) {
        this.#open.set(++this.#seq, call);
        return this.#seq;
    }
    /** answer settles the call that a frame answers; one whose caller has gone is none. */
    answer(frame, codec) {
        const call = this.#open.get(frame.seq);
        this.#open.delete(frame.seq);
        call?.answer(frame, codec);
    }
    /** abandon forgets a call whose caller has gone, and says whether it was sent. */
    abandon(call) {
        for (const [seq, c] of this.#open)
            if (c === call)
                return this.#open.delete(seq);
        return false;
    }
    /** lose settles all of them: their session is gone, and what became of them is unknown. */
    lose(text) {
        const all = [...this.#open.values()];
        this.#open.clear();
        for (const call of all)
            call.lose(true, text);
    }
}

/** The machine's own clock. */
const wallClock = {
    now: () => performance.now(),
    after(ms, fn) {
        const timer = setTimeout(fn, ms);
        return () => clearTimeout(timer);
    },
};

const utf8 = new TextEncoder(), text = new TextDecoder();
/** JSON as JSON.stringify has it: whole numbers beyond 2^53 lose their last digits, so send such as strings. */
const json = {
    name: "json",
    encode: (_, body) => body === undefined ? new Uint8Array(0) : utf8.encode(JSON.stringify(body)),
    decode: (_, body) => body.length === 0 ? {} : JSON.parse(text.decode(body)),
};

/** dial takes ws:// and wss:// where there is a WebSocket, and tcp:// and tls:// in Node. */
const dial = (url, ears) => {
    const { protocol } = new URL(url);
    if (protocol === "ws:" || protocol === "wss:")
        return new WebLine(url, ears);
    if (protocol === "tcp:" || protocol === "tls:")
        return new TCPLine(url, ears);
    throw new TypeError(`address ${url}: there are ws, wss, tcp and tls`);
};
const LEAVES = 1000, ABANDONS = 4000; // codes of a WebSocket's close: only the first ends the session
class WebLine {
    #socket;
    #over = false;
    constructor(url, ears) {
        if (typeof WebSocket === "undefined") {
            throw new TypeError("no WebSocket: Node has it from 22 on, or 20 with --experimental-websocket; or use tcp://");
        }
        const socket = this.#socket = new WebSocket(url);
        socket.binaryType = "arraybuffer";
        socket.onopen = () => this.#over || ears.opened();
        socket.onmessage = (e) => this.#over || ears.heard(new Uint8Array(e.data));
        const closed = (text) => {
            if (this.#over)
                return;
            this.#over = true;
            ears.closed(text);
        };
        socket.onclose = (e) => closed(`WebSocket closed with ${e.code}`);
        socket.onerror = () => closed("WebSocket failed"); // Node 20 says no more when it could not connect
    }
    send(frame) {
        if (this.#socket.readyState === WebSocket.OPEN)
            this.#socket.send(frame);
    }
    close(leave) {
        this.#over = true;
        this.#socket.close(leave ? LEAVES : ABANDONS);
    }
}
class TCPLine {
    ears;
    #socket = null;
    #over = false;
    constructor(url, ears) {
        this.ears = ears;
        const { protocol, hostname, port } = new URL(url);
        const host = hostname.replace(/^\[(.*)\]$/, "$1"), secure = protocol === "tls:";
        const module = secure ? "node:tls" : "node:net"; // not in the import itself: bundlers would look for it
        import(module).then((net) => {
            if (this.#over)
                return;
            const to = { host, port: Number(port) };
            this.#open(net.connect(secure ? { ...to, servername: host } : to), secure ? "secureConnect" : "connect");
        }).catch((err) => this.#closed(String(err)));
    }
    #open(socket, opened) {
        this.#socket = socket;
        const cutter = new Cutter();
        let why = "the other side closed";
        socket.setNoDelay(true);
        socket.on(opened, () => this.#over || this.ears.opened());
        socket.on("data", (bytes) => {
            for (const frame of cutter.cut(bytes))
                if (!this.#over)
                    this.ears.heard(frame);
        });
        socket.on("error", (err) => { why = err.message; });
        socket.on("close", () => this.#closed(why));
    }
    #closed(text) {
        if (this.#over)
            return;
        this.#over = true;
        this.ears.closed(text);
    }
    send(frame) {
        if (!this.#over)
            this.#socket?.write(frame);
    }
    close(leave) {
        this.#over = true;
        if (leave)
            this.#socket?.end();
        else
            this.#socket?.destroy();
    }
}

/** settled are the options with defaults in place of what was left out. */
function settled(o) {
    return {
        client: "firefly-ts/1.0", codec: json, quiet: 2000, patience: 3000, welcomeWithin: 8000, awayFor: 60_000,
        queue: { frames: 100, bytes: 256 << 10 }, backoff: { first: 250, most: 10_000 },
        dial, clock: wallClock, random: Math.random,
        onState: (_) => { },
        onStray: (refusal) => console.warn("firefly:", refusal.code, refusal.message),
        ...o,
    };
}
/** sourced asks a source. */
async function sourced(s) {
    return typeof s === "function" ? s() : s;
}

const KEPT = { frames: 256, bytes: 1 << 20 };
/**
 * An Outbox is what a session has said and what it is still to say: frames that the gate may not have, which are
 * written again when the session is resumed, and behind them a queue of what waits for a connection.
 */
class Outbox {
    bound;
    #sent = 0; // counted frames that were handed to a socket in this session
    #kept = []; // the last of them, which the gate has not acknowledged
    #keptBytes = 0;
    #queue = [];
    #first = 0; // how many at the queue's front belong to a login
    #queueBytes = 0;
    constructor(bound) {
        this.bound = bound;
    }
    get unacknowledged() { return this.#kept.length; }
    /**
     * add queues an item; first ones go before all others. At the bound it is false, and nothing has happened; what
     * comes first of all may be longer, since it may leave at once.
     */
    add(item, first) {
        const size = HEADER + item.body.length, n = this.#queue.length;
        if (n >= this.bound.frames || n > 0 && this.#queueBytes + size > this.bound.bytes)
            return false;
        this.#queue.splice(first ? this.#first++ : this.#queue.length, 0, item);
        this.#queueBytes += size;
        return true;
    }
    /** next takes the item that is to be written now; null if none is, or too much is unacknowledged. */
    next(onlyFirst) {
        const item = this.#queue[0];
        if (!item || onlyFirst && this.#first === 0)
            return null;
        const full = this.#kept.length >= KEPT.frames || this.#keptBytes + HEADER + item.body.length > KEPT.bytes;
        if (full && this.#kept.length > 0)
            return null;
        this.#removeAt(0);
        return item;
    }
    /** remove takes an item out again; false if it does not wait. */
    remove(call) {
        const at = this.#queue.findIndex((item) => item.call === call);
        if (at >= 0)
            this.#removeAt(at);
        return at >= 0;
    }
    #removeAt(at) {
        const [item] = this.#queue.splice(at, 1);
        this.#queueBytes -= HEADER + item.body.length;
        if (at < this.#first)
            this.#first--;
    }
    /** keep notes a frame that is handed to a socket. */
    keep(frame) {
        this.#sent++;
        this.#kept.push(frame);
        this.#keptBytes += frame.length;
    }
    /** acknowledge drops what the gate has: the first `received` of all. It is false if there were not so many. */
    acknowledge(received) {
        if (!(received <= this.#sent))
            return false;
        const n = Math.max(0, received - (this.#sent - this.#kept.length)); // old news drop nothing
        for (const frame of this.#kept.splice(0, n))
            this.#keptBytes -= frame.length;
        return true;
    }
    /** has reports whether all that a gate lacks which has `received` frames is still here. */
    has(received) { return received >= this.#sent - this.#kept.length; }
    /** again is what the gate may not have, in order. */
    again() { return this.#kept; }
    /** begin forgets what belonged to a session that is gone; what was not sent and is no login's stays. */
    begin() {
        this.#sent = this.#keptBytes = 0;
        this.#kept = [];
        return this.#take(0, this.#first);
    }
    /** clear takes all that waits and is no login's. */
    clear() { return this.#take(this.#first, this.#queue.length); }
    #take(from, to) {
        const taken = this.#queue.slice(from, to);
        for (let i = from; i < to; i++)
            this.#removeAt(from);
        return taken;
    }
}

/**
 * A Session is what outlives a connection: what was said and not acknowledged, what waits to be said, and calls that
 * wait for answers. The client has one for its whole life; begin makes it another one of the gate's.
 */
class Session {
    /** The gate's name for it; empty if there is none to resume. */
    id = "";
    /** How often it began: what belongs to an earlier one has another. */
    serial = 0;
    /** Counted frames of the gate's that have come. */
    received = 0;
    /** Whether the game has logged in: until then only a login's messages leave. */
    ready = false;
    #token = "";
    #frameMax = 64 << 10; // bytes of a body; the gate says it in Welcome
    #visit = null;
    #alone = false; // there was no connection for too long
    #calls = new Calls();
    #outbox;
    constructor(queue) { this.#outbox = new Outbox(queue); }
    /** What Hello asks to be resumed; undefined if there is nothing. */
    get resume() {
        return this.id === "" ? undefined : { session: this.id, token: this.#token, received: this.received };
    }
    /** Whether the gate owes an answer or an acknowledgement. */
    get owed() { return this.#outbox.unacknowledged + this.#calls.size > 0; }
    /** resumed goes on with it over another connection; false if the gate's count cannot be. */
    resumed(visit, welcome) {
        if (!this.#outbox.has(welcome.received) || !this.#outbox.acknowledge(welcome.received))
            return false;
        this.#attach(visit, welcome);
        for (const frame of [...this.#outbox.again()])
            visit.send(frame);
        this.pump(); // a login goes on with what it has said meanwhile
        return true;
    }
    /** begin makes it a new one. What was sent in the old one and not answered is lost. */
    begin(visit, welcome) {
        this.end(welcome.reason || "the session began anew");
        this.serial++;
        this.id = welcome.session;
        this.received = 0;
        this.#attach(visit, welcome);
    }
    #attach(visit, welcome) {
        this.#visit = visit;
        this.#token = welcome.token ?? "";
        this.#frameMax = welcome.frame_max;
        this.#alone = false;
    }
    /** detach says that its connection has gone. */
    detach() { this.#visit = null; }
    /** end says that it cannot be resumed any more. What was never sent still waits, but for a login's. */
    end(text) {
        this.id = "";
        this.ready = false;
        for (const item of this.#outbox.begin())
            item.call?.lose(false, text);
        this.#calls.lose(text);
    }
    /**
     * giveUp ends what waits. Without a connection it ends the session, too, and until there is one nothing is queued;
     * with one, the login goes on that all else has waited for.
     */
    giveUp(text) {
        const alone = this.#alone = this.#visit === null;
        if (alone)
            this.end(text);
        for (const item of this.#outbox.clear())
            item.call?.lose(false, text);
    }
    /** post sends an item as soon as may be. It throws Full or Lost if it cannot wait, a RangeError if it is too long. */
    post(item, first) {
        const { number, body } = item;
        if (body.length > this.#frameMax) {
            throw new RangeError(`number ${number}: a body of ${body.length} bytes; the gate takes ${this.#frameMax}`);
        }
        if (this.#alone)
            throw new Lost(false, "there was no connection for too long");
        if (!this.#outbox.add(item, first))
            throw new Full("too much waits for the gate");
        this.pump();
    }
    /** pump writes what may be written. */
    pump() {
        const visit = this.#visit;
        if (visit === null)
            return;
        for (let item; (item = this.#outbox.next(!this.ready)) !== null;) {
            const frame = pack(item.number, item.call === null ? 0 : this.#calls.open(item.call), item.body);
            this.#outbox.keep(frame);
            visit.send(frame);
        }
    }
    /** acknowledge notes what the gate has; false if that cannot be. */
    acknowledge(received) {
        const can = this.#outbox.acknowledge(received);
        this.pump();
        return can;
    }
    /** answer settles the call that a frame answers. */
    answer(frame, codec) { this.#calls.answer(frame, codec); }
    /** abandon forgets a call whose caller has gone, and says whether it was sent. */
    abandon(call) { return !this.#outbox.remove(call) && this.#calls.abandon(call); }
}

const BEAT = 500; // ms between two looks
/**
 * A Pulse finds out that a connection is dead, though nobody says so: a cable that was pulled closes nothing. It gives
 * up only what was asked and did not answer, so a machine that slept asks first.
 */
class Pulse {
    clock;
    vigil;
    #heard;
    #asked = -1; // when; -1: no question is open
    #stop = () => { };
    constructor(clock, vigil) {
        this.clock = clock;
        this.vigil = vigil;
        this.#heard = clock.now();
        this.#arm();
    }
    /** heard notes a sign of life. */
    heard() {
        this.#heard = this.clock.now();
        this.#asked = -1;
    }
    /** ask asks now, because something tells that the network has changed. */
    ask() {
        if (this.#asked >= 0)
            return;
        this.#asked = this.clock.now();
        this.vigil.ask();
    }
    /** stop ends it. */
    stop() {
        this.#stop();
        this.#stop = () => { };
    }
    #arm() {
        this.#stop = this.clock.after(BEAT, () => this.#look());
    }
    #look() {
        const now = this.clock.now(), v = this.vigil;
        if (this.#asked >= 0 && now - this.#asked >= v.patience) {
            v.dead();
            return;
        }
        this.#arm();
        if (now - this.#heard >= (v.owed() ? v.quiet : v.heartbeat))
            this.ask();
    }
}

const RESUMABLE = "SLOW_CLIENT"; // the one Close after which the session is still there
const PING_FRAMES = 64, PING_BYTES = 64 << 10; // counted, after which the gate is asked what it has
/** A Visit is one connection's time: Hello, Welcome, frames in both directions, and its end. */
class Visit {
    #line;
    #host;
    #terms;
    #pulse = null; // from Welcome on
    #over = false;
    #frames = 0; // counted, since the last Ping
    #bytes = 0;
    /** It throws what dial throws. */
    constructor(url, hello, host, terms) {
        this.#host = host;
        this.#terms = terms;
        this.#line = terms.dial(url, {
            opened: () => this.#line.send(packJSON(HELLO, 1, hello)),
            heard: (bytes) => this.#heard(bytes),
            closed: (text) => this.#end({ code: "LOST", number: 1000, text }, false),
        });
    }
    /** welcomed tells whether frames may be sent. */
    get welcomed() { return this.#pulse !== null && !this.#over; }
    /** send writes a counted frame. */
    send(frame) {
        this.#line.send(frame);
        this.#frames++;
        this.#bytes += frame.length;
        if (this.#frames >= PING_FRAMES || this.#bytes >= PING_BYTES)
            this.#ping();
    }
    /** doubt asks whether the gate is still there, because something tells that it might not be. */
    doubt() { this.#pulse?.ask(); }
    /** leave ends the connection, and its session at the gate, which is told so. Nothing more is told here. */
    leave() {
        if (this.welcomed)
            this.#line.send(packJSON(CLOSE, 0, {}));
        this.#hangUp(true);
    }
    /** drop ends the connection; its session may be resumed. Nothing more is told. */
    drop() { this.#hangUp(false); }
    /** cut is drop, and the reason is told. */
    cut(why) { this.#end(why, false); }
    #end(why, final) {
        if (this.#over)
            return;
        this.drop();
        this.#host.over(why, final);
    }
    #hangUp(leave) {
        if (this.#over)
            return;
        this.#over = true;
        this.#pulse?.stop();
        this.#line.close(leave);
    }
    #ping() {
        this.#frames = this.#bytes = 0;
        this.#line.send(packJSON(PING, 0, { received: this.#host.received }));
    }
    #heard(bytes) {
        if (this.#over)
            return;
        try {
            this.#take(unpack(bytes));
        }
        catch (error) {
            this.#end({ code: "BAD_FRAME", number: 2000, text: String(error), error }, true);
        }
    }
    #take(frame) {
        this.#pulse?.heard();
        if (this.#pulse === null && frame.number !== WELCOME && frame.number !== CLOSE) {
            throw new RangeError(`number ${frame.number} came before Welcome`);
        }
        switch (frame.number) {
            case WELCOME: return this.#welcome(unpackJSON(frame));
            case CLOSE: return this.#closed(unpackJSON(frame));
            case PING:
                this.#acknowledged(frame);
                return this.#line.send(packJSON(PONG, frame.seq, { received: this.#host.received }));
            case PONG: return this.#acknowledged(frame);
            default: return this.#host.heard(frame);
        }
    }
    #closed(why) { this.#end(why, why.code !== RESUMABLE); }
    #acknowledged(frame) {
        const { received } = unpackJSON(frame);
        if (!this.#host.acknowledged(received))
            throw new RangeError(`the gate has ${received} frames, of fewer or more`);
    }
    #welcome(welcome) {
        if (this.#pulse !== null)
            throw new RangeError("Welcome came twice");
        const { clock, quiet, patience } = this.#terms;
        this.#pulse = new Pulse(clock, {
            quiet, patience, heartbeat: welcome.heartbeat_s * 1000,
            owed: () => this.#host.owed,
            ask: () => this.#ping(),
            dead: () => this.#end({ code: "SILENT", number: 1000, text: "the gate is not heard any more" }, false),
        });
        this.#host.welcomed(this, welcome);
    }
}

const STEADY = 5000; // ms online, after which the next loss is a first one
// Refusals of a login that may pass by themselves; the rest are answers.
const PASSING = ["DEADLINE", "UNAVAILABLE", "OUTCOME_UNKNOWN", "NOT_SENT", "LATE", "MAILBOX_FULL", "OVERLOADED",
    "RATE_LIMITED", "STORE_UNAVAILABLE", "STORE_BEHIND", "COMMIT_UNKNOWN", "RESTARTED"];
/**
 * connect resolves when the client is online for the first time. It rejects with Ended if the gate does not want the
 * client, or the game its login; while no gate is there it goes on trying.
 */
function connect(url, options = {}) {
    return new Client(url, options).open();
}
/**
 * A Client is somebody at the gate: online, or on the way back. A connection that dies is replaced, and its session
 * resumed: nothing is lost or doubled, calls get their answers, and what was said meanwhile is said then.
 */
class Client {
    #url;
    #options;
    #session;
    #backoff;
    #handlers = new Map();
    #host;
    #state = { name: "connecting", why: null, wait: 0 };
    #visit = null;
    #attempt = 0; // what an earlier one finds out is of no use
    #since = 0; // online
    #told = 0; // serial of the session that was told to be online
    #reason = ""; // why the session is another than the one before
    #stopTimer = nothing; // of the next try, or of the end of this one
    #stopGrace = null;
    #stopListening = nothing;
    #opened = null;
    #settle = null;
    /** A client does nothing before open. */
    constructor(url, options = {}) {
        this.#url = url;
        this.#options = settled(options);
        this.#session = new Session(this.#options.queue);
        this.#backoff = new Backoff(this.#options.backoff.first, this.#options.backoff.most, this.#options.random);
        const session = this.#session;
        this.#host = {
            welcomed: (visit, welcome) => this.#welcomed(visit, welcome),
            heard: (frame) => this.#heard(frame),
            acknowledged: (received) => session.acknowledge(received),
            over: (why, final) => this.#over(why, final),
            get received() { return session.received; },
            get owed() { return session.owed; },
        };
    }
    /** What it is doing. */
    get state() { return this.#state; }
    /** Whether it is online: what is said now leaves now. */
    get online() { return this.#state.name === "online"; }
    /** open begins, once; it resolves and rejects as connect does. */
    open() {
        if (this.#opened === null) {
            this.#opened = new Promise((resolve, reject) => { this.#settle = { resolve: () => resolve(this), reject }; });
            this.#opened.catch(nothing); // onState tells it, too
            if (this.#options.signal?.aborted)
                this.close();
            this.#begin();
        }
        return this.#opened;
    }
    #begin() {
        if (this.#state.name === "ended") { // before it was opened
            this.#settle.reject(new Ended(this.#state.why));
            return;
        }
        this.#listen();
        this.#wait();
        this.#dial();
    }
    /** close ends it and its session: calls are lost, and so is what waits. */
    close() { this.#end({ code: "CLOSED", number: 3000, text: "closed from this side" }); }
    /**
     * on has fn called with each push of a message, in order; the function that it returns ends that. What fn throws is
     * uncaught, as in any event listener, and what comes behind is handled all the same.
     */
    on(message, fn) {
        const all = this.#handlers.get(message.number) ?? new Set();
        this.#handlers.set(message.number, all.add(fn));
        return () => { all.delete(fn); };
    }
    call(request, body, options) {
        return this.#ask(request, body, options?.within, false);
    }
    send(request, body) { this.#say(request, body, null, false); }
    #ask(request, body, within, first) {
        return new Promise((resolve, reject) => {
            const call = new Call(request, resolve, reject);
            this.#say(request, body, call, first);
            if (within === undefined)
                return;
            call.stop = this.#options.clock.after(within, () => call.late(this.#session.abandon(call), within));
        });
    }
    #say(request, body, call, first) {
        if (this.#state.name === "ended")
            throw new Ended(this.#state.why);
        this.#session.post({ number: request.number, body: this.#options.codec.encode(request, body), call }, first);
    }
    // --- a try
    async #dial() {
        const attempt = ++this.#attempt, { client, codec, clock, welcomeWithin, ticket } = this.#options;
        const failed = (text, error) => this.#over({ code: "UNREACHABLE", number: 1000, text, error }, false);
        this.#stopTimer = clock.after(welcomeWithin, () => failed(`no Welcome within ${welcomeWithin} ms`));
        let url, shown;
        try {
            [url, shown] = await Promise.all([sourced(this.#url), ticket && sourced(ticket)]);
        }
        catch (error) {
            if (attempt === this.#attempt)
                failed(String(error), error);
            return;
        }
        if (attempt !== this.#attempt)
            return;
        const hello = { version: 2, codec: codec.name, client, ticket: shown, resume: this.#session.resume };
        try {
            this.#visit = new Visit(url, hello, this.#host, this.#options);
        }
        catch (error) { // no such way: another try finds another only if it is asked for
            if (typeof this.#url === "function")
                failed(String(error), error);
            else
                this.#end({ code: "UNREACHABLE", number: 3000, text: String(error), error });
        }
    }
    #welcomed(visit, welcome) {
        this.#stopTimer();
        if (!welcome.resumed) {
            this.#session.begin(visit, welcome);
            this.#reason = welcome.reason ?? "";
            this.#login();
        }
        else if (!this.#session.resumed(visit, welcome)) {
            this.#session.end("the gate counted otherwise");
            visit.cut({ code: "BAD_FRAME", number: 2000, text: "the gate resumed what was not there" });
            return;
        }
        if (this.#session.ready)
            this.#online();
    }
    async #login() {
        const session = this.#session, { serial } = session;
        const door = {
            call: (request, body, options) => this.#ask(request, body, options?.within, true),
            send: (request, body) => this.#say(request, body, null, true),
        };
        const login = this.#options.login;
        if (login === undefined) {
            session.ready = true;
            return;
        }
        try {
            await login(door);
        }
        catch (error) {
            if (serial === session.serial && session.id !== "")
                this.#refused(error);
            return;
        }
        if (serial !== session.serial || session.id === "")
            return;
        session.ready = true;
        if (this.#visit?.welcomed)
            this.#online();
    }
    // refused is a login that failed: what may pass is tried again in another session, the rest is an answer.
    #refused(error) {
        const code = error instanceof Failure ? error.code : "REFUSED", passes = PASSING.includes(code);
        const text = error instanceof Error ? error.message : String(error);
        const why = { code, number: passes ? 2000 : 3000, text, error };
        if (!passes) {
            this.#end(why);
            return;
        }
        this.#session.end(text);
        this.#visit?.cut(why);
    }
    #online() {
        const { serial, id } = this.#session, resumed = serial === this.#told;
        this.#stopGrace?.();
        this.#stopGrace = null;
        this.#since = this.#options.clock.now();
        this.#enter({ name: "online", session: id, resumed, reason: resumed ? "" : this.#reason });
        this.#told = serial;
        this.#session.pump();
        this.#settle?.resolve();
    }
    // --- its end, and what comes after
    #over(why, final) {
        const { clock } = this.#options;
        this.#abort();
        if (final)
            this.#session.end(why.text || why.code);
        const advice = adviceOf(why.number);
        if (advice === "never") {
            this.#end(why);
            return;
        }
        if (this.online && clock.now() - this.#since >= STEADY)
            this.#backoff.reset();
        this.#wait();
        const wait = this.#backoff.next(advice);
        this.#stopTimer = clock.after(wait, () => this.#dial());
        this.#enter({ name: this.#told === 0 ? "connecting" : "away", why, wait });
    }
    // abort ends what there is of a try or a connection, without a word.
    #abort() {
        this.#attempt++;
        this.#stopTimer();
        this.#visit?.drop();
        this.#visit = null;
        this.#session.detach();
    }
    // wait bounds how long calls and the queue wait for a connection.
    #wait() {
        const { clock, awayFor } = this.#options;
        this.#stopGrace ??= clock.after(awayFor, () => {
            this.#stopGrace = null;
            this.#session.giveUp(`no connection for ${awayFor} ms`);
        });
    }
    #end(why) {
        if (this.#state.name === "ended")
            return;
        this.#visit?.leave();
        this.#abort();
        this.#stopGrace?.();
        this.#stopListening();
        this.#enter({ name: "ended", why });
        this.#session.giveUp(why.text || why.code);
        this.#settle?.reject(new Ended(why));
    }
    #enter(state) {
        this.#state = state;
        uncaught(() => this.#options.onState(state));
    }
    // --- what comes
    #heard(frame) {
        if (frame.number >= FIRST_GAME_NUMBER)
            this.#session.received++;
        if (frame.seq !== 0)
            this.#session.answer(frame, this.#options.codec);
        else if (frame.failed)
            this.#stray(new Refusal(ERROR, unpackJSON(frame)));
        else
            this.#push(frame);
    }
    #stray(refusal) { uncaught(() => this.#options.onStray(refusal)); }
    #push({ number, body }) {
        const all = this.#handlers.get(number);
        if (all === undefined)
            return;
        try {
            const m = this.#options.codec.decode(number, body);
            for (const fn of [...all])
                uncaught(() => fn(m));
        }
        catch (error) {
            uncaught(() => { throw error; });
        }
    }
    // listen hears what a browser knows of its network; Node knows nothing.
    #listen() {
        const back = () => this.#visit?.welcomed ? this.#visit.doubt() : this.#now(), gone = () => this.#visit?.doubt();
        const { signal } = this.#options, abort = () => this.close();
        const page = globalThis;
        page.addEventListener?.("online", back);
        page.addEventListener?.("offline", gone);
        signal?.addEventListener("abort", abort);
        this.#stopListening = () => {
            page.removeEventListener?.("online", back);
            page.removeEventListener?.("offline", gone);
            signal?.removeEventListener("abort", abort);
        };
    }
    // now tries without waiting any longer.
    #now() {
        this.#abort();
        this.#dial();
    }
}
function nothing() { }
// uncaught lets what fn throws go where a page or a program hears of it, and goes on. Node has no reportError.
function uncaught(fn) {
    try {
        fn();
    }
    catch (error) {
        if (typeof reportError === "function")
            reportError(error);
        else
            queueMicrotask(() => { throw error; });
    }
}

export { Client, Ended, Failure, Full, Late, Lost, Refusal, connect, dial, json };
