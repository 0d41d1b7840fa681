// SPDX-License-Identifier: GPL-2.0-or-later
// A plot over time, by uPlot (vendor/, MIT licence), in the colours of the page. Loaded when the first one is shown.

import uPlot from "./vendor/uPlot.esm.js";
import { h } from "./dom.js";

const HEIGHT_PX = 170;
const style = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

function sheet() {
  if (document.querySelector("link[data-uplot]")) return;
  document.head.append(h("link", { rel: "stylesheet", href: "/panel/vendor/uPlot.css", "data-uplot": "" }));
}

export class Plot {
  // series: [[label, values], …]; times in seconds. The arrays are the caller's and grow; `update` shows them.
  constructor(title, times, series) {
    sheet();
    Object.assign(this, { times, series });
    this.place = h("div", { class: "plot-place" });
    this.root = h("figure", { class: "plot" }, h("figcaption", {}, title), this.place);
    new ResizeObserver(() => this.fit()).observe(this.place);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.build());
  }

  build() {
    this.chart?.destroy();
    const clock = (seconds) => new Date(seconds * 1000).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" });
    const axis = { stroke: style("--muted"), grid: { stroke: style("--line"), width: 1 }, ticks: { stroke: style("--line"), width: 1 }, font: "12px system-ui, sans-serif" };
    const colours = [style("--accent"), style("--second")];
    this.chart = new uPlot({
      width: this.place.clientWidth, height: HEIGHT_PX, cursor: { show: false }, legend: { live: false },
      scales: { y: { range: (chart, low, high) => [0, Math.max((high ?? 0) * 1.15, 1)] } },
      axes: [{ ...axis, space: 90, values: (chart, times) => times.map(clock) }, { ...axis, size: 46 }],
      series: [{}, ...this.series.map(([label], place) => ({ label, stroke: colours[place], width: 2, points: { show: false } }))],
    }, this.data(), this.place);
  }

  data() {
    return [this.times, ...this.series.map(([, values]) => values)];
  }

  fit() {
    if (!this.place.clientWidth) return;
    if (this.chart) this.chart.setSize({ width: this.place.clientWidth, height: HEIGHT_PX });
    else this.build();
  }

  update() {
    this.chart?.setData(this.data());
  }
}
