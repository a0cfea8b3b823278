// How an error is shown: what happened, what to do, and what to tell the operator.

import { el, terms } from './dom.js';

/** A card for an error; `advice` follows its detail, `retry` and `settings` are what its buttons do. */
export function problemCard(error, { advice, retry, settings } = {}) {
  const isKnown = error.title !== undefined;
  return el(
    'div',
    { class: advice ? 'problem calm' : 'problem', role: 'alert' },
    el('h2', {}, isKnown ? error.title : 'The console failed'),
    el('p', {}, isKnown ? error.detail : error.message),
    advice && el('p', { class: 'muted' }, advice),
    terms([
      ['Status', error.status && String(error.status)],
      ['Code', error.code && el('code', {}, error.code)],
      ['Request id', error.requestId && el('code', {}, error.requestId)],
    ]),
    el(
      'div',
      { class: 'actions' },
      error.status === 401 && settings && el('button', { class: 'primary', type: 'button', onclick: settings }, 'Enter credentials'),
      retry && el('button', { class: 'plain', type: 'button', onclick: retry }, 'Try again'),
    ),
  );
}
