"""Safe readers of model files, one file a format: each checks first, and none runs code."""
