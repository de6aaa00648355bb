"""`python -m vasari` is the program `vasari`."""

from vasari.cli import main

main()
