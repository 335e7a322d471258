"""What every page is built from: session, frame, theme, routes and NiceGUI patches."""
