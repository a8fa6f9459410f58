"""Tables, numbers, times and words for people in a terminal."""
