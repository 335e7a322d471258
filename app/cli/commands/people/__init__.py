"""The commands of people, tokens and organisations."""
