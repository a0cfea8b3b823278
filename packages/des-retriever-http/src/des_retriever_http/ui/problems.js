// How an error is shown: what happened, what to do, and what to tell the operator.

import { button, el, moment, plural, terms } from './dom.js';

const ENTER = { 401: 'Enter credentials', 403: 'Enter other credentials' };
const REFUSED = 'These credentials do not allow it. Who gave them to you may give you others.';

/** When a request may be made again, as the service said it. */
const comeBack = (seconds) => [
  `in ${plural(Math.ceil(seconds / 60), 'minute', 'minutes')}, at `,
  moment(Date.now() + seconds * 1000),
];

/** A card for an error; `advice` follows its detail, `retry` is what its button does. */
export function problemCard(error, { advice, retry } = {}) {
  const isKnown = error.title !== undefined;
  const hint = error.status === 403 ? REFUSED : advice;
  const settings = () => document.getElementById('open-settings').click();
  return el(
    'div',
    { class: advice ? 'problem calm' : 'problem', role: 'alert' },
    el('h2', isKnown ? error.title : 'The console failed'),
    el('p', String(isKnown ? error.detail : error.message)),
    hint && el('p.muted', hint),
    terms([
      ['Come back', error.status === 429 ? comeBack(error.retryAfter) : ''],
      ['Status', error.status && String(error.status)],
      ['Code', error.code && el('code', error.code)],
      ['Request id', error.requestId && el('code', error.requestId)],
    ]),
    el(
      'div.actions',
      ENTER[error.status] && button(ENTER[error.status], 'primary', settings),
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
