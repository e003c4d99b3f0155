"""Networks whose sizes are read off the shapes of their weights; a new one is one file here."""
