"""The uses of BERT that are learned from examples."""
