"""The archive formats of the two published systems, read-only.

Source: docs/legacy-formats.md.
"""
