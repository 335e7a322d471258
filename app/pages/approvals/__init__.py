"""The page of approvals, and the box of one on other pages."""
