// Every image as a dot, by WebGL, or by the two-dimensional canvas where there is none.

const VERTEX = `
attribute vec2 place; attribute vec3 colour; attribute float group;
uniform vec2 centre, scale; uniform float size, chosen; varying vec4 shade;
void main() {
  gl_Position = vec4((place - centre) * scale, 0.0, 1.0);
  gl_PointSize = size;
  float alpha = chosen < -1.5 || chosen == group ? 0.9 : 0.12;
  shade = vec4(colour, alpha);
}`;
const FRAGMENT = `
precision mediump float; varying vec4 shade;
void main() {
  float far = length(gl_PointCoord - 0.5) * 2.0;
  float alpha = shade.a * (1.0 - smoothstep(0.75, 1.0, far));
  gl_FragColor = vec4(shade.rgb * alpha, alpha);
}`;

/** What `chosen` is when no group is. */
export const ALL = -2;

/** Draws the dots of a map on a canvas. */
export class Dots {
  constructor(canvas, data, colours) {
    this.canvas = canvas;
    this.data = data;
    this.colours = colours;
    this.gl = canvas.getContext("webgl", { antialias: false, premultipliedAlpha: true });
    if (this.gl) this.prepare();
    else this.flat = canvas.getContext("2d");
  }

  prepare() {
    const gl = this.gl;
    const program = gl.createProgram();
    for (const [kind, source] of [[gl.VERTEX_SHADER, VERTEX], [gl.FRAGMENT_SHADER, FRAGMENT]]) {
      const shader = gl.createShader(kind);
      gl.shaderSource(shader, source);
      gl.compileShader(shader);
      gl.attachShader(program, shader);
    }
    gl.linkProgram(program);
    gl.useProgram(program);
    this.at = (name) => gl.getUniformLocation(program, name);
    const { x, y, group } = this.data;
    const places = new Float32Array(2 * x.length);
    const colours = new Uint8Array(3 * x.length);
    for (let i = 0; i < x.length; i++) {
      places.set([x[i], y[i]], 2 * i);
      colours.set(this.colours.of(group[i]), 3 * i);
    }
    const attribute = (name, values, count, type) => {
      gl.bindBuffer(gl.ARRAY_BUFFER, gl.createBuffer());
      gl.bufferData(gl.ARRAY_BUFFER, values, gl.STATIC_DRAW);
      const place = gl.getAttribLocation(program, name);
      gl.enableVertexAttribArray(place);
      gl.vertexAttribPointer(place, count, type, type === gl.UNSIGNED_BYTE, 0, 0);
    };
    attribute("place", places, 2, gl.FLOAT);
    attribute("colour", colours, 3, gl.UNSIGNED_BYTE);
    attribute("group", Float32Array.from(group), 1, gl.FLOAT);
    gl.enable(gl.BLEND);
    gl.blendFunc(gl.ONE, gl.ONE_MINUS_SRC_ALPHA);
  }

  /** Draws all dots, `size` pixels wide. Those of other groups than the chosen one are pale. */
  draw(view, size, chosen) {
    const { width, height } = this.canvas;
    if (!this.gl) {
      this.drawFlat(view, size, chosen);
      return;
    }
    const gl = this.gl;
    gl.viewport(0, 0, width, height);
    gl.clearColor(0, 0, 0, 0);
    gl.clear(gl.COLOR_BUFFER_BIT);
    gl.uniform2f(this.at("centre"), view.x, view.y);
    const ratio = view.scale * view.ratio * 2;
    gl.uniform2f(this.at("scale"), ratio / width, ratio / height);
    gl.uniform1f(this.at("size"), size * view.ratio);
    gl.uniform1f(this.at("chosen"), chosen);
    gl.drawArrays(gl.POINTS, 0, this.data.x.length);
  }

  drawFlat(view, size, chosen) {
    const { flat, data } = this;
    flat.setTransform(view.ratio, 0, 0, view.ratio, 0, 0);
    flat.clearRect(0, 0, view.width, view.height);
    for (let i = 0; i < data.x.length; i++) {
      const [left, top] = view.toScreen(data.x[i], data.y[i]);
      if (left < 0 || top < 0 || left > view.width || top > view.height) continue;
      flat.globalAlpha = chosen === ALL || chosen === data.group[i] ? 0.9 : 0.12;
      flat.fillStyle = this.colours.css(data.group[i]);
      flat.fillRect(left - size / 2, top - size / 2, size, size);
    }
  }
}
