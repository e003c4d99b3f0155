"""The paper's experiments, one group a file; `introspect.reproduce` runs them all."""
