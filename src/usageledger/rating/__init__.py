"""Rate cards for events, and price tables for costs."""
