"""See in the browser what a PyTorch classifier does with your data, and where it errs."""

__version__ = "0.1.0"
