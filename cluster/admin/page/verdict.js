// What an operator who was just woken wants to know first: is it well, and if not, what and where.

const second = 1e9; // ns

// verdict lists what is wrong, the worst first: { level: 'bad' | 'warn', text }.
export function verdict(cluster) {
  const found = [];
  for (const n of cluster.nodes) {
    if (n.state === 'missing') {
      found.push(bad(`${n.node} does not answer. ${n.reason || ''}`));
    } else if (n.state !== 'ready') {
      found.push(bad(`${n.node} is ${n.state}. ${n.reason || ''}`));
    }
  }
  found.push(...tables(cluster.nodes));
  for (const n of cluster.nodes) {
    const age = (n.store?.oldest_ns || 0) / second;
    if (age > 5) {
      found.push((age > 30 ? bad : warn)(`${n.node} has changes that have not been durable for ` +
        `${Math.round(age)} s. Is the database up?`));
    }
    if (n.store?.level?.startsWith('degraded: ')) {
      found.push(warn(`${n.node}: commits may be lost. Its store is ${n.store.level}.`));
    }
    if (n.rate.errors > 0) {
      found.push(warn(`${n.node}: handlers fail ${n.rate.errors.toFixed(1)} times a second. ` +
        `Its log names them: ${worst(n)}.`));
    }
    if (n.deepest >= 1000) {
      found.push(warn(`${n.node}: ${n.deepest} messages wait for ${n.deepest_of}.`));
    }
  }
  return found.sort((a, b) => (a.level > b.level) - (a.level < b.level));
}

const bad = text => ({ level: 'bad', text });
const warn = text => ({ level: 'warn', text });

// tables: one broken file is every node's fault at once, and is told once.
function tables(nodes) {
  const found = new Map();
  for (const n of nodes) {
    const error = n.tables?.last_error;
    if (error) found.set(error, [...(found.get(error) || []), n.node]);
  }
  const told = [...found].map(([error, at]) =>
    warn(`Hot tables were refused on ${at.join(', ')}; the previous ones stay in use.\n${error}`));
  const versions = new Set(nodes.map(n => n.tables?.version).filter(Boolean));
  if (versions.size > 1) told.push(warn('Nodes use different versions of the hot tables.'));
  return told;
}

function worst(node) {
  const failing = (node.numbers || []).filter(n => n.errors > 0);
  failing.sort((a, b) => b.errors - a.errors);
  return failing.slice(0, 3).map(n => `${n.number} ${n.name} (${n.kind})`).join(', ');
}
