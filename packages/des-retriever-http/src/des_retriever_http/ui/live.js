// Live figures, asked for every two seconds while somebody can see them.

import { ask } from './api.js';
import { bytes, el } from './dom.js';
import { problemCard } from './problems.js';

const PERIOD_MS = 2000;
const KEPT = 60;
const SVG = 'http://www.w3.org/2000/svg';

const number = (value) => value.toLocaleString('en', { maximumFractionDigits: value < 10 ? 2 : value < 100 ? 1 : 0 });
const share = (value) => `${(value * 100).toLocaleString('en', { maximumFractionDigits: 1 })} %`;
const seconds = (value) => (value < 1 ? `${number(value * 1000)} ms` : `${number(value)} s`);

function duration(value) {
  const minutes = Math.floor(value / 60);
  if (minutes < 1) return `${Math.floor(value)} s`;
  if (minutes < 60) return `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  return hours < 48 ? `${hours} h ${minutes % 60} min` : `${Math.floor(hours / 24)} days`;
}

// Name, what it is of an answer of `/stats/live`, how it is written, whether it is drawn.
const FIGURES = [
  ['Requests per second', (stats) => stats.requests_per_second, number, true],
  ['Latency p50', (stats) => stats.latency_p50_seconds, seconds, true],
  ['Latency p99', (stats) => stats.latency_p99_seconds, seconds, true],
  ['Errors', (stats) => stats.error_rate, share, true],
  ['Cache hits', (stats) => stats.cache_hit_rate, share, true],
  ['Sent per second', (stats) => stats.bytes_per_second, (value) => bytes(Math.round(value)), true],
  ['Under way', (stats) => stats.in_flight, number, true],
  ['Running for', (stats) => stats.uptime_seconds, duration, false],
];

/** The view of the figures; polling ends with the view, and rests while the tab is hidden. */
export async function showLive(view, _route, signal) {
  document.title = 'Live – Data Easy Store';
  const state = el('p.lead', 'Asking…');
  const figures = FIGURES.map(([name, of, write, isDrawn]) => figure(name, of, write, isDrawn));
  const board = el(
    'div.figures',
    { hidden: true },
    figures.map(({ node }) => node),
  );
  const problems = el('div');
  view.append(el('h1', { tabindex: '-1' }, 'Live figures'), state, problems, board);

  async function poll() {
    try {
      const stats = await ask('stats/live', { signal });
      figures.forEach(({ update }) => update(stats));
      board.hidden = false;
      problems.replaceChildren();
      state.textContent = 'Of this service, every two seconds.';
    } catch (error) {
      if (signal.aborted) return;
      state.textContent = 'The figures below, if any, are old.';
      if (problems.childElementCount === 0) problems.append(problemCard(error));
    }
  }

  while (!signal.aborted) {
    await poll();
    await rest(signal);
  }
}

/** Wait for the next turn, and for as long as the tab is hidden. */
async function rest(signal) {
  await new Promise((done) => setTimeout(done, PERIOD_MS));
  while (document.hidden) {
    await new Promise((done) => document.addEventListener('visibilitychange', done, { once: true, signal }));
  }
}

function figure(name, of, write, isDrawn) {
  const value = el('p.value');
  const line = document.createElementNS(SVG, 'polyline');
  const area = document.createElementNS(SVG, 'polygon');
  const drawing = document.createElementNS(SVG, 'svg');
  drawing.setAttribute('viewBox', `0 0 ${KEPT - 1} 20`);
  drawing.setAttribute('preserveAspectRatio', 'none');
  drawing.setAttribute('aria-hidden', 'true');
  drawing.append(area, line);
  const seen = [];
  const update = (stats) => {
    const now = of(stats);
    const isKnown = typeof now === 'number';
    value.textContent = isKnown ? write(now) : '–';
    seen.push(isKnown ? now : 0);
    if (seen.length > KEPT) seen.shift();
    const most = Math.max(...seen) || 1;
    const first = KEPT - seen.length;
    const points = seen.map((one, index) => `${first + index},${(19 - (17 * one) / most).toFixed(2)}`).join(' ');
    line.setAttribute('points', points);
    area.setAttribute('points', `${first},20 ${points} ${KEPT - 1},20`);
  };
  return { node: el('section.card.figure', el('h2', name), value, isDrawn && drawing), update };
}
