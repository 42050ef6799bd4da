"""The encoder, what stands on it, and public checkpoints of it."""
