"""Commands that this distribution adds to `des`; needs the extra `cli`."""
