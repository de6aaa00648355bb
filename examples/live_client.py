"""Let an avatar of `vasari live` say what a program sends, chunk by chunk.

    python examples/live_client.py talk.wav              # a 16-bit mono WAV file as PCM
    some-assistant | python examples/live_client.py -    # lines of text, as they come

Needs ``pip install websockets``. docs/live.md describes the messages.
"""

from __future__ import annotations

import json
import sys
import wave

from websockets.sync.client import connect

ADDRESS = "ws://127.0.0.1:8710/api/sessions/default/speech"

with connect(ADDRESS) as avatar:
    if sys.argv[1] == "-":
        for number, line in enumerate(sys.stdin):
            avatar.send(json.dumps({"type": "text", "text": line, "follow": number > 0}))
    else:
        with wave.open(sys.argv[1]) as sound:
            avatar.send(json.dumps({"type": "speech", "rate": sound.getframerate()}))
            while chunk := sound.readframes(sound.getframerate() // 10):
                avatar.send(chunk)
        avatar.send(json.dumps({"type": "end"}))
    avatar.send(json.dumps({"type": "ping", "time": 0}))
    while (answer := json.loads(avatar.recv()))["type"] != "pong":
        print(answer["message"], file=sys.stderr)
