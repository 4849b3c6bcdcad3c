// Drawing touches only what changed, so that a text which somebody selects stays selected.

import { count, duration, bytes, percent, perSecond, since } from './figure.js';
import { fill, sortable, text } from './table.js';

const $ = id => document.getElementById(id);

export function drawAge(words, stale) {
  text($('age'), words);
  document.body.classList.toggle('stale', stale);
}

export function draw(cluster, problems) {
  drawVerdict(cluster, problems);
  drawCards(cluster);
  drawNodes(cluster.nodes);
  drawNumbers(cluster.numbers);
  drawKinds(cluster.nodes);
  drawStore(cluster.nodes);
  drawGates(cluster.nodes);
  drawTables(cluster.nodes);
  drawMishaps(cluster.nodes);
}

function drawVerdict(cluster, problems) {
  const ready = cluster.nodes.filter(n => n.state === 'ready').length;
  const all = cluster.nodes.length;
  const level = problems[0]?.level || 'good';
  const nodes = ready === all ? `All ${all} nodes ready`
    : `${all - ready} of ${all} nodes not ready`;
  const rest = { good: 'nothing needs you', warn: 'something wants a look', bad: 'act now' }[level];
  $('verdict').className = level;
  text($('headline'), `${nodes}, ${rest}`);
  document.title = { good: '●', warn: '▲', bad: '✖' }[level] + ` ${ready}/${all} Firefly`;
  const list = $('problems');
  const said = JSON.stringify(problems);
  if (list.dataset.said === said) return;
  list.dataset.said = said;
  list.replaceChildren(...problems.map(p => {
    const item = document.createElement('li');
    const word = document.createElement('b');
    const what = document.createElement('span');
    item.className = p.level;
    word.textContent = { bad: '✖ bad', warn: '▲ look' }[p.level];
    what.textContent = p.text;
    item.append(word, what);
    return item;
  }));
}

function drawCards({ sum, past }) {
  const slow = sum.slowest;
  card('sessions', 'Sessions', count(sum.sessions), '', past.map(p => p.sessions));
  card('messages', 'Messages handled per second', perSecond(sum.messages), '',
    past.map(p => p.messages));
  card('errors', 'Failures per second', perSecond(sum.errors), '', past.map(p => p.errors));
  card('actors', 'Actors', count(sum.actors), '', past.map(p => p.actors));
  card('slowest', 'Slowest p99', slow ? duration(slow.p99) : '–',
    slow ? `${slow.number} ${slow.name}` : '', past.map(p => p.p99));
  card('oldest', 'Oldest unsaved change', duration(sum.oldest), '', past.map(p => p.oldest));
}

function card(id, label, figure, note, curve) {
  let box = $('card-' + id);
  if (!box) {
    box = document.createElement('div');
    box.className = 'card';
    box.id = 'card-' + id;
    for (const part of ['label', 'figure', 'note']) {
      box.append(Object.assign(document.createElement('div'), { className: part }));
    }
    const svg = document.createElementNS('http://www.w3.org/2000/svg', 'svg');
    svg.setAttribute('viewBox', '0 0 119 30');
    svg.setAttribute('preserveAspectRatio', 'none');
    svg.append(document.createElementNS('http://www.w3.org/2000/svg', 'polyline'));
    box.append(svg);
    $('cards').append(box);
  }
  text(box.querySelector('.label'), label);
  text(box.querySelector('.figure'), figure);
  text(box.querySelector('.note'), note);
  curve = curve.filter(v => v !== null);
  const top = Math.max(...curve, 1e-9);
  const points = curve.map((v, i) => `${120 - curve.length + i},${(28 - 26 * v / top).toFixed(1)}`);
  box.querySelector('polyline').setAttribute('points', points.join(' '));
}

const stateClass = { ready: 'good', missing: 'bad' };

