"""Digital source types: the IPTC vocabulary for how a piece of media came about.

https://cv.iptc.org/newscodes/digitalsourcetype/ (terms of 2024-10, CC BY 4.0; our own words).
"""

from __future__ import annotations

from vasari.errors import ProvenanceError

IPTC = "http://cv.iptc.org/newscodes/digitalsourcetype/"

# Term -> plain words that complete "This is declared as ...".
SOURCE_TYPES = {
    "algorithmicMedia": "made by an algorithm alone, without a trained model",
    "algorithmicallyEnhanced": "altered by an algorithm that left its main content as it was",
    "composite": "a mix of several elements, which may or may not be synthetic",
    "compositeCapture": "a mix of several recordings of real life",
    "compositeSynthetic": "a mix of several elements, at least one of them synthetic",
    "compositeWithTrainedAlgorithmicMedia": "existing media altered with generative AI",
    "computationalCapture": "several camera exposures merged into one",
    "dataDrivenMedia": "data shown as media",
    "digitalCapture": "recorded from real life with a camera or microphone",
    "digitalCreation": "made by a person with digital tools, without generative AI",
    "humanEdits": "edited by a person, without generative AI",
    "negativeFilm": "digitised from a negative",
    "positiveFilm": "digitised from a slide",
    "print": "digitised from a print",
    "screenCapture": "a recording of a screen",
    "trainedAlgorithmicMedia": "made with generative AI",
    "virtualRecording": "a live recording of a virtual event",
}

# Retired by IPTC: understood when they are read, never written.
RETIRED_SOURCE_TYPES = {
    "digitalArt": "made by a person with digital tools",
    "minorHumanEdits": "retouched by a person",
    "softwareImage": "made by software",
}

# C2PA adds two terms of its own (C2PA 2.2, section 18.15.4.3).
C2PA_SOURCE_TYPES = {
    "http://c2pa.org/digitalsourcetype/empty": "begun as an empty canvas",
    "http://c2pa.org/digitalsourcetype/trainedAlgorithmicData": "data made with generative AI",
}


def source_type_uri(term: str) -> str:
    """The URI that a manifest carries for a term of the vocabulary.

    The C2PA library writes any text that it is given, so the term is checked here.

    Raises:
        ProvenanceError: the term is not in the vocabulary, or is retired.
    """
    if term not in SOURCE_TYPES:
        raise ProvenanceError(
            f"unknown digital source type '{term}'; the IPTC terms are {', '.join(SOURCE_TYPES)}"
        )
    return IPTC + term


def source_type_words(uri: str) -> str:
    """A source type in plain words; one that is not in the vocabulary is quoted."""
    term = uri.replace("https://", "http://", 1).removeprefix(IPTC)
    known = SOURCE_TYPES | RETIRED_SOURCE_TYPES | C2PA_SOURCE_TYPES
    return known.get(term, f"of an unknown kind, '{uri}'")
