"""The way in: from decoded events to the disk."""
