"""How likely a clip was generated: face crops, score, what it rests on, how it was learned."""
