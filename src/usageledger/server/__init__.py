"""The HTTP server: `process.run` serves until it is told to stop, and `app.create_app` makes what it serves."""
