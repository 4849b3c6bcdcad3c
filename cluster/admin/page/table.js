// Tables whose rows and cells are kept from one drawing to the next.

// text sets what a node says, if it says something else.
export function text(node, words) {
  if (node.textContent !== words) node.textContent = words;
}

// fill draws rows of { cls, cells }. A cell is a text, or { text, cls, title }, or { meter: 0..1 };
// "<" before a text puts it to the left. Without rows it says otherwise.
export function fill(table, head, rows, otherwise) {
  if (head && !table.tHead) {
    const line = table.createTHead().insertRow();
    for (const h of head) line.append(header(h));
  }
  const body = table.tBodies[0] || table.createTBody();
  if (!rows.length && otherwise) rows = [{ cls: 'quiet', cells: ['<' + otherwise] }];
  while (body.rows.length > rows.length) body.deleteRow(-1);
  rows.forEach((row, i) => {
    const line = body.rows[i] || body.insertRow();
    if (line.className !== (row.cls || '')) line.className = row.cls || '';
    while (line.cells.length > row.cells.length) line.deleteCell(-1);
    row.cells.forEach((cell, j) => drawCell(line.cells[j] || line.insertCell(), cell));
  });
}

function header(words) {
  const th = document.createElement('th');
  th.scope = 'col';
  th.textContent = words.replace('<', '');
  if (words.startsWith('<')) th.className = 'left';
  return th;
}

function drawCell(td, cell) {
  if (typeof cell === 'string') {
    const left = cell.startsWith('<');
    cell = { text: left ? cell.slice(1) : cell, cls: left ? 'left' : '' };
  }
  if (td.className !== (cell.cls || '')) td.className = cell.cls || '';
  if (td.title !== (cell.title || '')) td.title = cell.title || '';
  if (cell.meter === undefined) {
    text(td, cell.text);
    return;
  }
  const bar = td.querySelector('meter') || document.createElement('meter');
  if (!bar.parentNode) td.replaceChildren(bar);
  bar.value = cell.meter;
}

// sortable draws rows by columns of [head, value, cell]; a click on a head sorts by its column,
// another one turns the order.
export function sortable(table, columns, rows, first) {
  if (!table.tHead) {
    table.order = { column: columns.findIndex(c => c[0] === first), down: true };
    const line = table.createTHead().insertRow();
    columns.forEach(([head], i) => {
      const th = header(head);
      const button = document.createElement('button');
      button.textContent = th.textContent;
      button.addEventListener('click', () => {
        const { column, down } = table.order;
        table.order = { column: i, down: column === i ? !down : !head.startsWith('<') };
        sortable(table, columns, table.drawn, first);
      });
      th.replaceChildren(button);
      line.append(th);
    });
  }
  table.drawn = rows;
  const { column, down } = table.order;
  [...table.tHead.rows[0].cells].forEach((th, i) => {
    if (i === column) th.ariaSort = down ? 'descending' : 'ascending';
    else th.removeAttribute('aria-sort');
  });
  const value = columns[column][1];
  const order = (a, b) => value(a) < value(b) ? -1 : value(a) > value(b) ? 1 : a.number - b.number;
  const sorted = rows.toSorted((a, b) => down ? order(b, a) : order(a, b));
  fill(table, null, sorted.map(r => ({ cells: columns.map(c => c[2](r)) })), 'no messages yet');
}