function drawNodes(nodes) {
  const head = ['<Node', '<State', '<Roles', 'Sessions', 'Actors', 'Messages/s', 'Failures/s',
    'Fullest mailbox', 'CPU', 'Memory', 'Goroutines', 'Up', 'Process'];
  fill($('nodes'), head, nodes.map(n => {
    const state = { text: n.state, cls: 'left state ' + (stateClass[n.state] || 'warn') };
    const lead = ['<' + n.node, state, '<' + (n.roles || []).join(' ')];
    if (n.state === 'missing') return { cls: 'gone', cells: [...lead, ...Array(10).fill('–')] };
    return { cls: '', cells: [...lead,
      count(n.sessions), count(n.actors), perSecond(n.rate.messages),
      { text: perSecond(n.rate.errors), cls: n.rate.errors > 0 ? 'warn' : '' },
      { text: count(n.deepest), cls: n.deepest >= 1000 ? 'warn' : '', title: n.deepest_of },
      n.rate.cpu === null ? '–' : percent(n.rate.cpu), bytes(n.process.rss_bytes),
      count(n.process.goroutines), since(n.started, n.at), String(n.pid || '–')] };
  }));
}

function drawNumbers(numbers) {
  const columns = [
    ['Number', n => n.number, n => String(n.number)],
    ['<Name', n => n.name, n => '<' + n.name],
    ['<Kind', n => n.kind, n => '<' + n.kind],
    ['Per second', n => n.rate, n => perSecond(n.rate)],
    ['Count', n => n.count, n => count(n.count)],
    ['Failures', n => n.errors, n => ({ text: count(n.errors), cls: n.errors ? 'warn' : '' })],
    ['p50', n => n.p50, n => duration(n.p50)],
    ['p99', n => n.p99, n => ({ text: duration(n.p99), cls: n.p99 > 1e8 ? 'warn' : '' })],
    ['Slowest', n => n.max, n => duration(n.max)],
  ];
  sortable($('numbers'), columns, numbers, 'Count');
}

// add sums maps of counts over the nodes.
function add(nodes, pick) {
  const all = {};
  for (const n of nodes) {
    for (const [name, v] of Object.entries(pick(n) || {})) all[name] = (all[name] || 0) + v;
  }
  return Object.entries(all).sort((a, b) => b[1] - a[1] || (a[0] < b[0] ? -1 : 1));
}

function drawKinds(nodes) {
  const kinds = add(nodes, n => n.kinds);
  const top = Math.max(1, ...kinds.map(k => k[1]));
  fill($('kinds'), null, kinds.map(([kind, n]) =>
    ({ cells: ['<' + kind, { meter: n / top }, count(n)] })), 'no actors yet');
}

function drawStore(nodes) {
  const rows = [];
  for (const n of nodes.filter(n => n.store)) {
    const s = n.store;
    const loads = s.hits + s.misses;
    rows.push([n.node, ''], ['a commit is', s.level], ['rows dirty', count(s.dirty)], ['rows pending', count(s.pending)],
      ['oldest change', duration(s.oldest_ns)],
      ['loads from cache', loads ? percent(s.hits / loads) + ' of ' + count(loads) : '–'],
      ...Object.entries(s.counters || {}).map(([name, v]) => [words(name), count(v)]));
  }
  pairs('store', rows, 'no persist node answers');
}

function drawGates(nodes) {
  const rows = [...add(nodes, n => n.gate).map(([k, v]) => [words(k), count(v)]).sort(),
    ...add(nodes, n => n.answers).map(([k, v]) => ['answered ' + k, count(v)]),
    ...add(nodes, n => n.closes).map(([k, v]) => ['closed ' + k, count(v)])];
  pairs('gates', rows, 'no gate answers');
}

function drawTables(nodes) {
  fill($('tables'), null, nodes.filter(n => n.tables?.version).map(n => {
    const broken = Boolean(n.tables.last_error);
    return { cells: ['<' + n.node, n.tables.version,
      { text: broken ? 'newest refused' : 'current', cls: broken ? 'warn' : 'good' }] };
  }), 'the game has no hot tables');
}

function drawMishaps(nodes) {
  const rows = add(nodes, n => n.mishaps).filter(([, v]) => v > 0);
  pairs('mishaps', rows.map(([k, v]) => [words(k), count(v)]), 'nothing');
}

const words = name => name.replace(/_total$/, '').replaceAll('_', ' ');

function pairs(id, rows, otherwise) {
  fill($(id), null, rows.map(([name, v]) => ({ cells: ['<' + name, v] })), otherwise);
}
