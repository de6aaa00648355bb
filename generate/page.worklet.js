// Two processors: "player" plays the session's sound at the time it is told, "capture" gives out
// what the microphone hears.

const RING = 48000 * 4; // samples that are remembered
const MAX_STRETCH = 0.01; // of the speed: 1 % is not heard as pitch
const JUMP = 0.035; // seconds of error beyond which a jump is better than lips out of step
const REPORT = 12; // blocks of 128 samples between two reports

class Player extends AudioWorkletProcessor {
  constructor() {
    super();
    this.ring = new Float32Array(RING);
    this.end = 0; // the session's sample after the last one that came
    this.position = null; // the session's sample that is played next, with fraction
    this.target = null; // {time, position}: what should be played at a time of this context
    this.blocks = 0;
    this.gain = 0;
    this.port.onmessage = ({ data }) => {
      if (data.samples) this.take(data.start, data.samples);
      else this.target = data;
    };
  }

  take(start, samples) {
    for (let i = 0; i < samples.length; i++) this.ring[(start + i) % RING] = samples[i] / 32768;
    // What was not sent is silence, and not what the ring held a while ago.
    for (let i = this.end; i < start && start - this.end < RING; i++) this.ring[i % RING] = 0;
    this.end = start + samples.length;
  }

  process(inputs, [[channel]]) {
    if (!this.target) return true;
    const wanted = this.target.position + (currentTime - this.target.time) * sampleRate;
    if (this.position === null || Math.abs(wanted - this.position) > JUMP * sampleRate) {
      this.position = wanted;
      this.gain = 0;
    }
    const error = wanted - this.position;
    const step = 1 + Math.max(-MAX_STRETCH, Math.min(MAX_STRETCH, error / sampleRate));
    for (let i = 0; i < channel.length; i++) {
      const index = Math.floor(this.position);
      const there = index >= 0 && index + 1 < this.end && index > this.end - RING;
      // Fades of 5 ms: sound that stops or starts at once clicks.
      this.gain = Math.max(0, Math.min(1, this.gain + (there ? 1 : -1) / 240));
      if (there) {
        const share = this.position - index;
        const here = this.ring[index % RING];
        channel[i] = this.gain * (here + share * (this.ring[(index + 1) % RING] - here));
      }
      this.position += step;
    }
    if (++this.blocks % REPORT === 0) {
      this.port.postMessage({ error: error / sampleRate, ahead: (this.end - this.position) / sampleRate });
    }
    return true;
  }
}

class Capture extends AudioWorkletProcessor {
  constructor() {
    super();
    this.block = new Int16Array(480); // 10 ms
    this.filled = 0;
  }

  process([[channel]]) {
    if (!channel) return true;
    for (const value of channel) {
      this.block[this.filled++] = Math.max(-1, Math.min(1, value)) * 32767;
      if (this.filled === this.block.length) {
        this.port.postMessage(this.block.slice());
        this.filled = 0;
      }
    }
    return true;
  }
}

registerProcessor("player", Player);
registerProcessor("capture", Capture);
