"""The classifier in whose features images are compared where there is no Inception: how it was trained."""
