"""Self-contained HTML files to look at: how good a model is, and what it is unsure of."""
