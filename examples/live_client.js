// Let an avatar of `vasari live` say what a program sends, chunk by chunk.
//
//     node examples/live_client.js talk.pcm 16000          # 16-bit mono PCM and its rate
//     some-assistant | node examples/live_client.js -      # lines of text, as they come
//
// Needs Node 22 (or a browser). docs/live.md describes the messages.

import { readFileSync } from "node:fs";
import { createInterface } from "node:readline";

const [source, rate] = process.argv.slice(2);
const avatar = new WebSocket("ws://127.0.0.1:8710/api/sessions/default/speech");
const send = (command) => avatar.send(JSON.stringify(command));

avatar.onopen = async () => {
  if (source === "-") {
    let follow = false; // the first line cuts what was being said, the others come after it
    for await (const text of createInterface({ input: process.stdin })) {
      send({ type: "text", text, follow });
      follow = true;
    }
  } else {
    const pcm = readFileSync(source);
    send({ type: "speech", rate: Number(rate) });
    for (let start = 0; start < pcm.length; start += 9600) avatar.send(pcm.subarray(start, start + 9600));
    send({ type: "end" });
  }
  send({ type: "ping", time: 0 });
};
avatar.onmessage = ({ data }) => {
  const answer = JSON.parse(data);
  if (answer.type === "pong") avatar.close();
  else console.error(answer.message ?? answer.reason);
};
