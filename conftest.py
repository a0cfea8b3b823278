"""Settings of every test run, whichever package it is for."""

from hypothesis import settings

# No deadline: a busy machine is not a failure. A failure prints what reproduces it.
settings.register_profile("des", deadline=None, print_blob=True)
settings.load_profile("des")
