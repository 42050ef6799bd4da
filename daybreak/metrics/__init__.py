"""Arrays and numbers in, a figure out."""
