"""Ways to walk an input, step by step, towards another class; a new one is one file here."""
