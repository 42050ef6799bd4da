"""Batched augmentation: every image of a batch with parameters of its own, in a few whole-tensor operations."""
