"""Figures: every module has one `draw(...)` that takes nouns and answers a Plotly figure."""
