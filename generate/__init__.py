"""From a portrait and a voice to the frames of a talking video."""
