"""From what was measured to what to set: pure rules, each of which gives its reason."""
