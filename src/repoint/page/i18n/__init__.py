"""The texts of the page, and figures and times in each language."""
