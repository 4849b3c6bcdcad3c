// The night's sounds, made of oscillators and noise: a chime for a spark, a bell for a purchase, wind and crickets.

const SCALE = [523.25, 587.33, 659.25, 783.99, 880.0, 1046.5, 1174.66]; // a pentatonic: no wrong notes

export class Sound {
  constructor() {
    this.muted = localStorage.getItem("meadow.muted") === "yes";
    this.step = 0;
  }

  // wake starts the audio; browsers allow it only in answer to a key, click or touch.
  wake() {
    if (this.audio || !window.AudioContext) return;
    const audio = this.audio = new AudioContext();
    this.out = audio.createGain();
    this.out.gain.value = this.muted ? 0 : 1;
    this.out.connect(audio.destination);
    const echo = audio.createDelay(1), feedback = audio.createGain(), wet = audio.createGain();
    echo.delayTime.value = 0.27;
    feedback.gain.value = 0.34;
    wet.gain.value = 0.3;
    this.bus = audio.createGain();
    this.bus.connect(this.out);
    this.bus.connect(echo);
    echo.connect(feedback).connect(echo);
    echo.connect(wet).connect(this.out);
    this.#wind();
    this.#cricket();
  }

  mute(muted) {
    this.muted = muted;
    localStorage.setItem("meadow.muted", muted ? "yes" : "no");
    this.out?.gain.setTargetAtTime(muted ? 0 : 1, this.audio.currentTime, 0.05);
  }

  chime(worth = 1) {
    const notes = worth > 1 ? [0, 2, 4, 6] : [this.step];
    this.step = (this.step + 1 + Math.floor(Math.random() * 3)) % SCALE.length;
    notes.forEach((n, i) => this.#note(SCALE[n], i * 0.07, 0.16, 0.9));
  }

  bell() { [0, 3, 5, 3, 6].forEach((n, i) => this.#note(SCALE[n] / 2, i * 0.11, 0.2, 1.4)); }

  sorry() { [1, 0].forEach((n, i) => this.#note(SCALE[n] / 4, i * 0.12, 0.14, 0.4)); }

  whisper() { this.#note(SCALE[4] * 2, 0, 0.03, 0.3); }

  #note(hertz, after, loud, length) {
    if (!this.audio) return;
    const at = this.audio.currentTime + after;
    for (const [ratio, share] of [[1, 1], [2.01, 0.35], [3.98, 0.12]]) {
      const tone = this.audio.createOscillator(), shape = this.audio.createGain();
      tone.frequency.value = hertz * ratio;
      shape.gain.setValueAtTime(0, at);
      shape.gain.linearRampToValueAtTime(loud * share, at + 0.008);
      shape.gain.exponentialRampToValueAtTime(0.0001, at + length / ratio ** 0.5);
      tone.connect(shape).connect(this.bus);
      tone.start(at);
      tone.stop(at + length + 0.1);
    }
  }

  #wind() {
    const seconds = 4, rate = this.audio.sampleRate;
    const noise = this.audio.createBuffer(1, seconds * rate, rate), samples = noise.getChannelData(0);
    for (let i = 0, last = 0; i < samples.length; i++) {
      last = 0.985 * last + 0.015 * (Math.random() * 2 - 1);
      samples[i] = last * Math.min(1, i / rate, (samples.length - i) / rate);
    }
    const source = this.audio.createBufferSource(), shape = this.audio.createGain();
    source.buffer = noise;
    source.loop = true;
    shape.gain.value = 0.28;
    source.connect(shape).connect(this.out);
    source.start();
  }

  #cricket() {
    const chirp = () => {
      if (!this.muted && document.visibilityState === "visible") {
        for (let i = 0; i < 3; i++) this.#note(4100 + Math.random() * 120, i * 0.07, 0.004, 0.05);
      }
      setTimeout(chirp, 1800 + Math.random() * 4200);
    };
    setTimeout(chirp, 2000);
  }
}
