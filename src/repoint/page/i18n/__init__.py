"""Languages: the catalogue of texts, and how each language writes numbers, dates and lists.

``texts/`` holds one TOML file per language. ``translation.py`` picks the language that a browser
prefers and formats texts in it.
"""
