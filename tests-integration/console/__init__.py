"""The console of the retriever in a real browser: what the tests beside this file stand on."""
