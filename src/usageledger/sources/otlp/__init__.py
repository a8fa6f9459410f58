"""OTLP/HTTP bodies → readings: the two forms of the wire, and the dialects in which emitters say how much they used."""
