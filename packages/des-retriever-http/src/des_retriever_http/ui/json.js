// JSON, indented. Numbers, escapes and repeated names stay as they were written, which parsing and printing would change.

const TOKEN = /"(?:[^"\\]|\\.)*"|[{}[\],:]|[^\s"{}[\],:]+/gs;

/** Indent JSON; null if the text is none, or is a single value that needs no indenting. */
export function prettyJson(text) {
  if (!/^\s*[[{]/.test(text)) return null;
  try {
    JSON.parse(text);
  } catch {
    return null;
  }
  const tokens = text.match(TOKEN);
  let depth = 0;
  const line = () => `\n${'  '.repeat(Math.min(depth, 64))}`;
  return tokens
    .map((token, index) => {
      if (token === '{' || token === '[') {
        depth += 1;
        return isClosing(tokens[index + 1]) ? token : token + line();
      }
      if (isClosing(token)) {
        depth -= 1;
        return isOpening(tokens[index - 1]) ? token : line() + token;
      }
      if (token === ',') return token + line();
      return token === ':' ? ': ' : token;
    })
    .join('');
}

const isOpening = (token) => token === '{' || token === '[';
const isClosing = (token) => token === '}' || token === ']';
