"""The invisible watermark: its code, embedding and reading."""
