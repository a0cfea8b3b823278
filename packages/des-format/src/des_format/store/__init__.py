"""A store of archives: commits without a database, deletion that holds, time travel."""
