"""HTTP: connections, keys, bodies, compression, errors."""
