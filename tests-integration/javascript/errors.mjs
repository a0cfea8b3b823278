/** An error with one of the codes of docs/format.md, "What a reader refuses". */
export class DesError extends Error {
  constructor(code, message) {
    super(message);
    this.code = code;
  }
}

export const refuse = (code, message) => {
  throw new DesError(code, message);
};
export const corrupt = (message) => refuse('corrupt_archive', message);
export const mismatch = (message) => refuse('checksum_mismatch', message);
