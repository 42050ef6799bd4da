"""Files to batches: readers of the public formats, the loader, verified downloads. Knows no model."""
