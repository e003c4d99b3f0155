"""Everything that imports streamlit: the frame, the session, the guard, the browser parts."""

from pathlib import Path

MAIN = Path(__file__).with_name("main.py")
"""The script Streamlit runs for every visitor; app.py hands it to `st.App`."""
