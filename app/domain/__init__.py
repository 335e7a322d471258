"""The rules of Runyard: standard library only, no clock, no input or output."""
