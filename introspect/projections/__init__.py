"""Ways to lay activations out on a plane; a new one is one file in this folder."""
