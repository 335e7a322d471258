"""View models of one person's pages: stores over the API client, without any UI code."""
