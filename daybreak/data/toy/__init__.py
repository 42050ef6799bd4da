"""Small data sets that need no network: bundled with a dependency, or generated."""
