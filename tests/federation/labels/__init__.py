"""Labels: rules files, and what they give."""
