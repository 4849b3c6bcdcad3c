// Rates come from two reports of one process: counts only rise, and start anew with a new one.

export class Rates {
  constructor() {
    this.before = new Map(); // node -> report
    this.kept = new Map();   // node -> what it did per second
    this.past = [];          // of the whole cluster, for the curves
  }

  // take adds to every node what it did per second, and to the cluster its recent past.
  take(cluster) {
    for (const node of cluster.nodes) {
      const last = this.before.get(node.node);
      if (!last || last.at !== node.at) {
        this.kept.set(node.node, between(last, node));
        this.before.set(node.node, node);
      }
      node.rate = this.kept.get(node.node);
    }
    const sum = pick => total(cluster.nodes.map(pick));
    cluster.numbers = merge(cluster.nodes);
    cluster.sum = {
      sessions: sum(n => n.sessions),
      actors: sum(n => n.actors),
      messages: total(cluster.numbers.map(n => n.rate)),
      errors: sum(n => n.rate.errors),
      oldest: Math.max(0, ...cluster.nodes.map(n => n.store?.oldest_ns || 0)),
    };
    cluster.sum.slowest = cluster.numbers.reduce((a, b) => b.p99 > (a?.p99 || 0) ? b : a, null);
    this.past.push({ ...cluster.sum, p99: cluster.sum.slowest?.p99 || 0 });
    this.past = this.past.slice(-120);
    cluster.past = this.past;
    return cluster;
  }
}

// total adds what is known; null: nothing is.
function total(values) {
  const known = values.filter(v => v !== null && v !== undefined);
  return known.length ? known.reduce((a, b) => a + b, 0) : null;
}

function between(last, now) {
  const none = { messages: null, errors: null, cpu: null, numbers: new Map() };
  if (!last || last.incarnation !== now.incarnation || last.pid !== now.pid) return none;
  const seconds = (Date.parse(now.at) - Date.parse(last.at)) / 1000;
  if (!(seconds > 0)) return none;
  const per = (a, b) => Math.max(0, ((b || 0) - (a || 0)) / seconds);
  const old = new Map((last.numbers || []).map(n => [key(n), n]));
  const rate = {
    messages: per(last.messages, now.messages),
    errors: 0,
    cpu: per(last.process.cpu_seconds, now.process.cpu_seconds),
    numbers: new Map(),
  };
  for (const n of now.numbers || []) {
    rate.numbers.set(key(n), per(old.get(key(n))?.count, n.count));
    rate.errors += per(old.get(key(n))?.errors, n.errors);
  }
  return rate;
}

const key = n => `${n.number} ${n.kind}`;

// merge adds the numbers of all nodes up; of times, the worst node's counts.
function merge(nodes) {
  const all = new Map();
  for (const node of nodes) {
    for (const n of node.numbers || []) {
      const sum = all.get(key(n)) || { number: n.number, name: n.name, kind: n.kind,
        count: 0, rate: null, errors: 0, p50: 0, p99: 0, max: 0 };
      sum.count += n.count;
      sum.errors += n.errors;
      if (node.rate.numbers.has(key(n))) sum.rate += node.rate.numbers.get(key(n));
      sum.p50 = Math.max(sum.p50, n.p50_ns);
      sum.p99 = Math.max(sum.p99, n.p99_ns);
      sum.max = Math.max(sum.max, n.max_ns);
      all.set(key(n), sum);
    }
  }
  return [...all.values()];
}
