"""Parameters of a request → a query, page tokens, and the pages that answer it."""
