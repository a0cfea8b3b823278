"""The command `des-retriever`: how the service is set up, started, watched and stopped."""
