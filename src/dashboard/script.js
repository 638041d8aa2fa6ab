// The dashboard in the browser: fetches fragments, follows links without reloading, shows values where the pointer is.
const main = document.getElementById('main');
const live = document.getElementById('live');
const hover = document.getElementById('hover');
const help = document.getElementById('help');
const policy = globalThis.trustedTypes?.createPolicy('fragments', { createHTML: html => html }) ?? { createHTML: html => html };
const peers = new BroadcastChannel('session');
let token = sessionStorage.getItem('token');
let page = document.body.dataset.page;
let stream;
let number = 0;

const bearer = () => ({ Authorization: `Bearer ${token}` });

// A ticket in the address is good once; it leaves the address before anything else happens.
async function signIn() {
  const ticket = location.hash.slice(1);
  if (ticket) {
    history.replaceState(null, '', location.pathname + location.search);
    const answer = await fetch('/ui/v1/session', { method: 'POST', body: JSON.stringify({ ticket }) });
    if (answer.ok) keep((await answer.json()).token);
  }
  // Another tab of this page may have a session.
  if (!token) {
    peers.postMessage('token?');
    await new Promise(done => setTimeout(done, 150));
  }
  return token;
}

function keep(given) {
  token = given;
  sessionStorage.setItem('token', given);
}

peers.onmessage = ({ data }) => {
  if (data === 'token?') token && peers.postMessage({ token });
  else if (data.token && !token) keep(data.token);
};

function closed(text) {
  stream?.abort();
  const note = Object.assign(document.createElement('p'), { className: 'note', textContent: text });
  main.replaceChildren(note);
  main.removeAttribute('aria-busy');
}

async function show(quietly) {
  const mine = ++number;
  if (!quietly) main.setAttribute('aria-busy', 'true');
  let answer;
  try {
    answer = await fetch(`/ui/v1/page/${page}${location.search}`, { headers: bearer() });
  } catch {
    live.textContent = 'Not running';
    return quietly || closed('The dashboard has ended. Start it again with: api-keys dashboard');
  }
  if (mine !== number) return;
  if (answer.status === 401) {
    sessionStorage.removeItem('token');
    return closed('This session has ended. Open the link that this command prints: api-keys dashboard');
  }
  const parsed = new DOMParser().parseFromString(policy.createHTML(await answer.text()), 'text/html');
  if (mine !== number) return;
  const open = [...main.querySelectorAll('details')].map(it => it.open);
  const text = document.getElementById('filter')?.value;
  const focused = main.contains(document.activeElement) && document.activeElement.id;
  main.replaceChildren(...[...parsed.body.childNodes].map(node => document.importNode(node, true)));
  main.removeAttribute('aria-busy');
  hover.hidden = true;
  if (quietly) {
    main.querySelectorAll('details').forEach((it, at) => { it.open = open[at] ?? false; });
    if (text) filter(document.getElementById('filter').value = text);
    if (focused) document.getElementById(focused)?.focus();
  }
  document.title = `${main.querySelector('h1').textContent} · API Key Manager`;
}

// What changes is only said to have changed; a hidden page asks for nothing.
async function watch() {
  stream?.abort();
  if (document.hidden || !token) return;
  const mine = stream = new AbortController();
  try {
    const answer = await fetch('/ui/v1/events', { headers: bearer(), signal: mine.signal });
    if (!answer.ok) return;
    live.textContent = 'Live';
    const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
    for (let last = 0; ;) {
      const { value, done } = await reader.read();
      if (done) break;
      // Not while something is being typed or pointed at, and not more often than people can read.
      if (value.includes('event: changed') && hover.hidden && Date.now() - last > 2000) {
        last = Date.now();
        show(true);
      }
    }
  } catch { /* It is tried again below. */ }
  if (!mine.signal.aborted) {
    live.textContent = 'Reconnecting';
    setTimeout(watch, 3000);
  }
}

function go(address, replace) {
  history[replace ? 'replaceState' : 'pushState'](null, '', address);
  follow();
  if (!replace) main.focus({ preventScroll: true });
}

function follow() {
  for (const link of document.querySelectorAll('nav a')) {
    const is = link.pathname === location.pathname;
    is ? link.setAttribute('aria-current', 'page') : link.removeAttribute('aria-current');
    if (is) page = link.pathname.slice(1) || 'overview';
  }
  return show();
}

function filter(text) {
  const wanted = text.toLowerCase();
  for (const row of main.querySelectorAll('table[data-filter] tbody tr')) {
    row.hidden = !row.textContent.toLowerCase().includes(wanted);
  }
}

async function download({ dataset: { download, name } }) {
  const answer = await fetch(download, { headers: bearer() });
  if (!answer.ok) return alert((await answer.json()).error?.message);
  const address = URL.createObjectURL(await answer.blob());
  Object.assign(document.createElement('a'), { href: address, download: name }).click();
  URL.revokeObjectURL(address);
}

