"""Ways to spoil an input, more or less strongly; a new one is one file in this folder."""
