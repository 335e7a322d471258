"""View models of projects: cards, board, actions, forms, settings and charts."""
