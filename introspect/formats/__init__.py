"""Safe readers of model files, one file a format: each checks before it believes, none runs code."""
