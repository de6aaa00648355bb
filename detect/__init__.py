"""How likely a clip was generated: face crops, a score, what it rests on, and how it was learned."""
