// How an error is shown: what happened, what to do, and what to tell the operator.

import { button, el, terms } from './dom.js';

/** A card for an error; `advice` follows its detail, `retry` and `settings` are what its buttons do. */
export function problemCard(error, { advice, retry, settings } = {}) {
  const isKnown = error.title !== undefined;
  return el(
    'div',
    { class: advice ? 'problem calm' : 'problem', role: 'alert' },
    el('h2', isKnown ? error.title : 'The console failed'),
    el('p', String(isKnown ? error.detail : error.message)),
    advice && el('p.muted', advice),
    terms([
      ['Status', error.status && String(error.status)],
      ['Code', error.code && el('code', error.code)],
      ['Request id', error.requestId && el('code', error.requestId)],
    ]),
    el(
      'div.actions',
      error.status === 401 && settings && button('Enter credentials', 'primary', settings),
      retry && button('Try again', 'plain', retry),
    ),
  );
}

/** What a button does: it can be pressed again when that is over, and a failure is shown in `place`. */
export const working = (place, act) => async (event) => {
  const pressed = event.submitter ?? event.target;
  pressed.disabled = true;
  place.replaceChildren();
  try {
    await act();
  } catch (error) {
    place.replaceChildren(problemCard(error));
  }
  pressed.disabled = false;
};
