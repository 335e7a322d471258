"""Presets as data, one file per agent: `preset.py` reads them."""
