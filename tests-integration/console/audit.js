// What a page must hold for everybody to use it; returns the faults as texts.

const shown = (node) =>
  node.checkVisibility({ visibilityProperty: true, opacityProperty: true }) && node.getClientRects().length > 0;
const all = [...document.querySelectorAll('body *')].filter(shown);
const say = (node) =>
  `<${node.tagName.toLowerCase()} class="${node.className}"> ${node.textContent.trim().slice(0, 40)}`;

const rgba = (text) => {
  const [r, g, b, a = 1] = text.match(/[\d.]+/g).map(Number);
  return [r, g, b, a];
};
const over = ([r, g, b, a], below) => [r, g, b].map((value, index) => value * a + below[index] * (1 - a));
function ground(node) {
  if (node === null) return [255, 255, 255];
  const colour = rgba(getComputedStyle(node).backgroundColor);
  return colour[3] === 1 ? colour.slice(0, 3) : over(colour, ground(node.parentElement));
}
const light = (colour) => {
  const [r, g, b] = colour.map((value) =>
    value / 255 <= 0.03928 ? value / 255 / 12.92 : ((value / 255 + 0.055) / 1.055) ** 2.4,
  );
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
};
const contrast = (one, other) => {
  const [most, least] = [light(one), light(other)].sort((a, b) => b - a);
  return (most + 0.05) / (least + 0.05);
};

function ofText(node) {
  const style = getComputedStyle(node);
  const [size, weight] = [parseFloat(style.fontSize), Number(style.fontWeight)];
  const needed = size >= 24 || (size >= 18.66 && weight >= 700) ? 3 : 4.5;
  const found = contrast(over(rgba(style.color), ground(node)), ground(node));
  return found < needed ? `contrast ${found.toFixed(2)}: ${say(node)}` : null;
}

function ofEdge(node) {
  const found = contrast(
    over(rgba(getComputedStyle(node).borderTopColor), ground(node.parentElement)),
    ground(node.parentElement),
  );
  return found < 3 ? `contrast of an edge ${found.toFixed(2)}: ${say(node)}` : null;
}

function ofTarget(node) {
  const { width, height } = node.getBoundingClientRect();
  const isInText = getComputedStyle(node).display === 'inline';
  return !isInText && (width < 24 || height < 24) ? `target of ${width} x ${height}: ${say(node)}` : null;
}

const faults = [];
const hasText = (node) => [...node.childNodes].some((child) => child.nodeType === 3 && child.data.trim() !== '');
const unseen = (node) =>
  node.closest('.unseen, .skip:not(:focus)') !== null || getComputedStyle(node).clipPath === 'inset(50%)';
faults.push(...all.filter((node) => hasText(node) && !unseen(node) && !(node instanceof SVGElement)).map(ofText));
faults.push(...all.filter((node) => node.matches('input:not([type=radio], [type=checkbox]), select')).map(ofEdge));
faults.push(
  ...all
    .filter((node) => node.matches('a, button, input:not(label input), select, label.choice') && !unseen(node))
    .map(ofTarget),
);

const headings = all
  .filter((node) => /^H[1-6]$/.test(node.tagName) && node.closest('dialog') === null)
  .map((node) => Number(node.tagName[1]));
const first = [...document.querySelectorAll('h1')].length;
if (first !== 1) faults.push(`${first} headings of the first level`);
headings.forEach((level, index) => {
  if (index > 0 && level > headings[index - 1] + 1)
    faults.push(`a heading of level ${level} after one of ${headings[index - 1]}`);
});

const ids = [...document.querySelectorAll('[id]')].map((node) => node.id);
faults.push(...ids.filter((id, index) => ids.indexOf(id) !== index).map((id) => `two elements have the id ${id}`));
for (const node of document.querySelectorAll('[aria-labelledby], [aria-describedby], [for]')) {
  const named = ['aria-labelledby', 'aria-describedby', 'for'].flatMap((name) =>
    (node.getAttribute(name) ?? '').split(' '),
  );
  faults.push(
    ...named.filter((id) => id !== '' && !ids.includes(id)).map((id) => `nothing has the id ${id}: ${say(node)}`),
  );
}
for (const [count, selector] of [
  [1, 'main'],
  [1, 'body > header'],
  [0, 'nav:not([aria-label])'],
  [0, 'img:not([alt])'],
  [0, '[tabindex]:not([tabindex="0"], [tabindex="-1"])'],
  [0, '[style]'],
]) {
  const found = document.querySelectorAll(selector).length;
  if (found !== count) faults.push(`${found} of ${selector}`);
}
if (document.documentElement.lang === '' || document.title === '') faults.push('no language, or no title');
const { scrollWidth } = document.documentElement;
if (scrollWidth > innerWidth) {
  const beyond = all.filter((node) => node.getBoundingClientRect().right > innerWidth).map(say);
  faults.push(`beyond the right edge: ${beyond.join(', ')}`);
}
return faults.filter(Boolean);
