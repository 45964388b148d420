// Keeps the landing page's health card up to date. A hidden tab asks nothing.
const INTERVAL_MS = 5000;
const status = document.getElementById('health-status');
const table = document.getElementById('health-table');
const rows = document.getElementById('health-checks');

async function refresh() {
  if (document.hidden) return;
  try {
    // 503 carries a report too: it says what is down.
    const answer = await fetch('/health/ready', { headers: { accept: 'application/json' }, cache: 'no-store' });
    if (!answer.ok && answer.status !== 503) throw new Error(`answered ${answer.status}`);
    show(await answer.json());
  } catch {
    setStatus(status, 'down', 'not reachable');
    table.hidden = true;
  }
}

function show(report) {
  setStatus(status, report.status, report.status);
  rows.replaceChildren(...(report.checks ?? []).map(toRow));
  table.hidden = rows.childElementCount === 0;
}

function toRow(check) {
  const row = document.createElement('tr');
  const name = document.createElement('th');
  name.scope = 'row';
  name.textContent = check.name;
  const state = document.createElement('td');
  const word = document.createElement('span');
  word.className = 'status';
  setStatus(word, check.status, check.status);
  state.append(word);
  if (check.detail) state.append(` – ${check.detail}`);
  const latency = document.createElement('td');
  latency.className = 'number';
  latency.textContent = check.status === 'off' ? '' : `${Math.round(check.latencyMs * 10) / 10} ms`;
  row.append(name, state, latency);
  return row;
}

// Written only when it changed, so that a screen reader is told of changes and not of every look.
function setStatus(element, state, text) {
  element.dataset.status = state;
  if (element.textContent !== text) element.textContent = text;
}

refresh();
setInterval(refresh, INTERVAL_MS);
document.addEventListener('visibilitychange', refresh);
