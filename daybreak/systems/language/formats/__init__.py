"""Readers of the public formats, files unchanged, and of the user's own."""