// The window is opened at once, while it is still the person's click.
async function keyPage({ dataset: { key, provider, label } }) {
  const value = id => document.getElementById(id).value;
  const wanted = { action: key, provider: provider ?? value('provider'), label: label ?? value('label') };
  const opened = window.open('about:blank', '_blank');
  const answer = await fetch('/ui/v1/key-page', { method: 'POST', headers: bearer(), body: JSON.stringify(wanted) });
  const said = await answer.json();
  if (answer.ok && opened) {
    opened.opener = null;
    opened.location = said.address;
  } else {
    opened?.close();
    alert(said.error ? `${said.error.message}\n\n${said.error.hint ?? ''}` : said.address);
  }
}

document.addEventListener('click', event => {
  const link = event.target.closest('a[href]');
  if (link?.origin === location.origin && !link.hash && !event.ctrlKey && !event.metaKey && !event.shiftKey) {
    event.preventDefault();
    return go(link.href);
  }
  const button = event.target.closest('button');
  if (button?.dataset.download) download(button);
  if (button?.dataset.key) keyPage(button);
  if (button && 'close' in button.dataset) help.close();
});

document.addEventListener('input', event => event.target.id === 'filter' && filter(event.target.value));

let after = '';
document.addEventListener('keydown', event => {
  const typing = event.target.matches('input, select, textarea');
  if (event.key === 'Escape' && event.target.id === 'filter') {
    event.target.value = '';
    filter('');
    event.target.blur();
  }
  if (typing || event.ctrlKey || event.metaKey || event.altKey || help.open) return;
  const link = after === 'g' && document.querySelector(`nav [data-goto="${CSS.escape(event.key)}"]`);
  after = event.key;
  if (link) {
    after = '';
    return go(link.href);
  }
  if (event.key === '/') {
    event.preventDefault();
    document.getElementById('filter')?.focus();
  }
  if (event.key === '?') help.showModal();
  if (event.key === 'r') show();
});

// A chart's values are those of the table behind it.
const column = (figure, event) => {
  const plot = figure.querySelector('.plot svg').getBoundingClientRect();
  const rows = figure.querySelectorAll('tbody tr');
  const at = Math.floor((event.clientX - plot.left) / plot.width * rows.length);
  return { rows, at: Math.min(Math.max(at, 0), rows.length - 1) };
};

let dragged;
document.addEventListener('pointermove', event => {
  const figure = event.target.closest?.('figure.chart');
  if (!figure?.querySelector('.plot') || !event.target.closest('.canvas')) return void (hover.hidden = true);
  const { rows, at } = column(figure, event);
  const names = [...figure.querySelectorAll('thead th')].map(cell => cell.textContent);
  const cells = [...rows[at].cells].map(cell => cell.textContent.trim());
  const list = document.createElement('dl');
  for (let i = names.length - 1; i > 0; i--) {
    if (!cells[i]) continue;
    list.append(
      Object.assign(document.createElement('dt'), { textContent: names[i] }),
      Object.assign(document.createElement('dd'), { textContent: cells[i] }),
    );
  }
  let head = cells[0];
  if (dragged && dragged.at !== at) {
    const [from, to] = [Math.min(dragged.at, at), Math.max(dragged.at, at)];
    head = `${rows[from].cells[0].textContent} – ${rows[to].cells[0].textContent}`;
  }
  hover.replaceChildren(Object.assign(document.createElement('strong'), { textContent: head }), list);
  hover.hidden = false;
  const room = document.documentElement.clientWidth - hover.offsetWidth;
  const left = event.clientX + 16 > room ? event.clientX - 16 - hover.offsetWidth : event.clientX + 16;
  hover.style.translate = `${Math.max(left, 4)}px ${Math.min(event.clientY + 16, innerHeight - hover.offsetHeight - 4)}px`;
});

document.addEventListener('pointerdown', event => {
  const figure = event.target.closest?.('figure.chart[data-zoom]');
  if (figure?.querySelector('.plot') && event.target.closest('.canvas')) dragged = { figure, at: column(figure, event).at };
});

document.addEventListener('pointerup', event => {
  if (!dragged) return;
  const { figure, at } = dragged;
  dragged = null;
  const end = column(figure, event);
  if (end.at === at) return;
  const query = new URLSearchParams(location.search);
  query.delete('days');
  query.set('from', end.rows[Math.min(at, end.at)].dataset.from);
  const last = end.rows[Math.max(at, end.at)].dataset;
  query.set('to', last.to ?? last.from);
  go(`${location.pathname}?${query}`);
});

addEventListener('popstate', follow);
document.addEventListener('visibilitychange', () => (document.hidden ? stream?.abort() : token && (show(true), watch())));

if (await signIn()) {
  await show();
  watch();
} else closed('Open the link that this command prints: api-keys dashboard');
