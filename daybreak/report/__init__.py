"""What runs leave behind, made readable: a page a run, the demo's page, comparisons, records. Imports no torch."""
